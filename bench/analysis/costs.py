"""What each defense costs: the figures of cost records, and those that stand on the leaderboard."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.analysis.generations import current, finished
from bench.analysis.groups import place_of
from bench.analysis.records import Record

Measured = dict[str, Any]
ONNX = "onnxruntime"
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


Deployed = tuple[Any, ...]  # the place, the defense's label, and the budget that it was measured under


def newest_costs(records: Iterable[Record]) -> dict[tuple[Deployed, tuple[str, str]], Record]:
    """Return the newest cost record of each deployment under each budget, on each machine."""
    found: dict[tuple[Deployed, tuple[str, str]], Record] = {}
    for record in sorted(current(records), key=finished):
        if record["kind"] == "cost" and record["status"] == "ok":
            deployed = (place_of(record), str(record["defense"]["label"]), str(record.get("budget", "")))
            found[deployed, machine_of(record)] = record
    return found


def on_leaderboard(records: Sequence[Record]) -> dict[Deployed, Measured]:
    """Return the leaderboard's cost columns of each deployment: of each budget, and under "" the newest of any.

    Notes
    -----
    Where several machines measured, one table must not mix them: the machine that measured most deployments is
    taken, the first by name among equals; ``measurements`` has all.
    """
    cost = newest_costs(records)
    tally = Counter(machine for (*_, machine) in {(deployed[:2], machine) for deployed, machine in cost})
    chosen = min(tally, key=lambda machine: (-tally[machine], machine), default=None)
    here = {deployed: record for (deployed, machine), record in cost.items() if machine == chosen}
    told = {deployed: _summary(record) for deployed, record in here.items()}
    for deployed, record in sorted(here.items(), key=lambda pair: finished(pair[1])):
        told[*deployed[:2], ""] = _summary(record)
    return told


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
        # That of torch is of a process that has the suite loaded, and differs by what else a run asked for.
        "peak_bytes": pick([i for i in items if i.get("runtime") == ONNX], "peak_rss_bytes", placement=("device",)),
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
        runtimes = (ONNX, "", "torch")
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
