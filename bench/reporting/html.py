"""The page: one file, nothing loaded from anywhere, readable without scripts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache as memoised
from hashlib import sha256
from importlib.resources import files as resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.analysis import curve
from bench.analysis.detectors import roc
from bench.analysis.generations import current
from bench.analysis.ladder import AWARE, CORE
from bench.analysis.records import Record
from bench.plugins.registry import Registry
from bench.reporting import (
    charts,
    claims,
    columns,
    compared,
    costs,
    details,
    detectors,
    figures,
    heat,
    labels,
    pictures,
    summary,
    wording,
)
from bench.reporting.sections import Section

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

_THREAT = ("dataset", "model", "norm", "epsilon", "domain", "budget")


@dataclass(frozen=True)
class _Lines:
    """The rows of the frames that the sections of settings are made of."""

    cells: list[Row]
    detectors: list[Row]
    ranks: list[Row]
    points: list[Row]
    curves: list[Row]
    evidence: Mapping[tuple[int, str], details.Evidence]


def _of(rows: Sequence[Row], first: Row) -> list[Row]:
    """Return the rows of a frame that are of the setting of a row of the leaderboard."""
    return [row for row in rows if all(row[part] == first[part] for part in _THREAT)]


def page(
    records: Sequence[Record],
    board: pd.DataFrame,
    cells: pd.DataFrame,
    detection: pd.DataFrame,
    ranks: pd.DataFrame,
    judged: pd.DataFrame,
    claimed: pd.DataFrame,
    *,
    registry: Registry,
    command: str = "",
    cache: Path | None = None,
    added: Sequence[Section] = (),
) -> str:
    """Return the whole page.

    Parameters
    ----------
    board, cells, detection, ranks, judged, claimed : frames of ``bench.analysis``: leaderboard, cells, detection,
        detector ranks, verdicts, reproduction
    registry : the plugins that are installed, for what they say of what was compared
    cache : folder for drawn charts
    added : sections of plugins, after the suite's own results
    """
    told = _rows(judged)
    lines = _Lines(
        cells=_rows(cells),
        detectors=_rows(detection),
        ranks=_rows(ranks),
        points=_rows(roc(records)),
        curves=_rows(curve(records)),
        evidence=details.by_row(told),
    )
    html: str = (
        environment()
        .get_template("index.html.j2")
        .render(
            sections=_sections(_rows(board), lines, records, charts.Painter(cache)),
            strips=pictures.strips(records),
            claims=[(row["defense"], _named(claims.cells(row))) for row in _rows(claimed)],
            claim_titles=_named(claims.TITLES),
            added=added,
            learned=details.learned(records),
            gaps=details.gaps(lines.cells),
            gates=details.gates(records, told),
            unfinished=details.unfinished(told),
            figures=[_clean(row) for row in costs.shown(records)],
            defenses=compared.defenses(current(records), registry),
            attacks=compared.attacks(current(records), registry),
            provenance=details.provenance(records),
            totals=details.totals(lines.cells),
            ladder=_ladder(),
            policy=policy(resource("script.js")),
            command=command,
            now=datetime.now().astimezone(),
            style=Markup(resource("style.css")),
            script=Markup(resource("script.js")),
        )
    )
    return html


def policy(*scripts: str) -> str:
    """Return a page's Content-Security-Policy: it loads nothing, and runs its own scripts alone."""
    digests = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    own = [f"script-src {' '.join(digests)}"] if digests else []
    parts = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", *own]
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def _ladder() -> str:
    """Return the rungs in words."""
    names = [name.removesuffix("-ce") for name in CORE["linf"]]
    return f"{wording.listed(names)}; where it may refuse, one that is {AWARE}"


def _named(cells: Sequence[str]) -> list[str]:
    """Return the cells of a claim with the defense first: the column that stays in sight."""
    return [cells[1], cells[0], *cells[2:]]


def _sections(rows: Sequence[Row], lines: _Lines, records: Sequence[Record], painter: charts.Painter) -> list[Row]:
    """Return what the page shows of each setting of the leaderboard."""
    alone = len({(row["dataset"], row["model"]) for row in rows}) == 1
    sections = []
    curved: set[tuple[str, ...]] = set()
    for number, (_, members) in enumerate(groupby(rows, key=lambda row: row["setting"])):
        group, elsewhere = heat.attacked(list(members), lines.cells)
        first = group[0]
        family = tuple(first[name] for name in ("dataset", "model", "norm", "domain", "budget"))
        leading = number == 0 or (any(row["headline"] for row in group) and first["pool"] == "test")
        section = {
            "number": number,
            "brief": wording.threat(first) if alone else wording.setting_title(first),
            "leading": leading,
            "elsewhere": elsewhere,
            "knowledge": figures.knowledge(painter, group) if any(row["attacks"] for row in group) else Markup(""),
            "trades": [figure for cost in figures.COSTS if leading and (figure := figures.trade(painter, group, cost))],
            "sweep": Markup("") if family in curved else figures.sweep(painter, first, lines.curves),
            "rocs": figures.rocs(painter, _of(lines.points, first)),
        }
        sections.append(section | _tables(group, lines, records))
        curved.add(family)
    return sections


def _tables(group: Sequence[Row], lines: _Lines, records: Sequence[Record]) -> Row:
    """Return what the tables of one setting show."""
    first, has = group[0], _present(group)
    priced = columns.costs(has)
    detection, maps = _of(lines.detectors, first), heat.maps(group, lines.cells)
    return {
        "title": wording.setting_title(first),
        "first": first,
        "rows": group,
        "summary": summary.sentences(group),
        "samples": max(row["samples"] for row in group),
        "drawn": [row for row in group if row["randomised"] and row["attacks"]],
        "heat": maps,
        "given": heat.given(maps),
        "rungs": labels.rungs(_of(lines.cells, first), max(row["samples"] for row in group)),
        "detectors": detectors.lines(detection, _of(lines.cells, first)),
        "alarms": detectors.alarms(_of(lines.ranks, first), detection),
        "has": has,
        "columns": columns.board(priced),
        "costs": len(priced),
        "measured": columns.measured(group, costs.processors(records, group)) if priced else "",
        "evidence": lines.evidence,
    }


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
    environment.globals |= {"wording": wording, "columns": columns, "claim_caption": claims.CAPTION}
    environment.filters |= {
        "percent": wording.percent,
        "figure": wording.figure,
        "ratio": wording.ratio,
        "size": wording.size,
        "amount": wording.amount,
        "radius": wording.radius,
        "moment": wording.moment,
        "duration": wording.duration,
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


def _rows(frame: pd.DataFrame) -> list[Row]:
    """Return a frame's rows with plain Python values and printable text."""
    return [_clean(row) for row in frame.to_dict("records")]


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
