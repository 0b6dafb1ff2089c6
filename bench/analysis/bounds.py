"""Bounds on what may move between two comparisons, for somebody's CI: "robust_accuracy drops 2 for superiot"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.analysis.figures import ATTACKED, UNITS
from bench.analysis.statistics import LEVEL, holm
from bench.errors import UnknownName, UsageError

GRAMMAR: Final = "FIGURE drops|rises AMOUNT [points|%] [for DEFENSE]"
_FORM: Final = re.compile(r"(\S+)\s+(\S+)\s+(\d+(?:\.\d+)?|\.\d+)\s*(points?|%)?(?:\s+for\s+(\S+))?", re.I)
_SINGLE_SIDED: Final = ("only in A", "only in B", "not comparable")

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Bound:
    """What may not happen.

    Attributes
    ----------
    text : as it was given
    direction : which way is bad
    amount : in points for shares, in the figure's own unit for costs; in per cent of the figure in A where relative
    defense : a label or a name without parameters; "" for all
    """

    text: str
    figure: str
    direction: Literal["drops", "rises"]
    amount: float
    is_relative: bool
    defense: str

    def concerns(self, line: Line) -> bool:
        """Return whether the bound is about a line."""
        return line["figure"] == self.figure and self.defense in ("", *_names(line))

    def moved(self, line: Line) -> float:
        """Return how far a line's figure went the bad way, in what ``amount`` is in; negative for the other way."""
        way = -1 if self.direction == "drops" else 1
        moved = way * float(line["difference"])
        if self.is_relative:
            before = abs(float(line["before"]))
            return 100 * moved / before if before else math.copysign(math.inf, moved) if moved else 0.0
        return 100 * moved if line["unit"] == "share" else moved


@dataclass(frozen=True)
class Judgement:
    """What came of a bound.

    Attributes
    ----------
    broken : lines on which it is broken
    judged : how many lines it was asked of
    unjudged : lines that it is about and that could not be compared, or not in full
    """

    bound: Bound
    broken: tuple[Line, ...]
    judged: int
    unjudged: tuple[Line, ...]

    @property
    def is_open(self) -> bool:
        """Whether something that A has was not judged: a promise about it was neither kept nor broken."""
        return any(line["verdict"] != "only in B" for line in self.unjudged)


def parse(text: str) -> Bound:
    """Return the bound that a text states.

    Raises
    ------
    UsageError : the text has another form, or the unit is not one of the figure's
    UnknownName : no such figure; proposes the nearest
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"Bound {text[:200]!r} must be {GRAMMAR}, such as 'robust_accuracy drops 2 for superiot'.")
    figure, direction, amount, unit, defense = found.groups()
    figure, direction, unit = figure.lower().replace("-", "_"), direction.lower(), (unit or "").lower()
    if figure not in UNITS:
        raise UnknownName("figure", figure, UNITS)
    if direction not in ("drops", "rises"):
        raise UnknownName("direction", direction, ("drops", "rises"))
    if unit.startswith("point") and UNITS[figure] != "share":
        raise UsageError(f"Bound {text!r}: {figure} is in {UNITS[figure]}; points are of accuracies. Leave them out.")
    return Bound(text, figure, direction, float(amount), unit == "%", defense or "")  # type: ignore[arg-type]


def judge(bound: Bound, lines: Sequence[Line]) -> Judgement:
    """Return on which lines a bound is broken.

    Notes
    -----
    A line breaks it where the figure went the bad way by the amount or more and chance is a poor explanation: the 95 %
    interval of the paired difference leaves 0 out, and p is below .05 also when corrected by Holm over all lines that
    the bound is asked of. So a CI that changes nothing fails a bound by chance in about 5 % of its runs at most,
    however many defenses it compares.

    Attacks that gave A's figure and gave none in B leave B's figure too high: where such a line does not break a bound
    on a fall of accuracy all the same, it is not judged.

    Raises
    ------
    UsageError : there is no such defense, or nothing that the bound is about could be compared; silence would pass for
        a promise
    """
    known = {name for line in lines for name in _names(line)}
    if bound.defense and bound.defense not in known:
        raise UnknownName("defense", bound.defense, known)
    concerned = [line for line in lines if bound.concerns(line)]
    asked = [line for line in concerned if line["verdict"] not in _SINGLE_SIDED]
    unjudged = [line for line in concerned if line["verdict"] in _SINGLE_SIDED]
    if not asked:
        why = sorted({f"{line['defense']}: {line['verdict']}" + _because(line) for line in unjudged})
        told = "; ".join(why[:3]) or f"neither side has {bound.figure}"
        raise UsageError(f"Bound {bound.text!r} has nothing to compare ({told}).")
    adjusted = holm([float(line["p"]) for line in asked])
    wanted = "lower" if bound.direction == "drops" else "higher"
    broken = [
        line
        for line, p in zip(asked, adjusted, strict=True)
        if line["verdict"] == wanted and p < 1 - LEVEL and bound.moved(line) >= bound.amount - 1e-9
    ]
    if bound.direction == "drops" and bound.figure in ATTACKED:
        unjudged += [line for line in asked if line["missing"] and line not in broken]
    return Judgement(bound, tuple(broken), len([line for line in asked if line not in unjudged]), tuple(unjudged))


def _names(line: Line) -> tuple[str, str]:
    label = str(line["defense"])
    return label, label.split("[")[0]


def _because(line: Line) -> str:
    return f": {line['reason']}" if line["reason"] else ""
