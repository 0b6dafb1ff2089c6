"""Gate ``adaptive``: working around a defense does at least as well as differentiating it."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, beside, best_beside, side_by_side, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.statistics import fewer

GAP = 0.05  # this project's list of gates: by more than 5 points


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return adaptive


def adaptive(evidence: RowEvidence) -> Verdict:
    """Judge whether no white-box attack beats the best adaptive one on the same images by more than 5 points.

    Notes
    -----
    The adaptive attacker may always ask for what the white-box one has: where it does worse, its surrogates or its
    averaging are wrong, and what it says of the defense is worth nothing: fail.
    """
    plain, informed = (
        [attack for attack in evidence.raw if attack.knowledge == level] for level in ("white-box", "adaptive")
    )
    pairs = [(attack, best) for attack in plain if (best := best_beside(informed, attack)) is not None]
    if not pairs:
        return Verdict("adaptive", "n/a", "White-box and adaptive attacks were not both run.")
    astray = [pair for pair in pairs if fewer(*beside(*pair), pairs=len(pairs), margin=GAP)]
    if astray:
        return Verdict("adaptive", "fail", told(side_by_side(*pair) for pair in astray) + ".")
    return Verdict("adaptive", "pass", side_by_side(*min(pairs, key=lambda pair: pair[0].accuracy)) + ".")
