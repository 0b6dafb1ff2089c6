"""An audit of one defense: what is claimed, what each kind of attacker leaves, and whether that can be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.analysis.claims import is_called, on_record
from bench.analysis.costs import figures
from bench.analysis.detectors import detection
from bench.analysis.gates.evidence import RowEvidence, clean_shares
from bench.analysis.gates.verdict import SEVERITY
from bench.analysis.generations import current
from bench.analysis.groups import Row, Setting, place_of, rows
from bench.analysis.ladder import LADDER, on_ladder
from bench.analysis.paired import Difference, paired_difference
from bench.analysis.ranking import leaderboard
from bench.analysis.records import KNOWLEDGE, Record
from bench.analysis.rungs import Breaker, Rung, Spent, breakers, broken, left, rungs, spent
from bench.analysis.scrutiny import asked_rows, decisive, row_verdicts
from bench.analysis.statistics import Values
from bench.analysis.sweep import curve
from bench.plugins.entries import Claim

if TYPE_CHECKING:
    import pandas as pd

BROKEN, UNBROKEN, CERTIFIED, INCOMPLETE = "broken", "unbroken", "certified", "incomplete"
_THREAT: Final = ("dataset", "model", "norm", "epsilon", "domain", "budget")
_WITHHELD: Final = "not ranked: "
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Claimed:
    """A figure that the defense's source gives, and what attacks of that name leave here.

    Attributes
    ----------
    ours : knowledge -> accuracy under the worst of the attacks of that name, image by image
    """

    claim: Claim
    ours: Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """What a gate says of the row, or of one of its cells.

    Attributes
    ----------
    bars : a failure keeps the row from being ranked
    """

    gate: str
    outcome: str
    where: str
    evidence: str
    bars: bool


@dataclass(frozen=True)
class Audited:
    """The defense under one threat.

    Attributes
    ----------
    line : its row of the leaderboard; cost, certificate and clean accuracy stand there
    verdict : "broken", "unbroken", "certified", "incomplete" or "not ranked: GATE"
    broken, right : images broken, of those right without attack; of several triples of seeds, under any
    clean_images : that clean accuracy is of
    provenance : cost column of the line -> how the figure was come by, and what is flagged about it
    clean_change : of clean accuracy against the undefended model; None where that was not run
    controls : accuracy under what must do no harm
    detectors : how well its detector detects, rows of ``bench.analysis.detection``; empty where it has none
    findings : the worst first
    spent : by all attacks, controls and probes of gates
    """

    line: Line
    verdict: str
    broken: int
    right: int
    clean_images: int
    claims: tuple[Claimed, ...]
    rungs: tuple[Rung, ...]
    controls: tuple[tuple[str, float], ...]
    breakers: tuple[Breaker, ...]
    detectors: tuple[Line, ...]
    findings: tuple[Finding, ...]
    provenance: Mapping[str, str]
    clean_change: Difference | None
    spent: Spent

    @property
    def is_settled(self) -> bool:
        """Whether the ladder is whole and no gate that bars a ranking failed."""
        return self.verdict in (BROKEN, UNBROKEN, CERTIFIED)

    def is_under(self, share: float) -> bool:
        """Return whether robust accuracy lies under a share, its whole interval with it; also where there is none."""
        high = float(self.line["robust_high"])
        return math.isnan(high) or high < share


@dataclass(frozen=True)
class Audit:
    """Everything that a verdict page says.

    Attributes
    ----------
    source : where the defense was published
    settings : one a data set, network and threat, the headline first
    curve : accuracy against epsilon of the defense and the undefended model, rows of ``bench.analysis.curve``
    left_out : "attack: why" of attacks that belong to the ladder and cannot run here
    """

    defense: str
    source: str
    settings: tuple[Audited, ...]
    curve: tuple[Line, ...]
    left_out: tuple[str, ...]


def audit(
    records: Sequence[Record],
    defense: str,
    *,
    source: str = "",
    own_rungs: Mapping[str, str] | None = None,
    left_out: Sequence[str] = (),
) -> Audit:
    """Return the audit of one defense.

    Parameters
    ----------
    defense : label of the defense, with its parameters
    own_rungs : name of an attack -> its rung, for those that do not stand among the usual ones
    """
    board = leaderboard(records)
    lines = {(line["setting"], line["defense"]): line for line in _lines(board)}
    detectors = [line for line in _lines(detection(records)) if line["defense"] == defense]
    settings: dict[Setting, int] = {}
    found = []
    for evidence in asked_rows(rows(records)):
        number = settings.setdefault(evidence.row.setting, len(settings))
        if evidence.row.label == defense:
            found.append(_audited(evidence, lines[number, defense], own_rungs or {}, records, detectors))
    baselines = {str(record["defense"]["label"]) for record in records if record["defense"].get("baseline", False)}
    drawn = _lines(curve(records))
    return Audit(
        defense,
        source,
        tuple(found),
        tuple(line for line in drawn if line["defense"] in {defense, *baselines}),
        tuple(left_out),
    )


def _lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _audited(
    evidence: RowEvidence,
    line: Line,
    own_rungs: Mapping[str, str],
    records: Sequence[Record],
    detectors: Sequence[Line],
) -> Audited:
    row = evidence.row
    lost, right = broken(row)
    return Audited(
        line=line,
        verdict=_verdict(line, lost, right),
        broken=lost,
        right=right,
        clean_images=0 if evidence.clean is None else len(evidence.clean),
        claims=_claims(evidence),
        rungs=rungs(row, own_rungs),
        controls=tuple((raw.name, raw.accuracy) for raw in evidence.controls),
        breakers=breakers(row, own_rungs),
        detectors=tuple(told for told in detectors if all(told[name] == line[name] for name in _THREAT)),
        findings=_findings(evidence),
        provenance=_provenance(records, row, line),
        clean_change=_clean_change(evidence),
        spent=spent(record for part in row.replicates for record in (*part.attacks, *part.probes)),
    )


def _verdict(line: Line, lost: int, right: int) -> str:
    """Return the word for a row.

    Notes
    -----
    A gate that failed or a hole in the ladder comes first: what it says is that the number is not to be read. Where no
    image is right without attack, none could be broken. Certified is a row of which every image that attacks left is
    proven.
    """
    if line["status"] == "ranked" and not right:
        return INCOMPLETE
    if line["status"] != "ranked":
        return str(line["status"]) if str(line["status"]).startswith(_WITHHELD) else INCOMPLETE
    if lost:
        return BROKEN
    closed = float(line["certified"]) > 0 and abs(float(line["bracket_width"])) < 1e-9
    return CERTIFIED if closed else UNBROKEN


def _claims(evidence: RowEvidence) -> tuple[Claimed, ...]:
    row = evidence.row
    found = []
    for claim in on_record(row.defense, row.setting.dataset):
        shares = {level: _left(row, claim.attack, level) for level in KNOWLEDGE} if claim.attack else {}
        ours = {level: float(share.mean()) for level, share in shares.items() if share is not None}
        found.append(Claimed(claim, ours))
    return tuple(found)


def _left(row: Row, claimed: str, level: str) -> Values | None:
    """Return what attacks of a claimed name leave at one knowledge, as the table of claims has it."""
    return left(row, lambda record: record["knowledge"] == level and is_called(record["attack"], claimed))[0]


def _findings(evidence: RowEvidence) -> tuple[Finding, ...]:
    """Return what gates say; equal words of several cells in one line. Of cells beside the ladder, only complaints."""
    row = evidence.row
    said = [("row", verdict.as_dict(), True) for verdict in row_verdicts(evidence)]
    said += [(where, dict(gate), True) for where, gate in decisive(row)]
    for record in row.records:
        attack = record.get("attack") or {}
        if attack and not on_ladder(row, record):
            where = f"{attack['label']} ({record['knowledge']})"
            complaints = [gate for gate in record.get("gates") or [] if gate["outcome"] in ("fail", "warn")]
            said += [(where, gate, False) for gate in complaints]
    places: dict[tuple[str, str, str, bool], dict[str, None]] = {}
    for where, gate, bars in said:
        told = (str(gate["name"]), str(gate["outcome"]), str(gate["evidence"]), bars)
        places.setdefault(told, {})[where] = None
    found = [
        Finding(name, outcome, ", ".join(where), text, bars and outcome == "fail")
        for (name, outcome, text, bars), where in places.items()
    ]
    return tuple(sorted(found, key=lambda f: (SEVERITY.index(f.outcome), not f.bars, f.gate != LADDER)))


def _provenance(records: Sequence[Record], row: Row, line: Line) -> dict[str, str]:
    told: dict[str, dict[str, None]] = {}
    for record in current(records):
        same = record["kind"] == "cost" and record["status"] == "ok" and str(record["defense"]["label"]) == row.label
        if not same or place_of(record) != row.setting.place:
            continue
        for name, item in figures(record).items():
            if item is not None and item["value"] == line[name]:  # of the machine that the line is of
                flags = "; ".join(map(str, item.get("flags") or ()))
                told.setdefault(name, {})[f"{item['provenance']}{f', {flags}' if flags else ''}"] = None
    return {name: "; ".join(kinds) for name, kinds in told.items()}


def _clean_change(evidence: RowEvidence) -> Difference | None:
    pair = evidence.over_twin(clean_shares, Row.judged)
    return None if pair is None else paired_difference(pair[1], pair[0])
