"""Which forms an image can be sent in, and whether a defense's parameters suit it; imported while a run is planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.errors import UsageError
from bench.plugins.entries import Shape
from bench.plugins.parameters import Value
from bench_superiot.windows import Windows

FORMS: Final = ("seed", "raw", "bitmask", "combi", "coded")
SEED_BYTES: Final = 8


def forms(room: int) -> tuple[str, ...]:
    """Return the forms for images of which ``room`` values are dropped: ``raw`` has the seed in their place."""
    return tuple(form for form in FORMS if form != "raw" or room >= SEED_BYTES)


def refuse_form(form: str, room: int) -> None:
    """Raise UsageError where images of which ``room`` values are dropped cannot be sent in a form."""
    if form not in forms(room):
        raise UsageError(
            f"wire={form} has no room for the {SEED_BYTES} bytes of the seed in the {room} dropped values. "
            f"Choose another: {', '.join(forms(room))}."
        )


def check(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse windows that do not fit the image, or lose none or all of their pixels, and a form without room."""
    ratio, size, form = float(parameters["ratio"]), int(parameters["ws"]), str(parameters["wire"])
    if shape is not None:
        refuse_form(form, Windows.of(shape, size, ratio).room)
    elif ratio == 0:
        refuse_form(form, 0)
