"""The verdict page of an audit: Markdown, HTML, terminal, JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bench.analysis.audit import Audit
from bench.analysis.generations import merge
from bench.analysis.records import Record
from bench.reporting import charts, details, figures, html, wording
from bench.reporting.audit import FAMILY, Part, Table, parts
from bench.reporting.files import escaped, json_line, markdown_table, prepare, write_whole
from bench.reporting.terminal import screen

WORDS: Final = (
    ("broken", "Adversarial images were found; how many stands beside it, with what is left."),
    ("unbroken", "The ladder is whole, no gate failed, and no attack broke an image. It is no proof."),
    ("certified", "As unbroken, and a sound bound proves every image that was right."),
    ("incomplete", "Part of the ladder is missing: the figures may be too high."),
    ("not ranked: GATE", "A check of the figures failed: they say little about the defense."),
)
_TITLES: Final = {
    "commands": "Command",
    "machines": "Machine",
    "datasets": "Data",
    "networks": "Networks",
    "seeds": "Seeds",
    "plugins": "Plugins from",
}
_STYLES: Final = {"pass": "bold", "warn": "bold yellow", "fail": "bold red"}


def write(
    audit: Audit, records: Sequence[Record], out: Path, *, command: str = "", cache: Path | None = None
) -> dict[str, Path]:
    """Write ``audit.md``, ``audit.html`` and ``records.jsonl``.

    Parameters
    ----------
    command : what was typed, shown on the page
    cache : folder for drawn charts

    Returns
    -------
    dict : file name -> path

    Raises
    ------
    UsageError : the folder cannot be written to; files that were there before stay as they were
    """
    prepare(out)
    records = merge(records)
    told = parts(audit)
    texts = {
        "audit.md": markdown(audit, told, records, command=command),
        "audit.html": page(audit, told, records, command=command, cache=cache),
        "records.jsonl": "".join(json_line(record) for record in records),
    }
    return {name: write_whole(out / name, text) for name, text in texts.items()}


def markdown(audit: Audit, told: Sequence[Part], records: Sequence[Record], *, command: str = "") -> str:
    """Return the page as Markdown."""
    lines = [f"# Audit of {escaped(audit.defense)}\n"]
    for part in told:
        lines += [f"## {escaped(part.title)}\n", f"Verdict: **{escaped(part.verdict)}**\n"]
        lines += [f"{escaped(sentence)}\n" for sentence in part.sentences]
        for table in part.tables:
            lines.append(f"### {escaped(table.title)}\n")
            if table.rows:
                titles = [escaped(title) for title in table.columns]
                lines.append(markdown_table(titles, [[escaped(cell) for cell in row] for row in table.rows]))
            lines += [f"{escaped(note)}\n" for note in table.notes]
    if audit.left_out:
        lines += ["## Attacks that cannot run here\n", *(f"- {escaped(text)}" for text in audit.left_out), ""]
    lines += ["## What the verdicts mean\n", *(f"- *{word}*: {meaning}" for word, meaning in WORDS), ""]
    lines += ["## Provenance\n", *(f"- This page: {escaped(command)}" for _ in range(bool(command)))]
    lines += [f"- {title}: {escaped('; '.join(values))}" for title, values in _provenance(records)]
    return "\n".join(lines) + "\n"


def page(
    audit: Audit, told: Sequence[Part], records: Sequence[Record], *, command: str = "", cache: Path | None = None
) -> str:
    """Return the page as one HTML file that loads nothing."""
    painter = charts.Painter(cache)
    text: str = (
        html.environment()
        .get_template("audit.html.j2")
        .render(
            defense=audit.defense,
            parts=told,
            charted=list(zip(told, _curves(audit, told, painter), strict=True)),
            left_out=audit.left_out,
            words=WORDS,
            provenance=_provenance(records),
            command=command,
            now=datetime.now().astimezone(),
            policy=html.policy(),
            style=Markup(html.resource("style.css")),
        )
    )
    return text


def show(audit: Audit, console: Console | None = None) -> None:
    """Print the audit."""
    console = console or screen()
    told = parts(audit)
    if not told:
        console.print("Nothing was evaluated.")
    for part in told:
        console.print(Text(wording.plain(f"{audit.defense} · {part.title}"), style="bold"))
        console.print(Text("Verdict: ").append(wording.plain(part.verdict), style=_STYLES[part.mark]))
        for sentence in part.sentences:
            console.print(Text(wording.plain(sentence)))
        console.print()
        for table in part.tables:
            _show(table, console)
    for text in audit.left_out:
        console.print(Text(wording.plain(f"cannot run here: {text}")))


def as_json(audit: Audit) -> str:
    """Return the audit for programs; what is not a finite number is null."""
    return json.dumps(_plain(dataclasses.asdict(audit)), indent=1, ensure_ascii=False, allow_nan=False)


def _show(table: Table, console: Console) -> None:
    title = Text(wording.plain(table.title), style="bold")
    if table.rows:
        grid = Grid(
            title=title,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1),
            collapse_padding=True,
        )
        for number, column in enumerate(table.columns):
            right = column.endswith(" ")
            short = right or max(len(row[number]) for row in table.rows) <= 24
            grid.add_column(
                Text(wording.plain(column.rstrip())),
                justify="right" if right else "left",
                no_wrap=short,
                overflow="fold",
            )
        for row in table.rows:
            grid.add_row(*(Text(wording.plain(cell)) for cell in row))
        console.print(grid)
    else:
        console.print(title)
    for note in table.notes:
        console.print(Text(f"  {wording.plain(note)}", style="dim"))
    console.print()


def _curves(audit: Audit, told: Sequence[Part], painter: charts.Painter) -> list[Markup]:
    """Return the figure of each part; a data set, network and norm is drawn once, where it comes first."""
    curves = [{name: wording.plain(v) if isinstance(v, str) else v for name, v in line.items()} for line in audit.curve]
    firsts = [{name: wording.plain(part.setting[name]) for name in FAMILY} for part in told]
    return [
        figures.sweep(painter, first, curves) if part.is_first else Markup("")
        for part, first in zip(told, firsts, strict=True)
    ]


def _provenance(records: Sequence[Record]) -> list[tuple[str, list[str]]]:
    found = details.provenance(records)
    told = [(title, [text for text, _ in found[name]]) for name, title in _TITLES.items() if found[name]]
    if found["versions"]:
        told.append(("Versions", [", ".join(f"{name} {value}" for name, value in found["versions"])]))
    if found["last"]:
        first, last = (wording.moment(found[end]) for end in ("first", "last"))
        told.append(("Computed", [f"{first} to {last}, {wording.duration(found['seconds'])} of work"]))
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is not None and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) else None
