"""Vectors of the measuring protocol; each was computed independently of this code."""

import numpy as np
import pytest

from bench.hardware.latency import (
    LIMITS,
    early_stopping_bound,
    early_stopping_rank,
    has_drifted,
    interval_of_median,
    intervals_of_percentiles,
    is_noisy,
    median_absolute_deviation,
    nearest_rank,
    on_plateau,
    overlaps_one,
    quad_ratio,
    smallest_count,
    supported_percentile,
)


def ints(*values):
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 500), (0.9, 900), (0.99, 990)])
def test_percentiles_are_of_the_nearest_rank(share, expected):
    runs = np.random.default_rng(0).permutation(np.arange(1, 1001))
    assert nearest_rank(runs, share) == expected


def test_the_nearest_rank_of_a_single_run_is_that_run():
    assert [nearest_rank(ints(7), p) for p in (0.5, 0.9, 0.99)] == [7, 7, 7]


@pytest.mark.parametrize(
    ("share", "counts"),
    [(0.9, (44, 64, 81, 127, 197)), (0.99, (459, 662, 838, 1307, 2010)), (0.5, (7, 11, 14, 22, 35))],
)
def test_smallest_number_of_runs_for_each_number_of_slow_ones(share, counts):
    assert tuple(smallest_count(t, share) for t in (0, 1, 2, 5, 10)) == counts


@pytest.mark.parametrize(
    ("share", "count", "rank"),
    [
        (0.9, 63, None),
        (0.9, 64, 64),
        (0.9, 100, 98),
        (0.9, 1000, 923),
        (0.9, 1024, 945),
        (0.9, 10_000, 9071),
        (0.99, 500, None),
        (0.99, 661, None),
        (0.99, 662, 662),
        (0.99, 1024, 1022),
        (0.99, 2000, 1992),
        (0.99, 10_000, 9924),
        (0.5, 10, None),
        (0.5, 11, 11),
    ],
)
def test_early_stopping_ranks(share, count, rank):
    assert early_stopping_rank(count, share) == rank
    assert early_stopping_bound(np.arange(1, count + 1), share) == rank


def test_a_percentile_that_the_runs_do_not_support_is_null_and_not_extrapolated():
    assert supported_percentile(np.arange(661), 0.99) is None
    assert supported_percentile(np.arange(662), 0.99) == 655
    assert supported_percentile(np.arange(5), 0.5) == 2
    assert supported_percentile(ints(), 0.5) is None


def drifting(count, arms, ratio=1.3, drift=0.2):
    """Return the durations of ``arms`` (a text of A and B) on a clock that slows linearly by ``drift``."""
    return np.array([(ratio if arm == "B" else 1.0) * (1 + drift * i / count) * 1e9 for i, arm in enumerate(arms)])


def test_a_drifting_clock_spoils_a_then_b_and_leaves_abba_alone():
    count = 20 * 4 * 8
    sequential = drifting(count, "A" * (count // 2) + "B" * (count // 2))
    assert np.median(sequential[count // 2 :]) / np.median(sequential[: count // 2]) == pytest.approx(1.4238, abs=1e-4)

    interleaved = drifting(count, ("A" * 8 + "B" * 16 + "A" * 8) * 20)
    quads = interleaved.reshape(20, 4, 8)
    ratios = [quad_ratio(*quad) for quad in quads]
    assert min(ratios) >= 1.3 - 1e-9
    assert max(ratios) <= 1.30001


def test_the_warm_up_ends_on_a_plateau_and_not_before():
    assert not on_plateau([100] * 9)
    assert on_plateau([100] * 10)
    assert on_plateau([100] * 5 + [105] * 5)
    assert not on_plateau([100] * 5 + [106] * 5)
    assert not on_plateau([200] * 5 + [100] * 5)


def test_the_interval_of_a_ratio_repeats_and_holds_its_median():
    values = list(np.random.default_rng(1).normal(1.3, 0.02, 20))
    low, high = interval_of_median(values)
    assert (low, high) == interval_of_median(values)
    assert low < np.median(values) < high
    assert high - low < 0.04
    assert interval_of_median([1.0]) is None


def test_percentile_intervals_resample_blocks_and_not_runs():
    # ten blocks of equal runs each: only the choice of blocks varies, so every resampled median is a block's value
    blocks = [np.full(50, 100 + b, dtype=np.int64) for b in range(10)]
    low, high = intervals_of_percentiles(blocks, (0.5,))[0.5]
    assert {low, high} <= {float(v) for v in range(100, 110)}
    assert high - low >= 3  # resampling 500 single runs would give a width of 1
    assert intervals_of_percentiles(blocks[:1], (0.5,)) is None


def test_percentile_intervals_agree_with_a_plain_bootstrap():
    rng = np.random.default_rng(3)
    blocks = [rng.integers(1000, 2000, size=40) for _ in range(12)]
    fast = intervals_of_percentiles(blocks, (0.5, 0.9))
    drawn = np.random.default_rng(0).multinomial(12, [1 / 12] * 12, size=2000)
    for share in (0.5, 0.9):
        plain = [
            nearest_rank(np.concatenate([b for b, w in zip(blocks, row, strict=True) for _ in range(w)]), share)
            for row in drawn
        ]
        assert fast[share] == pytest.approx(tuple(np.quantile(plain, (0.025, 0.975))))


def test_flags_of_drift_noise_and_overlap():
    steady = [ints(100, 100, 100)] * 6
    assert not has_drifted(steady)
    assert has_drifted([*steady, *[ints(106, 106, 106)] * 3])
    assert not has_drifted([*steady, *[ints(105, 105, 105)] * 3])
    assert not has_drifted(steady[:2])
    assert is_noisy(1.0, (0.94, 1.06))
    assert not is_noisy(1.0, (0.96, 1.04))
    assert not is_noisy(1.0, None)
    assert overlaps_one((0.99, 1.2))
    assert not overlaps_one((1.01, 1.2))
    assert not overlaps_one(None)


def test_the_median_absolute_deviation():
    assert median_absolute_deviation(ints(1, 1, 2, 2, 4, 6, 9)) == 1.0


def test_presets_are_those_of_the_protocol():
    quick, default, strict = (LIMITS[name] for name in ("quick", "default", "strict"))
    assert (quick.warm_runs, quick.runs, quick.seconds, quick.cap_s, quick.quads) == (5, 64, 2.0, 30.0, 5)
    assert (default.warm_runs, default.warm_s, default.runs, default.seconds, default.cap_s) == (
        20,
        1.0,
        1024,
        10.0,
        180.0,
    )
    assert default.quads == 20
    assert (strict.warm_runs, strict.warm_s, strict.seconds, strict.cap_s) == (100, 10.0, 600.0, 3600.0)
