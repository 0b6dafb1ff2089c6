"""The columns of the page's tables that can be sorted: heads, and what they mean in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.reporting import wording


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    hint : what it holds, in a few words; "" where the title says it
    kind : how it is sorted
    css : classes of the head
    """

    title: str
    hint: str = ""
    kind: Literal["number", "text"] = "number"
    css: str = "num"
    rising: bool = False

    @property
    def first(self) -> str:
        """The direction of the first sorting."""
        return "ascending" if self.rising or self.kind == "text" else "descending"


LEVELS = tuple(
    Column(
        level,
        f"share of images right under the worst attack of an attacker who {text}",
        css="num lift" if level == "oblivious" else "num",
    )
    for level, text in wording.KNOWLEDGE.items()
)
TIES = "“1–3”: the data do not separate this row from the others that share these ranks"
_BOARD = (
    Column("Rank", TIES, css="rank", rising=True),
    Column("Defense", kind="text", css="name"),
    Column(
        "Robust accuracy",
        "worst case over every attack, image by image, with its 95 % interval; “over undefended”: less that of the "
        "same network without a defense, on the same images",
        css="worst",
    ),
    Column("Clean", "share of images right without attack"),
    *LEVELS,
)
_COSTS = {
    "latency_ratio": ("latency ×", "times the undefended model, median of interleaved blocks; below: 95 % interval"),
    "device_ms": ("ms", "median of one image on the device; below: + on the server"),
    "uplink_bytes": ("uplink", "mean bytes an image, default format; below: 95th percentile where it differs"),
    "model_bytes": ("model", "bytes of the networks"),
    "macs": ("MACs", "multiply-accumulates an image"),
    "energy_mj": ("energy mJ", "per image; estimates are not compared"),
}
DETECTORS = (
    Column("Defense", kind="text", css=""),
    Column("Attack", "of its ways to a gradient and its starts, the one that leaves the fewest right", "text", ""),
    Column("Attacker", kind="text", css=""),
    Column("Detected: of attacked", "share of the attacked images that the detector flags, at its own threshold"),
    Column(
        "of wrong",
        "share flagged of the attacked images that are answered wrongly in the end, or refused: of what the attacker "
        "achieved, how much the detector saw",
    ),
    Column(
        "of fooling",
        "share flagged of what an oblivious attacker turned on the undefended network: the detection rate of papers, "
        "no measure of robustness",
    ),
    Column("AUROC", "chance that an attacked image has a higher score than a clean one"),
    Column("At 5 % FPR", "share of attacked images flagged if the threshold stood where 5 % of these clean images are"),
    Column("At 1 % FPR", "the same at 1 %"),
    Column("Right", "share of all images whose final answer is right under this attack"),
)
FIGURES = (
    Column("Defense", kind="text", css=""),
    Column("Quantity", kind="text", css=""),
    Column("Placement", "of the stages that are meant: those on the device, on the server, or all", "text", ""),
    Column("Value", "sorted within each quantity, never bytes against milliseconds"),
    Column("Interval", "95 %", "text", "num"),
    Column("n", "samples behind the figure"),
    Column("How", "measured, counted or estimated", "text", ""),
    Column("Run time or format", "what ran the stage, or the wire format", "text", ""),
    Column("Flags", "what makes a figure less sure", "text", ""),
)


def board(present: Sequence[str]) -> list[Column]:
    """Return the leaderboard's columns.

    Parameters
    ----------
    present : the columns of cost that have a figure
    """
    lifted = [
        Column(*_COSTS[name], css="num" if number else "num lift", rising=True) for number, name in enumerate(present)
    ]
    return [*_BOARD, *lifted]


def costs(has: Mapping[str, bool]) -> list[str]:
    """Return the names of the columns of cost that have a figure, in their order."""
    return [name for name in _COSTS if has[name] or (name == "device_ms" and has["server_ms"])]


def measured(rows: Sequence[Mapping[str, Any]], processor: str) -> str:
    """Return under what conditions the cost of rows of the leaderboard was taken.

    Parameters
    ----------
    processor : what it was measured on, "" where that is not known
    """
    energy = dict.fromkeys(row["energy_provenance"] for row in rows if row["energy_provenance"])
    told = [f"measured on {processor or 'a processor that the records do not name'}", "both placements"]
    told += ["without transmission time", *([f"energy: {wording.listed(list(energy))}"] if energy else [])]
    return "; ".join(told)
