"""What is known before anything is measured; imported while a run is planned, so without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.hardware import Preset, Prospect
from bench.hardware.energy import intensity
from bench.hardware.processor import cores
from bench_cpu import machine


def prospect(parameters: Mapping[str, Any], preset: Preset) -> Prospect:
    """Return what is known of a measurement on this CPU.

    Raises
    ------
    UnknownName : a country whose electricity is not known
    """
    intensity(parameters["country"])
    return Prospect(machine=identified(threads_of(parameters["threads"])))


def identified(threads: int) -> dict[str, object]:
    """Return what identifies the machine and how it is used; the same from run to run."""
    return {**machine.identity(), "threads": threads}


def threads_of(asked: int) -> int:
    """Return how many threads compute; 0 asks for all that this process may use."""
    return asked or cores()
