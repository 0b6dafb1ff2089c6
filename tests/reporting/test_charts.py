"""Where names stand in a plot, and from where to where lines run."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from typing import Any

from bench.reporting import charts, figures


def point(name: str, cost: float, accuracy: float) -> dict[str, Any]:
    return {
        "defense": f"defense-{name}",
        "name": name,
        "cost": cost,
        "accuracy": accuracy,
        "low": 0.0,
        "high": 0.01,
        "ranked": True,
        "front": False,
        "title": "latency",
        "text": "",
    }


def drawn(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    (values,) = charts.trade(rows).to_dict(validate=False)["datasets"].values()
    assert len(values) == len(rows)
    return values


def test_names_of_points_that_lie_together_stand_near_them_and_do_not_overlap() -> None:
    values = drawn([point(str(number), 784.0, 0.5 + 0.001 * (number % 3)) for number in range(1, 13)])
    places = [(row["dx"], 270 * (1 - row["accuracy"]) + row["dy"]) for row in values]
    for (x, y), (other_x, other_y) in combinations(places, 2):
        assert abs(x - other_x) >= 8 or abs(y - other_y) >= 12, (x, y, other_x, other_y)
    assert all(math.hypot(row["dx"], row["dy"]) < 40 for row in values)


def test_a_name_stays_inside_the_plot() -> None:
    values = drawn([point("1", 1.0, 1.0), point("2", 2.0, 0.02)])
    assert all(0 <= 270 * (1 - row["accuracy"]) + row["dy"] <= 270 for row in values)


def test_what_keeps_nothing_shares_a_line_of_the_key(cache: Any) -> None:
    names = ("good", "poor", "jpeg", "none")
    kept, costs = (0.4, 0.021, 0.0, 0.019), (20.0, 15.0, 12.0, 10.0)
    group = [
        {"defense": name, "latency_ratio": cost, "robust_accuracy": share, "robust_low": share, "robust_high": share,
            "status": "ranked", "attacks": 3}
        for name, cost, share in zip(names, costs, kept, strict=True)
    ]  # fmt: skip
    figure = str(figures.trade(charts.Painter(cache), group, "latency_ratio"))
    assert "<b>1</b> good <span>40.0 %, 20.0×</span>" in figure
    assert "<b>2</b> poor" in figure
    assert "2 defenses below 2 %: none <span>10.0×</span>, jpeg <span>12.0×</span>" in figure
    assert not [name for name in names if f">{name}</text>" in figure]
    assert [figure.count(f">{number}</text>") for number in (1, 2, 3)] == [1, 1, 0]


def test_the_line_runs_from_the_weakest_attacker_to_the_adaptive_one_without_clean() -> None:
    def rows(order: int, **levels: float) -> list[dict[str, Any]]:
        return [{"order": order, "level": name.replace("_", "-"), "accuracy": value} for name, value in levels.items()]

    told = charts.spans(
        [
            *rows(0, clean=0.91, black_box=0.23, white_box=0.0, adaptive=0.0),
            *rows(1, clean=0.8, oblivious=0.4, white_box=0.79, adaptive=0.1),
            *rows(2, clean=0.7, oblivious=0.5),
            *rows(3, clean=0.6, adaptive=0.2),
        ]
    )
    assert told == [
        {"order": 0, "weakest": 0.23, "adaptive": 0.0},
        {"order": 1, "weakest": 0.79, "adaptive": 0.1},
    ]


def test_curves_of_attackers_differ_without_colour() -> None:
    dashes = [charts.LEVEL_DASHES[level] for level in charts.LEVELS if level != "clean"]
    assert len(set(dashes)) == len(dashes)
    rows = [{"false_positives": at, "detected": at, "knowledge": "oblivious", "order": at, "text": ""} for at in (0, 1)]
    layers = charts.roc(rows).to_dict(validate=False)["layer"]
    assert layers[1]["encoding"]["strokeDash"]["field"] == "knowledge"
    assert layers[0]["mark"]["color"] == "var(--soft)"


def curve_point(defense: str, epsilon: float, accuracy: float = 0.5, attacks: str = "pgd") -> dict[str, Any]:
    setting = {"dataset": "mnist", "model": "cnn", "norm": "linf", "domain": "uint8", "budget": "standard"}
    return setting | {"defense": defense, "source": "swept", "epsilon": epsilon, "accuracy": accuracy, "low": 0.4,
        "high": 0.6, "samples": 128, "attacks": attacks}  # fmt: skip


def test_lines_of_many_defenses_differ_without_colour() -> None:
    looks = [charts.look(number) for number in range(24)]
    assert len({(tuple(dashes), mark) for _, dashes, mark in looks}) == 24
    assert all(first[0] != second[0] for first, second in pairwise(looks))


def test_the_legend_of_curves_shows_the_dashes_and_marks_that_are_drawn(cache: Any) -> None:
    names = [f"defense-{number:02}" for number in range(14)]
    points = [curve_point(name, at, 0.9 - 0.01 * n) for n, name in enumerate(names) for at in (0.1, 0.2)]
    figure = str(figures.sweep(charts.Painter(cache), points[0], points))
    key, drawn = figure.split("</ul>")
    assert key.count("<li>") == 14
    for number, name in enumerate(names):
        colour, dashes, mark = charts.look(number)
        (line,) = [item for item in key.split("<li>") if f"</svg>{name}</li>" in item]
        assert f'stroke="{colour}"' in line
        assert f'stroke-dasharray="{" ".join(map(str, dashes))}"' in line
        assert f'd="{mark}"' in line
        assert dashes == [1, 0] or f'stroke-dasharray="{",".join(map(str, dashes))}"' in drawn


def test_a_caption_says_where_the_attacks_of_curves_differ(cache: Any) -> None:
    points = [curve_point(name, at, attacks="pgd[steps=10]; pgd via soft") for name in "ab" for at in (0.1, 0.2)]
    points += [curve_point("c", at, attacks="bim") for at in (0.1, 0.15)]
    figure = str(figures.sweep(charts.Painter(cache), points[0], points))
    assert "Attacks: pgd at 0.1 and 0.2; of c bim at 0.1 and 0.15." in figure


def test_small_radii_of_a_wide_range_stand_apart() -> None:
    points = [curve_point("none", step / 255) | {"norm": "L∞", "text": "", "marked": False} for step in (1, 2, 16)]
    across = charts.sweep(points).to_dict(validate=False)["layer"][0]["encoding"]["x"]
    assert across["scale"]["type"] == "sqrt"
    assert "square-root" in across["title"]
    assert len(across["axis"]["values"]) == 3
