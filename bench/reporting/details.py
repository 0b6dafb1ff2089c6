"""What stands behind the numbers: gaps, gates, provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analysis.generations import current
from bench.analysis.ladder import LADDER, is_not_run
from bench.analysis.records import STATUSES, Record
from bench.reporting import wording

Row = Mapping[str, Any]


def totals(cells: Sequence[Row]) -> dict[str, int]:
    """Return how many cells ended how."""
    counted = Counter(cell["status"] for cell in cells)
    return {status: counted.get(status, 0) for status in STATUSES}


def gaps(cells: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what has no number, failures first; equal reasons in one line.

    Returns
    -------
    list : status, reason, count, what (defenses, attacks, knowledge, threats as text), defenses
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for cell in cells:
        if cell["status"] != "ok":
            name = cell["attack"] or cell["kind"]
            # A failure is a story of its own attack; skips of many attacks often have one reason.
            own = name if cell["status"] != "skipped" else ""
            groups.setdefault((cell["status"], cell["reason"], own), []).append(cell)
    order = ("failed", "timed-out", "skipped")
    found = []
    for (status, reason, _), members in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0])):
        found.append(
            {
                "status": status,
                "reason": reason or "no reason was given",
                "count": len(members),
                "defenses": _unique(cell["defense"] for cell in members),
                "attacks": _unique(cell["attack"] or cell["kind"] for cell in members),
                "knowledge": _unique(cell["knowledge"] for cell in members if cell["knowledge"]),
                "threats": _unique(
                    f"{cell['dataset']} {wording.ball(cell)}" if cell["norm"] else cell["dataset"] for cell in members
                ),
            }
        )
    return found


def learned(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return what fitting and deploying each defense left to know, such as learned thresholds.

    Returns
    -------
    list : dataset, model, defense, name, value as text
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in records:
        if record["kind"] == "clean" and record["status"] == "ok":
            owner = {part: wording.plain(record[part]["label"]) for part in ("dataset", "model", "defense")}
            notes = _mapping(record.get("notes"))
            for name, value in {**_mapping(notes.get("deployed")), **_mapping(notes.get("fit"))}.items():
                line = {**owner, "name": wording.plain(name.replace("_", " ")), "value": _told(value)}
                found.setdefault((*line.values(),), line)
    return list(found.values())


def _told(value: object) -> str:
    """Return a figure or a list of figures as text, as exact as it may matter."""
    if isinstance(value, list):
        return ", ".join(_told(item) for item in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return wording.plain(value)


@dataclass(frozen=True)
class Evidence:
    """What gates say of one row of the leaderboard.

    Attributes
    ----------
    lines : outcome, gate, evidence and where, worst first: what failed or warns, and what the row as a whole passed
    passed : gates that cells of the row passed
    idle : gates that applied nowhere
    """

    lines: tuple[dict[str, str], ...]
    passed: tuple[str, ...]
    idle: tuple[str, ...]


def by_row(verdicts: Iterable[Row]) -> dict[tuple[int, str], Evidence]:
    """Return what gates say of each row of the leaderboard, equal words of several cells in one line.

    Returns
    -------
    dict : (number of the setting, defense) -> evidence
    """
    found: dict[tuple[int, str], list[Row]] = {}
    for verdict in verdicts:
        found.setdefault((verdict["setting"], verdict["defense"]), []).append(verdict)
    return {row: _evidence(said) for row, said in found.items()}


def _evidence(verdicts: Sequence[Row]) -> Evidence:
    places: dict[tuple[str, str, str], list[str]] = {}
    for said in verdicts:
        if said["outcome"] in ("fail", "warn") or (said["outcome"] == "pass" and said["where"] == "row"):
            places.setdefault((said["outcome"], said["gate"], said["evidence"]), []).append(said["where"])
    lines = tuple(
        {"outcome": outcome, "gate": gate, "evidence": evidence, "where": ", ".join(_unique(where))}
        for (outcome, gate, evidence), where in places.items()
    )
    passed = dict.fromkeys(s["gate"] for s in verdicts if s["outcome"] == "pass" and s["where"] != "row")
    applied = {said["gate"] for said in verdicts if said["outcome"] != "n/a"}
    idle = dict.fromkeys(said["gate"] for said in verdicts if said["gate"] not in applied)
    return Evidence(lines, tuple(passed), tuple(idle))


def unfinished(verdicts: Iterable[Row]) -> list[dict[str, Any]]:
    """Return a line for each threat under which attacks of the ladder were not run, with the rows that this leaves out.

    Returns
    -------
    list : where, missing (holes, of how many rows where not of all), defenses
    """
    found: dict[str, dict[str, list[str]]] = {}
    for verdict in verdicts:
        if _is_unfinished(verdict):
            ball = wording.ball(verdict) if verdict["norm"] else "no attack"
            found.setdefault(f"{verdict['dataset']}, {ball}", {})[str(verdict["defense"])] = _holes(verdict)
    lines = []
    for where, rows in found.items():
        counted = Counter(hole for holes in rows.values() for hole in holes)
        missing = [f"{hole}{'' if n == len(rows) else f' ({n} of {len(rows)} rows)'}" for hole, n in counted.items()]
        lines.append({"where": where, "missing": missing, "defenses": list(rows)})
    return lines


def _is_unfinished(verdict: Row) -> bool:
    """Return whether attacks of the ladder were not run, and none of them failed: no failure of the row."""
    if verdict["gate"] != LADDER or verdict["outcome"] != "fail":
        return False
    return all(is_not_run(hole) for hole in _holes(verdict))


def _holes(verdict: Row) -> list[str]:
    return str(verdict["evidence"]).removesuffix(".").split("; ")


def gates(records: Iterable[Record], verdicts: Iterable[Row]) -> list[dict[str, Any]]:
    """Return every verdict of a gate that is no plain pass, worst first, and one line of counts for the passes.

    What ``unfinished`` tells is left out.

    Parameters
    ----------
    verdicts : rows of the frame of verdicts; those on rows are taken from there, those on every cell from the records
    """
    records, verdicts = list(records), list(verdicts)
    order = {"fail": 0, "warn": 1, "pass": 2, "n/a": 3}
    groups: dict[tuple[int, bool, str, str, str], list[str]] = {}
    barring = {(v["defense"], v["gate"], v["where"], v["evidence"]) for v in verdicts if v["outcome"] == "fail"}
    several = len({record["dataset"]["label"] for record in records}) > 1

    def say(gate: Mapping[str, Any], defense: str, where: str, place: str) -> None:
        plain = gate["outcome"] in ("pass", "n/a")
        evidence = "" if plain else wording.plain(gate["evidence"])
        idle = gate["outcome"] == "fail" and (defense, gate["gate"], where, gate["evidence"]) not in barring
        key = (order[gate["outcome"]], idle, wording.plain(gate["gate"]), wording.plain(defense), evidence)
        groups.setdefault(key, []).append(wording.plain(place))

    for record in records:
        attack = (record.get("attack") or {}).get("label", "")
        where = f"{attack} ({record['knowledge']})" if attack else str(record["kind"])
        where += f", probe of {record['probe']}" if record.get("probe") else ""
        place = f"{where}, {record['dataset']['label']}" if several else where
        for gate in record.get("gates") or []:
            say({**gate, "gate": gate["name"]}, str(record["defense"]["label"]), where, place)
    for verdict in verdicts:
        if verdict["where"] == "row" and not _is_unfinished(verdict):
            ball = wording.ball(verdict) if verdict["norm"] else "no attack"
            say(verdict, verdict["defense"], "row", f"{verdict['dataset']}, {ball}" if several else ball)
    names = {number: outcome for outcome, number in order.items()}
    found: list[dict[str, Any]] = [
        {
            "outcome": names[rank],
            "bars": not idle,
            "gate": gate,
            "defense": defense,
            "evidence": evidence,
            "where": wording.count(len(places), "cell") if not evidence else ", ".join(_unique(places)),
        }
        for (rank, idle, gate, defense, evidence), places in groups.items()
    ]

    def severity(line: Mapping[str, Any]) -> tuple[Any, ...]:
        return (order[line["outcome"]], not line["bars"], line["gate"], line["defense"], line["where"])

    return sorted(found, key=severity)


def provenance(records: Sequence[Record]) -> dict[str, Any]:
    """Return where the numbers come from: each distinct value once, with how many cells have it, most first.

    Returns
    -------
    dict : versions, machines, commands, seeds, datasets, networks, plugins -> list of text; first, last, seconds
    """
    versions: dict[str, set[str]] = {}
    told: dict[str, Counter[str]] = {
        name: Counter() for name in ("machines", "commands", "seeds", "datasets", "networks", "plugins")
    }
    finished, seconds = [], 0.0
    for record in current(records):
        source = _mapping(record.get("provenance"))
        for name, value in _mapping(source.get("versions")).items():
            versions.setdefault(wording.plain(name), set()).add(wording.plain(value))
        machine = _mapping(source.get("machine"))
        if machine:
            told["machines"][wording.plain(", ".join(f"{k} {v}" for k, v in machine.items()))] += 1
        if source.get("command"):
            told["commands"][wording.plain(source["command"])] += 1
        seeds = record["seeds"]
        told["seeds"][f"split {seeds['split']}, training {seeds['training']}, attack {seeds['attack']}"] += 1
        told["datasets"][_described(record["dataset"], "fingerprint")] += 1
        told["networks"][_described(record["model"], "digest")] += 1
        owners = dict.fromkeys(_mapping(record.get(part)).get("distribution") for part in ("defense", "attack"))
        told["plugins"].update(wording.plain(owner) for owner in owners if owner)
        if source.get("finished"):
            finished.append(wording.plain(source["finished"]))
        if isinstance(source.get("seconds"), int | float):
            seconds += float(source["seconds"])
    return {
        "versions": [(name, wording.listed(sorted(found))) for name, found in sorted(versions.items())],
        **{name: counter.most_common() for name, counter in told.items()},
        "first": min(finished, default=""),
        "last": max(finished, default=""),
        "seconds": seconds,
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _described(entry: Mapping[str, Any], digest: str) -> str:
    parts = [str(entry["label"])]
    if entry.get("weights"):
        parts.append(f"{entry['weights']} weights")
    if entry.get(digest):
        parts.append(f"{digest} {str(entry[digest])[:12]}")
    return wording.plain(", ".join(parts))


def _unique(values: Iterable[str], limit: int = 8) -> list[str]:
    found = list(dict.fromkeys(values))
    return found if len(found) <= limit else [*found[:limit], f"… {len(found) - limit} more"]
