"""Gate ``iterative``: many steps do at least as well as one."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import Raw, RowEvidence, fewer, told
from bench.analysis.gates.verdict import Verdict


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return iterative


def iterative(evidence: RowEvidence) -> Verdict:
    """Judge whether projected gradient ascent is no weaker than one step of the same gradient.

    Notes
    -----
    Where one step beats many, the gradient misleads near the image. At adaptive knowledge that fails; at white-box it
    warns, since there the deployment is differentiated as it runs and the adaptive number beside it counts.

    References
    ----------
    Athalye, Carlini, Wagner 2018, arXiv 1802.00420, section 3.1; beyond a point and chance: ours.
    """
    one, many = (_strongest(evidence.raw, core) for core in ("fgsm", "pgd-ce"))
    levels = [level for level in one if level in many]
    if not levels:
        return Verdict("iterative", "n/a", "One step and many were not both run at one knowledge.")
    astray = [level for level in levels if fewer(one[level].left, many[level].left, pairs=len(levels))]
    if not astray:
        return Verdict("iterative", "pass", f"Many steps leave no more than one ({', '.join(sorted(levels))}).")
    found = told(
        f"{one[level].name} leaves {one[level].accuracy:.1%}, {many[level].name} {many[level].accuracy:.1%}"
        for level in astray
    )
    return Verdict("iterative", "fail" if "adaptive" in astray else "warn", found + ".")


def _strongest(attacks: list[Raw], core: str) -> dict[str, Raw]:
    """Return by knowledge the attack of that place on the ladder which leaves the fewest images right."""
    found: dict[str, Raw] = {}
    for attack in sorted(attacks, key=lambda attack: -attack.accuracy):
        if attack.core == core and attack.follows_gradients:
            found[attack.knowledge] = attack
    return found
