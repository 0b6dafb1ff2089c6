"""Gate ``averaging``: attackers of a deployment that draws averaged as many draws as its noise asks for."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from bench.analysis.gates.evidence import RowEvidence, raw
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import Replicate, counts
from bench.analysis.records import Record

# Cosines of the mean gradient of the draws averaged with the true one, predicted from the noise at inspection.
ENOUGH = 0.95  # what `--eot auto` averages for: docs/explanation/knowledge.md
LOST = 0.7  # ours: 45 degrees; a step then has more of the noise in it than of the gradient
SETTLED = 0.02  # ours: where so few images are left, a better gradient has little to win


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return averaging


def averaging(evidence: RowEvidence) -> Verdict:
    """Judge whether an adaptive gradient attack averaged enough draws to see the gradient through the noise.

    Notes
    -----
    With agreement a, the share of one draw's squared gradient that is the true gradient's, the mean of k draws has a
    cosine of about sqrt(a / (a + (1 - a) / k)) with it. The attack that averaged most is looked at, of those in the
    usual way, of which a is; of several triples of seeds the worst counts. An attacker who follows noise leaves many
    images right, and says nothing of the defense.
    """
    seen = [told for part in evidence.row.replicates if (told := _seen(part)) is not None]
    left = evidence.row.worst_shares
    if not evidence.randomised or not seen or left is None:
        return Verdict("averaging", "n/a", "Nothing is drawn, or no adaptive attack follows a gradient.")
    cosine, most = min(seen)
    text = f"Averaged over {most} draws, the gradient has a predicted cosine of {cosine:.2f} with the true one"
    if cosine >= ENOUGH or left.mean() <= SETTLED:
        return Verdict("averaging", "pass", f"{text}; {left.mean():.1%} of the images are left.")
    advice = "too few draws were averaged; run it with --eot auto"
    return Verdict("averaging", "fail" if cosine < LOST else "warn", f"{text}: {advice}.")


def _seen(part: Replicate) -> tuple[float, int] | None:
    """Return the predicted cosine of the attack that averaged most under one triple of seeds, and over how many draws.

    None where gradients have no noise, or no adaptive attack follows one.
    """
    noise = ((part.clean or {}).get("evidence") or {}).get("noise")
    followed = raw(record for record in part.attacks if counts(record))
    draws = [
        int(attack.record["notes"]["surface"]["expectation"])
        for attack in followed  # every run of it, be it on fewer images
        if attack.knowledge == "adaptive" and attack.follows_gradients and _is_usual(attack.record)
    ]
    if not noise or float(noise["agreement"]) >= 1.0 or not draws:
        return None
    agreement, most = float(noise["agreement"]), max(draws)
    return sqrt(agreement / (agreement + (1.0 - agreement) / most)), most


def _is_usual(record: Record) -> bool:
    """Return whether an attack went the usual way, and says how many draws it averaged."""
    told = (record.get("notes") or {}).get("surface") or {}
    return "expectation" in told and not record["attack"].get("way")
