"""Gate ``errors``: every attack that was planned gave a number."""

from __future__ import annotations

from collections.abc import Callable

from bench.analysis.gates.evidence import RowEvidence, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.records import Record


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return errors


def errors(evidence: RowEvidence) -> Verdict:
    """Judge whether attacks failed, were stopped, or lost images on the way.

    Notes
    -----
    An attack that crashed did not fail to break the defense. It warns; a rung of the ladder that is missing makes the
    row incomplete besides (gate ``ladder``).
    """
    attacks = [record for part in evidence.row.replicates for record in part.attacks]
    if not attacks:
        return Verdict("errors", "n/a", "No attack was run.")
    bad = [f"{_name(r)} {r['status'].replace('-', ' ')}" for r in attacks if r["status"] in ("failed", "timed-out")]
    bad += [f"{_name(r)} lost {lost} images" for r in attacks if (lost := _lost(r))]
    if bad:
        return Verdict("errors", "warn", told(bad) + ".")
    return Verdict("errors", "pass", f"None of {len(attacks)} attacks failed or was stopped.")


def _name(record: Record) -> str:
    return f"{record['attack']['label']} ({record['knowledge']})"


def _lost(record: Record) -> int:
    """Return how many images an attack gave back as not finite."""
    notes = (record.get("notes") or {}).get("attack")
    lost = notes.get("not_finite", 0) if isinstance(notes, dict) else 0
    return lost if isinstance(lost, int) else 0
