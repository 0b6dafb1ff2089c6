"""Whether a row may be ranked: the fixed core of attacks, an adaptive attack, and the gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import Replicate, Row, counts
from bench.analysis.records import Record
from bench.analysis.worst_case import attack_candidate

Status = Literal["ranked", "incomplete", "no adaptive attack", "not ranked"]

# The rungs of each norm, and the knowledge at which each must have been run. The adaptive attacker needs a gradient
# attack on two losses; FGSM is a rung since it beats PGD only where gradients mislead; square asks no gradient at all.
CORE: Final[Mapping[str, tuple[str, ...]]] = {
    "linf": ("fgsm", "pgd-ce", "apgd-dlr", "square"),
    "l2": ("fgsm", "pgd-ce", "apgd-dlr", "square"),
    "l1": (),  # what follows gradients or squares there is weak by construction; see what the ART plugin withholds
    "l0": (),
}
AWARE: Final = "detector-aware"  # one rung more where a deployment may refuse: the others only get themselves refused
LACKING: Final = ("best-seen", "convergence")  # gates that say that an attack could have found more
LADDER: Final = "ladder"  # the gate whose failure has words of its own
# The holes of a ladder that nothing failed in.
UNKNOWING: Final = "no attack that knows the defense was run"
UNFIXED: Final = "no ladder is fixed for this norm"
_NOT_RUN: Final = "not run"
LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "fgsm": ("white-box", "adaptive"),
    "pgd-ce": ("adaptive",),
    "apgd-dlr": ("adaptive",),
    "square": ("black-box", "white-box", "adaptive"),
    AWARE: ("adaptive",),
}


@dataclass(frozen=True)
class Standing:
    """Whether a row is ranked.

    Attributes
    ----------
    gates : names of failed gates, upper case
    evidence : what the first of them found, and where
    holes : what is missing of the ladder, one clause each
    """

    status: Status
    gates: tuple[str, ...]
    evidence: str
    holes: tuple[str, ...]
    adaptive: bool

    @property
    def text(self) -> str:
        """Return the status as it is printed."""
        return f"not ranked: {', '.join(self.gates)}" if self.status == "not ranked" else self.status

    @property
    def reasons(self) -> str:
        """Return everything that stands between the row and a rank, empty where it is ranked."""
        parts = [self.evidence] if self.evidence else []
        if not self.adaptive and self.status != "incomplete":
            parts.append(UNKNOWING)
        return "; ".join([*parts, *self.holes])


def standing(row: Row, verdicts: Sequence[Verdict] = ()) -> Standing:
    """Return whether a row is ranked, and if not, why.

    Parameters
    ----------
    verdicts : of the gates of rows; what bars no ranking is a warning there already

    Notes
    -----
    Of a defense that could not be fitted or run at all, the reason is all there is to say.
    """
    if absent := next((r for r in row.records if r["kind"] == "clean" and r["status"] != "ok"), None):
        why = absent.get("reason") or "no reason was given"
        return Standing("incomplete", (), "", (f"{absent['status']}: {why}",), adaptive=False)
    failed = failed_gates(row)
    failed += [(v.name, v.evidence.rstrip(".")) for v in verdicts if v.outcome == "fail" and v.name != LADDER]
    gates = sorted({name.upper() for name, _ in failed})
    evidence = min(failed)[1] + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "") if failed else ""
    missing, adaptive = holes(row), adaptive_everywhere(row)
    status: Status = "ranked"
    if gates:
        status = "not ranked"
    elif not adaptive:
        status = "no adaptive attack"
    elif missing:
        status = "incomplete"
    return Standing(status, tuple(gates), evidence, missing, adaptive)


def adaptive_everywhere(row: Row) -> bool:
    """Return whether an attack that knows the defense gave a number under every triple of seeds."""
    return all(any(counts(r) and r["knowledge"] == "adaptive" for r in part.attacks) for part in row.replicates)


def holes(row: Row) -> tuple[str, ...]:
    """Return what is missing of a row's ladder, one clause each.

    Notes
    -----
    A rung is there when, under every triple of seeds, a cell of that mark ended well at one of the levels asked for.
    A cell of the core that failed or timed out is a hole even where another level of the same mark ended well: its
    number could only have been lower. Skipped cells are holes where the rung is not there without them.
    """
    asked = marks(row)
    missing = [hole for part in row.replicates for hole in _holes(asked, part.attacks)]
    if not asked:
        missing.append(UNFIXED)
    if any(part.clean_candidate() is None for part in row.replicates):
        missing.append("no clean accuracy")
    return tuple(dict.fromkeys(missing))


def is_not_run(hole: str) -> bool:
    """Return whether a hole, as ``holes`` or the gate ``ladder`` words it, is of what was not run, not of a failure."""
    return hole in (UNKNOWING, UNFIXED) or f" {_NOT_RUN} (" in hole


def marks(row: Row) -> tuple[str, ...]:
    """Return the marks of the ladder that a row is asked for; none where its norm has no ladder."""
    core = CORE.get(row.setting.norm, ())
    return (*core, AWARE) if core and row.refuses else core


def on_ladder(row: Row, record: Record) -> bool:
    """Return whether a record is of an attack on a rung; what was made on the undefended network never is."""
    attack = record.get("attack") or {}
    return bool(attack) and attack.get("core", "") in marks(row) and record["knowledge"] != "oblivious"


def deciding(row: Row) -> list[tuple[Record, dict[str, Any]]]:
    """Return the gates that may bar a row, each with its record: of clean ones and of those of the ladder.

    Notes
    -----
    Another attack can only lower a number: that it could not move (a ratio loss is flat where the true class stands
    third, say) makes no number too high, and is shown beside its own cell. So it is with one of the ladder that could
    have found more, where another of the same rung has found as much and passes: that is a warning.
    """
    return [
        (record, _outdone(gate) if gate["outcome"] == "fail" and _is_outdone(part, record, gate) else gate)
        for part in row.replicates
        for record in (part.clean, *part.attacks)
        if record is not None and (record["kind"] != "attack" or on_ladder(row, record))
        for gate in record.get("gates") or []
    ]


def _outdone(gate: Mapping[str, Any]) -> dict[str, Any]:
    return {**gate, "outcome": "warn", "evidence": f"{gate['evidence']} Another attack of its rung has found as much."}


def _is_outdone(part: Replicate, record: Record, gate: Mapping[str, Any]) -> bool:
    if gate["name"] not in LACKING or not counts(record):
        return False
    left = attack_candidate(record).scored
    for other in part.attacks:
        if _rung(other) != _rung(record) or not counts(other) or int(other["samples"]) < len(left):
            continue
        passes = all(judged["outcome"] != "fail" for judged in other.get("gates") or [])
        if passes and float(attack_candidate(other).scored[: len(left)].mean()) <= float(left.mean()):
            return True
    return False


def _rung(record: Record) -> tuple[str, str]:
    return str(record["attack"].get("core", "")), str(record["knowledge"])


def failed_gates(row: Row) -> list[tuple[str, str]]:
    """Return the name of each gate that failed where it bars a ranking, and what it found."""
    found = []
    for record, gate in deciding(row):
        attack = record.get("attack") or {}
        where = f"{attack['label']}, {record['knowledge']}" if attack else str(record["kind"])
        if gate["outcome"] == "fail":
            found.append((str(gate["name"]), f"{where}: {str(gate['evidence']).rstrip('.')}"))
    return found


def _holes(asked: Iterable[str], attacks: list[Record]) -> list[str]:
    holes = []
    for mark in asked:
        marked = [r for r in attacks if r["attack"].get("core") == mark and r["knowledge"] != "oblivious"]
        broken = [r for r in marked if r["status"] in ("failed", "timed-out")]
        there = any(counts(r) and r["knowledge"] in LEVELS[mark] for r in marked)
        holes += [f"{mark} {r['status'].replace('-', ' ')} ({r['knowledge']})" for r in broken]
        if there or broken:
            continue
        skipped = [r for r in marked if r["status"] == "skipped" and r["knowledge"] in LEVELS[mark]]
        wanted = " or ".join(LEVELS[mark])
        holes.append(f"{mark} skipped ({skipped[0]['knowledge']})" if skipped else f"{mark} {_NOT_RUN} ({wanted})")
    return holes
