from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.black_box import black_box


@pytest.mark.parametrize(
    ("weak", "white", "adaptive", "outcome"),
    [
        (("square", "black-box", 0.7), 0.4, 0.4, "pass"),
        (("square", "black-box", 0.4), 0.4, 0.4, "pass"),
        (("square", "black-box", 0.4), 0.9, 0.3, "warn"),  # shattered gradients, worked around
        (("square", "black-box", 0.4), 0.9, 0.6, "fail"),
        (("square", "black-box", 0.4), 0.9, 0.43, "fail"),  # three points are more than one
        (("square", "black-box", 0.4), 0.9, 0.4075, "warn"),  # within a point of the adaptive ones
        (("pgd", "oblivious", 0.4), 0.9, 0.6, "fail"),
        (("square", "adaptive", 0.4), 0.9, 0.6, "fail"),
    ],
)
def test_an_attack_without_gradients_that_beats_those_with_them_trips_it(
    attacked: Any, weak: tuple[str, str, float], white: float, adaptive: float, outcome: str
) -> None:
    row = attacked([weak, ("pgd", "white-box", white), ("apgd-dlr", "adaptive", adaptive)])
    assert black_box(row).outcome == outcome


def test_without_both_kinds_there_is_nothing_to_compare(attacked: Any) -> None:
    assert black_box(attacked([("pgd", "adaptive", 0.5)])).outcome == "n/a"


def test_a_gradient_attack_on_few_images_hides_nothing(made: Any, attacked: Any) -> None:
    brief = made.attack_record("median[size=3]", "apgd-dlr", np.zeros(8, np.uint8), knowledge="adaptive")
    row = attacked([("square", "black-box", 0.3), ("pgd", "adaptive", 0.9)], records=[brief])
    assert black_box(row).outcome == "fail"


def test_attacks_on_other_numbers_of_images_are_compared_on_those_that_both_saw(made: Any, attacked: Any) -> None:
    """The first images are right and stand; of those Square leaves as many as PGD does."""
    brief = made.attack_record("median[size=3]", "square", np.ones(100, np.uint8), knowledge="black-box")
    verdict = black_box(attacked([("pgd", "adaptive", 0.5)], records=[brief]))
    assert verdict.outcome == "pass"


def test_attacks_are_compared_under_the_seeds_that_both_met(made: Any, row_of: Any) -> None:
    """One seed's network is weaker: its own gradient attack leaves 80 %, transfer 82 %, the mean of three 90 %."""
    records = []
    for seed, left in ((0, 0.80), (1, 0.95), (2, 0.95)):
        right = (np.arange(400) < left * 400).astype(np.uint8)
        records += [made.clean_record("median[size=3]", np.ones(400), seed=seed)]
        records += [made.attack_record("median[size=3]", "pgd", right, seed=seed)]
    weak = (np.arange(400) < 0.82 * 400).astype(np.uint8)
    records.append(made.attack_record("median[size=3]", "square", weak, knowledge="black-box"))
    assert black_box(row_of(records)).outcome == "pass"
    records[-1] = made.attack_record("median[size=3]", "square", np.zeros(400), knowledge="black-box")
    verdict = black_box(row_of(records))
    assert verdict.outcome == "fail"
    assert verdict.evidence.endswith("pgd (adaptive) 80.0%."), "what it is beaten by, under the same seed"
