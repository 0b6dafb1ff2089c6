from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as oracle_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bench.analysis import statistics


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (5, 10), (10, 10), (937, 1000), (1, 3)])
def test_wilson_interval_is_that_of_statsmodels(successes: int, n: int) -> None:
    low, high = proportion_confint(successes, n, method="wilson")
    share = statistics.wilson(successes, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-12)


def test_wilson_half_widths_at_a_thousand_images() -> None:
    # 3.1 points at 50 %, 1.9 at 90 %
    for successes, half in ((500, 0.031), (900, 0.019)):
        share = statistics.wilson(successes, 1000)
        assert (share.high - share.low) / 2 == pytest.approx(half, abs=5e-4)


def test_the_multinomial_bootstrap_has_the_spread_of_resampled_images() -> None:
    rng = np.random.default_rng(3)
    values = rng.binomial(32, rng.choice([0.1, 0.9], 400)) / 32
    share = statistics.bootstrap(values)
    means = values[rng.integers(0, 400, (4000, 400))].mean(1)
    assert (share.low, share.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.006)
    assert share == statistics.bootstrap(values)
    assert (share.high - share.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.04)


def test_shares_that_are_right_or_wrong_get_wilson_and_others_the_bootstrap() -> None:
    whole = np.array([0.0, 1.0, 1.0, 1.0])
    assert statistics.estimate(whole) == statistics.wilson(3, 4)
    mixed = np.linspace(0.1, 0.9, 100)
    assert statistics.estimate(mixed) == statistics.bootstrap(mixed)


def test_an_interval_of_shares_does_not_collapse_at_the_ends() -> None:
    nearly_none = np.zeros(256)
    nearly_none[0] = 0.3
    none, every = statistics.wilson(0, 256), statistics.wilson(256, 256)
    assert statistics.wilson(0, 1000).low == 0.0
    assert statistics.wilson(1000, 1000).high == 1.0
    assert statistics.bootstrap(nearly_none).high < none.high / 2
    assert statistics.estimate(nearly_none).high == none.high
    assert statistics.estimate(1 - nearly_none).low == every.low


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 5), (20, 7), (3, 40)])
def test_mcnemar_is_that_of_statsmodels(wins: int, losses: int) -> None:
    first = np.array([1.0] * wins + [0.0] * losses + [1.0] * 30)
    second = np.array([0.0] * wins + [1.0] * losses + [1.0] * 30)
    expected = oracle_mcnemar([[30, wins], [losses, 0]], exact=True).pvalue if wins + losses else 1.0
    assert statistics.mcnemar(first, second) == pytest.approx(expected)


def test_holm_is_that_of_statsmodels() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005, 0.9]
    assert statistics.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_the_permutation_test_finds_a_difference_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    first = rng.binomial(32, 0.7, 500) / 32
    assert statistics.paired_permutation(first, rng.permutation(first)) > 0.05
    assert statistics.paired_permutation(first, first - 0.1) < 1e-9
    assert statistics.paired_permutation(first, first) == 1.0


def test_the_shortcut_of_the_permutation_test_changes_nothing() -> None:
    first = np.array([0.75, 0.5, 1.0, 0.25, 0.5, 0.75])
    second = np.array([0.5, 0.25, 0.75, 0.25, 0.25, 0.75])
    # four differences of .25, all of one sign: 2 of the 16 sign patterns are as extreme
    assert statistics.paired_permutation(first, second) == pytest.approx(2 / 16, abs=0.012)


def test_rank_intervals_show_ties_as_ties() -> None:
    rng = np.random.default_rng(1)
    good = (rng.random(1000) < 0.8).astype(float)
    nearly = good.copy()
    nearly[np.flatnonzero(good)[:3]] = 0.0
    bad = (rng.random(1000) < 0.3).astype(float)
    assert statistics.rank_intervals({"a": good, "b": nearly, "c": bad}) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}


def test_outcomes_of_different_length_are_compared_on_the_images_of_both() -> None:
    longer = np.concatenate([np.ones(100), np.zeros(900)])
    assert statistics.rank_intervals({"a": longer, "b": np.ones(100)}) == {"a": (1, 2), "b": (1, 2)}


def test_detectable_difference_at_a_thousand_images() -> None:
    # about 2.8 points, 3.7 after Holm over 12 pairs
    assert statistics.detectable_difference(1000) == pytest.approx(0.028, abs=5e-4)
    assert statistics.detectable_difference(1000, 12) == pytest.approx(0.037, abs=5e-4)


def test_what_would_show_is_of_the_two_rows_that_share_most_images() -> None:
    assert statistics.resolution([1000, 128, 128]) == statistics.detectable_difference(128, 3)
    assert statistics.resolution([128, 1000, 500]) == statistics.detectable_difference(500, 3)
    assert statistics.resolution([64]) == statistics.detectable_difference(64)
    assert np.isnan(statistics.resolution([]))


def test_of_many_rows_one_that_is_far_above_all_others_is_first() -> None:
    """Holm multiplies p values by the number of pairs, 780 here: the smallest p of ten thousand flips would not do."""
    rng = np.random.default_rng(0)
    outcomes = {f"other-{i}": rng.binomial(32, 0.1, 1000) / 32 for i in range(39)}
    outcomes["best"] = rng.binomial(32, 0.9, 1000) / 32
    assert statistics.rank_intervals(outcomes)["best"] == (1, 1)


def test_few_draws_of_many_images_are_not_held_to_be_more_than_no_whole_image() -> None:
    """Forty images that are right in one draw of 32 keep as much as one image that is always right, or is not there."""
    drawn = np.zeros(1000)
    drawn[:40] = 1 / 32
    assert statistics.paired_permutation(drawn, np.zeros(1000)) < 1e-3
    assert statistics.compare(drawn, np.zeros(1000)) > 0.2
    assert statistics.rank_intervals({"drawn": drawn, "whole": np.zeros(1000)})["whole"] == (1, 2)


def test_rows_of_equal_means_near_nothing_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(0)

    def is_told_apart() -> bool:
        vulnerable = np.where(rng.random(1000) < 0.04, 1 / 32, 0.0)
        return (
            statistics.compare(rng.binomial(32, vulnerable) / 32, (rng.random(1000) < 0.04 / 32).astype(float)) < 0.05
        )

    assert np.mean([is_told_apart() for _ in range(200)]) <= 0.05


@pytest.mark.parametrize("n", [50, 80])
def test_the_bound_that_stands_for_a_small_p_is_none_below_it(n: int) -> None:
    """So many differences of one sign: 2 of the 2^n sign patterns are as extreme."""
    bound = statistics.paired_permutation(np.full(n, 0.75), np.full(n, 0.25))
    assert 2.0 ** (1 - n) <= bound < 1e-9
    assert bound == pytest.approx(2 * np.exp(-n / 2))


def lost(images: int, n: int) -> np.ndarray:
    """All of n images right but the first few."""
    return (np.arange(n) >= images).astype(float)


def test_fewer_are_left_where_it_is_more_than_the_margin_and_more_than_chance() -> None:
    every = np.ones(2000)
    assert statistics.fewer(lost(30, 2000), every)
    assert not statistics.fewer(every, lost(30, 2000))
    assert not statistics.fewer(lost(16, 2000), every), "p = .00003, of .8 points"
    assert not statistics.fewer(every, lost(16, 2000))
    assert statistics.fewer(lost(16, 2000), every, margin=0.005)
    longer = np.append(lost(16, 2000), np.zeros(500))
    assert not statistics.fewer(longer, every), "what only one was tried on says nothing"
    assert not statistics.fewer(lost(5, 100), np.ones(100)), "p = .06"
    assert statistics.fewer(lost(7, 100), np.ones(100)), "p = .016"
    assert not statistics.fewer(lost(7, 100), np.ones(100), pairs=4)
    assert not statistics.fewer(np.zeros(0), np.zeros(0))


def test_a_gain_is_counted_in_standard_errors_of_the_paired_difference() -> None:
    # .04 of 400 images; its standard error is sqrt(.04 x .96 / 399) = .00981
    assert statistics.gains(np.ones(400), lost(16, 400), 4.07)
    assert not statistics.gains(np.ones(400), lost(16, 400), 4.08)
    assert not statistics.gains(lost(16, 400), np.ones(400), 2.0)
    assert not statistics.gains(np.ones(1), np.zeros(1), 2.0)


def test_a_mean_over_seeds_is_of_the_images_that_all_judged() -> None:
    assert statistics.pooled([np.array([1.0, 0.0, 1.0]), np.array([0.0, 0.0])]).tolist() == [0.5, 0.0]
    assert statistics.pooled([np.array([0.0, 0.0]), np.array([1.0, 0.0, 1.0])]).tolist() == [0.5, 0.0]


def test_differences_that_do_not_survive_holm_part_no_ranks() -> None:
    """Six images that only the first gets right, six others that the third loses: p = .031 twice, of three pairs."""
    second = lost(6, 1000)
    assert statistics.rank_intervals({"a": np.ones(1000), "b": second}) == {"a": (1, 1), "b": (2, 2)}
    three = {"a": np.ones(1000), "b": second, "c": second[::-1]}
    assert statistics.rank_intervals(three) == dict.fromkeys("abc", (1, 3))
