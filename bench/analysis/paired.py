"""The difference of two figures: on the same images, or timed in two runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri

from bench.analysis.statistics import LEVEL, RESAMPLES, Values, mcnemar

STEPS = 60  # of a bisection: an interval's end to 2e-18


@dataclass(frozen=True)
class Difference:
    """After minus before, with its 95 % interval.

    Attributes
    ----------
    p : two-sided, for no difference; below .05 where, and only where, the interval leaves 0 out
    n : images behind it, 0 for what is not counted in images
    """

    value: float
    low: float
    high: float
    p: float
    n: int

    @property
    def is_significant(self) -> bool:
        """Whether chance is a poor explanation."""
        return self.low > 0 or self.high < 0


def paired_difference(before: Values, after: Values) -> Difference:
    """Return how much the mean share changed on the same images.

    Parameters
    ----------
    before, after : float64, (n,), shares in [0, 1] of each image, n >= 1

    Notes
    -----
    Right or wrong outcomes: Tango's score interval, widened to the exact conditional one where that reaches farther, so
    that it holds 0 where McNemar's exact test sees no difference, and has a width where no image changed. Shares that
    were drawn or averaged over seeds: ``resampled``.
    """
    both = np.concatenate([before, after])
    if not np.all((both == 0) | (both == 1)):
        return resampled(after - before)
    gained, lost, n = int(np.sum(after > before)), int(np.sum(after < before)), len(before)
    score, exact = tango(gained, lost, n), conditional(gained, lost, n)
    low, high = min(score[0], exact[0]), max(score[1], exact[1])
    return Difference((gained - lost) / n, low, high, mcnemar(before, after), n)


def tango(gained: int, lost: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return Tango's score interval of the difference of two paired proportions.

    Parameters
    ----------
    gained, lost : images that only the second, only the first gets right, of n

    Notes
    -----
    Its ends are the differences at which ``tango_statistic`` is z and -z.

    References
    ----------
    Tango 1998, Statistics in Medicine 17, 891-908, section 3; recommended for paired proportions by Fagerland,
    Lydersen and Laake 2014, Statistics in Medicine 33, 2850-2875.
    """
    z = float(ndtri(0.5 + level / 2))
    estimate = (gained - lost) / n

    def end(inner: float, outer: float) -> float:
        for _ in range(STEPS):
            middle = (inner + outer) / 2
            if abs(tango_statistic(gained, lost, n, middle)) < z:
                inner = middle
            else:
                outer = middle
        return outer

    return end(estimate, -1.0), end(estimate, 1.0)


def tango_statistic(gained: int, lost: int, n: int, difference: float) -> float:
    """Return how many standard deviations the observed difference lies above ``difference``, if that is the true one.

    Parameters
    ----------
    gained, lost : images that only the second, only the first gets right, of n

    Notes
    -----
    (g - l - n d) / sqrt(n (2 q + d (1 - d))), q the share of images that are lost as it is likeliest if the difference
    is d: the root of 2n q^2 + (d (2n - g + l) - g - l) q - l d (1 - d) = 0.

    References
    ----------
    Tango 1998, as above, section 2.
    """
    d = difference
    b, c = d * (2 * n - gained + lost) - gained - lost, -lost * d * (1 - d)
    q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * q + d * (1 - d))
    excess = gained - lost - n * d
    if variance > 0:
        return excess / math.sqrt(variance)
    return math.copysign(math.inf, excess) if excess else 0.0


def conditional(gained: int, lost: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of the difference given how many images changed; it holds 0 where McNemar's test does.

    Notes
    -----
    Of m = gained + lost images each was gained with probability t; (m / n) (2 t - 1) at the ends of Clopper and
    Pearson's interval of t. It knows nothing of the chance in m, hence is no interval to show alone.
    """
    changed, tail = gained + lost, (1 - level) / 2
    low = float(betaincinv(gained, lost + 1, tail)) if gained else 0.0
    high = float(betaincinv(gained + 1, lost, 1 - tail)) if lost else 1.0
    return changed / n * (2 * low - 1), changed / n * (2 * high - 1)


def resampled(differences: Values, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Difference:
    """Return the mean of each image's difference with its paired percentile bootstrap over images.

    Notes
    -----
    Two more images are among those that are drawn from, one that was gained and one that was lost altogether: what was
    seen on no image may still be true of some, and without them 95 % intervals of changes on few of 64 images held the
    truth in 80 % of our simulations. p is twice the share of resampled means beyond 0, never 0.

    References
    ----------
    The two images: Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37, 479-488, who add them to
    Wald's interval of right and wrong outcomes. To resample with them is ours.
    """
    n = len(differences)
    sizes, counts = np.unique(np.round([*differences, 1.0, -1.0], 9), return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(n + 2, counts / (n + 2), size=resamples)
    means = np.sort(np.round(drawn @ sizes / (n + 2), 12))
    value = float(differences.mean())
    last = int((1 - level) / 2 * (1 + resamples))  # ends are resamples themselves, so that p and they always agree
    low, high = min(value, float(means[last - 1])), max(value, float(means[-last]))
    beyond = min(int(np.sum(means <= 0)), int(np.sum(means >= 0)))
    return Difference(value, low, high, min(1.0, 2 * (1 + beyond) / (1 + resamples)), n)


def timed_difference(
    before: tuple[float, float, float], after: tuple[float, float, float], *, drift: float
) -> Difference:
    """Return how much a positive figure changed between two runs that timed it apart.

    Parameters
    ----------
    before, after : the figure and the ends of its 95 % interval, each above 0
    drift : relative change between two runs that neither interval can know of

    Notes
    -----
    In logarithms: the ends lie sqrt(a^2 + b^2) off, a and b how far each figure is from the end of its own interval on
    the side that counts, and log(1 + drift) farther; then back in the figure's unit, on the figure before. p takes the
    distance to 0 for normal.

    References
    ----------
    Zou and Donner 2008, Statistics in Medicine 27, 1693-1702 ("MOVER").
    """
    a, b = (tuple(math.log(value) for value in figure) for figure in (before, after))
    change, extra = b[0] - a[0], math.log1p(drift)
    down = math.hypot(b[0] - b[1], a[2] - a[0]) + extra
    up = math.hypot(b[2] - b[0], a[0] - a[1]) + extra
    toward_nothing = max(down if change > 0 else up, 1e-12)
    z = float(ndtri(0.5 + LEVEL / 2)) * abs(change) / toward_nothing
    low, high = (before[0] * math.expm1(end) for end in (change - down, change + up))
    return Difference(after[0] - before[0], low, high, 2 * float(ndtr(-z)), 0)
