"""Baselines."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Defense
from bench.plugins.hookspecs import hookimpl


@hookimpl
def bench_defenses() -> Sequence[Defense]:
    """Return the undefended model."""
    return [
        Defense(
            name="none",
            factory="bench_baselines.undefended:Undefended",
            summary="The undefended model: the image goes to the server over the same 8-bit wire as everybody's.",
            baseline=True,
        )
    ]
