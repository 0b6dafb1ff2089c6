"""Heat maps: defense × attack, one for each knowledge of the attacker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analysis.records import KNOWLEDGE
from bench.reporting import wording
from bench.reporting.labels import shortened

Row = Mapping[str, Any]

_THREAT = ("dataset", "model", "norm", "epsilon", "domain", "budget")
_SIGNS = {"failed": "fail", "timed-out": "late", "skipped": "skip"}


@dataclass(frozen=True)
class Square:
    """One cell of a map.

    Attributes
    ----------
    text : accuracy in whole per cent, or the sign of what happened
    share : accuracy in [0, 1]; None where there is none
    title : the whole story, one sentence
    partial : judged on fewer images than the row
    """

    text: str
    share: float | None
    title: str
    status: str
    partial: bool = False


@dataclass(frozen=True)
class Head:
    """What stands above a column.

    Attributes
    ----------
    label : of the attack, whole
    name, variant : of the label what the head needs: without what all attacks of its name were given
    """

    label: str
    name: str
    variant: str
    is_core: bool
    is_control: bool


@dataclass(frozen=True)
class Map:
    """A table of squares.

    Attributes
    ----------
    attacks : the strongest first, controls last
    lines : (defense, is ranked, squares in the order of ``attacks``)
    """

    knowledge: str
    attacks: tuple[Head, ...]
    lines: tuple[tuple[str, bool, tuple[Square, ...]], ...]


def attacked(
    group: Sequence[dict[str, Any]], cells: Sequence[Row]
) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Return the rows of a setting that an attack was planned for, and where the others were attacked.

    A row whose attacks failed or were skipped stays, and so does one that was attacked nowhere: these are holes. One
    that was attacked under other threats alone has nothing to show here.

    Returns
    -------
    shown, elsewhere : rows; the threats that others were attacked under, in words -> these defenses
    """
    first = group[0]
    own = [cell for cell in cells if cell["kind"] == "attack" and wording.is_missing(cell["probe"])]
    own = [cell for cell in own if all(cell[name] == first[name] for name in ("dataset", "model"))]
    here = {cell["defense"] for cell in own if all(cell[name] == first[name] for name in _THREAT)}
    places: dict[str, dict[str, set[float]]] = {}
    for cell in own:
        if cell["defense"] not in here:
            places.setdefault(cell["defense"], {}).setdefault(cell["norm"], set()).add(cell["epsilon"])
    elsewhere: dict[str, list[str]] = {}
    for row in group:
        if found := places.get(row["defense"]):
            told = (
                f"{wording.NORMS.get(n, n)} ≤ {', '.join(map(wording.radius, sorted(found[n])))}" for n in sorted(found)
            )
            elsewhere.setdefault("; ".join(told), []).append(row["defense"])
    return [row for row in group if row["defense"] not in places], elsewhere


def maps(group: Sequence[Row], cells: Sequence[Row]) -> list[Map]:
    """Return the maps of one setting, the strongest attacker first.

    Parameters
    ----------
    group : the leaderboard's rows of the setting
    cells : rows of the frame of all cells
    """
    first = group[0]
    here = [cell for cell in cells if cell["kind"] == "attack" and all(cell[name] == first[name] for name in _THREAT)]
    short, _ = shortened(cell["attack"] for cell in here)
    found = []
    for knowledge in reversed(KNOWLEDGE):
        level = [cell for cell in here if cell["knowledge"] == knowledge]
        if level:
            found.append(_map(knowledge, group, level, short))
    return found


def given(maps: Sequence[Map]) -> dict[str, str]:
    """Return what all attacks of a name were given, which no head of these maps repeats."""
    return shortened(head.label for shown in maps for head in shown.attacks)[1]


def _map(knowledge: str, group: Sequence[Row], level: Sequence[Row], short: Mapping[str, str]) -> Map:
    by_place: dict[tuple[str, str], list[Row]] = {}
    for cell in level:
        by_place.setdefault((cell["defense"], cell["attack"]), []).append(cell)

    def strength(attack: str) -> tuple[bool, float, str]:
        own = [cell for cell in level if cell["attack"] == attack]
        known = [cell["accuracy"] for cell in own if not wording.is_missing(cell["accuracy"])]
        return (any(cell["control"] for cell in own), sum(known) / len(known) if known else 1.0, attack)

    attacks = sorted({cell["attack"] for cell in level}, key=strength)
    lines = tuple(
        (
            row["defense"],
            row["status"] == "ranked",
            tuple(_square(row, attack, by_place.get((row["defense"], attack), [])) for attack in attacks),
        )
        for row in group
    )
    return Map(knowledge, tuple(_head(attack, short[attack], level) for attack in attacks), lines)


def _head(attack: str, short: str, level: Sequence[Row]) -> Head:
    own = [cell for cell in level if cell["attack"] == attack]
    name, _, variant = short.partition(" ")
    is_core, is_control = (any(cell[trait] for cell in own) for trait in ("core", "control"))
    return Head(attack, name, variant, is_core=is_core, is_control=is_control)


def _square(row: Row, attack: str, cells: Sequence[Row]) -> Square:
    """Return the square of a defense and an attack: of each triple of seeds the run on most images, averaged."""
    if not cells:
        return Square("", None, f"{row['defense']} × {attack}: not planned", "none")
    bad = [cell for cell in cells if cell["status"] != "ok"]
    if bad:
        worst = min(bad, key=lambda cell: list(_SIGNS).index(cell["status"]))
        title = f"{row['defense']} × {attack}: {worst['status']}. {worst['reason']}"
        return Square(_SIGNS[worst["status"]], None, title, worst["status"])
    cells = _longest(cells)
    share = sum(cell["accuracy"] for cell in cells) / len(cells)
    images = min(cell["samples"] for cell in cells)
    partial = images < row["samples"]
    of = f"{images:,} of {row['samples']:,} images" if partial else f"{images:,} images"
    title = f"{row['defense']} × {attack}: {wording.percent(share)} right, {of}"
    if len(cells) == 1:
        title += f", interval {wording.interval(cells[0]['accuracy_low'], cells[0]['accuracy_high'])}"
        distance = cells[0]["median_distance"]
        if not wording.is_missing(distance):
            title += f", median distance {wording.figure(distance)}"
    return Square(f"{100 * share:.0f}", share, title, "ok", partial)


def _longest(cells: Sequence[Row]) -> list[Row]:
    """Return of each triple of seeds the cell on most images: a mean of long and short runs is nobody's number."""
    by_seeds: dict[tuple[Any, ...], Row] = {}
    for cell in cells:
        seeds = (cell["seed_split"], cell["seed_training"], cell["seed_attack"])
        if seeds not in by_seeds or cell["samples"] > by_seeds[seeds]["samples"]:
            by_seeds[seeds] = cell
    return list(by_seeds.values())
