"""Gate ``noise``: noise of the same size is harmless, and weaker than every attack."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, harmless, outdone, seeds_of_harmless, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import Row
from bench.analysis.ladder import on_ladder
from bench.analysis.statistics import MARGIN, Values, fewer, gains

ERRORS = 2.0  # ours: so many standard errors of the paired difference are no chance


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return noise


def noise(evidence: RowEvidence) -> Verdict:
    """Judge whether random noise in the ball hurts no more than it hurts the undefended network, and beats no attack.

    Notes
    -----
    An adaptive attack of the ladder that noise beats found no direction: fail; a white-box one: warn. Noise that costs
    over a point more than it costs the same network undefended is something that the defense has made worse: warn.
    Where no such network stands beside it, as beside the undefended one itself, over a point warns: the ball is larger
    than this deployment stands without any attacker. Of deployments that refuse see ``outdone``.
    """
    found = harmless(evidence.row, "noise")
    if found is None:
        return Verdict("noise", "n/a", "Noise was not run.")
    control, before, after = found
    ladder = [
        attack
        for attack in evidence.raw
        if on_ladder(evidence.row, attack.record) and attack.knowledge in ("white-box", "adaptive")
    ]
    beaten = [attack for attack in ladder if outdone(evidence.row, control, attack, pairs=len(ladder))]
    text = f"Noise leaves {after.mean():.1%} of {len(after)} images, {before.mean():.1%} are right without"
    losses = evidence.over_twin(_loss, lambda row: seeds_of_harmless(row, "noise"))
    if losses is not None:
        own, other = losses
        text += f": {100 * own.mean():.1f} points; of the undefended network it costs {100 * other.mean():.1f}"
    if beaten:
        weaker = told(f"{attack.name} leaves {attack.accuracy:.1%}" for attack in beaten)
        decisive = any(attack.knowledge == "adaptive" for attack in beaten)
        return Verdict("noise", "fail" if decisive else "warn", f"{text}; {weaker}.")
    if losses is None:
        return Verdict("noise", "warn" if fewer(after, before) else "pass", text + ".")
    own, other = losses
    worse = own.mean() - other.mean() > MARGIN and gains(own, other, ERRORS)
    return Verdict("noise", "warn" if worse else "pass", text + ".")


def _loss(row: Row) -> Values | None:
    """Return of each image how much of its right answers noise takes, None where that is not known."""
    found = harmless(row, "noise")
    return None if found is None else found[1] - found[2]
