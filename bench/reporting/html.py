"""The page: one file, nothing loaded from anywhere, readable without scripts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache as memoised
from importlib.resources import files as resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.analysis import curve, measurements
from bench.analysis.detectors import roc, worst_variants
from bench.analysis.records import KNOWLEDGE, Record
from bench.reporting import charts, claims, details, heat, pictures, summary, wording
from bench.reporting.sections import Section

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

_THREAT = ("dataset", "model", "norm", "epsilon", "domain", "budget")
_COSTS = (
    ("latency_ratio", "latency, times the undefended model"),
    ("uplink_bytes", "uplink, bytes an image"),
)


def page(
    records: Sequence[Record],
    board: pd.DataFrame,
    cells: pd.DataFrame,
    detectors: pd.DataFrame,
    ranks: pd.DataFrame,
    judged: pd.DataFrame,
    claimed: pd.DataFrame,
    *,
    command: str = "",
    cache: Path | None = None,
    added: Sequence[Section] = (),
) -> str:
    """Return the whole page.

    Parameters
    ----------
    board, cells, detectors, ranks, judged, claimed : frames of ``bench.analysis``: leaderboard, cells, detection,
        detector ranks, verdicts, reproduction
    cache : folder for drawn charts
    added : sections of plugins, after the suite's own results
    """
    painter = charts.Painter(cache)
    rows: list[Row] = [_clean(row) for row in board.to_dict("records")]
    settings = [list(group) for _, group in groupby(rows, key=lambda row: row["setting"])]
    curves = [_clean(row) for row in curve(records, board=board).to_dict("records")]
    all_cells: list[Row] = [_clean(row) for row in cells.to_dict("records")]
    all_detectors: list[Row] = [_clean(row) for row in detectors.to_dict("records")]
    points: list[Row] = [_clean(row) for row in roc(records).to_dict("records")]
    all_ranks: list[Row] = [_clean(row) for row in ranks.to_dict("records")]
    told: list[Row] = [_clean(row) for row in judged.to_dict("records")]
    evidence = details.by_row(told)
    alone = len({(row["dataset"], row["model"]) for row in rows}) == 1
    sections = []
    curved: set[tuple[str, ...]] = set()
    for number, group in enumerate(settings):
        leading = number == 0 or (any(row["headline"] for row in group) and group[0]["pool"] == "test")
        family = tuple(group[0][name] for name in ("dataset", "model", "norm", "domain", "budget"))
        swept = Markup("")
        if family not in curved:
            curved.add(family)
            swept = sweep(painter, group[0], curves)
        sections.append(
            {
                "number": number,
                "title": wording.setting_title(group[0]),
                "brief": wording.threat(group[0]) if alone else wording.setting_title(group[0]),
                "first": group[0],
                "rows": group,
                "leading": leading,
                "summary": summary.sentences(group),
                "samples": max(row["samples"] for row in group),
                "drawn": [row for row in group if row["randomised"] and row["attacks"]],
                "knowledge": _knowledge(painter, group) if any(row["attacks"] for row in group) else Markup(""),
                "trades": [t for name, title in _COSTS if leading and (t := _trade(painter, group, name, title))],
                "sweep": swept,
                "heat": heat.maps(group, all_cells),
                "detectors": _worst(row for row in all_detectors if all(row[n] == group[0][n] for n in _THREAT)),
                "rocs": _rocs(painter, [row for row in points if all(row[name] == group[0][name] for name in _THREAT)]),
                "detector_ranks": [row for row in all_ranks if all(row[name] == group[0][name] for name in _THREAT)],
                "has": _present(group),
                "evidence": evidence,
            }
        )
    html: str = (
        environment()
        .get_template("index.html.j2")
        .render(
            sections=sections,
            strips=pictures.strips(records),
            claims=[(row["defense"], claims.cells(row)) for row in map(_clean, claimed.to_dict("records"))],
            added=added,
            learned=details.learned(records),
            gaps=details.gaps(all_cells),
            gates=details.gates(records, told),
            figures=[_clean(row) for row in measurements(records).to_dict("records")],
            provenance=details.provenance(records),
            totals=details.totals(all_cells),
            command=command,
            now=datetime.now().astimezone(),
            style=Markup(resource("style.css")),
            script=Markup(resource("script.js")),
            knowledge_levels=KNOWLEDGE,
        )
    )
    return html


@memoised
def environment() -> Environment:
    """Return what fills the templates; everything is escaped."""
    environment = Environment(
        loader=PackageLoader("bench.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"wording": wording, "claim_titles": claims.TITLES, "claim_caption": claims.CAPTION}
    environment.filters |= {
        "percent": wording.percent,
        "figure": wording.figure,
        "size": wording.size,
        "amount": wording.amount,
        "radius": wording.radius,
        "present": lambda value: not wording.is_missing(value),
        "breakable": _breakable,
    }
    environment.filters["sort_value"] = lambda value: "" if wording.is_missing(value) else f"{float(value):.6g}"
    return environment


def _printable(value: Any) -> Any:
    """Return what the page prints for a value: text of strangers without its control characters."""
    return wording.plain(value) if type(value) is str else value


def resource(name: str) -> str:
    """Return the text of a file that lies beside the templates."""
    return (resources("bench.reporting") / "templates" / name).read_text(encoding="utf-8")


def _breakable(label: str) -> Markup:
    """Return a label that may be broken after its brackets and commas."""
    text = Markup.escape(wording.plain(label))
    for sign in ("[", ",", "="):
        text = Markup(str(text).replace(sign, sign + "<wbr>"))  # escaped above; none of the signs is in an entity
    return text


def _clean(row: Mapping[Any, Any]) -> Row:
    """Return a frame's row with plain Python values and printable text."""
    clean: Row = {}
    for name, value in row.items():
        if isinstance(value, str):
            value = wording.plain(value)
        elif value is not None and hasattr(value, "item"):
            value = value.item()
        elif type(value).__name__ == "NAType":
            value = None
        clean[str(name)] = value
    return clean


def _present(group: Sequence[Row]) -> dict[str, bool]:
    """Return which optional columns have anything in them."""
    names = (
        "device_ms",
        "server_ms",
        "uplink_bytes",
        "latency_ratio",
        "model_bytes",
        "macs",
        "energy_mj",
    )
    has = {name: any(not wording.is_missing(row[name]) for row in group) for name in (*names, "seed_spread")}
    has["transfer"] = any(row["oblivious_is_transfer"] and not wording.is_missing(row["oblivious"]) for row in group)
    return has


def _figure(svg: Markup, caption: str, key: Markup | str = "") -> Markup:
    return Markup("<figure>{}{}<figcaption>{}</figcaption></figure>").format(key, svg, caption)


def _key(items: Sequence[tuple[str, str, str]]) -> Markup:
    """Return a legend of (name, path in a box of -1 to 1, colour)."""
    line = Markup('<li><svg viewBox="-1.1 -1.1 2.2 2.2" aria-hidden="true"><path d="{}" fill="{}"/></svg>{}</li>')
    return Markup('<ul class="key">{}</ul>').format(
        Markup("").join(line.format(path, colour, name) for name, path, colour in items)
    )


def _knowledge(painter: charts.Painter, group: Sequence[Row]) -> Markup:
    rows = []
    for order, row in enumerate(group):
        for level in charts.LEVELS:
            value = row["clean_accuracy"] if level == "clean" else row[level.replace("-", "_")]
            if not wording.is_missing(value):
                text = f"{row['defense']}, {level}: {wording.percent(value)}"
                rows.append(
                    {"defense": row["defense"], "level": level, "accuracy": value, "order": order, "text": text}
                )
    told = "; ".join(row["text"] for row in rows if row["level"] in ("oblivious", "adaptive"))
    svg = painter.draw(charts.knowledge, rows, f"Accuracy by what the attacker knows. {told}")
    return _figure(
        svg,
        "What knowing the defense is worth: accuracy without attack, and under the worst attack of each attacker. "
        "A long line means that the defense leans on not being known.",
        _key(list(zip(charts.LEVELS, charts.LEVEL_PATHS, charts.LEVEL_COLOURS, strict=True))),
    )


def _trade(painter: charts.Painter, group: Sequence[Row], cost: str, title: str) -> Markup:
    rows = [
        {
            "defense": row["defense"], "cost": row[cost], "accuracy": row["robust_accuracy"], "low": row["robust_low"],
            "high": row["robust_high"], "ranked": row["status"] == "ranked", "front": False, "title": title,
            "text": f"{row['defense']}: {wording.percent(row['robust_accuracy'])} at {wording.figure(row[cost])}",
        }
        for row in group
        if not wording.is_missing(row[cost]) and row["attacks"] and not wording.is_missing(row["robust_accuracy"])
    ]  # fmt: skip
    if len(rows) < 2:
        return Markup("")
    for row in rows:
        row["front"] = row["ranked"] and not any(_beats(other, row) for other in rows if other["ranked"])
    front = [row["defense"] for row in rows if row["front"]]
    svg = painter.draw(charts.trade, rows, f"Robust accuracy against {title}. On the front: {', '.join(front)}.")
    return _figure(
        svg,
        f"Robust accuracy against {title}: up and to the left is better. The dashed front joins the ranked defenses "
        "that no other beats in both; hollow points are not ranked. Bars are 95 % intervals.",
    )


def _beats(first: Row, second: Row) -> bool:
    """Return whether the first is at least as good in both and better in one."""
    as_good = first["accuracy"] >= second["accuracy"] and first["cost"] <= second["cost"]
    return bool(as_good and (first["accuracy"] > second["accuracy"] or first["cost"] < second["cost"]))


def _worst(detectors: Iterable[Row]) -> list[Row]:
    """Return the lines of detectors, of the variants of one attack the worst, named without what it was given.

    Where two settings of one attack would be called the same, what they were given stays.
    """
    found = worst_variants(detectors)
    short = Counter((row["defense"], row["knowledge"], wording.without_parameters(row["asked"])) for row in found)
    for row in found:
        name = wording.without_parameters(row["asked"])
        row["asked"] = name if short[row["defense"], row["knowledge"], name] == 1 else row["asked"]
    return sorted(found, key=lambda row: (row["defense"], row["control"], row["accuracy"]))


def _rocs(painter: charts.Painter, points: Sequence[Row]) -> list[Markup]:
    """Return a figure for each detector of a setting."""
    figures = []
    for defense, own in groupby(points, key=lambda row: row["defense"]):
        rows = [row | {"order": order} for order, row in enumerate(own)]
        curves = {row["knowledge"]: row for row in rows}
        told = [
            f"{level}: {row['attack']}, area {wording.figure(row['auroc'])} on {wording.count(row['images'], 'image')}"
            for level, row in curves.items()
        ]
        drawn = [
            {name: row[name] for name in ("false_positives", "detected", "knowledge", "order")}
            | {"text": f"{row['knowledge']}: {row['attack']}"}
            for row in rows
        ]
        svg = painter.draw(charts.roc, drawn, f"ROC curves of {defense}. {'; '.join(told)}")
        shapes = zip(charts.LEVELS, charts.LEVEL_PATHS, charts.LEVEL_COLOURS, strict=True)
        text = Markup(
            "What the detector of <b>{}</b> tells from clean images at any threshold, against the attack of each kind "
            "of attacker that gets most past it: {}. Down to the dotted line it guesses."
        ).format(defense, "; ".join(told))
        figures.append(_figure(svg, text, _key([shape for shape in shapes if shape[0] in curves])))
    return figures


def sweep(painter: charts.Painter, first: Row, curves: Sequence[Row]) -> Markup:
    """Return the figure of accuracy against epsilon, empty where there is only one radius.

    Parameters
    ----------
    first : a row of the leaderboard, whose data set, network, norm, domain and budget are drawn
    curves : rows of ``bench.analysis.curve``
    """
    names = ("dataset", "model", "norm", "domain", "budget")
    rows = [row for row in curves if all(row[name] == first[name] for name in names)]
    radii = {row["epsilon"] for row in rows if row["source"] == "swept"}
    fine = any(row["source"] == "minimum-norm" for row in rows)
    if not first["norm"] or (len(radii) < 2 and not fine):
        return Markup("")
    norm = wording.NORMS.get(first["norm"], first["norm"])
    farthest = 2 * max(radii) if radii else math.inf
    drawn = [
        {
            **{name: row[name] for name in ("defense", "source", "epsilon", "accuracy", "low", "high")},
            "norm": norm,
            "text": f"{row['defense']} at {wording.radius(row['epsilon'])}: {wording.percent(row['accuracy'])}",
        }
        for row in rows
        if row["epsilon"] <= farthest
    ]
    told = "; ".join(row["text"] for row in drawn if row["source"] == "swept")
    svg = painter.draw(charts.sweep, drawn, f"Accuracy against epsilon in {norm}. {told}")
    parts = ["Accuracy against the size of the perturbation."]
    if radii:
        parts.append("Dots: worst case over all attacks at a radius that was run, with 95 % intervals.")
    if fine:
        parts.append(
            "Dashed: minimum-norm attacks alone, which give every radius from one run; an upper bound, and only for "
            "deterministic defenses."
        )
    names_drawn = list(dict.fromkeys(row["defense"] for row in drawn))
    disc = charts.LEVEL_PATHS[1]
    return _figure(
        svg, " ".join(parts), _key([(name, disc, charts.series(number)) for number, name in enumerate(names_drawn)])
    )
