"""Intervals, tests and rank intervals.

The formulas are few and closed; SciPy's special functions carry them. statsmodels, which has the same tests, is the
oracle in the tests: importing it would cost a second of every report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri

Values: TypeAlias = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 10_000
MARGIN = 0.01  # ours: a point; what is smaller is not worth a sentence, however many images show it
ALPHA = 0.05


@dataclass(frozen=True)
class Estimate:
    """A share in [0, 1] with its 95 % interval.

    Attributes
    ----------
    n : images behind it
    """

    value: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int, level: float = LEVEL) -> Estimate:
    """Return the share ``successes / n`` with its Wilson score interval.

    References
    ----------
    Wilson 1927; half-width at n = 1,000: 3.1 points at 50 %, 1.9 at 90 %.
    """
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    z = float(ndtri(0.5 + level / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At either end a border is the end itself; rounding would leave 2e-19 of it.
    return Estimate(share, centre - half if successes else 0.0, centre + half if successes < n else 1.0, n)


def bootstrap(values: Values, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Estimate:
    """Return the mean over images with its percentile bootstrap interval.

    Parameters
    ----------
    values : float64, (n,), shares in [0, 1]

    Notes
    -----
    Scored shares take few values (at most draws + 1), and a resample is fully described by how often each occurs:
    counts are drawn from the multinomial distribution, which is the same bootstrap at a fraction of the cost.
    """
    n = len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    levels, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    means = drawn @ levels / n
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high), n)


def estimate(values: Values, *, resamples: int = RESAMPLES) -> Estimate:
    """Return the mean over images: Wilson's interval where every image is right or wrong, else the bootstrap's.

    Notes
    -----
    Where nearly all images are wrong, resamples know nothing of the images that were not drawn, and the bootstrap's
    interval collapses. It always reaches as far as Wilson's does of as many images that are all wrong, or all right.
    """
    n = len(values)
    if _is_whole(values):
        return wilson(int(values.sum()), n)
    resampled = bootstrap(values, resamples=resamples)
    low, high = min(resampled.low, wilson(n, n).low), max(resampled.high, wilson(0, n).high)
    return Estimate(resampled.value, low, high, n)


def mcnemar(first: Values, second: Values) -> float:
    """Return the two-sided exact p value of McNemar's test on right/wrong outcomes of the same images."""
    wins, losses = int(np.sum(first > second)), int(np.sum(first < second))
    if wins + losses == 0:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def paired_permutation(first: Values, second: Values, *, seed: int = 0, flips: int = RESAMPLES) -> float:
    """Return the two-sided p value of the mean difference under random sign flips of each image's difference.

    Notes
    -----
    Differences take few sizes; the sum over images of one size is a binomial draw. Never 0: (1 + hits) / (1 + flips).
    Where Hoeffding's bound says that not one flip in a million runs of this test would reach what was observed, none
    is drawn and the bound itself is returned: the smallest p of so many flips would not survive Holm's correction
    among more than thirty rows.
    """
    sizes, counts = np.unique(np.round(np.abs(first - second), 9), return_counts=True)
    observed = abs(float((first - second).sum()))
    spread = float(counts @ sizes**2)
    if spread == 0:
        return 1.0
    bound = 2 * math.exp(-(observed**2) / (2 * spread))
    if flips * bound < 1e-6:
        return bound
    rng = np.random.default_rng(seed)
    signs = 2.0 * rng.binomial(counts, 0.5, size=(flips, len(counts))) - counts
    hits = int(np.sum(np.abs(signs @ sizes) >= observed - 1e-6))
    return (1 + hits) / (1 + flips)


def compare(first: Values, second: Values) -> float:
    """Return the p value that two deployments differ, on the images that both were judged on (the first of each).

    Notes
    -----
    Right and wrong: McNemar's test. Else signs are flipped, also of two more images, one that only the first and one
    that only the second gets right: where one side is right on few draws of many images and the other on no image, all
    differences have one sign, although the other may have missed by chance the one image that it always gets right.
    Without the two, equal rows of .1 % were told apart in 28 % of our simulations.
    """
    n = min(len(first), len(second))
    first, second = first[:n], second[:n]
    if _is_whole(first) and _is_whole(second):
        return mcnemar(first, second)
    return paired_permutation(np.append(first, [1.0, 0.0]), np.append(second, [0.0, 1.0]))


def _is_whole(values: Values) -> bool:
    return bool(np.all((values == 0) | (values == 1)))


def pooled(parts: Sequence[Values]) -> Values:
    """Return the mean over replicates of each image's share, on the images that all of them judged."""
    n = min(len(part) for part in parts)
    mean: Values = np.mean([part[:n] for part in parts], axis=0)
    return mean


def fewer(first: Values, second: Values, *, pairs: int = 1, margin: float = MARGIN) -> bool:
    """Return whether the first leaves fewer images right than the second, by more than a margin and chance.

    Parameters
    ----------
    first, second : of the same images, float64, (m,); the first of each count where one has more
    pairs : comparisons that are made; the level is divided by them (Bonferroni)
    """
    n = min(len(first), len(second))
    difference = float(second[:n].mean() - first[:n].mean()) if n else 0.0
    return difference > margin and compare(first, second) < ALPHA / max(1, pairs)


def gains(first: Values, second: Values, errors: float) -> bool:
    """Return whether the first keeps more images right than the second, by so many standard errors of the difference.

    Parameters
    ----------
    first, second : of the same images, float64, (m,)
    """
    difference = first - second
    m = len(difference)
    return m > 1 and float(difference.mean()) > errors * float(difference.std(ddof=1)) / math.sqrt(m)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for position, index in enumerate(order):
        running = max(running, (len(p_values) - position) * p_values[int(index)])
        adjusted[int(index)] = min(1.0, running)
    return adjusted


def rank_intervals(outcomes: Mapping[str, Values], alpha: float = 0.05) -> dict[str, tuple[int, int]]:
    """Return the ranks that each name may have: [1 + significantly better ones, K - significantly worse ones].

    Parameters
    ----------
    outcomes : name -> share correct of each image under the worst case, float64, (n,)

    Notes
    -----
    All pairs are compared (McNemar, or paired permutation where shares are fractional) and corrected by Holm.
    "Tied" is not transitive, an interval of ranks is.
    """
    names = list(outcomes)
    pairs = list(combinations(names, 2))
    adjusted = holm([compare(outcomes[a], outcomes[b]) for a, b in pairs])
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for (a, b), p in zip(pairs, adjusted, strict=True):
        n = min(len(outcomes[a]), len(outcomes[b]))
        difference = float(outcomes[a][:n].mean() - outcomes[b][:n].mean())
        if p < alpha and difference:
            winner, loser = (a, b) if difference > 0 else (b, a)
            better[loser] += 1
            worse[winner] += 1
    return {name: (1 + better[name], len(names) - worse[name]) for name in names}


def detectable_difference(n: int, pairs: int = 1, *, discordance: float = 0.1, power: float = 0.8) -> float:
    """Return the smallest difference of two accuracies that n images would show as significant with this power.

    Parameters
    ----------
    pairs : comparisons that Holm corrects for; the hardest of them is meant
    discordance : share of images on which exactly one of the two is right, assumed

    References
    ----------
    Normal approximation of McNemar's test; n = 1,000: .028 for one pair, .037 for twelve.
    """
    z = float(ndtri(1 - 0.05 / (2 * max(1, pairs)))) + float(ndtri(power))
    return z * math.sqrt(discordance / n) if n else math.nan


def rank_text(rank: tuple[int, int] | None) -> str:
    """Return a rank interval as text, "" for none."""
    if rank is None:
        return ""
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"


def resolution(counts: Sequence[int]) -> float:
    """Return the smallest difference that would show between those two of several rows that share most images.

    Parameters
    ----------
    counts : images that each row stands on, the first of all

    Notes
    -----
    After Holm over all pairs. A row that stands on fewer is told by its own interval and by the gate ``sample-size``.
    """
    most = sorted(counts, reverse=True)[:2]
    return detectable_difference(min(most, default=0), len(counts) * (len(counts) - 1) // 2)
