"""What one measurement says, beside what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

_ASKED = re.compile(r"(>=|<=)\s*([\d.,]+)\s*(.*)")
_VERDICT = {True: "met", False: "missed"}


@dataclass(frozen=True)
class Figure:
    """One line of the measurements.

    Attributes
    ----------
    name : what is measured, by which clock, under which conditions
    unit : of ``ours`` and ``theirs``
    ours, theirs : what the suite takes, and what it is compared with; None where there is no such thing
    asked : ">= 2000" of the ratio, "<= 0.5 s" of ours in its unit, "" for nothing
    ratio_of : "theirs / ours", how many times as fast the suite is, or "ours / theirs", what it costs
    turns : the ratio of each turn, where there are several
    void : why the figure answers nothing of what is asked
    """

    name: str
    unit: str
    ours: float | None = None
    theirs: float | None = None
    asked: str = ""
    ratio_of: Literal["theirs / ours", "ours / theirs"] = "theirs / ours"
    turns: Sequence[float] = ()
    void: str = ""

    @property
    def ratio(self) -> float | None:
        """Return the ratio that ``ratio_of`` names, None where there is nothing to compare."""
        if self.ours is None or self.theirs is None:
            return None
        return self.theirs / self.ours if self.ratio_of == "theirs / ours" else self.ours / self.theirs

    @property
    def verdict(self) -> str:
        """Return "met", "missed", "not measured", "void", or "" where nothing is asked.

        Where single turns lie on the other side of what is asked, the verdict says so: chance may have decided.
        """
        asked = _ASKED.fullmatch(self.asked)
        if asked is None:
            return ""
        sign, bound, unit = asked.groups()
        value = self.ours if unit == self.unit else self.ratio
        if value is None:
            return "not measured"
        if self.void:
            return f"void: {self.void}"
        limit = float(bound.replace(",", ""))

        def holds(value: float) -> bool:
            return value >= limit if sign == ">=" else value <= limit

        sure = unit == self.unit or all(holds(turn) == holds(value) for turn in self.turns)
        return _VERDICT[holds(value)] + ("" if sure else ", not in every turn")

    @property
    def answered(self) -> bool:
        """Return whether nothing is asked that was not met."""
        return not self.verdict or self.verdict.startswith("met")

    def line(self) -> str:
        """Return the figure as a terminal shows it."""
        told = [f"{self.name}: {_number(self.ours)} {self.unit}"]
        if self.ratio is not None:
            spread = f" ({_number(min(self.turns))} to {_number(max(self.turns))})" if self.turns else ""
            told.append(f"against {_number(self.theirs)}, {self.ratio_of} {_number(self.ratio)}{spread}")
        if self.asked:
            told.append(f"asked {self.asked}: {self.verdict}")
        return "; ".join(told)

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as JSON has it."""
        return {
            "name": self.name,
            "ours": self.ours,
            "theirs": self.theirs,
            "ratio": self.ratio,
            "ratio_of": self.ratio_of,
            "turns": list(self.turns),
            "unit": self.unit,
            "asked": self.asked,
            "verdict": self.verdict,
        }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
