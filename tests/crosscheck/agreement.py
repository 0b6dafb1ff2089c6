"""Whether two attacks leave the same share of images standing: two one-sided tests on the paired difference.

Not to be told apart is not to agree: too few images tell nothing apart. Agreement is what the two tests show, that the
difference is neither as low as -``MARGIN`` nor as high as ``MARGIN``.

References
----------
Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680: the two tests. Liu, Hsueh, Hsieh and
Chen 2002, Statistics in Medicine 21, 231-245: for paired shares, with Tango's statistic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bench.analysis.paired import tango, tango_statistic
from bench.analysis.statistics import detectable_difference, mcnemar

MARGIN = 0.015
ALPHA = 0.05
Verdict = Literal["equivalent", "different", "undecided"]


@dataclass(frozen=True)
class Agreement:
    """What two attacks left standing of the same images.

    Attributes
    ----------
    ours, theirs : shares left standing, in [0, 1]
    only_ours, only_theirs : images that only one of them breaks
    low, high : 90 % interval of ``ours - theirs`` (Tango); inside the margins where, and only where, ``p`` is below .05
    p : of the two one-sided tests, the larger: for a difference of ``MARGIN`` or more
    p_same : of McNemar's exact test, for no difference
    detectable : difference that so many images, so many of them broken by one alone, show with power .8
    """

    n: int
    ours: float
    theirs: float
    only_ours: int
    only_theirs: int
    low: float
    high: float
    p: float
    p_same: float
    detectable: float

    @property
    def verdict(self) -> Verdict:
        """ "equivalent" within the margin; else "different" where chance is a poor explanation of the difference."""
        if self.p < ALPHA:
            return "equivalent"
        return "different" if self.p_same < ALPHA else "undecided"


def agreement(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Agreement:
    """Return how far two attacks agree.

    Parameters
    ----------
    ours, theirs : bool, (n,), the images that each leaves standing
    """
    n = len(ours)
    gained, lost = int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))
    low, high = tango(gained, lost, n, level=1 - 2 * ALPHA)
    return Agreement(
        n=n,
        ours=float(ours.mean()),
        theirs=float(theirs.mean()),
        only_ours=lost,
        only_theirs=gained,
        low=low,
        high=high,
        p=two_one_sided(gained, lost, n),
        p_same=mcnemar(ours.astype(float), theirs.astype(float)),
        detectable=detectable_difference(n, discordance=max(1, gained + lost) / n),
    )


def two_one_sided(gained: int, lost: int, n: int, margin: float = MARGIN) -> float:
    """Return the larger p value of the tests that the difference is at most -margin, and at least margin."""
    above, below = (tango_statistic(gained, lost, n, edge) for edge in (-margin, margin))
    return float(max(ndtr(-above), ndtr(below)))


def fewest(share: float, margin: float = MARGIN) -> int:
    """Return how many images show equivalence with power .8 where ``share`` of them are broken by one attack alone.

    Notes
    -----
    Normal approximation, no true difference: n = (z_.95 + z_.90)^2 share / margin^2.
    """
    return math.ceil((1.6449 + 1.2816) ** 2 * share / margin**2)
