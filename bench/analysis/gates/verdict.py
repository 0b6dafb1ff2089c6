"""What a gate says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, Literal

GateOutcome = Literal["pass", "warn", "fail", "n/a"]

SEVERITY: Final[tuple[GateOutcome, ...]] = ("fail", "warn", "pass", "n/a")  # the worst first


@dataclass(frozen=True)
class Verdict:
    """What a gate says of one cell or one row.

    Attributes
    ----------
    evidence : the numbers behind it, one sentence
    """

    name: str
    outcome: GateOutcome
    evidence: str

    def as_dict(self) -> dict[str, str]:
        """Return it as a record holds it."""
        return asdict(self)


def worst(outcomes: Iterable[GateOutcome]) -> GateOutcome:
    """Return the worst of several outcomes, "n/a" of none."""
    return min(outcomes, key=SEVERITY.index, default="n/a")
