"""Gate ``ladder``: the ladder of attacks is whole, and one of them was adaptive."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import Verdict
from bench.analysis.ladder import UNKNOWING, adaptive_everywhere, holes


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return ladder


def ladder(evidence: RowEvidence) -> Verdict:
    """Judge whether every rung was run under every triple of seeds, and an attack that knows the defense.

    Notes
    -----
    A row that fails this gate says *incomplete* or *no adaptive attack* instead of the gate's name.
    """
    missing = list(holes(evidence.row))
    if not adaptive_everywhere(evidence.row):
        missing.insert(0, UNKNOWING)
    if missing:
        return Verdict("ladder", "fail", "; ".join(missing) + ".")
    return Verdict("ladder", "pass", "Every rung was run, adaptive attacks among them.")
