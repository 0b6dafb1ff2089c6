"""Where in a plugin's or a user's own code an exception comes from."""

from __future__ import annotations

import traceback
from pathlib import Path

from bench.errors import BenchError
from bench.plugins.distributions import offered
from bench.plugins.hookspecs import PROJECT

_USERS = "bench_user_"  # how ``bench.data.weights`` names the module that it makes of a user's file


def place(error: BaseException) -> str:
    """Return the innermost such line as "FILE:LINE", "" where none is on the way.

    Notes
    -----
    Below that line there may be libraries, above it the suite: neither is what its author can change. A ``BenchError``
    that a plugin raises is a refusal in words and needs no line; of one that the suite raises, the cause is placed.
    """
    lines = _own_lines(error)
    if isinstance(error, BenchError):
        return "" if lines or error.__cause__ is None else place(error.__cause__)
    return lines[-1] if lines else ""


def _own_lines(error: BaseException) -> list[str]:
    own = _offering()
    return [
        f"{Path(frame.f_code.co_filename).name}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (name := str(frame.f_globals.get("__name__", ""))).partition(".")[0] in own or name.startswith(_USERS)
    ]


def _offering() -> frozenset[str]:
    """Return the packages that offer plugins, those of the suite among them."""
    return frozenset(point.module.partition(".")[0] for point in offered(PROJECT)) - {"bench"}
