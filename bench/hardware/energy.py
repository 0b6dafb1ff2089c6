"""The arithmetic of energy: integrals of power, counters that wrap, declared watts, carbon dioxide equivalents."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from bench.errors import UnknownName, UsageError

JOULES_PER_KWH: Final = 3.6e6


def integral_j(times_s: Sequence[float], watts: Sequence[float], start_s: float, end_s: float) -> float:
    """Return the energy of a window in joules: the trapezoid over the sensor's stamps, clipped by interpolation.

    Parameters
    ----------
    times_s : ascending, the device's monotonic clock
    start_s, end_s : the window, inside the stamps

    Raises
    ------
    UsageError : the stamps do not ascend or do not cover the window
    """
    times, power = np.asarray(times_s, dtype=np.float64), np.asarray(watts, dtype=np.float64)
    if len(times) < 2 or len(times) != len(power) or bool(np.any(np.diff(times) <= 0)):
        raise UsageError("Power samples must be two or more, with ascending stamps. Check the meter's file.")
    if not times[0] <= start_s < end_s <= times[-1]:
        raise UsageError(
            f"Power samples cover [{times[0]:g}, {times[-1]:g}] s; the window is [{start_s:g}, {end_s:g}] s. "
            "Check the meter's offset."
        )
    inside = (times > start_s) & (times < end_s)
    stamps = np.concatenate([[start_s], times[inside], [end_s]])
    return float(np.trapezoid(np.interp(stamps, times, power), stamps))


def counter_difference_uj(before: int, after: int, maximum: int) -> int:
    """Return how far a RAPL counter went, in microjoules, across at most one wrap.

    Parameters
    ----------
    maximum : ``max_energy_range_uj`` of the same domain
    """
    difference = after - before
    return difference + maximum if difference < 0 else difference


def declared_j(watts_per_thread: float, cpu_seconds: float) -> float:
    """Return the energy that declared watts give for CPU-seconds: class ``estimated-tdp``."""
    return watts_per_thread * cpu_seconds


@dataclass(frozen=True)
class Windowed:
    """Energy an inference over windows of one arm, J: the median with the smallest and the largest."""

    value: float
    low: float
    high: float
    n: int


def over_windows(joules: Sequence[float]) -> Windowed:
    """Return the median over windows, with min and max as its interval (MLPerf Tiny: the median of five)."""
    return Windowed(float(np.median(joules)), min(joules), max(joules), len(joules))


@dataclass(frozen=True)
class Net:
    """Energy above idle, J an inference; None, with a flag, where the idle noise swallows it."""

    value: float | None
    flags: tuple[str, ...]


def net_j(window_j: float, seconds: float, inferences: int, idle_w: Sequence[float], idle_sigma_w: float) -> Net:
    """Return (E_window - P_idle T) / N.

    Parameters
    ----------
    idle_w : mean power of the idle phase before and of the one after
    idle_sigma_w : standard deviation of the idle power
    """
    idle = float(np.mean(idle_w))
    flags = ("idle_drift",) if max(idle_w) - min(idle_w) > 0.1 * idle else ()
    above = window_j - idle * seconds
    if above < 0 or above < 2 * idle_sigma_w * seconds:
        return Net(None, (*flags, "below_idle_noise"))
    return Net(above / inferences, flags)


@dataclass(frozen=True)
class Intensity:
    """Carbon intensity of a country's electricity.

    Attributes
    ----------
    grams_per_kwh : gCO2e/kWh
    """

    country: str
    grams_per_kwh: float
    year: int
    source: str


@cache
def intensities() -> Mapping[str, Intensity]:
    """Return the shipped table, by lower-case country code; "world" is the default."""
    table = tomllib.loads(files("bench.hardware").joinpath("carbon_intensity.toml").read_text())
    year, source = int(table["year"]), str(table["source"])
    return {name: Intensity(name, float(grams), year, source) for name, grams in table["grams_co2e_per_kwh"].items()}


def intensity(country: str) -> Intensity:
    """Return the country's entry. The country is what the user said; nothing is looked up by address or place.

    Raises
    ------
    UnknownName : not in the table
    """
    table = intensities()
    if country.lower() not in table:
        raise UnknownName("country", country, table)
    return table[country.lower()]


def co2e_mg(joules: float, country: str = "world") -> float:
    """Return the carbon dioxide equivalent of an energy in milligrams: kWh times the country's intensity."""
    return joules / JOULES_PER_KWH * intensity(country).grams_per_kwh * 1000.0
