"""The noises that denoisers are trained on, as a parameter says them; imported while a run is planned."""

from __future__ import annotations

from collections.abc import Mapping

from bench.errors import BadParameter
from bench.plugins.entries import Shape
from bench.plugins.parameters import Value


def noises(text: str) -> tuple[float, ...]:
    """Return the noises that a text such as ``40+100`` names; none where it is empty.

    Raises
    ------
    BadParameter : something else
    """
    try:
        named = tuple(float(part) for part in text.split("+")) if text else ()
    except ValueError:
        named = (-1.0,)
    if not all(0 <= noise <= 255 for noise in named):
        raise BadParameter(
            "defense 'defed'", "sigmas", "grey levels from 0 to 255 separated by +, such as 40+100", text
        )
    return named


def check(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse noises that are none."""
    noises(str(parameters["sigmas"]))
