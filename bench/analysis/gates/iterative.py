"""Gate ``iterative``: many steps do at least as well as one."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import Raw, RowEvidence, best_beside, outdone, side_by_side, told
from bench.analysis.gates.verdict import Verdict


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return iterative


def iterative(evidence: RowEvidence) -> Verdict:
    """Judge whether projected gradient ascent is no weaker than one step of the same gradient.

    Notes
    -----
    Where one step beats many, the gradient misleads near the image. At adaptive knowledge that fails; at white-box it
    warns, since there the deployment is differentiated as it runs and the adaptive number beside it counts. Of
    deployments that refuse see ``outdone``.

    References
    ----------
    Athalye, Carlini, Wagner 2018, arXiv 1802.00420, section 3.1; beyond a point and chance: ours.
    """
    pairs = [
        (one, many)
        for one in _following(evidence, "fgsm")
        if (many := best_beside(_following(evidence, "pgd-ce", one.knowledge), one)) is not None
    ]
    if not pairs:
        return Verdict("iterative", "n/a", "One step and many were not both run at one knowledge.")
    astray = [pair for pair in pairs if outdone(evidence.row, *pair, pairs=len(pairs))]
    if not astray:
        levels = ", ".join(sorted({one.knowledge for one, _ in pairs}))
        return Verdict("iterative", "pass", f"Many steps leave no more than one ({levels}).")
    decisive = any(one.knowledge == "adaptive" for one, _ in astray)
    text = told(side_by_side(*pair) for pair in astray) + "."
    return Verdict("iterative", "fail" if decisive else "warn", text)


def _following(evidence: RowEvidence, core: str, knowledge: str = "") -> list[Raw]:
    """Return the attacks of that place on the ladder that follow gradients, at one knowledge or at any."""
    return [
        attack
        for attack in evidence.raw
        if attack.core == core and attack.follows_gradients and knowledge in ("", attack.knowledge)
    ]
