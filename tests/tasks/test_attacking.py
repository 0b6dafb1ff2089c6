"""Which images an attack is given."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from bench.analysis.records import decode_array
from bench.errors import ContractViolation
from bench.tasks.attacking import _noted, _plain


def test_all_images_where_the_attacker_cannot_know_which_stand_else_those_right_when_clean(command_line):
    # A network that answers class 0 whatever it sees is right for every fourth image.
    save_file({"1.weight": torch.zeros(4, 64), "1.bias": torch.zeros(4)}, command_line.folder / "zero.safetensors")
    command_line(
        *("run", "--datasets", "toy", "--models", "toy-net", "--weights", "zero.safetensors", "--samples", "128"),
        *("--defenses", "toy-round,toy-noise", "--attacks", "toy-step", "--norm", "linf", "--hardware", "none"),
        *("--no-html", "--out", "out"),
    )
    attacked = {
        (r["defense"]["name"], r["knowledge"]): decode_array(r["outcomes"]["attacked"]).mean()
        for r in command_line.records("out")
        if r["kind"] == "attack" and r["status"] == "ok"
    }
    assert attacked["none", "white-box"] == attacked["toy-round", "adaptive"] == 0.25
    assert attacked["toy-noise", "white-box"] == 1.0  # what one draw gets wrong, another may get right
    assert attacked["toy-round", "oblivious"] == attacked["toy-noise", "oblivious"] == 1.0
    fooling = {
        decode_array(r["outcomes"]["fooling"]).sum()
        for r in command_line.records("out")
        if r["kind"] == "attack" and r["knowledge"] == "oblivious"
    }
    assert fooling == {0}, "what it gets wrong without any attack is nobody's success"


def test_a_note_that_is_no_number_does_not_cost_the_attack() -> None:
    """The median distance of an attack that found nothing, say: JSON has no word for it."""
    told = _plain({"found": 3, "median": math.inf, "mean": math.nan, "share": 0.5})
    assert json.dumps(told, allow_nan=False)
    assert told == {"found": 3, "median": "inf", "mean": "nan", "share": 0.5}


def test_a_note_of_images_is_kept_for_each_image_of_the_block() -> None:
    told = _noted({"broken": torch.tensor([True, False, True]), "steps": 3}, torch.tensor([0, 2, 3]), 5)
    assert {name: flags.tolist() for name, flags in told.items()} == {"note: broken": [1, 0, 0, 1, 0]}


@pytest.mark.parametrize("flags", [torch.ones(2, dtype=torch.bool), torch.ones(3), torch.ones(3, 1, dtype=torch.bool)])
def test_a_note_that_is_not_one_an_image_is_a_fault_of_the_attack(flags: torch.Tensor) -> None:
    with pytest.raises(ContractViolation, match=r"note 'broken' is .* expected a figure, or bool, \(3,\)"):
        _noted({"broken": flags}, torch.arange(3), 5)
