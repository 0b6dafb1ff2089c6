"""Gate ``half-radius``: what a deployment keeps by refusing implies no more than is known without refusing."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import Verdict
from bench.analysis.ladder import adaptive_everywhere
from bench.analysis.statistics import fewer


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return half_radius


def half_radius(evidence: RowEvidence) -> Verdict:
    """Judge the robust accuracy of a deployment that may refuse against the best at half its radius that does not.

    Notes
    -----
    Whoever refuses or answers rightly within epsilon could answer rightly within epsilon / 2, if slowly: so a number at
    epsilon above everything known at epsilon / 2 or further claims more than the state of the art. It may be true, and
    more often means that the attack on the detector was too weak: a warning. What is known are the worst cases of the
    other rows of the same images under the same norm that somebody attacked who knows them, whatever their network,
    gates and rank: an inflated one silences the gate, and never raises it.

    References
    ----------
    Tramer 2022, "Detecting Adversarial Examples Is (Nearly) As Hard As Classifying Them", arXiv 2107.11630.
    """
    claim, radius = evidence.row.worst_shares, evidence.row.setting.epsilon / 2
    if not evidence.row.refuses or claim is None:
        return Verdict("half-radius", "n/a", "The deployment answers every image, or was not attacked.")
    known = [
        (float(left.mean()), row, left)
        for row in evidence.others
        if not row.refuses
        and row.setting.epsilon >= radius
        and adaptive_everywhere(row)
        and (left := row.worst_shares) is not None
    ]
    if not known:
        return Verdict("half-radius", "n/a", f"Nothing that answers all was attacked at {radius:.4g} or further.")
    best, row, left = max(known, key=lambda one: one[0])
    text = (
        f"{claim.mean():.1%} at {evidence.row.setting.epsilon:.4g}, refusals counted as right, imply a classifier with "
        f"as much at {radius:.4g}; the best known here that answers all, {row.label} on {row.setting.model}, has "
        f"{best:.1%} at {row.setting.epsilon:.4g}"
    )
    if fewer(left, claim):
        return Verdict("half-radius", "warn", f"The claim implies more than the state of the art: {text}.")
    return Verdict("half-radius", "pass", text + ".")
