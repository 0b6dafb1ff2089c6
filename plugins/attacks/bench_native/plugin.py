"""The native attacks; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Attack
from bench.plugins.hookspecs import hookimpl
from bench_native import ascending, detecting, searching


@hookimpl
def bench_attacks() -> Sequence[Attack]:
    """Return the workhorses, the minimum-norm attacks, SPSA, the ensemble, and what knows of detectors."""
    return [*ascending.ENTRIES, *searching.ENTRIES, *detecting.ENTRIES]
