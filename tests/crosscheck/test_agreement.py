from __future__ import annotations

import numpy as np
import pytest

from .agreement import MARGIN, agreement, fewest, two_one_sided
from .contests import Contest, Side
from .run import exit_code
from .table import Row


def _outcomes(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which images stand, of those that both, one or none leaves standing."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


def test_attacks_that_break_nearly_the_same_images_are_equivalent() -> None:
    found = agreement(*_outcomes(500, 3, 4, 493))
    assert found.verdict == "equivalent"
    assert (found.only_ours, found.only_theirs) == (4, 3)
    assert found.ours == pytest.approx(0.503)
    assert -MARGIN < found.low < found.ours - found.theirs < found.high < MARGIN


def test_few_images_decide_nothing_even_without_any_difference() -> None:
    assert agreement(*_outcomes(25, 0, 0, 25)).verdict == "undecided"
    assert agreement(*_outcomes(500, 0, 0, 500)).verdict == "equivalent"


def test_an_attack_that_breaks_many_more_images_is_different() -> None:
    found = agreement(*_outcomes(500, 0, 30, 470))
    assert found.verdict == "different"
    assert found.low > -0.05
    assert found.high < -0.015


def test_a_small_difference_that_is_certain_is_still_equivalent() -> None:
    found = agreement(*_outcomes(50_000, 0, 100, 49_900))
    assert found.p_same < 1e-9
    assert found.verdict == "equivalent"


@pytest.mark.parametrize("counts", [(3, 4), (0, 0), (10, 1), (0, 12), (40, 35), (8, 0), (60, 30)])
def test_equivalence_is_where_the_ninety_percent_interval_lies_inside_the_margins(counts: tuple[int, int]) -> None:
    gained, lost = counts
    found = agreement(*_outcomes(400, gained, lost, 600 - gained - lost))
    assert (found.p < 0.05) == (found.low > -MARGIN and found.high < MARGIN)


def test_a_true_difference_of_the_margin_passes_for_none_in_five_of_a_hundred_draws() -> None:
    """3,000 draws of 1,000 images of which 4 % are discordant: a share with a standard deviation of .004."""
    rng = np.random.default_rng(0)
    gained = (0.04 + MARGIN) / 2
    drawn = rng.multinomial(1000, [gained, 0.04 - gained, 0.96], size=3000)
    share = np.mean([two_one_sided(int(g), int(k), 1000) < 0.05 for g, k, _ in drawn])
    assert share == pytest.approx(0.05, abs=0.015)


def test_as_many_images_as_are_said_to_be_needed_show_equivalence_in_four_of_five_draws() -> None:
    rng = np.random.default_rng(1)
    n = fewest(0.05)
    drawn = rng.multinomial(n, [0.025, 0.025, 0.95], size=2000)
    power = np.mean([two_one_sided(int(g), int(k), n) < 0.05 for g, k, _ in drawn])
    assert power == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(
    ("counts", "decides", "code"),
    [
        ((500, 3, 4, 493), True, 0),
        ((500, 60, 40, 400), True, 3),  # two points apart in 1,000 images: neither equal nor different
        ((500, 60, 20, 420), True, 1),
        ((500, 60, 20, 420), False, 0),
    ],
)
def test_only_agreement_that_was_shown_ends_well(counts: tuple[int, int, int, int], decides: bool, code: int) -> None:
    contest = Contest("PGD", "", "linf", Side("suite", "a"), Side("foolbox", "b"), decides=decides)
    agreed = Row("s", "d", contest, agreement(*_outcomes(900, 1, 1, 98)))
    assert exit_code([agreed, Row("s", "d", contest, agreement(*_outcomes(*counts)))]) == code
