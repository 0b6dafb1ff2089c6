"""What is known before anything is measured; imported while a run is planned, so without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.hardware import Preset, Prospect
from bench.hardware.energy import intensity
from bench.hardware.processor import cores
from bench_cpu import machine

# Usual seconds, and those after which it is stopped, by preset: two arms of up to ``cap_s`` each and a third timed
# beside for a quarter of that (``bench.hardware.latency.LIMITS``), and about as much again for all the rest.
_TIMES: Final[Mapping[str, tuple[float, float]]] = {
    "quick": (10.0, 900.0),
    "default": (120.0, 1800.0),
    "strict": (2000.0, 5 * 3600.0),
}
_METERED: Final = 10  # energy takes so many windows, and two idle phases


def prospect(parameters: Mapping[str, Any], preset: Preset) -> Prospect:
    """Return what is known of a measurement on this CPU.

    Raises
    ------
    UnknownName : a country whose electricity is not known
    """
    intensity(parameters["country"])
    used = preset if parameters["preset"] == "budget" else parameters["preset"]
    seconds, timeout_s = _TIMES[used]
    return Prospect(
        machine=identified(threads_of(parameters["threads"])),
        seconds=seconds,
        timeout_s=timeout_s + _METERED * (parameters["window_s"] + parameters["idle_s"]),
    )


def identified(threads: int) -> dict[str, object]:
    """Return what identifies the machine and how it is used; the same from run to run."""
    return {**machine.identity(), "threads": threads}


def threads_of(asked: int) -> int:
    """Return how many threads compute; 0 asks for all that this process may use."""
    return asked or cores()
