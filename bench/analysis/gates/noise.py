"""Gate ``noise``: noise of the same size is harmless, and weaker than every attack."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, beside, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.ladder import on_ladder
from bench.analysis.statistics import fewer


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return noise


def noise(evidence: RowEvidence) -> Verdict:
    """Judge whether random noise in the ball hurts less than a point, and beats no attack of the ladder.

    Notes
    -----
    An adaptive attack of the ladder that noise beats found no direction: fail; a white-box one: warn. That noise itself
    breaks images says that the ball is larger than this deployment stands without any attacker: warn.
    """
    control = next((attack for attack in evidence.controls if attack.record["attack"]["name"] == "noise"), None)
    clean = evidence.clean
    if control is None or clean is None:
        return Verdict("noise", "n/a", "Noise was not run.")
    ladder = [
        attack
        for attack in evidence.raw
        if on_ladder(evidence.row, attack.record) and attack.knowledge in ("white-box", "adaptive")
    ]
    beaten = [attack for attack in ladder if fewer(*beside(control, attack), pairs=len(ladder))]
    n = min(len(clean), len(control.left))
    text = f"Noise leaves {control.accuracy:.1%} of {n} images, {clean[:n].mean():.1%} are right without"
    if beaten:
        found = told(f"{attack.name} leaves {attack.accuracy:.1%}" for attack in beaten)
        decisive = any(attack.knowledge == "adaptive" for attack in beaten)
        return Verdict("noise", "fail" if decisive else "warn", f"{text}; {found}.")
    return Verdict("noise", "warn" if fewer(control.left, clean) else "pass", text + ".")
