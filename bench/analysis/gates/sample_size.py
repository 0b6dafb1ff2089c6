"""Gate ``sample-size``: how small a difference so many images can show."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import Verdict
from bench.analysis.statistics import detectable_difference

POINTS = 0.05  # ours: 5 points, 314 images; what a reader takes for a difference


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return sample_size


def sample_size(evidence: RowEvidence) -> Verdict:
    """Judge whether a difference of 5 points would show, and say which would.

    Notes
    -----
    Of one pair of deployments that disagree on a tenth of the images, with power .8 at level .05; more pairs need more.
    Counted are the images that the number stands on, which may be fewer than the longest attack was tried on.
    """
    left = evidence.row.worst_shares
    if left is None:
        return Verdict("sample-size", "n/a", "No attack was run.")
    smallest = detectable_difference(len(left))
    text = f"With {len(left):,} images two rows that differ by under {100 * smallest:.1f} points may not be told apart."
    return Verdict("sample-size", "pass" if smallest <= POINTS else "warn", text)
