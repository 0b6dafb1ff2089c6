"""Gate ``best-on-test``: what was chosen among several settings was not chosen on the images that it is judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import GateOutcome, Verdict
from bench.analysis.groups import Row

_CHOOSE = "choose with --pool development, and put both runs into one report"


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return best_on_test


def best_on_test(evidence: RowEvidence) -> Verdict:
    """Judge the best of a defense's settings; it fails unless development images chose the same one.

    Notes
    -----
    The maximum of several estimates lies above the truth: the more settings are tried on the test images, the farther.
    The others are not chosen, so nothing is wrong with their numbers. Where all settings leave the same, nothing was
    gained. Where one setting may refuse and another not, their numbers count different things, and are not compared.
    On development images, of settings that leave the same the one of higher clean accuracy is chosen.
    """
    row = evidence.row
    comparable = [other for other in evidence.variants if other.refuses == row.refuses]
    tried = _left(other for other in comparable if other.setting == row.setting)
    if row.pool != "test" or row.label not in tried:
        return _told("n/a", "Nothing is chosen by these figures." if row.pool == "test" else "This is where to choose.")
    if len(tried) == 1:
        return _told("n/a", "One setting of the defense was tried.")
    of = f"of {len(tried)} settings of {row.defense['name']} tried on the test images"
    if tried[row.label][0] < max(left for left, _ in tried.values()):
        return _told("pass", f"It is not the best {of}.")
    if all(left == tried[row.label][0] for left, _ in tried.values()):
        return _told("pass", f"All {of} leave the same.")
    seen = _left(other for other in comparable if other.pool == "development")
    if not tried.keys() <= seen.keys():
        return _told("fail", f"It is the best {of}, and may be so by chance: {_CHOOSE}.")
    chosen = max(sorted(seen), key=lambda label: seen[label])
    if chosen != row.label:
        return _told("fail", f"It is the best {of}; development images chose {chosen}.")
    return _told("pass", f"It is the best {of}, and was chosen on development images.")


def _left(rows: Iterable[Row]) -> dict[str, tuple[float, float]]:
    """Return what the worst case leaves, and the clean accuracy, of each setting that was attacked."""
    found = {}
    for row in rows:
        shares = row.worst_shares
        clean = [c.scored.mean() for part in row.replicates if (c := part.clean_candidate()) is not None]
        if shares is not None:
            found[row.label] = (float(shares.mean()), float(sum(clean) / len(clean)))
    return found


def _told(outcome: GateOutcome, evidence: str) -> Verdict:
    return Verdict("best-on-test", outcome, evidence)
