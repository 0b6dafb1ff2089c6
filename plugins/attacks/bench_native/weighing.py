"""The weights of a detector's score, as a parameter says them; imported while a run is planned."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.errors import UsageError
from bench.plugins.entries import Shape
from bench.plugins.parameters import Value


def weights(text: str) -> tuple[float, ...]:
    """Return the weights that a text such as ``0.1+1+10`` names.

    Raises
    ------
    UsageError : something else
    """
    try:
        named = tuple(float(part) for part in text.split("+"))
    except ValueError:
        named = (math.nan,)
    if not all(0 <= weight < math.inf for weight in named):
        raise UsageError(f"weights is {text!r}; expected numbers of at least 0 separated by +, such as 0.1+1+10.")
    return named


def check(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse weights that are none."""
    weights(str(parameters["weights"]))
