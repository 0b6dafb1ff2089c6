"""Charts: Altair specifications drawn as SVG, coloured by the page's own variables so that they follow light and dark.

A chart is a pure function of its rows, so what was drawn once is taken from the cache: loading the drawing libraries
alone takes longer than the rest of the page.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

Rows = Sequence[Mapping[str, Any]]
Box = tuple[float, float, float, float]

WIDTH = 400  # of the plotting area, pixels; with axes it fits half of a desk and, scaled, a phone
HEIGHT = 270
_SPREAD = 8  # times the least radius, beyond which a linear axis crowds the small ones
_DOT = 6.5  # the radius of a dot of accuracy against cost, with its rim, pixels
_LETTER = (8.0, 12.0)  # width and height of a digit beside it, about, pixels
_REACH = (13, 20, 28, 36)  # how far from its dot a number may stand, pixels, nearest first
SERIES = tuple(f"var(--s{number})" for number in range(1, 9))
# Marks and dashes tell lines apart without colour: six marks on each of four kinds of line.
SERIES_PATHS = (
    "M-.8,0A.8,.8 0 1 0 .8,0A.8,.8 0 1 0 -.8,0Z",
    "M-.72,-.72H.72V.72H-.72Z",
    "M0,-.95L.9,.7H-.9Z",
    "M0,-1L.85,0L0,1L-.85,0Z",
    "M-.3,-.95H.3V-.3H.95V.3H.3V.95H-.3V.3H-.95V-.3H-.3Z",
    "M0,.95L.9,-.7H-.9Z",
)
SERIES_DASHES: Sequence[Sequence[int]] = ((1, 0), (7, 3), (2, 2), (9, 2, 2, 2))
LEVELS = ("clean", "oblivious", "black-box", "white-box", "adaptive")
LEVEL_COLOURS = ("var(--ink)", *(f"var(--k{number})" for number in range(1, 5)))
LEVEL_DASHES: Mapping[str, Sequence[int]] = {
    "clean": (1, 0), "oblivious": (4, 3), "black-box": (10, 4), "white-box": (10, 3, 2, 3), "adaptive": (1, 0),
}  # fmt: skip
CHANCE_COLOUR, CHANCE_DASHES = "var(--soft)", (1, 3)
LEVEL_SHAPES = ("M-.22,-1H.22V1H-.22Z", "circle", "square", "diamond", "triangle-left")
LEVEL_PATHS = (  # the same shapes in a box of -1 to 1, for the legend, which is HTML so that it wraps on a phone
    "M-.22,-1H.22V1H-.22Z",
    "M-.8,0A.8,.8 0 1 0 .8,0A.8,.8 0 1 0 -.8,0Z",
    "M-.7,-.7H.7V.7H-.7Z",
    "M0,-1L.75,0L0,1L-.75,0Z",
    "M.8,-.85V.85L-.85,0Z",
)


class Painter:
    """Draws charts, or takes them from a folder.

    Parameters
    ----------
    cache : None draws every time
    """

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._salt = ""

    def draw(self, chart: Callable[[Rows], Any], rows: Rows, label: str) -> Markup:
        """Return an SVG element with ``label`` as its text alternative.

        Parameters
        ----------
        chart : one of this module's functions
        """
        text = json.dumps(list(rows), sort_keys=True, allow_nan=False)
        key = blake2b(f"{self._code()}/{chart.__name__}/{text}".encode(), digest_size=16).hexdigest()
        path = self._cache / f"{key}.svg" if self._cache else None
        svg = ""
        if path is not None:
            with suppress(OSError, UnicodeDecodeError):
                svg = path.read_text(encoding="utf-8")
        if not svg.endswith("</svg>"):
            svg = _render(chart(rows))
            if path is not None:
                _keep(path, svg)
        opening = f'<svg role="img" aria-label="{escape(label)}" '
        return Markup(svg.replace("<svg ", opening, 1))  # vl-convert escapes all text

    def _code(self) -> str:
        """Return what changes a drawing beside its rows: this file and the libraries."""
        if not self._salt:
            source = blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()
            self._salt = f"{source}/{version('altair')}/{version('vl-convert-python')}"
        return self._salt


def _keep(path: Path, svg: str) -> None:
    """Write to the cache; a cache that cannot be written to only costs time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(svg)
        Path(temporary).replace(path)


def _render(chart: Any) -> str:
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(chart.to_dict(validate=False))
    # Marks are titled where the chart describes them: a tooltip without a script. The picture as a whole has one
    # text alternative, so the parts' roles are dropped.
    svg = re.sub(r'<(path|text)((?: [^<>]*?)?) aria-label="([^"]*)"([^<>]*?)/>', r"<\1\2\4><title>\3</title></\1>", svg)
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    return re.sub(r'<rect width="\d+" height="\d+" fill="transparent"/>', "", svg, count=1)


def _themed(chart: Any) -> Any:
    ink, soft, grid = "var(--ink)", "var(--soft)", "var(--rule)"
    font = "system-ui, sans-serif"
    axis = {
        "labelColor": soft, "titleColor": ink, "gridColor": grid, "domainColor": grid, "tickColor": grid,
        "labelFont": font, "titleFont": font, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500,
    }  # fmt: skip
    return (
        chart.configure(background="transparent", font=font, padding=4)
        .configure_axis(**axis)
        .configure_view(stroke=None)
        .configure_text(font=font, fontSize=12)
    )


def _table(rows: Rows) -> Any:
    import altair

    return altair.InlineData(values=[dict(row) for row in rows])


def knowledge(rows: Rows) -> Any:
    """Return accuracy at each knowledge level, one line of marks a defense, its name above the line.

    Parameters
    ----------
    rows : defense, level (one of ``LEVELS``), accuracy, order (of the defense, from the top), text
    """
    import altair as alt

    count = len({row["order"] for row in rows})
    # The bands are numbers, not names: a name takes no width from the plot, which a phone has little of.
    band = alt.Y("order:Q", title=None, axis=None, scale=alt.Scale(domain=[count - 0.4, -0.75], nice=False, zero=False))
    base = alt.Chart(_table(rows)).encode(y=band)
    across = alt.X(
        "accuracy:Q",
        title="images answered correctly",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5),
    )
    spread = (
        alt.Chart(_table(spans(rows)))
        .mark_rule(strokeWidth=2, color="var(--rule)")
        .encode(y=band, x=alt.X("weakest:Q"), x2=alt.X2("adaptive:Q"))
    )
    names = (
        base.transform_filter("datum.level == 'clean'")
        .mark_text(align="left", baseline="bottom", dy=-9, color="var(--ink)", limit=WIDTH)
        .encode(x=alt.value(0), text="defense:N")
    )
    domain = list(LEVELS)
    marks = base.mark_point(size=80, filled=True, opacity=1).encode(
        x=across,
        color=alt.Color("level:N", scale=alt.Scale(domain=domain, range=list(LEVEL_COLOURS)), legend=None),
        shape=alt.Shape("level:N", scale=alt.Scale(domain=domain, range=list(LEVEL_SHAPES)), legend=None),
        description="text:N",
    )
    return _themed((spread + marks + names).properties(width=WIDTH, height=max(80, 44 * count)))


def spans(rows: Rows) -> list[dict[str, float]]:
    """Return from where to where the line of each defense runs: the weakest attacker's figure, the adaptive one's.

    Parameters
    ----------
    rows : as of ``knowledge``

    Returns
    -------
    list : order, weakest, adaptive; a defense without an adaptive figure, or with no other, has no line
    """
    found: dict[float, dict[str, float]] = {}
    for row in rows:
        if row["level"] != "clean":
            found.setdefault(row["order"], {})[row["level"]] = row["accuracy"]
    lines = []
    for order, levels in found.items():
        others = [accuracy for level, accuracy in levels.items() if level != "adaptive"]
        if others and "adaptive" in levels:
            lines.append({"order": order, "weakest": max(others), "adaptive": levels["adaptive"]})
    return lines


def trade(rows: Rows) -> Any:
    """Return robust accuracy against one cost, with the front of the ranked rows that none beats in both.

    Parameters
    ----------
    rows : name (that stands beside the dot, "" for none), cost, accuracy, low, high, ranked, front, title (of the cost
        axis), text
    """
    import altair as alt

    values = [dict(row) for row in rows]
    costs = [row["cost"] for row in values]
    logarithmic = min(costs) > 0 and max(costs) / min(costs) > 4
    padding = (max(costs) - min(costs)) * 0.08 or max(costs) * 0.1 or 1.0
    domain = [min(costs) / 1.2, max(costs) * 1.2] if logarithmic else [min(costs) - padding, max(costs) + padding]
    _place(values, domain, logarithmic)
    base = alt.Chart(_table(values)).encode(
        x=alt.X(
            "cost:Q",
            title=values[0]["title"],
            scale=alt.Scale(type="log" if logarithmic else "linear", domain=domain, nice=False, zero=False),
            axis=alt.Axis(tickCount=5, format="~s", grid=True),
        ),
        y=alt.Y(
            "accuracy:Q",
            title="robust accuracy",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=5),
        ),
    )
    front = base.transform_filter("datum.front").mark_line(
        interpolate="step-after", color="var(--accent)", strokeWidth=1.5, strokeDash=[5, 4]
    )
    bars = base.mark_rule(strokeWidth=1.5, color="var(--soft)").encode(y="low:Q", y2="high:Q")
    paint = alt.condition("datum.front", alt.value("var(--accent)"), alt.value("var(--soft)"))
    dots = base.mark_point(size=75, opacity=1, strokeWidth=2).encode(
        stroke=paint,
        fill=alt.Fill("paint:N", scale=None),
        description="text:N",
    )
    names = (
        base.transform_filter("datum.name")
        .mark_text(
            baseline="middle", color="var(--ink)", fontWeight=600, dx=alt.expr("datum.dx"), dy=alt.expr("datum.dy")
        )
        .encode(text="name:N")
    )
    return _themed((front + bars + dots + names).properties(width=WIDTH, height=HEIGHT))


def _place(values: list[dict[str, Any]], domain: list[float], logarithmic: bool) -> None:
    """Give each point a colour, and its name the nearest place where no dot and no other name is."""

    def across(cost: float) -> float:
        if logarithmic:
            return math.log(cost / domain[0]) / math.log(domain[1] / domain[0])
        return (cost - domain[0]) / (domain[1] - domain[0])

    at = [(WIDTH * across(row["cost"]), HEIGHT * (1 - row["accuracy"])) for row in values]
    taken = [_box(x, y, 2 * _DOT, 2 * _DOT) for x, y in at]
    for row, (x, y) in zip(values, at, strict=True):
        row["paint"] = "var(--accent)" if row["front"] else "var(--soft)" if row["ranked"] else "var(--paper)"
        if row["name"]:
            row["dx"], row["dy"] = _free(x, y, len(row["name"]), taken)
            taken.append(_box_of_name(x + row["dx"], y + row["dy"], len(row["name"])))


def _free(x: float, y: float, letters: int, taken: Sequence[Box]) -> tuple[float, float]:
    """Return how far from its dot a name stands: the nearest place that is free, the farthest where none is."""
    for dx, dy in _around():
        box = _box_of_name(x + dx, y + dy, letters)
        if _is_inside(box) and not any(_overlap(box, other) for other in taken):
            break
    return dx, dy


def _around() -> Iterator[tuple[float, float]]:
    """Return where a name may stand, from its dot: to the left and above first, where no front runs."""
    for reach in _REACH:
        for turn in (180, 225, 315, 0, 135, 45, 270, 90):
            yield round(reach * math.cos(math.radians(turn)), 1), round(reach * math.sin(math.radians(turn)), 1)


def _box(x: float, y: float, width: float, height: float) -> Box:
    """Return left, top, right and bottom of what has its middle at a point."""
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _box_of_name(x: float, y: float, letters: int) -> Box:
    return _box(x, y, letters * _LETTER[0], _LETTER[1])


def _is_inside(box: Box) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= WIDTH and box[3] <= HEIGHT


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def sweep(rows: Rows) -> Any:
    """Return accuracy against epsilon: thin lines from minimum-norm attacks, bold ones where radii were run.

    Parameters
    ----------
    rows : defense, source, epsilon, accuracy, low, high, norm, text; the defenses in the order of ``look``
    """
    import altair as alt

    names = list(dict.fromkeys(str(row["defense"]) for row in rows))
    looks = [look(number) for number in range(len(names))]
    colour, dashes, shapes = (alt.Scale(domain=names, range=list(parts)) for parts in zip(*looks, strict=True))
    base = alt.Chart(_table(rows)).encode(
        x=_radii(rows),
        y=alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)),
        color=alt.Color("defense:N", scale=colour, legend=None),
    )
    dashed = alt.StrokeDash("defense:N", scale=dashes, legend=None)
    shaped = alt.Shape("defense:N", scale=shapes, legend=None)
    thin = base.transform_filter("datum.source == 'minimum-norm'")
    fine = thin.mark_line(strokeWidth=1, opacity=0.85).encode(strokeDash=dashed)
    hollow = thin.transform_filter("datum.marked").mark_point(size=34, strokeWidth=1.2, opacity=1, fill="var(--paper)")
    swept = base.transform_filter("datum.source == 'swept'")
    joined = swept.mark_line(strokeWidth=2).encode(strokeDash=dashed)
    bars = swept.mark_rule(strokeWidth=1.5, opacity=0.5).encode(y="low:Q", y2="high:Q")
    dots = swept.mark_point(size=60, filled=True, opacity=1).encode(shape=shaped, description="text:N")
    layers = fine + joined + bars + hollow.encode(shape=shaped) + dots
    return _themed(layers.properties(width=WIDTH, height=round(1.2 * HEIGHT)))


def _radii(rows: Rows) -> Any:
    """Return the axis of epsilon, with the radii that were run; widely spread ones are drawn by their square roots."""
    import altair as alt

    run = sorted({row["epsilon"] for row in rows if row["source"] == "swept" and row["epsilon"] > 0})
    spread = len(run) > 2 and run[-1] > _SPREAD * run[0]
    steps = all(math.isclose(255 * radius, round(255 * radius), abs_tol=1e-4) for radius in run)
    axis = alt.Axis(labelOverlap="greedy", labelSeparation=4)
    if len(run) > 1:
        label = "format(datum.value * 255, '.0f') + '/255'" if steps else "format(datum.value, '~g')"
        axis = alt.Axis(values=run, labelExpr=label, labelOverlap="greedy", labelSeparation=4)
    return alt.X(
        "epsilon:Q",
        title=f"epsilon ({rows[0]['norm']}, pixels in [0, 1]{', square-root scale' if spread else ''})",
        scale=alt.Scale(type="sqrt" if spread else "linear", zero=True, nice=False),
        axis=axis,
    )


def look(number: int) -> tuple[str, list[int], str]:
    """Return the colour, dashes and mark of the so-many-th line; dashes and mark tell 24 apart without the colour."""
    turn = number // len(SERIES_PATHS)
    dashes = SERIES_DASHES[turn % len(SERIES_DASHES)]
    return SERIES[number % len(SERIES)], list(dashes), SERIES_PATHS[number % len(SERIES_PATHS)]


def roc(rows: Rows) -> Any:
    """Return a detector's ROC curves, one a knowledge level.

    Parameters
    ----------
    rows : false_positives, detected, knowledge (one of ``LEVELS``), order (along the curve), text
    """
    import altair as alt

    axis = alt.Axis(format="%", tickCount=5)
    scale = alt.Scale(domain=[0, 1])
    colour = alt.Scale(domain=list(LEVELS), range=list(LEVEL_COLOURS))
    dashes = alt.Scale(domain=list(LEVELS), range=[list(LEVEL_DASHES[level]) for level in LEVELS])
    lines = (
        alt.Chart(_table(rows))
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x=alt.X("false_positives:Q", title="clean images detected", scale=scale, axis=axis),
            y=alt.Y("detected:Q", title="attacked images detected", scale=scale, axis=axis),
            color=alt.Color("knowledge:N", scale=colour, legend=None),
            strokeDash=alt.StrokeDash("knowledge:N", scale=dashes, legend=None),
            order="order:Q",
            description="text:N",
        )
    )
    chance = alt.Chart(alt.InlineData(values=[{"at": 0}, {"at": 1}])).mark_line(
        strokeWidth=1.5, strokeDash=list(CHANCE_DASHES), color=CHANCE_COLOUR
    )
    return _themed((chance.encode(x="at:Q", y="at:Q") + lines).properties(width=WIDTH, height=WIDTH * 0.75))
