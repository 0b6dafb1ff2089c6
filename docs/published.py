"""Write the tables of the published comparisons into the pages that show them: ``python docs/published.py``.

A page marks the place; the figures are those of the report's own frames, so the two cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.detectors import without_variant, worst_variants
from bench.plugins.registry import discover
from bench.reporting import wording
from bench.reporting.charts import LEVELS

TOP = Path(__file__).parent.parent
PAGES = (
    TOP / "README.md",
    TOP / "docs" / "decisions" / "0015-what-the-published-comparisons-say.md",
    TOP / "docs" / "reference" / "budgets.md",
)
PLACE = re.compile(r"(<!-- (\w+) of reports/(\w+), by docs/published\.py -->\n).*?(<!-- End -->)", re.S)
_DASH = wording.NOTHING


def leaderboard(report: str) -> str:
    """Return the rows under a report's headline threat, as a table."""
    frame = pd.read_csv(TOP / "reports" / report / "leaderboard.csv")
    rows = [row for row in wording.rows_of(frame) if row["headline"] and row["pool"] == "test"]
    most = max(int(row["samples"]) for row in rows)
    rows = [{**row, "most_samples": most} for row in rows]
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "rank": lambda row: _DASH if wording.is_missing(row["rank"]) else str(row["rank"]),
        "defense": lambda row: f"`{row['defense']}`",
        "clean": lambda row: wording.percent(row["clean_accuracy"]),
        "oblivious": _oblivious,
        "white-box": lambda row: wording.level(row, "white_box"),
        "adaptive": lambda row: wording.level(row, "adaptive"),
        "**worst case** (95 %)": _worst_case,
        "latency ×": lambda row: wording.ratio(row["latency_ratio"]) + wording.unquiet(row.get("latency_ratio_flags")),
        "MACs": lambda row: wording.amount(row["macs"]),
        "uplink": lambda row: wording.size(row["uplink_bytes"]),
    }
    first = rows[0]
    lines = [
        f"`reports/{report}`: {first['dataset']}, `{first['model']}`, {wording.ball(first)}, "
        f"{wording.count(most, 'image')}",
        "",
        f"| {' | '.join(columns)} |",
        f"| {' | '.join('---' for _ in columns)} |",
        *(f"| {' | '.join(cell(row) for cell in columns.values())} |" for row in rows),
    ]
    barred = [f"`{row['defense']}` ({row['status']})" for row in rows if row["status"] != "ranked"]
    png = next((row["png_bytes"] for row in rows if not wording.is_missing(row["png_bytes"])), None)
    beside = (
        [] if png is None else [f"An image as PNG, without loss and without a defense, takes {wording.size(png)}.", ""]
    )
    doubtful = any(wording.unquiet(row.get("latency_ratio_flags")) for row in rows)
    beside = [*([wording.DOUBTFUL, ""] if doubtful else []), *beside]
    return "\n".join([*lines, "", *beside, *([f"Without a rank: {', '.join(barred)}.", ""] if barred else [])])


def _oblivious(row: Mapping[str, Any]) -> str:
    if wording.is_missing(row["oblivious"]):
        return _DASH
    return wording.level(row, "oblivious") + ("†" if row["oblivious_is_transfer"] else "")


def _worst_case(row: Mapping[str, Any]) -> str:
    ends = wording.interval(row["robust_low"], row["robust_high"])
    seeds = f", {int(row['seeds'])} training seeds ± {100 * row['seed_spread']:.1f}" if row["seeds"] > 1 else ""
    images = f"; {int(row['samples'])} images" if row["samples"] < row["most_samples"] else ""
    return f"**{wording.percent(row['robust_accuracy'])}** ({ends}{seeds}{images})"


def detection(report: str) -> str:
    """Return what a detector found under each attack, and what was answered, by what the attacker knows."""
    frame = pd.read_csv(TOP / "reports" / report / "detection.csv", keep_default_na=False, na_values=[""])
    frame = frame[~frame["dataset"].str.contains("(development)", regex=False)]
    rows = {
        (row["defense"], row["asked"], row["norm"], row["epsilon"], row["knowledge"]): row
        for row in worst_variants(wording.rows_of(frame))
    }
    names = list(dict.fromkeys(frame["defense"]))
    known = [level for level in LEVELS[1:] if level in set(frame["knowledge"])]
    first = next(iter(rows.values()))
    clean = wording.count(int(first["clean_images"]), "clean image")
    alarms = {row["defense"]: _share(row, "false_positives") for row in rows.values()}
    told = ", ".join(f"`{name}` {share}" for name, share in alarms.items())
    lines = [
        f"`reports/{report}`: {first['dataset']}, `{first['model']}`, "
        f"{wording.count(int(frame['images'].max()), 'image')}. Of {clean}, detected: {told}. By what the "
        "attacker knows: attacked images detected, with 95 % intervals (where oblivious, of those that fool the "
        "classifier) · **right in the end**, of all images. Of several ways to a gradient, and of several starts, the "
        "worst",
        "",
        f"| attack | defense | {' | '.join(known)} |",
        f"| {' | '.join('---' for _ in ('', '', *known))} |",
    ]
    for attack, norm, epsilon in dict.fromkeys((attack, norm, eps) for _, attack, norm, eps, _ in rows):
        for name in names:
            found = [rows.get((name, attack, norm, epsilon, level)) for level in known]
            if any(found):
                ball = wording.ball({"norm": norm, "epsilon": epsilon}) if norm else ""
                lines.append(f"| `{attack}` {ball} | `{name}` | {' | '.join(map(_detected, found))} |")
    return "\n".join([*lines, ""])


def _share(row: Mapping[str, Any], name: str) -> str:
    return f"{wording.percent(row[name])} ({wording.interval(row[f'{name}_low'], row[f'{name}_high'])})"


def _detected(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return _DASH
    counts = row["control"] or wording.is_missing(row["fooling_detected"])  # of a control hardly any image fools
    part, images = ("detected", "images") if counts else ("fooling_detected", "fooling_images")
    ends = wording.interval(row["accuracy_low"], row["accuracy_high"])
    right = f"**{wording.percent(row['accuracy'])}** ({ends})"
    if not row[images]:
        return f"none was moved · {right}"
    ends = wording.interval(row[f"{part}_low"], row[f"{part}_high"])
    return f"{wording.percent(row[part])} of {int(row[images]):,} ({ends}) · {right}"


def budgets(report: str) -> str:
    """Return what each attack was given, beside its entry's defaults, and what it spent."""
    frame = pd.read_csv(TOP / "reports" / report / "cells.csv", keep_default_na=False, na_values=[""])
    frame = frame[(frame["kind"] == "attack") & (frame["status"] == "ok") & ~frame["control"] & frame["probe"].isna()]
    frame = frame[~frame["dataset"].str.contains("(development)", regex=False)]
    frame["asked"] = frame["attack"].map(without_variant).str.replace(r" made on .*$", "", regex=True)
    known = discover().of("attack")
    lines = [
        f"`reports/{report}`",
        "",
        "| attack | rung | here | its entry's default | images | forward passes an image | gradients an image |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for asked, cells in frame.groupby("asked", sort=True):
        name, _, rest = str(asked).partition("[")
        given = dict(part.split("=", 1) for part in rest.rstrip("]").split(",") if part)
        declared = {p.name: p.default for p in known[name].entry.parameters} if name in known else {}
        rung = _DASH if cells["core"].isna().all() else f"`{cells['core'].dropna().iloc[0]}`"
        images = sorted({int(count) for count in cells["samples"]})
        lines.append(
            f"| `{name}` | {rung} | {_settings(given or declared)} "
            f"| {_settings({n: declared.get(n) for n in given}) if given else 'the same'} "
            f"| {', '.join(f'{count:,}' for count in images)} | {_range(cells['forward_per_image'])} "
            f"| {_range(cells['gradient_per_image'])} |"
        )
    return "\n".join([*lines, ""])


def _settings(values: Mapping[str, Any]) -> str:
    told = (f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())
    return ", ".join(told).lower() or "nothing to set"


def _range(values: pd.Series) -> str:
    """Return the least and the most over defenses, ways and kinds of knowledge."""
    low, high = (f"{value:,.0f}" for value in (values.min(), values.max()))
    return low if low == high else f"{low}–{high}"


TABLES = {"Leaderboard": leaderboard, "Detection": detection, "Budgets": budgets}


def written(text: str) -> str:
    """Return a page with its tables made anew."""
    return PLACE.sub(lambda found: f"{found[1]}{TABLES[found[2]](found[3])}{found[4]}", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
