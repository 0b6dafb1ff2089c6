"""Gate ``null``: an attack that does nothing does nothing."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence
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
    control = next((attack for attack in evidence.controls if attack.record["attack"]["name"] == "null"), None)
    clean = evidence.clean
    if control is None or clean is None:
        return Verdict("null", "n/a", "The null attack was not run.")
    n = min(len(clean), len(control.left))
    lost = int((control.left[:n] < clean[:n]).sum())
    broken = fewer(control.left, clean) if evidence.randomised else lost > 0
    text = (
        f"Of {n} images {clean[:n].mean():.1%} are right, and {control.accuracy:.1%} under an attack that does nothing."
    )
    return Verdict("null", "fail" if broken else "pass", text)
