"""Gate ``black-box``: attackers without gradients stay behind those who have them."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import Raw, RowEvidence, fewer, told
from bench.analysis.gates.verdict import Verdict


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return black_box


def black_box(evidence: RowEvidence) -> Verdict:
    """Judge whether no attack by queries or by transfer beats the best attack that differentiates the deployment.

    Notes
    -----
    Each is compared alone, image by image, with the one gradient attack that leaves the fewest. Where it beats the
    adaptive ones, the adaptive number is no worst case: fail. Where it beats the white-box ones only, gradients of the
    deployment as it runs mislead, and the adaptive number beside it counts: warn.

    References
    ----------
    Athalye, Carlini, Wagner 2018, arXiv 1802.00420, section 3.1.
    """
    strong = [attack for attack in evidence.raw if attack.follows_gradients]
    weak = [attack for attack in evidence.raw if not attack.follows_gradients]
    if not strong or not weak:
        return Verdict("black-box", "n/a", "Attacks with and without the deployment's gradients were not both run.")
    best = {
        level: min(those, key=lambda attack: attack.accuracy)
        for level in ("white-box", "adaptive")
        if (those := [attack for attack in strong if attack.knowledge == level])
    }
    for level, outcome in (("adaptive", "fail"), ("white-box", "warn")):
        if level in best and (astray := [one for one in weak if fewer(one.left, best[level].left, pairs=len(weak))]):
            return Verdict("black-box", "fail" if outcome == "fail" else "warn", _words(astray, best[level]))
    return Verdict("black-box", "pass", f"None of {len(weak)} attacks without gradients beats {_named(best)}.")


def _words(astray: list[Raw], best: Raw) -> str:
    return told(f"{one.name} leaves {one.accuracy:.1%}, {best.name} {best.accuracy:.1%}" for one in astray) + "."


def _named(best: dict[str, Raw]) -> str:
    return " or ".join(attack.name for attack in best.values())
