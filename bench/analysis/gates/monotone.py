"""Gate ``monotone``: an attack leaves no more images right where it may change more."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import ITERATED, Raw, RowEvidence, beside, outdone, raw, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import Row, counts


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return monotone


def monotone(evidence: RowEvidence) -> Verdict:
    """Judge whether each attack leaves no more images right here than at the next smaller radius that it was run at.

    Notes
    -----
    Whatever lies in the smaller ball lies in this one too: an attack that does worse with more room was led astray, and
    this row's number is too high. At adaptive knowledge, of an attack that searches, that fails; of any other it warns.
    One single step is left out: it overshoots where the ball is large, which is no fault of the deployment. So are
    minimum-norm attacks, whose one result is judged at every radius. Of deployments that refuse see ``outdone``.
    """
    smaller = [
        row
        for row in evidence.family
        if row.setting.budget == evidence.row.setting.budget and row.setting.epsilon < evidence.row.setting.epsilon
    ]
    if not smaller:
        return Verdict("monotone", "n/a", "No smaller radius was run.")
    below: dict[str, Raw] = {}
    for row in sorted(smaller, key=lambda row: row.setting.epsilon):
        below |= _searching(row)
    pairs = [(now, below[name]) for name, now in _searching(evidence.row).items() if name in below]
    if not pairs:
        return Verdict("monotone", "n/a", "No attack was run at two radii.")
    astray = [(now, before) for now, before in pairs if outdone(evidence.row, before, now, pairs=len(pairs))]
    radii = ", ".join(f"{radius:.4g}" for radius in sorted({_radius(before) for _, before in pairs}))
    here = f"{evidence.row.setting.epsilon:.4g}"
    if not astray:
        attacks = f"{len(pairs)} attacks leave" if len(pairs) > 1 else "1 attack leaves"
        return Verdict("monotone", "pass", f"{attacks} no more at {here} than at {radii}.")
    decisive = any(now.core in ITERATED and now.knowledge == "adaptive" for now, _ in astray)
    found = told(_rises(before, now) for now, before in astray)
    return Verdict("monotone", "fail" if decisive else "warn", f"At {here}: {found}.")


def _rises(before: Raw, now: Raw) -> str:
    less, more = beside(before, now)
    return (
        f"of {len(less):,} images {now.name} leaves {more.mean():.1%}, and at {_radius(before):.4g} {less.mean():.1%}"
    )


def _radius(attack: Raw) -> float:
    return float(attack.record["threat"]["epsilon"])


def _searching(row: Row) -> dict[str, Raw]:
    """Return the attacks on the deployment itself that may be expected to use all the room they get."""
    chosen = (
        record
        for part in row.replicates
        for record in part.attacks
        if counts(record)
        and record["knowledge"] != "oblivious"
        and record["attack"].get("core") != "fgsm"
        and not record["attack"].get("minimum_norm", False)
    )
    found: dict[str, Raw] = {}
    for attack in raw(chosen):
        found.setdefault(attack.name, attack)  # of several runs that on most images
    return found
