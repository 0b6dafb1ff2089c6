"""The mathematics of the latency protocol: order statistics, early stopping, ABBA quads, intervals, quality flags.

Nothing here reads a clock. Durations are integers in nanoseconds; a *block* holds those of consecutive runs of one arm.

References
----------
mlcommons/inference_policies, ``inference_rules.adoc``: single stream, early stopping. Quads, blocks and flags are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

Runs = NDArray[np.int64]
Interval = tuple[float, float]

CONFIDENCE: Final = 0.99  # of an early-stopping bound (MLPerf: c = 0.99, d = 0)
RESAMPLES: Final = 2000
GRID: Final = 2048  # ranks at which a bootstrapped percentile is read; exact for so many runs or fewer


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long an arm is timed.

    Attributes
    ----------
    warm_runs, warm_s : floor of the warm-up; ten times the floor is its ceiling
    runs, seconds, quads : floors of the timing, per arm
    cap_s : an arm that has run so long ends below its floors, and its figures are marked ``short``
    """

    warm_runs: int
    warm_s: float
    runs: int
    seconds: float
    quads: int
    cap_s: float
    block_runs: int = 8
    block_s: float = 0.1


LIMITS: Final = MappingProxyType(
    {
        "quick": Limits(warm_runs=5, warm_s=0.0, runs=64, seconds=2.0, quads=5, cap_s=30.0),
        "default": Limits(warm_runs=20, warm_s=1.0, runs=1024, seconds=10.0, quads=20, cap_s=180.0),
        "strict": Limits(warm_runs=100, warm_s=10.0, runs=1024, seconds=600.0, quads=20, cap_s=3600.0),
    }
)


def nearest_rank(runs: Runs, share: float) -> int:
    """Return the percentile by nearest rank: ``sorted[ceil(share * n) - 1]``.

    Parameters
    ----------
    runs : int64, (n,), n >= 1
    share : in (0, 1]
    """
    return int(np.sort(runs)[_rank(len(runs), share) - 1])


def _rank(count: int, share: float) -> int:
    # 0.9 * 1000 is 900.0000000000001 in some products of floats: a rank is an integer, so the noise is taken off first
    return max(1, math.ceil(round(share * count, 9)))


@lru_cache(maxsize=256)
def early_stopping_rank(count: int, share: float) -> int | None:
    """Return the rank (1-based, ascending) that bounds the percentile from above, None where ``count`` is too small.

    Notes
    -----
    t is the largest number of slow runs with BinomCDF(t; n, 1 - share) <= 1 - 0.99; the t - 1 slowest are dropped and
    the slowest that is left bounds the percentile. t >= 1 needs n >= 11 (p50), 64 (p90), 662 (p99).
    """
    slow = np.arange(math.ceil(count * (1 - share)) + 1)
    below = bdtr(slow.astype(np.float64), count, 1 - share)
    most = int(np.searchsorted(below, 1 - CONFIDENCE, side="right")) - 1
    return None if most < 1 else count - most + 1


def early_stopping_bound(runs: Runs, share: float) -> int | None:
    """Return the early-stopping upper bound of a percentile in ns, None where there are too few runs for one."""
    rank = early_stopping_rank(len(runs), share)
    return None if rank is None else int(np.sort(runs)[rank - 1])


def smallest_count(slow: int, share: float) -> int:
    """Return the smallest number of runs whose early stopping tolerates ``slow`` slow ones."""
    count = slow + 1
    while bdtr(float(slow), count, 1 - share) > 1 - CONFIDENCE:
        count += 1
    return count


def supported_percentile(runs: Runs, share: float) -> int | None:
    """Return p50, p90 or p99 in ns, None where so few runs do not support it: p99 needs 662. Never an extrapolation."""
    if not len(runs) or (share >= 0.99 and early_stopping_rank(len(runs), share) is None):
        return None
    return nearest_rank(runs, share)


def median_absolute_deviation(runs: Runs) -> float:
    """Return the median distance from the median, ns."""
    return float(np.median(np.abs(runs - np.median(runs))))


def on_plateau(runs: Sequence[int]) -> bool:
    """Return whether the median of the last 5 runs is within 5 % of the median of the 5 before."""
    if len(runs) < 10:
        return False
    before, last = float(np.median(runs[-10:-5])), float(np.median(runs[-5:]))
    return abs(last - before) <= 0.05 * before


def quad_ratio(a1: Runs, b1: Runs, b2: Runs, a2: Runs) -> float:
    """Return how much longer B takes than A in one quad of blocks A B B A.

    The formula is sqrt(mB1 mB2 / (mA1 mA2)), m a block's median. A linear drift of the clock
    cancels: both arms have the same mean position in time.
    """
    m = [float(np.median(block)) for block in (a1, b1, b2, a2)]
    return math.sqrt(m[1] * m[2] / (m[0] * m[3]))


def interval_of_median(values: Sequence[float], *, seed: int = 0) -> Interval | None:
    """Return the 95 % percentile-bootstrap interval of the median over quads; None for fewer than two."""
    if len(values) < 2:
        return None
    array = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(array), size=(RESAMPLES, len(array)))
    low, high = np.quantile(np.median(array[drawn], axis=1), (0.025, 0.975))
    return float(low), float(high)


def intervals_of_percentiles(
    blocks: Sequence[Runs], shares: Sequence[float], *, seed: int = 0
) -> dict[float, Interval] | None:
    """Return 95 % percentile-bootstrap intervals of percentiles, with whole blocks resampled; None for fewer than two.

    Single runs are never resampled: neighbours in time are correlated, and the interval would come out too narrow.

    Notes
    -----
    A resample is a weight per block. Its percentile is read from the weighted sum of the blocks' cumulative counts at
    ``GRID`` ranks of the pooled runs, so the cost does not grow with the number of runs.
    """
    if len(blocks) < 2:
        return None
    pooled = np.sort(np.concatenate(blocks))
    ranks = np.unique(np.linspace(0, len(pooled) - 1, min(GRID, len(pooled))).astype(np.int64))
    grid = pooled[ranks]
    below = np.stack([np.searchsorted(np.sort(block), grid, side="right") for block in blocks]).astype(np.float64)
    sizes = np.array([len(block) for block in blocks], dtype=np.float64)
    drawn = np.random.default_rng(seed).multinomial(len(blocks), [1 / len(blocks)] * len(blocks), size=RESAMPLES)
    cumulative, totals = drawn @ below, drawn @ sizes
    result = {}
    for share in shares:
        wanted = np.ceil(np.round(share * totals, 9))[:, None]
        values = grid[np.argmax(cumulative >= wanted, axis=1)]
        low, high = np.quantile(values, (0.025, 0.975))
        result[share] = (float(low), float(high))
    return result


def has_drifted(blocks: Sequence[Runs]) -> bool:
    """Return whether the median of the last third of an arm's blocks is more than 5 % off that of the first third."""
    third = len(blocks) // 3
    if not third:
        return False
    first, last = (float(np.median(np.concatenate(part))) for part in (blocks[:third], blocks[-third:]))
    return abs(last - first) > 0.05 * first


def is_noisy(value: float, interval: Interval | None) -> bool:
    """Return whether the interval's half width is more than 5 % of the value."""
    return interval is not None and (interval[1] - interval[0]) / 2 > 0.05 * abs(value)


def overlaps_one(interval: Interval | None) -> bool:
    """Return whether a ratio's interval contains 1: no difference was shown."""
    return interval is not None and interval[0] <= 1.0 <= interval[1]
