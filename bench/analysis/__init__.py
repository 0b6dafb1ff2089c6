"""From records to frames: cells, leaderboard, accuracy-epsilon curves, detection, gates.

Names are loaded when first used, so that a worker that needs only ``bench.analysis.gates`` or
``bench.analysis.records`` does not pay for pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.analysis.claims import reproduction
    from bench.analysis.costs import measurements
    from bench.analysis.detector_ranking import detector_ranks
    from bench.analysis.detectors import detection
    from bench.analysis.frames import cells
    from bench.analysis.generations import merge
    from bench.analysis.ranking import leaderboard
    from bench.analysis.records import load
    from bench.analysis.scrutiny import verdicts
    from bench.analysis.sweep import curve

__all__ = [
    "cells", "curve", "detection", "detector_ranks", "leaderboard", "load", "measurements", "merge", "reproduction",
    "verdicts",
]  # fmt: skip

_HOME = {
    "cells": "frames",
    "curve": "sweep",
    "detection": "detectors",
    "detector_ranks": "detector_ranking",
    "leaderboard": "ranking",
    "load": "records",
    "measurements": "costs",
    "merge": "generations",
    "reproduction": "claims",
    "verdicts": "scrutiny",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
