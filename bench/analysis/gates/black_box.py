"""Gate ``black-box``: attackers without gradients stay behind those who have them."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, beside, best_beside, side_by_side, told
from bench.analysis.gates.verdict import GateOutcome, Verdict
from bench.analysis.statistics import fewer

_OUTCOMES: tuple[tuple[str, GateOutcome], ...] = (("adaptive", "fail"), ("white-box", "warn"))


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return black_box


def black_box(evidence: RowEvidence) -> Verdict:
    """Judge whether no attack by queries or by transfer beats the best attack that differentiates the deployment.

    Notes
    -----
    Each is compared alone, image by image, with the gradient attack that leaves the fewest of its images. Where it
    beats the adaptive ones, the adaptive number is no worst case: fail. Where it beats the white-box ones only,
    gradients of the deployment as it runs mislead, and the adaptive number beside it counts: warn.

    References
    ----------
    Athalye, Carlini, Wagner 2018, arXiv 1802.00420, section 3.1.
    """
    strong = [attack for attack in evidence.raw if attack.follows_gradients]
    weak = [attack for attack in evidence.raw if not attack.follows_gradients]
    if not strong or not weak:
        return Verdict("black-box", "n/a", "Attacks with and without the deployment's gradients were not both run.")
    for level, outcome in _OUTCOMES:
        rivals = [attack for attack in strong if attack.knowledge == level]
        pairs = [(attack, best) for attack in weak if (best := best_beside(rivals, attack)) is not None]
        if astray := [pair for pair in pairs if fewer(*beside(*pair), pairs=len(weak))]:
            return Verdict("black-box", outcome, told(side_by_side(*pair) for pair in astray) + ".")
    return Verdict("black-box", "pass", f"None of {len(weak)} attacks without gradients beats those with them.")
