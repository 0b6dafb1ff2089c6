"""The figures that two comparisons are compared by: their names and units, and the line that each gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from bench.analysis.paired import Difference
from bench.analysis.pairing import Key

# Figure -> the knowledge whose attacks it is the worst case of: "" for all of them.
ATTACKED: Final[Mapping[str, str]] = {
    "robust_accuracy": "",
    "oblivious": "oblivious",
    "black_box": "black-box",
    "white_box": "white-box",
    "adaptive": "adaptive",
}
CLEAN: Final = "clean_accuracy"
# Cost -> its unit
COSTS: Final[Mapping[str, str]] = {
    "latency_ratio": "times",
    "device_ms": "ms",
    "server_ms": "ms",
    "uplink_bytes": "bytes",
    "model_bytes": "bytes",
    "macs": "MAC",
    "energy_mj": "mJ",
}
UNITS: Final[Mapping[str, str]] = {**dict.fromkeys((*ATTACKED, CLEAN), "share"), **COSTS}

WORDS: Final = ("lower", "higher", "noise", "same", "only in A", "only in B", "not comparable")
SETTING: Final = ("dataset", "model", "norm", "epsilon", "domain", "targeted", "budget")
DIFFERENCE_COLUMNS: Final = (
    *SETTING, "defense", "figure", "unit", "before", "after", "difference", "low", "high", "p", "images", "verdict",
    "reason", "attack", "knowledge", "attack_images", "changed_images", "changed", "missing", "setting",
)  # fmt: skip


def line(key: Key, figure: str, before: float = math.nan, after: float = math.nan) -> dict[str, Any]:
    """Return the line of a figure without a verdict."""
    setting, label = key
    empty: dict[str, Any] = dict.fromkeys(("difference", "low", "high", "p"), math.nan)
    empty |= dict.fromkeys(("images", "attack_images", "changed_images", "setting"), 0)
    empty |= dict.fromkeys(("verdict", "reason", "attack", "knowledge", "changed", "missing"), "")
    return {name: getattr(setting, name) for name in SETTING} | {
        "defense": label,
        "figure": figure,
        "unit": UNITS[figure],
        "before": before,
        "after": after,
        **empty,
    }


def judged(moved: Difference) -> dict[str, Any]:
    """Return a difference as a line has it, with the word for it."""
    word = "noise" if not moved.is_significant else "lower" if moved.value < 0 else "higher"
    return {"difference": moved.value, "low": moved.low, "high": moved.high, "p": moved.p, "verdict": word}


def size(told: Mapping[str, Any]) -> float:
    """Return how much a line's figure moved, on one scale: shares as they are, costs in shares of the cost before."""
    moved = abs(float(told["difference"]))
    if math.isnan(moved):
        return 0.0
    if told["unit"] == "share":
        return moved
    return moved / abs(told["before"]) if told["before"] else math.inf if moved else 0.0
