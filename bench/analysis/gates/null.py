"""Gate ``null``: an attack that does nothing does nothing."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, harmless
from bench.analysis.gates.verdict import Verdict
from bench.analysis.statistics import fewer


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return null


def null(evidence: RowEvidence) -> Verdict:
    """Judge whether the control that returns its input leaves clean accuracy as it is.

    Notes
    -----
    Of a deployment that draws nothing not one image may differ; of one that draws, no more than chance allows.
    """
    found = harmless(evidence.row, "null")
    if found is None:
        return Verdict("null", "n/a", "The null attack was not run.")
    _, before, after = found
    broken = fewer(after, before) if evidence.randomised else bool((after < before).any())
    text = (
        f"Of {len(before)} images {before.mean():.1%} are right, and {after.mean():.1%} under an attack that does "
        "nothing."
    )
    return Verdict("null", "fail" if broken else "pass", text)
