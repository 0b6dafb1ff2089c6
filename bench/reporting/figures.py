"""The page's figures: a chart, its legend and its caption. Legends are HTML, so that they wrap on a phone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from bench.reporting import charts, labels, wording

Row = dict[str, Any]

LOW = 0.02  # robust accuracy under which a defense is named with the others that keep nothing
COSTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "latency_ratio": ("latency, times the undefended model", lambda value: f"{wording.ratio(value)}×"),
    "uplink_bytes": ("uplink, bytes an image", wording.size),
}
_STRIDE = 12  # points of a minimum-norm curve from mark to mark
_SHAPES = dict(zip(charts.LEVELS, zip(charts.LEVEL_PATHS, charts.LEVEL_COLOURS, strict=True), strict=True))


def _figure(svg: Markup, caption: str, key: Markup | str = "") -> Markup:
    return Markup("<figure>{}{}<figcaption>{}</figcaption></figure>").format(key, svg, caption)


def _key(items: Sequence[tuple[str, str, str]]) -> Markup:
    """Return a legend of (name, path in a box of -1 to 1, colour)."""
    line = Markup('<li><svg viewBox="-1.1 -1.1 2.2 2.2" aria-hidden="true"><path d="{}" fill="{}"/></svg>{}</li>')
    return Markup('<ul class="key">{}</ul>').format(
        Markup("").join(line.format(path, colour, name) for name, path, colour in items)
    )


def _line_key(items: Sequence[tuple[str, Sequence[int], str]]) -> Markup:
    """Return a legend of (name, dashes, colour)."""
    line = Markup(
        '<li><svg class="line" viewBox="0 0 30 8" aria-hidden="true"><path d="M0,4H30" fill="none" stroke="{}" '
        'stroke-width="2" stroke-dasharray="{}"/></svg>{}</li>'
    )
    return Markup('<ul class="key">{}</ul>').format(
        Markup("").join(line.format(colour, " ".join(map(str, dashes)), name) for name, dashes, colour in items)
    )


def _series_key(names: Sequence[str]) -> Markup:
    """Return a legend of lines with their marks, in the order of ``charts.look``."""
    line = Markup(
        '<li><svg class="line" viewBox="0 0 36 10" aria-hidden="true"><path d="M0,5H36" fill="none" stroke="{0}" '
        'stroke-width="2" stroke-dasharray="{1}"/><path d="{2}" fill="{0}" transform="translate(18 5) scale(4.6)"/>'
        "</svg>{3}</li>"
    )
    looks = [charts.look(number) for number in range(len(names))]
    return Markup('<ul class="key">{}</ul>').format(
        Markup("").join(
            line.format(colour, " ".join(map(str, dashes)), path, name)
            for name, (colour, dashes, path) in zip(names, looks, strict=True)
        )
    )


def knowledge(painter: charts.Painter, group: Sequence[Row]) -> Markup:
    """Return the figure of accuracy by what the attacker knows, of one setting."""
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
        "The line runs from the weakest attacker's figure to the adaptive one: where it is long, the defense depends "
        "on attackers who do not adapt.",
        _key([(level, *_SHAPES[level]) for level in charts.LEVELS]),
    )


def trade(painter: charts.Painter, group: Sequence[Row], cost: str) -> Markup:
    """Return the figure of robust accuracy against one cost, empty where fewer than two rows have it.

    Parameters
    ----------
    cost : of ``COSTS``
    """
    title, told = COSTS[cost]
    rows = [
        {
            "defense": row["defense"], "cost": row[cost], "accuracy": row["robust_accuracy"], "low": row["robust_low"],
            "high": row["robust_high"], "ranked": row["status"] == "ranked", "front": False, "title": title,
            "told": told(row[cost]), "mark": wording.unquiet(row.get(f"{cost}_flags")),
            "text": f"{row['defense']}: {wording.percent(row['robust_accuracy'])} at {told(row[cost])}",
        }
        for row in sorted(group, key=lambda row: -row["robust_accuracy"] if row["attacks"] else 0.0)
        if not wording.is_missing(row[cost]) and row["attacks"] and not wording.is_missing(row["robust_accuracy"])
    ]  # fmt: skip
    if len(rows) < 2:
        return Markup("")
    for number, row in enumerate(rows, 1):
        row["number"] = str(number) if row["accuracy"] >= LOW else ""
        row["name"] = row["number"] and row["number"] + row["mark"]
        row["front"] = row["ranked"] and not any(_beats(other, row) for other in rows if other["ranked"])
    front = [row["defense"] for row in rows if row["front"]]
    svg = painter.draw(charts.trade, rows, f"Robust accuracy against {title}. On the front: {', '.join(front)}.")
    return _figure(
        Markup('<div class="plotted">{}{}</div>').format(svg, _dots(rows)),
        f"Robust accuracy against {title}: up and to the left is better. The dashed front joins the ranked defenses "
        "that no other beats in both; hollow points are not ranked. Bars are 95 % intervals."
        + (f" {wording.DOUBTFUL}" if any(row["mark"] for row in rows) else ""),
    )


def _dots(rows: Sequence[Row]) -> Markup:
    """Return the key of numbered dots; those without a number share a line."""
    line = Markup("<li><b>{}</b> {} <span>{}, {}</span></li>")
    lines = [
        line.format(row["number"], row["defense"], wording.percent(row["accuracy"]), row["told"] + row["mark"])
        for row in rows
        if row["number"]
    ]
    low = sorted((row for row in rows if not row["number"]), key=lambda row: row["cost"])
    if low:
        names = Markup(", ").join(
            Markup("{} <span>{}{}</span>").format(row["defense"], row["told"], row["mark"]) for row in low
        )
        lines.append(
            Markup("<li>{} below {}: {}</li>").format(wording.count(len(low), "defense"), f"{100 * LOW:g} %", names)
        )
    return Markup('<ul class="dots">{}</ul>').format(Markup("").join(lines))


def _beats(first: Row, second: Row) -> bool:
    """Return whether the first is at least as good in both and better in one."""
    as_good = first["accuracy"] >= second["accuracy"] and first["cost"] <= second["cost"]
    return bool(as_good and (first["accuracy"] > second["accuracy"] or first["cost"] < second["cost"]))


def rocs(painter: charts.Painter, points: Sequence[Row]) -> list[Markup]:
    """Return a figure of ROC curves for each detector of a setting.

    Parameters
    ----------
    points : rows of ``bench.analysis.detectors.roc``
    """
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
        text = Markup(
            "What the detector of <b>{}</b> tells from clean images at any threshold, of images that are answered "
            "wrongly or refused under the attack of each kind of attacker that gets most past it: {}. On the dotted "
            "line the detector does no better than guessing."
        ).format(defense, "; ".join(told))
        lines = [(level, charts.LEVEL_DASHES[level], _SHAPES[level][1]) for level in charts.LEVELS if level in curves]
        figures.append(
            _figure(svg, text, _line_key([*lines, ("guessing", charts.CHANCE_DASHES, charts.CHANCE_COLOUR)]))
        )
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
    rows = sorted((row for row in rows if row["epsilon"] <= farthest), key=_height(rows))
    drawn = [
        {
            **{name: row[name] for name in ("defense", "source", "epsilon", "accuracy", "low", "high")},
            "norm": norm,
            "marked": number % _STRIDE == _STRIDE // 2,
            "text": f"{row['defense']} at {wording.radius(row['epsilon'])}: {wording.percent(row['accuracy'])}",
        }
        for number, row in enumerate(rows)
    ]
    told = "; ".join(row["text"] for row in drawn if row["source"] == "swept")
    svg = painter.draw(charts.sweep, drawn, f"Accuracy against epsilon in {norm}. {told}")
    parts = ["Accuracy against the size of the perturbation. The legend starts with the highest line."]
    if radii:
        parts.append(
            "Full marks: worst case over the attacks that a defense met at each of its radii here, on the images that "
            "they all met, with 95 % intervals; the leaderboard also counts those of its own radius alone."
        )
        parts += _met([row for row in rows if row["source"] == "swept"])
    if fine:
        parts.append(
            "Thin lines with hollow marks: minimum-norm attacks alone, which give every radius from one run; an upper "
            "bound, and only for deterministic defenses."
        )
    return _figure(svg, " ".join(parts), _series_key(list(dict.fromkeys(row["defense"] for row in drawn))))


def _height(rows: Sequence[Row]) -> Callable[[Row], tuple[float, str]]:
    """Return what sorts the rows of curves, stably: the highest line first, by its mean over the radii."""
    points: dict[str, list[float]] = {}
    for row in rows:
        points.setdefault(row["defense"], []).append(row["accuracy"])
    means = {defense: sum(found) / len(found) for defense, found in points.items()}
    return lambda row: (-means[row["defense"]], row["defense"])


def _met(swept: Sequence[Row]) -> list[str]:
    """Return which attacks were run at which radii, those of most defenses first; of one radius the leaderboard tells.

    Parameters
    ----------
    swept : rows of ``bench.analysis.curve``, of each defense together
    """
    met: dict[tuple[str, str], list[str]] = {}
    for defense, own in groupby(swept, key=lambda row: row["defense"]):
        points = list(own)
        radii = wording.listed([wording.radius(row["epsilon"]) for row in points])
        names = dict.fromkeys(labels.family(label) for label in points[0]["attacks"].split("; ") if label)
        if len(points) > 1 and names:
            met.setdefault((wording.listed(sorted(names)), radii), []).append(defense)
    if not met:
        return []
    usual = max(met, key=lambda one: len(met[one]))
    others = [
        f"of {wording.listed(defenses)} {attacks}{'' if radii == usual[1] else f' at {radii}'}"
        for (attacks, radii), defenses in met.items()
        if (attacks, radii) != usual
    ]
    return [f"Attacks: {usual[0]} at {usual[1]}{''.join(f'; {other}' for other in others)}."]
