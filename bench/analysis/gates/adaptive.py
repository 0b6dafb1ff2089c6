"""Gate ``adaptive``: working around a defense does at least as well as differentiating it."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, fewer
from bench.analysis.gates.verdict import Verdict

GAP = 0.05  # this project's list of gates: by more than 5 points


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return adaptive


def adaptive(evidence: RowEvidence) -> Verdict:
    """Judge whether the best white-box attack does not beat the best adaptive one by more than 5 points.

    Notes
    -----
    The adaptive attacker may always ask for what the white-box one has: where it does worse, its surrogates or its
    averaging are wrong, and what it says of the defense is worth nothing: fail.
    """
    best = {
        level: min(those, key=lambda attack: attack.accuracy)
        for level in ("white-box", "adaptive")
        if (those := [attack for attack in evidence.raw if attack.knowledge == level])
    }
    if len(best) < 2:
        return Verdict("adaptive", "n/a", "White-box and adaptive attacks were not both run.")
    plain, informed = best["white-box"], best["adaptive"]
    text = f"{plain.name} leaves {plain.accuracy:.1%}, {informed.name} {informed.accuracy:.1%}."
    return Verdict("adaptive", "fail" if fewer(plain.left, informed.left, margin=GAP) else "pass", text)
