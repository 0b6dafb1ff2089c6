"""Gate ``coverage``: attacks that were tried on fewer images would not have lowered the number of the others."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import MARGIN, RowEvidence, fewer
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import pooled
from bench.analysis.statistics import Values
from bench.analysis.worst_case import Candidate, covered, worst_case


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return coverage


def coverage(evidence: RowEvidence) -> Verdict:
    """Judge whether what is left of the images that every attack was tried on is what is left of all images.

    Notes
    -----
    An attack that was run on the first hundred images lowers those alone; the number of the row is then a mixture of
    images that met all attacks and of images that met some. Looked at are the images that a shorter attack was tried
    on: those right under the attacks that were tried on all images, and those right under the shorter ones too. Where
    the second are fewer by more than a point and more than chance, so would be the rest: fail. By more than a point
    that may be chance: warn.
    """
    setting = evidence.row.setting
    tried = [
        (clean, attacks)
        for part in evidence.row.replicates
        if (clean := part.clean_candidate()) is not None and (attacks := part.candidates(setting, clean.scored))
    ]
    if not tried:
        return Verdict("coverage", "n/a", "No attack was run.")
    longest = min(covered(attacks) for _, attacks in tried)
    shorter = sorted({len(a.scored) for _, attacks in tried for a in attacks if len(a.scored) < longest})
    if not shorter:
        return Verdict("coverage", "pass", f"Every attack was tried on all {longest:,} images.")
    found = []
    for n in shorter:
        by_long = pooled([_left(clean, attacks, longest)[:n] for clean, attacks in tried])
        by_all = pooled([_left(clean, attacks, n)[:n] for clean, attacks in tried])
        found.append((float(by_long.mean() - by_all.mean()), n, by_long, by_all))
    fall, n, by_long, by_all = max(found, key=lambda one: one[0])
    names = list(dict.fromkeys(a.attack for _, attacks in tried for a in attacks if n <= len(a.scored) < longest))
    told = f"{', '.join(names[:2])}{f' and {len(names) - 2} more' if len(names) > 2 else ''}"
    text = (
        f"Of the first {n:,} images attacks on all {longest:,} leave {by_long.mean():.1%}, with those on fewer "
        f"({told}) {by_all.mean():.1%}"
    )
    if fall <= MARGIN:
        return Verdict("coverage", "pass", text + ".")
    certain = fewer(by_all, by_long, pairs=len(shorter))
    return Verdict("coverage", "fail" if certain else "warn", text + ": the row's number is too high.")


def _left(clean: Candidate, attacks: list[Candidate], images: int) -> Values:
    """Return what is left right under the attacks that were tried on at least so many images."""
    return worst_case(clean, [attack for attack in attacks if len(attack.scored) >= images]).shares
