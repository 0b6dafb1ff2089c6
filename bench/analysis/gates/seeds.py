"""Gate ``seeds``: what draws was run often enough."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import Verdict

ENOUGH = 3  # this project's list of gates


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return seeds


def seeds(evidence: RowEvidence) -> Verdict:
    """Judge whether a randomised deployment was attacked under at least three seeds; warns where it was not."""
    count = len(evidence.row.replicates)
    if not evidence.randomised:
        return Verdict("seeds", "n/a", "The deployment draws nothing.")
    text = f"The deployment draws, and was run under {count} seed{'s' if count > 1 else ''}."
    return Verdict("seeds", "pass" if count >= ENOUGH else "warn", text)
