"""The leaderboard as a table on the terminal, also when piped into a file."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.analysis import leaderboard, reproduction
from bench.analysis.records import Record
from bench.reporting import claims, wording

PIPED_WIDTH = 120  # nobody wants lines broken at 80 in a file
_WIDE = 114  # what all columns need


def screen() -> Console:
    """Return the terminal, or what stands for it where output is piped."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, PIPED_WIDTH))


def show(records: list[Record], console: Console | None = None) -> None:
    """Print one table a setting, the headline first; narrow terminals get fewer columns, never cut numbers."""
    console = console or screen()
    board = leaderboard(records)
    if not len(board):
        console.print("Nothing was evaluated.")
        return
    for _, group in board.groupby("setting", sort=False):
        rows = wording.rows_of(group)
        console.print(_table(rows, console.width))
        for row in rows:
            if not wording.is_missing(row["certified"]):
                text = (
                    Text("  ").append(wording.plain(row["defense"]), style="bold").append(f"  {wording.bracket(row)}")
                )
                console.print(text, highlight=False)
        told: dict[str, list[str]] = {}
        for row in rows:
            if row["reasons"]:
                told.setdefault(f"{row['status']}: {row['reasons']}", []).append(row["defense"])
        for reason, names in told.items():
            text = Text("  ").append(wording.plain(", ".join(names)), style="bold").append(f"  {wording.plain(reason)}")
            console.print(text, highlight=False)
        console.print()
    claimed = [row for row in wording.rows_of(reproduction(records)) if row["claim"]]
    if claimed and console.width >= _WIDE:
        console.print(_claims(claimed))


def _claims(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        title=Text("Claims on record, beside our figures", style="bold"),
        caption="What differs between there and here, and intervals, stand in claims.md.",
        title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1),
    )  # fmt: skip
    for title in ("Data set", "Defense", "Claim", "Ours", "Adaptive"):
        table.add_column(title, overflow="fold", justify="right" if title in ("Ours", "Adaptive") else "left")
    for row in rows:
        ours = (claims.short(row, name) for name in ("reproduced", "adaptive"))
        told = (row["dataset"], row["defense"], claims.claim(row | {"conditions": ""}), *ours)
        table.add_row(*(Text(wording.plain(text)) for text in told))
    return table


def _table(rows: list[dict[str, Any]], width: int) -> Table:
    first = rows[0]
    title = Text(wording.plain(wording.setting_title(first)), style="bold")
    images = max(row["samples"] for row in rows)
    told = [f"{images:,} images, budget {wording.plain(first['budget'])}; 95 % intervals.", wording.resolution(rows)]
    title.append("\n" + " ".join(filter(None, told)), style="not bold dim")
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True
    )
    table.add_column("Rank", justify="right", no_wrap=True)
    longest = max(len(row["defense"]) for row in rows)
    table.add_column("Defense", overflow="fold", min_width=min(longest, 30, max(14, width - 68)))
    table.add_column("Robust %", justify="right", no_wrap=True)
    wide = width >= _WIDE
    if wide:
        table.add_column("Interval", justify="right", no_wrap=True)
    table.add_column("Clean %", justify="right", no_wrap=True)
    levels = {"oblivious": "Obliv.", "black_box": "Black", "white_box": "White", "adaptive": "Adapt."}
    for title_of_level in levels.values():
        table.add_column(title_of_level, justify="right", no_wrap=True)
    table.add_column("Latency", justify="right", no_wrap=True)
    if wide:
        table.add_column("Uplink", justify="right", no_wrap=True)
    for row in rows:
        ranked = row["status"] == "ranked"
        cells = [row["rank"] or wording.NOTHING, Text(wording.plain(row["defense"])), _share(row["robust_accuracy"])]
        if wide:
            cells.append(wording.interval(row["robust_low"], row["robust_high"]))
        cells.append(_share(row["clean_accuracy"]))
        for level in levels:
            transfer = level == "oblivious" and row["oblivious_is_transfer"] and not wording.is_missing(row[level])
            fewer = 0 < row[f"{level}_samples"] < images
            cells.append(_share(row[level]) + ("†" if transfer else "") + ("*" if fewer else ""))
        latency = wording.ratio(row["latency_ratio"])
        doubt = wording.unquiet(row["latency_ratio_flags"])
        cells.append(latency if latency == wording.NOTHING else f"{latency}×{doubt}")
        if wide:
            cells.append(wording.size(row["uplink_bytes"]))
        table.add_row(*cells, style="" if ranked else "dim")
    notes = []
    if any(row["oblivious_is_transfer"] for row in rows):
        notes.append("† transfer: the defense trains its own network, the attacker has the undefended one")
    if any(0 < row[f"{level}_samples"] < images for row in rows for level in levels):
        notes.append("* on fewer images")
    if doubtful := wording.note_of_unquiet(rows, "latency_ratio_flags"):
        notes.append(doubtful.removesuffix("."))
    table.caption, table.caption_justify = "\n".join(notes) or None, "left"
    return table


def _share(value: float) -> str:
    return wording.NOTHING if wording.is_missing(value) else f"{100 * value:.1f}"
