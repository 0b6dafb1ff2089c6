"""Figures of cost: all of them, and of each quantity the one that a reader looks for first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.analysis.costs import measurements, unquiet
from bench.analysis.generations import current
from bench.analysis.records import Record
from bench.reporting import wording

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

COLUMNS = (
    "defense", "model", "dataset", "placement", "quantity", "statistic", "value", "low", "high", "unit", "n",
    "runtime", "variant", "provenance", "hardware", "machine", "flags", "source",
)  # fmt: skip
_STATISTICS = ("p50", "median", "mean", "total", "gross", "max")  # the first that a quantity has is shown
_OF_QUANTITY = {"uplink_bytes": "mean"}  # before these: as on the leaderboard
_RUNTIMES = ("onnxruntime", "", "torch")  # as on the leaderboard


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return every figure of every cost record, with the processor that it was taken on."""
    import pandas as pd

    return pd.DataFrame([row for rows in _by_record(records) for row in rows], columns=list(COLUMNS))


def shown(records: Iterable[Record]) -> list[Row]:
    """Return of each quantity and placement of a deployment one figure, by defense.

    Notes
    -----
    It is of the default wire format, of onnxruntime where the stage can be exported, and the median or else the mean;
    of bytes sent the mean, as on the leaderboard. What has no value is left out. ``unquiet`` has the flags of a time
    that make it doubtful.
    """
    found = []
    for rows in _by_record(records):
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if not wording.is_missing(row["value"]):
                groups.setdefault((row["quantity"], row["placement"]), []).append(row)
        found += [min(group, key=_merit) for group in groups.values()]
    return sorted(found, key=lambda row: str(row["defense"]))


def _by_record(records: Iterable[Record]) -> list[list[Row]]:
    measured = [r for r in current(records) if r["kind"] == "cost" and r["status"] == "ok"]
    return [
        [
            row | {"machine": processor(record), "unquiet": " ".join(unquiet(item) if _is_time(item) else ())}
            for row, item in zip(wording.rows_of(measurements([record])), record["measurements"], strict=True)
        ]
        for record in measured
    ]


def _is_time(item: Mapping[str, Any]) -> bool:
    return str(item["quantity"]).startswith("latency")


def _merit(row: Row) -> tuple[bool, bool, int, int]:
    runtime = row["runtime"] or ""
    return (
        bool(row["variant"]) and "default" not in row["flags"].split(),
        row["statistic"] != _OF_QUANTITY.get(row["quantity"], row["statistic"]),
        _STATISTICS.index(row["statistic"]) if row["statistic"] in _STATISTICS else len(_STATISTICS),
        _RUNTIMES.index(runtime) if runtime in _RUNTIMES else len(_RUNTIMES),
    )


def processor(record: Record) -> str:
    """Return what a cost record was taken on: 2 × AMD EPYC, 1 thread."""
    machine = (record.get("hardware") or {}).get("machine") or {}
    told = f"{machine.get('cores', '')} × {machine['cpu']}".removeprefix(" × ") if machine.get("cpu") else ""
    threads = wording.count(machine["threads"], "thread") if isinstance(machine.get("threads"), int) else ""
    return wording.plain(", ".join(filter(None, [told, threads])))


def processors(records: Iterable[Record], rows: Sequence[Row]) -> str:
    """Return what the cost of rows of the leaderboard was measured on, "" where that is not known."""
    profiles = {row["hardware"] for row in rows if row["hardware"]}
    measured = [r for r in current(records) if r["kind"] == "cost" and r["status"] == "ok"]
    told = dict.fromkeys(processor(r) for r in measured if (r.get("hardware") or {}).get("label") in profiles)
    return wording.listed([text for text in told if text], last="or")
