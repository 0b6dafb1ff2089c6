from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.monotone import monotone

from .conftest import refusing

N = 400


def left(share: float) -> np.ndarray:
    return (np.arange(N) < share * N).astype(np.uint8)


@pytest.mark.parametrize(
    ("attack", "knowledge", "small", "large", "outcome"),
    [
        ("pgd", "adaptive", 0.6, 0.3, "pass"),
        ("pgd", "adaptive", 0.3, 0.3075, "pass"),  # within a point
        ("pgd", "adaptive", 0.3, 0.6, "fail"),
        ("pgd", "white-box", 0.3, 0.6, "warn"),
        ("bim", "adaptive", 0.3, 0.6, "warn"),
        ("fgsm", "adaptive", 0.3, 0.6, "n/a"),  # one step overshoots, which is no fault
        ("pgd", "oblivious", 0.3, 0.6, "n/a"),
    ],
)
def test_an_attack_that_does_worse_with_more_room_trips_it(
    made: Any, row_of: Any, attack: str, knowledge: str, small: float, large: float, outcome: str
) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for epsilon, share in ((0.1, small), (0.3, large)):
        records.append(made.attack_record("none", attack, left(share), knowledge=knowledge, epsilon=epsilon))
    assert monotone(row_of(records, "none", 0.3)).outcome == outcome
    # The number at the smaller radius is not the one that is too high.
    assert monotone(row_of(records, "none", 0.1)).outcome == "n/a"


def test_each_attack_is_held_against_the_next_radius_that_it_was_run_at_itself(made: Any, row_of: Any) -> None:
    """A radius between, at which something else was run, hides nothing."""
    records = [made.clean_record("none", np.ones(N)), made.attack_record("none", "bim", left(0.2), epsilon=0.2)]
    for epsilon, share in ((0.1, 0.3), (0.3, 0.6)):
        records.append(made.attack_record("none", "pgd", left(share), epsilon=epsilon))
    verdict = monotone(row_of(records, "none", 0.3))
    assert verdict.outcome == "fail"
    assert "pgd (adaptive) leaves 60.0%, and at 0.1 30.0%" in verdict.evidence


def test_the_next_smaller_radius_counts_and_not_the_smallest(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for epsilon, share in ((0.1, 0.5), (0.2, 0.3), (0.3, 0.45)):
        records.append(made.attack_record("none", "pgd", left(share), epsilon=epsilon))
    for order in (records, records[::-1]):
        assert monotone(row_of(order, "none", 0.3)).outcome == "fail"


def test_what_a_shorter_run_left_at_a_radius_between_hides_nothing(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for budget, epsilon, share in (("standard", 0.1, 0.3), ("quick", 0.2, 0.9), ("standard", 0.3, 0.6)):
        records.append(made.attack_record("none", "pgd", left(share), epsilon=epsilon) | {"budget": budget})
    assert monotone(row_of(records, "none", 0.3)).outcome == "fail"


def test_a_minimum_norm_attack_is_judged_at_every_radius_by_one_result(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for epsilon, share in ((0.1, 0.3), (0.3, 0.6)):
        records.append(made.attack_record("none", "hopskipjump", left(share), epsilon=epsilon))
    assert monotone(row_of(records, "none", 0.3)).outcome == "n/a"


def test_a_second_run_on_few_images_hides_nothing(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(N))]
    for epsilon, share in ((0.1, 0.3), (0.3, 0.6)):
        records.append(made.attack_record("none", "pgd", left(share), epsilon=epsilon))
    brief = made.attack_record("none", "pgd", np.zeros(8, np.uint8))
    brief |= {"cell_id": made.name_of("another cell"), "run_key": made.name_of("another run")}
    assert monotone(row_of([*records, brief], "none", 0.3)).outcome == "fail"


def test_who_is_refused_the_more_the_further_he_goes_was_not_led_astray(made: Any, row_of: Any) -> None:
    """He does not look at the detector; one who does and is refused for it was."""
    attacks = [("pgd", 0.1, 0.3, 0.0), ("pgd", 0.3, 0.05, 0.9), ("evade", 0.1, 0.2, 0.0), ("evade", 0.3, 0.05, 0.0)]
    assert monotone(row_of(refusing(made, attacks), "none", 0.3)).outcome == "pass"
    attacks[-1] = ("evade", 0.3, 0.05, 0.9)
    verdict = monotone(row_of(refusing(made, attacks), "none", 0.3))
    assert verdict.outcome == "warn"
    assert "evade (adaptive) leaves 95.0%" in verdict.evidence
    attacks[1] = ("pgd", 0.3, 0.9, 0.05)
    verdict = monotone(row_of(refusing(made, attacks), "none", 0.3))
    assert verdict.outcome == "fail"
    assert "pgd (adaptive) leaves 95.0%, and at 0.1 30.0%" in verdict.evidence
