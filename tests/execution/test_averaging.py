"""How many draws an adaptive attacker averages: given, or found by inspection for each deployment."""

from __future__ import annotations

from typing import Any

import pytest

RUN = (
    *("run", "--datasets", "toy", "--defenses", "toy-gain", "--norm", "linf", "--hardware", "none"),
    *("--attacks", "toy-step", "--knowledge", "adaptive", "--samples", "64", "--no-html"),
)


def attacks(command_line: Any, out: str) -> dict[str, dict[str, Any]]:
    return {r["defense"]["name"]: r for r in command_line.records(out) if r["kind"] == "attack"}


def test_the_record_says_how_many_draws_were_found_and_the_cell_is_named_by_what_was_asked(command_line: Any) -> None:
    command_line(*RUN, "--eot", "auto", "--out", "auto")
    found = attacks(command_line, "auto")
    clean = {r["defense"]["name"]: r for r in command_line.records("auto") if r["kind"] == "clean"}
    used = {name: record["notes"]["surface"]["expectation"] for name, record in found.items()}
    noise = {name: record["evidence"]["noise"] for name, record in clean.items()}
    assert used == {name: noise[name]["draws"] for name in used}
    # Where half of a draw's squared gradient is shared, the mean of k has a cosine of sqrt(k / (k + 1)): .94, then .97.
    assert used == {"none": 1, "toy-gain": 16}
    assert noise["toy-gain"]["agreement"] == pytest.approx(0.5, abs=0.03)

    (command_line.folder / "study.toml").write_text('eot = "auto"\n')
    again = command_line(*RUN, "--config", "study.toml", "--out", "again")
    assert "\n0 tasks executed" in "\n" + again.stderr
    command_line(*RUN, "--eot", str(used["toy-gain"]), "--out", "number")
    number = attacks(command_line, "number")["toy-gain"]
    assert number["notes"]["surface"]["expectation"] == used["toy-gain"]
    assert number["outcomes"] == found["toy-gain"]["outcomes"]
    assert number["cell_id"] != found["toy-gain"]["cell_id"]


def test_what_is_no_number_of_draws_is_refused(command_line: Any) -> None:
    for given in ("0", "many"):
        told = command_line("plan", "--datasets", "toy", "--eot", given, code=2).stderr
        assert f"eot '{given}' is no number of draws; expected an integer >= 1, or auto." in told
    (command_line.folder / "study.toml").write_text("eot = 2.5\n")
    assert "eot '2.5'" in command_line("plan", "--config", "study.toml", code=2).stderr
