"""Two comparisons side by side on the terminal: what moved first, what did not in a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.analysis.statistics import detectable_difference
from bench.reporting import wording
from bench.reporting.terminal import screen

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.bounds import Judgement

Line = Mapping[str, Any]

FIGURES: Final = {
    "robust_accuracy": "robust",
    "clean_accuracy": "clean",
    "black_box": "black-box",
    "white_box": "white-box",
    "latency_ratio": "latency",
    "device_ms": "device ms",
    "server_ms": "server ms",
    "uplink_bytes": "uplink",
    "model_bytes": "model",
    "macs": "MACs",
    "energy_mj": "energy mJ",
}
_TABLED: Final = ("lower", "higher", "noise")
_STYLES: Final = {"lower": "bold", "higher": "bold", "noise": "dim"}


def show(frame: pd.DataFrame, console: Console | None = None) -> None:
    """Print one table a setting; narrow terminals get fewer columns, never cut numbers."""
    console = console or screen()
    if frame.empty:
        console.print("Neither side has a figure to compare.")
        return
    for _, group in frame.groupby("setting", sort=False):
        lines = wording.rows_of(group)
        tabled = [line for line in lines if line["verdict"] in _TABLED]
        title = _title(lines)
        if tabled:
            console.print(_table(tabled, title, console.width))
        else:
            console.print(title)
        for text in [*_causes(tabled), *_changes(lines), *_rest(lines)]:
            console.print(text, highlight=False)
        console.print()


def _title(lines: Sequence[Line]) -> Text:
    first = lines[0]
    what = wording.threat(first) if first["norm"] else "clean images and costs"
    title = Text(wording.plain(f"{first['dataset']} · {first['model']} · {what}"), style="bold")
    images = sorted({line["images"] for line in lines if line["images"]})
    told = [f"{'–'.join(f'{n:,}' for n in {images[0]: 0, images[-1]: 0})} images of both"] if images else []
    told += [f"budget {first['budget']}"] if first["budget"] else []
    told += ["95 % intervals of the change from A to B"]
    if images:
        least = f"{100 * detectable_difference(images[-1]):.1f} points"
        told += [f"true changes of accuracies below about {least} may go undetected"]
    return title.append("\n" + wording.plain(", ".join(told)), style="not bold dim")


def _table(lines: Sequence[Line], title: Text, width: int) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True
    )
    longest = max(len(line["defense"]) for line in lines)
    table.add_column("Defense", overflow="fold", min_width=min(longest, 30, max(10, width - 74)))
    table.add_column("Figure", no_wrap=True)
    for name in ("A", "B", "Change", "Interval"):
        table.add_column(name, justify="right", no_wrap=True)
    wide = width >= 100
    if wide:
        table.add_column("p", justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    for line in lines:
        cells = [Text(wording.plain(line["defense"])), FIGURES.get(line["figure"], line["figure"])]
        cells += [_value(line["before"], line["unit"]), _value(line["after"], line["unit"])]
        cells += [change(line["difference"], line["unit"]), _interval(line)]
        cells += [chance(line["p"]) if _interval(line) else ""] if wide else []
        table.add_row(*cells, line["verdict"], style=_STYLES[line["verdict"]])
    return table


def _causes(lines: Sequence[Line]) -> list[Text]:
    """Return which attack is behind what moved."""
    found = []
    for line in lines:
        if line["attack"]:
            which = f"{line['attack']} ({line['knowledge']})" if line["knowledge"] else line["attack"]
            side = "B" if line["verdict"] == "lower" else "A"
            lost = wording.count(line["changed_images"], "image")
            text = (
                f"{FIGURES.get(line['figure'], line['figure'])} {line['verdict']}: in {side}, {which} is worst on "
                f"{line['attack_images']:,} of the {lost} that only {side} loses"
            )
            found.append(_named([line["defense"]], text))
    return found


def _changes(lines: Sequence[Line]) -> list[Text]:
    """Return what else is not the same on both sides, of what moved or may have."""
    told: dict[str, list[str]] = {}
    for line in lines:
        if line["changed"] and line["verdict"] in _TABLED:
            names = told.setdefault(str(line["changed"]), [])
            names += [line["defense"]] if line["defense"] not in names else []
    return [_named(names, what) for what, names in told.items()]


def _rest(lines: Sequence[Line]) -> list[Text]:
    """Return one line for what is the same, and one for each reason why something cannot be compared."""
    told: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line["verdict"] not in _TABLED:
            why = f"{line['verdict']}: {line['reason']}" if line["reason"] else str(line["verdict"])
            told.setdefault((why, str(line["figure"])), []).append(line["defense"])
    together: dict[tuple[str, str], list[str]] = {}
    for (why, figure), defenses in told.items():
        together.setdefault((why, ", ".join(defenses)), []).append(FIGURES.get(figure, figure))
    return [_named([names], f"{', '.join(figures)}  {why}") for (why, names), figures in together.items()]


def _named(names: Sequence[str], text: str) -> Text:
    return Text("  ").append(wording.plain(", ".join(names)), style="bold").append(f"  {wording.plain(text)}")


def change(value: float, unit: str) -> str:
    """Return a difference with its sign: shares in points, costs in their unit."""
    if math.isnan(value):
        return wording.NOTHING
    sign = "+" if value > 0 else "-" if value < 0 else ""
    return f"{100 * value:+.1f}" if unit == "share" else sign + _value(abs(value), unit)


def chance(p: float) -> str:
    """Return a p value."""
    return wording.NOTHING if math.isnan(p) else "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def _value(value: float, unit: str) -> str:
    match unit:
        case "share":
            return wording.NOTHING if math.isnan(value) else f"{100 * value:.1f} %"
        case "bytes":
            return wording.size(value)
        case "MAC":
            return wording.amount(value)
        case "times":
            return wording.NOTHING if math.isnan(value) else f"{wording.figure(value)}×"
        case _:
            return wording.figure(value)


def _interval(line: Line) -> str:
    if math.isnan(line["low"]) or line["low"] == line["high"]:
        return ""  # what was counted has none
    return f"{change(line['low'], line['unit'])} to {change(line['high'], line['unit'])}"


def broken(judgement: Judgement) -> list[str]:
    """Return a sentence for each line on which a bound is broken."""
    found = []
    for line in judgement.broken:
        place = wording.setting_title(line) if line["norm"] else f"{line['dataset']} · {line['model']}"
        unit = " points" if line["unit"] == "share" else ""
        between = f", {_interval(line)}, p {chance(line['p'])}" if _interval(line) else ""
        on = f" on {wording.count(line['images'], 'image')}" if line["images"] else ""
        text = f"{line['defense']} ({place}): {change(line['difference'], line['unit'])}{unit}{between}{on}"
        found.append(wording.plain(f"broken: {judgement.bound.text}: {text}"))
    return found


def held(judgement: Judgement) -> list[str]:
    """Return a sentence where a bound was asked of something and is not broken."""
    if judgement.broken or not judgement.judged:
        return []
    return [wording.plain(f"held: {judgement.bound.text}: {wording.count(judgement.judged, 'figure')} compared")]


def unjudged(judgement: Judgement) -> list[str]:
    """Return a sentence for each line that a bound is about and that could not be compared."""
    return [
        wording.plain(
            f"not judged: {judgement.bound.text}: {line['defense']}: "
            + (f"attacks are missing in B: {line['missing']}" if line["missing"] else line["verdict"])
            + (f": {line['reason']}" if line["reason"] else "")
        )
        for line in judgement.unjudged
    ]
