from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.iterative import iterative

from .conftest import refusing


@pytest.mark.parametrize(
    ("level", "one", "many", "outcome"),
    [
        ("adaptive", 0.6, 0.4, "pass"),
        ("adaptive", 0.4, 0.4, "pass"),
        ("adaptive", 0.4, 0.6, "fail"),
        ("white-box", 0.4, 0.6, "warn"),
    ],
)
def test_one_step_that_beats_many_trips_it(attacked: Any, level: str, one: float, many: float, outcome: str) -> None:
    verdict = iterative(attacked([("fgsm", level, one), ("pgd", level, many)]))
    assert verdict.outcome == outcome
    assert outcome == "pass" or f"fgsm ({level}) leaves {one:.1%}" in verdict.evidence


def test_of_an_attack_on_more_and_on_fewer_images_that_on_more_is_compared(made: Any, attacked: Any) -> None:
    """As where a curve over radii repeats the headline on the first images."""
    brief = made.attack_record("median[size=3]", "pgd", np.ones(8, np.uint8), knowledge="adaptive")
    brief |= {"cell_id": made.name_of("another cell"), "run_key": made.name_of("another run")}
    row = attacked([("fgsm", "adaptive", 0.4), ("pgd", "adaptive", 0.6)], records=[brief])
    assert iterative(row).outcome == "fail"
    assert [len(attack.left) for attack in row.raw if attack.name == "pgd (adaptive)"] == [400, 8]


def test_attacks_at_different_knowledge_are_not_compared(attacked: Any) -> None:
    assert iterative(attacked([("fgsm", "white-box", 0.1), ("pgd", "adaptive", 0.9)])).outcome == "n/a"


def test_many_steps_on_few_images_hide_nothing(made: Any, attacked: Any) -> None:
    brief = made.attack_record("median[size=3]", "pgd", np.zeros(8, np.uint8), knowledge="adaptive")
    brief["attack"]["label"] = "pgd[steps=7]"
    brief |= {"cell_id": made.name_of("another cell"), "run_key": made.name_of("another run")}
    row = attacked([("fgsm", "adaptive", 0.4), ("pgd", "adaptive", 0.6)], records=[brief])
    assert iterative(row).outcome == "fail"


def test_what_fails_at_adaptive_knowledge_is_no_mere_warning_beside_white_box_ones(attacked: Any) -> None:
    levels = ("white-box", "adaptive")
    row = attacked([(name, level, left) for level in levels for name, left in (("fgsm", 0.4), ("pgd", 0.6))])
    assert iterative(row).outcome == "fail"


def test_what_was_made_on_the_undefended_network_is_not_compared(attacked: Any) -> None:
    assert iterative(attacked([("fgsm", "oblivious", 0.1), ("pgd", "oblivious", 0.9)])).outcome == "n/a"


def test_many_steps_that_are_refused_are_no_weaker_than_one_that_is_not(made: Any, row_of: Any) -> None:
    attacks = [("fgsm", 0.3, 0.4, 0.1), ("pgd", 0.3, 0.0, 1.0)]
    assert iterative(row_of(refusing(made, attacks), "none")).outcome == "pass"
    attacks[1] = ("pgd", 0.3, 0.6, 0.0)
    verdict = iterative(row_of(refusing(made, attacks), "none"))
    assert verdict.outcome == "fail"
    assert verdict.evidence == "fgsm (adaptive) leaves 50.0%, pgd (adaptive) 60.0%."
