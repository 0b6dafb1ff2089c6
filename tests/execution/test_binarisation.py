"""Adversarial examples are hidden in whole deployments, and the attacks of the ladder look for them."""

from __future__ import annotations

import csv
from typing import Any

SELECTED = ("--datasets", "toy", "--norm", "linf", "--hardware", "none", "--knowledge", "adaptive")
STANDARD = (*SELECTED, "--budget", "standard", "--samples", "64")
QUIET = ("--no-html", "--out", "out")


def verdicts(command_line: Any) -> dict[str, tuple[str, str]]:
    """Return defense -> (outcome, evidence) of the gate at the headline radius."""
    with (command_line.folder / "out" / "gates.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["gate"] == "binarisation" and line["epsilon"] == "0.1"]
    return {v["defense"]: (v["outcome"], v["evidence"]) for v in lines}


def test_shattered_gradients_and_idle_attacks_fail_where_healthy_ones_pass(command_line: Any) -> None:
    asked = ("--attacks", "toy-steps,toy-idle", "--defenses", "toy-shattered", "--eps", "0.1,0.2")
    command_line("run", *STANDARD, *asked, *QUIET)
    found = verdicts(command_line)
    assert found["none"][0] == "pass", found["none"]
    outcome, evidence = found["toy-shattered"]
    assert outcome == "fail"
    assert evidence.startswith("Of 64 hidden adversarial examples (64 images looked at) the attack finds 0, ")

    tested = [r for r in command_line.records("out") if "binarisation" in r["evidence"]]
    assert {(r["threat"]["epsilon"], r["knowledge"]) for r in tested} == {(0.1, "adaptive")}
    assert len(tested) == 2, "one a deployment"
    (test,) = (r["evidence"]["binarisation"] for r in tested if r["defense"]["name"] == "none")
    assert (test["reason"], test["looked_at"], test["testable"], test["found"], test["queries"]) == ("", 64, 64, 64, 20)
    assert test["random"] <= 32
    assert test["constants"]["inner"] == 200

    command_line("run", *STANDARD, "--attacks", "toy-idle", "--defenses", "none", *QUIET)
    assert verdicts(command_line)["none"][0] == "fail"


def test_a_test_that_breaks_bars_the_rank_takes_no_number_away_and_comes_in_later(command_line: Any) -> None:
    asked = (*STANDARD, "--attacks", "toy-stumbles", "--defenses", "none")
    command_line("run", *asked, *QUIET)
    outcome, evidence = verdicts(command_line)["none"]
    assert outcome == "fail"
    assert "could not be made: ZeroDivisionError: one class too few" in evidence
    assert {r["status"] for r in command_line.records("out")} == {"ok"}

    command_line("run", *asked, *QUIET, "--retry", TOY_GOOD_DAY="1")
    assert verdicts(command_line)["none"][0] == "pass"
    whole = command_line.records("out")
    command_line("run", *asked, *QUIET)
    assert command_line.records("out") == whole
