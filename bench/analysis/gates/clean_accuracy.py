"""Gate ``clean-accuracy``: what a defense costs on clean images, and that it is not better than it can be."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, clean_shares
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import Row
from bench.analysis.statistics import gains

COST = 0.05  # this project's list of gates: more than 5 points are a price to be named
ERRORS = 3.0  # ours: so many standard errors above the undefended network are no luck


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return clean_accuracy


def clean_accuracy(evidence: RowEvidence) -> Verdict:
    """Judge clean accuracy against that of the undefended twin on the same images.

    Notes
    -----
    More than 5 points below warns: the defense has paid before any attack came. More than 3 standard errors of the
    paired difference above warns too: a step before the same network adds no information, so labels may have leaked.
    """
    pair = evidence.over_twin(clean_shares, Row.judged)
    if pair is None:
        return Verdict("clean-accuracy", "n/a", "There is no undefended twin to compare with.")
    own, other = pair
    text = f"{own.mean():.1%} of {len(own)} images are right, {other.mean():.1%} without the defense"
    if own.mean() - other.mean() < -COST:
        return Verdict("clean-accuracy", "warn", text + ".")
    if gains(own, other, ERRORS):
        return Verdict("clean-accuracy", "warn", f"Suspicious: {text}.")
    return Verdict("clean-accuracy", "pass", text + ".")
