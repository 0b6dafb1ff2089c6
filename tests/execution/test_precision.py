"""The precision of gradients stands in keys and records, and judges nothing."""

from __future__ import annotations

import pytest

RUN = (
    *("run", "--datasets", "toy", "--defenses", "none", "--norm", "linf", "--hardware", "none", "--no-html"),
    *("--attacks", "toy-step,toy-null-00", "--knowledge", "white-box,black-box", "--samples", "128"),
)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_record_says_in_what_gradients_were_computed(command_line, precision):
    command_line(*RUN, "--precision", precision, "--out", "out")
    said = {
        r["attack"]["name"]: (r["precision"], r["notes"]["surface"]["precision"])
        for r in command_line.records("out")
        if r["kind"] == "attack"
    }
    assert said == {"toy-step": (precision, precision), "toy-null-00": ("fp32", "fp32")}


def test_another_precision_crafts_gradient_attacks_again_and_nothing_else(command_line):
    command_line(*RUN, "--precision", "fp32", "--out", "fine")
    again = command_line(*RUN, "--precision", "bf16", "--out", "coarse")
    assert "\n2 tasks executed" in "\n" + again.stderr  # one attack's block, and the answers to it
    fine, coarse = ({r["cell_id"]: r["run_key"] for r in command_line.records(out)} for out in ("fine", "coarse"))
    assert fine.keys() == coarse.keys(), "the same was asked"
    assert sum(fine[cell] != coarse[cell] for cell in fine) == 1
