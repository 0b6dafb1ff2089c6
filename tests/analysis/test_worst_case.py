"""The worst candidate of each image, as a function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.analysis.worst_case import Candidate, Fall, evened, is_telling, worst_case, wrong_within

from .whole_ladder import N


def test_a_coin_that_is_right_95_percent_keeps_that_under_thirty_null_attacks() -> None:
    # evaluation of randomised deployments: pooling single draws would give .95^30 = .21
    rng = np.random.default_rng(5)
    n = 1000

    def draw(name: str) -> Candidate:
        return Candidate(name, "adaptive", rng.binomial(16, 0.95, n) / 16, rng.binomial(32, 0.95, n) / 32, draws=32)

    case = worst_case(draw(""), [draw(str(number)) for number in range(30)])
    assert case.shares.mean() == pytest.approx(0.95, abs=0.01)
    assert case.wrong_within(10) == pytest.approx(1 - 0.95**10, abs=0.02)


def test_the_image_is_chosen_on_selection_draws_and_counts_as_the_mean_of_equally_bad_ones() -> None:
    clean = Candidate("", "", np.array([0.5, 1.0, 0.25]), np.array([0.9, 0.9, 0.9]), draws=10)
    attacks = [
        Candidate(name, "adaptive", np.array([0.5, 0.5, 0.5]), np.array(scored), draws=10)
        for name, scored in (("a", [0.1, 0.2, 0.1]), ("b", [0.9, 0.2, 0.1]))
    ]
    case = worst_case(clean, attacks)
    assert case.shares.tolist() == pytest.approx([0.5, 0.2, 0.9])
    # Of ten draws nine, one, two are right: of two queries both are in 36, 0 and 1 of 45 pairs.
    both = np.array([(36 + 0) / 2, 1, 36]) / 45
    assert case.wrong_within(2) == pytest.approx(np.mean(1 - both))


def test_attacks_that_had_luck_once_do_not_raise_what_one_leaves_that_always_breaks() -> None:
    """At 16 draws an attack that breaks nine times of ten is as bad as one that always does for every sixth image."""
    rng, n = np.random.default_rng(7), 1000
    clean = Candidate("", "", np.ones(n), np.ones(n), draws=32)
    strong = Candidate("s", "adaptive", np.zeros(n), np.zeros(n), draws=32)
    weak = [
        Candidate(str(i), "oblivious", rng.binomial(16, 0.1, n) / 16, rng.binomial(32, 0.1, n) / 32, draws=32)
        for i in range(30)
    ]
    assert worst_case(clean, [strong, *weak]).shares.max() == 0.0
    few = [replace(one, selected=one.selected[:100], scored=one.scored[:100]) for one in weak]
    assert worst_case(clean, [*few, strong]).shares.max() == 0.0


def test_seeds_that_met_an_attack_that_tells_count_however_often_others_met_another() -> None:
    """Equal attacks on 64, 128 and 1,000 images are one attack."""
    n = 200
    clean = Candidate("", "", np.ones(n), np.ones(n))

    def left(name: str, right: int, images: int = n) -> Candidate:
        shares = (np.arange(images) < right).astype(np.float64)
        return Candidate(name, "adaptive", shares, shares)

    often = (clean, [left("pgd", 160), left("pgd", 128, 128), left("pgd", 64, 64)])
    strongly = (clean, [left("pgd", 160), left("square", 20)])
    assert evened({0: often, 1: strongly}) == {1: strongly}
    harmlessly = (clean, [left("pgd", 160), left("bim", n)])
    assert evened({0: strongly, 1: harmlessly}) == {0: strongly}
    assert evened({0: often, 1: harmlessly}) == {0: often, 1: harmlessly}


def test_the_order_of_the_attacks_changes_nothing() -> None:
    rng, n = np.random.default_rng(3), 200

    def draw(name: str) -> Candidate:
        return Candidate(name, "adaptive", rng.binomial(16, 0.05, n) / 16, rng.binomial(32, 0.05, n) / 32, draws=32)

    clean, attacks = draw(""), [draw(str(number)) for number in range(8)]
    case, reverse = worst_case(clean, attacks), worst_case(clean, attacks[::-1])
    np.testing.assert_allclose(reverse.shares, case.shares, atol=1e-12)
    assert reverse.wrong_within(10) == pytest.approx(case.wrong_within(10))


shares = arrays(np.float64, N, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@given(clean=shares, attacks=st.lists(st.tuples(shares, shares), max_size=4), more=shares)
def test_another_attack_never_raises_what_is_left_on_the_draws_that_choose(
    clean: np.ndarray, attacks: list[tuple[np.ndarray, np.ndarray]], more: np.ndarray
) -> None:
    """On the draws that choose, so that it holds image by image; where nothing is drawn these are the score draws."""
    given_ = [Candidate(f"a{i}", "adaptive", selected, selected) for i, (selected, _) in enumerate(attacks)]
    start = Candidate("", "", clean, clean)
    before = worst_case(start, given_).shares
    after = worst_case(start, [*given_, Candidate("more", "adaptive", more, more)]).shares
    assert (after <= before).all()
    assert (before <= clean).all()


@given(clean=shares, seed=st.integers(0, 9))
def test_doing_nothing_leaves_clean_accuracy_and_an_oracle_leaves_nothing(clean: np.ndarray, seed: int) -> None:
    start = Candidate("", "", clean, clean)
    null = Candidate("null", "adaptive", clean, clean)
    oracle = Candidate("oracle", "adaptive", np.zeros(N), np.zeros(N))
    others = [null, oracle]
    assert (worst_case(start, [null]).shares == clean).all()
    order = np.random.default_rng(seed).permutation(2)
    assert worst_case(start, [others[i] for i in order]).shares.sum() == 0.0


def test_in_as_many_queries_as_draws_every_draw_is_met() -> None:
    assert wrong_within(np.array([31 / 32, 1.0]), 32, 32).tolist() == [1.0, 0.0]
    assert wrong_within(np.array([0.5, 0.75]), 2, 4) == pytest.approx([5 / 6, 3 / 6])


@pytest.mark.parametrize(("halves", "telling"), [(17, True), (16, False), (8, False)])
def test_a_fall_of_shares_tells_where_nineteen_in_twenty_resamples_lie_above_a_point(
    halves: int, telling: bool
) -> None:
    """Of 400 images so many lose half of their draws: 2.1, 2 and 1 points."""
    left = np.where(np.arange(400) < halves, 0.5, 1.0)
    assert is_telling(Fall(400, ("pgd",), np.ones(400), left)) is telling
