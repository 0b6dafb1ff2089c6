"""What each defense costs: the figures of cost records, and those that stand on the leaderboard."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.analysis.generations import current
from bench.analysis.groups import place_of
from bench.analysis.records import Record

Measured = dict[str, Any]
PNG = "png"  # the images themselves without loss: what any saving of bytes is to be held against

_COLUMNS = (
    "quantity",
    "statistic",
    "placement",
    "runtime",
    "variant",
    "value",
    "low",
    "high",
    "unit",
    "n",
    "provenance",
)

# Classes whose figures come from this machine's own instruments or are exact counts; the others are estimates, which
# enter no ranking and no Pareto plot.
FIRM = frozenset({"measured-external", "measured-rail", "measured-rapl", "measured", "counted"})

# What the timing protocol says of a figure that was not timed in quiet.
UNQUIET = ("tainted", "drift", "noisy", "short", "too_few_runs")


def measurements(records: Iterable[Record]) -> pd.DataFrame:
    """Return every figure of every cost record: one row each, with the defense, data set, network and hardware."""
    found = []
    for record in current(records):
        if record["kind"] != "cost" or record["status"] != "ok":
            continue
        for item in record["measurements"]:
            found.append(
                {
                    "dataset": record["dataset"]["label"],
                    "model": record["model"]["label"],
                    "defense": record["defense"]["label"],
                    "hardware": _hardware(record),
                    **{name: item.get(name) for name in _COLUMNS},
                    "flags": " ".join(str(flag) for flag in item.get("flags") or ()),
                    "source": str(item.get("source") or ""),
                }
            )
    columns = ["dataset", "model", "defense", "hardware", *_COLUMNS, "flags", "source"]
    return pd.DataFrame(found, columns=columns)


def on_leaderboard(records: Sequence[Record]) -> dict[tuple[Any, ...], Measured]:
    """Return the leaderboard's cost columns of each (place, defense label).

    Notes
    -----
    Where several machines measured, one table must not mix them: the machine that measured most deployments is
    taken, the first by name among equals; ``measurements`` has all.
    """
    cost = [r for r in current(records) if r["kind"] == "cost" and r["status"] == "ok"]
    if not cost:
        return {}
    tally = Counter(machine_of(record) for record in cost)
    chosen = min(tally, key=lambda machine: (-tally[machine], machine))
    return {
        (place_of(record), record["defense"]["label"]): _summary(record)
        for record in cost
        if machine_of(record) == chosen
    }


def _hardware(record: Record) -> str:
    return str((record.get("hardware") or {}).get("label", ""))


def machine_of(record: Record) -> tuple[str, str]:
    """Return what tells apart the machines that cost was measured on: the profile and what it found there."""
    return (_hardware(record), json.dumps((record.get("hardware") or {}).get("machine"), sort_keys=True))


def figures(record: Record) -> dict[str, Measured | None]:
    """Return the figure of a cost record that stands in each cost column of the leaderboard."""
    items = list(record["measurements"])
    return {
        "latency_ratio": pick(items, "latency_ratio", placement=("total", "device")),
        "device_ms": pick(items, "latency_ms", statistic=("p50",), placement=("device",)),
        "server_ms": pick(items, "latency_ms", statistic=("p50",), placement=("server",)),
        "uplink_bytes": pick(items, "uplink_bytes", statistic=("mean", "total"), placement=("device", "total")),
        "uplink_bytes_p95": pick(items, "uplink_bytes", statistic=("p95",), placement=("device", "total")),
        # A stage that cannot be exported leaves no file; what the parameters take is known all the same.
        "model_bytes": whole(items, "model_bytes") or whole(items, "param_bytes"),
        "macs": whole(items, "macs"),
        "peak_bytes": whole(items, "peak_rss_bytes"),
        "energy_mj": pick(items, "energy_mj", statistic=("gross", "mean"), placement=("total", "device")),
    }


def _summary(record: Record) -> Measured:
    found = figures(record)
    as_png = [item for item in record["measurements"] if item.get("variant") == PNG]
    timed = [item for item in (found["device_ms"], found["server_ms"]) if item]
    ratio, uplink, energy = found["latency_ratio"], found["uplink_bytes"], found["energy_mj"]
    return {name: _value(item) for name, item in found.items()} | {
        "latency_ratio_low": _value(ratio, "low"),
        "latency_ratio_high": _value(ratio, "high"),
        "latency_ratio_flags": " ".join(unquiet(ratio) if ratio else ()),
        "latency_flags": " ".join(dict.fromkeys(flag for item in timed for flag in unquiet(item))),
        "png_bytes": _value(pick(as_png, "uplink_bytes", statistic=("mean",))),
        "uplink_format": str(uplink.get("variant") or "") if uplink else "",
        "energy_provenance": str(energy["provenance"]) if energy else "",
        "hardware": _hardware(record),
    }


def unquiet(item: Measured) -> list[str]:
    """Return the flags of ``UNQUIET`` that a figure has, without what they add."""
    flags = [str(flag) for flag in item.get("flags") or ()]
    return [word for word in UNQUIET if any(flag.split(":")[0] == word for flag in flags)]


def pick(
    items: Sequence[Measured],
    quantity: str,
    *,
    statistic: tuple[str, ...] = (),
    placement: tuple[str, ...] = (),
) -> Measured | None:
    """Return the figure to show of a quantity: the first statistic and placement asked for, onnxruntime before torch.

    The default wire format is the one without a variant's name or flagged "default", else the first that is listed.
    """
    found = [item for item in items if item["quantity"] == quantity and item.get("value") is not None]
    if statistic:
        found = [item for item in found if item["statistic"] in statistic]
    if placement:
        found = [item for item in found if item["placement"] in placement]

    def merit(item: Measured) -> tuple[int, int, bool]:
        runtimes = ("onnxruntime", "", "torch")
        runtime = str(item.get("runtime") or "")
        return (
            placement.index(item["placement"]) if placement else 0,
            runtimes.index(runtime) if runtime in runtimes else len(runtimes),
            bool(item.get("variant")) and "default" not in (item.get("flags") or ()),
        )

    return min(found, key=merit, default=None)


def whole(items: Sequence[Measured], quantity: str) -> Measured | None:
    """Return the figure of all of a deployment; None where that is not known, whatever is known of a part."""
    if any(item["quantity"] == quantity and item["placement"] == "total" for item in items):
        return pick(items, quantity, placement=("total",))
    return pick(items, quantity, placement=("device", "server"))


def _value(item: Measured | None, name: str = "value") -> float:
    value = item.get(name) if item else None
    return math.nan if value is None else float(value)
