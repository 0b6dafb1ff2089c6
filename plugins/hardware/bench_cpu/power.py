"""Energy of an arm: RAPL counters, codecarbon offline, or declared watts. Never during a latency block."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from bench.errors import PluginFault, Unavailable
from bench.hardware.energy import counter_difference_uj, intensity
from bench_cpu.machine import ROOT

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker
    from codecarbon.output_methods.emissions_data import EmissionsData

WINDOWS: Final = 5  # an arm; MLPerf Tiny takes the median of five
BLOCK_S: Final = 30.0  # processor times are counted in hundredths of a second
_PART_S: Final = 0.8  # codecarbon's own sampler wakes after 1 s
IDLE_SAMPLES: Final = 30


class Counter(Protocol):
    """An energy counter that one reads at both ends of a window."""

    def read(self) -> dict[str, int]:
        """Return the counter of every domain, uJ."""
        ...

    def joules(self, before: dict[str, int], after: dict[str, int]) -> float:
        """Return the energy between two readings."""
        ...


@dataclass(frozen=True)
class Rapl:
    """Intel's and AMD's counters under ``/sys/class/powercap``: packages, and memory where it is counted apart.

    Attributes
    ----------
    domains : name -> folder; ``psys`` (the whole platform) is left out, it would count the packages twice
    """

    domains: dict[str, Path]

    @classmethod
    def find(cls, root: Path = ROOT) -> Rapl:
        """Return the counters of this machine.

        Raises
        ------
        Unavailable : there are none, or this user may not read them
        """
        domains: dict[str, Path] = {}
        for folder in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
            try:
                kind = (folder / "name").read_text().strip()
            except OSError:
                continue
            if kind.startswith("package") or kind == "dram":
                domains[f"{folder.name} {kind}"] = folder
        if not domains:
            raise Unavailable("This machine has no RAPL counters under /sys/class/powercap.")
        found = cls(domains)
        try:
            found.read()
        except OSError as error:
            raise Unavailable(f"The RAPL counters are not readable for this user: {error}.") from error
        return found

    def read(self) -> dict[str, int]:
        """Return the counter of every domain, uJ."""
        return {name: int((folder / "energy_uj").read_text()) for name, folder in self.domains.items()}

    def joules(self, before: dict[str, int], after: dict[str, int]) -> float:
        """Return the energy between two readings, across at most one wrap of each counter."""
        total = 0
        for name, folder in self.domains.items():
            maximum = int((folder / "max_energy_range_uj").read_text())
            total += counter_difference_uj(before[name], after[name], maximum)
        return total / 1e6


@dataclass(frozen=True)
class Window:
    """One arm in a closed loop.

    Attributes
    ----------
    joules, seconds, runs : of the window
    """

    joules: float
    seconds: float
    runs: int


@dataclass(frozen=True)
class Idle:
    """The machine asleep with the model loaded: power at each sample, W."""

    watts: tuple[float, ...]

    @property
    def mean_w(self) -> float:
        return sum(self.watts) / len(self.watts)

    @property
    def sigma_w(self) -> float:
        mean = self.mean_w
        return math.sqrt(sum((w - mean) ** 2 for w in self.watts) / max(1, len(self.watts) - 1))


@dataclass(frozen=True)
class Metered:
    """What a counter gave: windows of both arms in the order ABBA ABBA AB, and idle before and after."""

    a: tuple[Window, ...]
    b: tuple[Window, ...]
    idle: tuple[Idle, Idle]


def metered(
    a: Callable[[int], object],
    b: Callable[[int], object],
    counter: Counter,
    *,
    window_s: float,
    idle_s: float,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Metered:
    """Return the energy of both arms, five windows each, with an idle phase on either side."""
    before = _idle(counter, idle_s, clock, sleep)
    windows: dict[str, list[Window]] = {"a": [], "b": []}
    for name in ("abba" * ((WINDOWS + 1) // 2))[: 2 * WINDOWS]:
        windows[name].append(_window(a if name == "a" else b, counter, window_s, clock))
    return Metered(tuple(windows["a"]), tuple(windows["b"]), (before, _idle(counter, idle_s, clock, sleep)))


def _window(arm: Callable[[int], object], counter: Counter, seconds: float, clock: Callable[[], float]) -> Window:
    runs, start, before = 0, clock(), counter.read()
    while clock() - start < seconds:
        arm(runs)
        runs += 1
    after, end = counter.read(), clock()
    return Window(counter.joules(before, after), end - start, runs)


def _idle(counter: Counter, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> Idle:
    watts = []
    for _ in range(IDLE_SAMPLES):
        start, before = clock(), counter.read()
        sleep(seconds / IDLE_SAMPLES)
        watts.append(counter.joules(before, counter.read()) / (clock() - start))
    return Idle(tuple(watts))


@dataclass(frozen=True)
class Estimate:
    """codecarbon's figures for one block.

    Attributes
    ----------
    cpu_j, ram_j : over the block
    cpu_seconds : of this process over the block, counted by us
    """

    cpu_j: float
    ram_j: float
    cpu_seconds: float
    seconds: float
    runs: int


def estimated_by_codecarbon(
    arm: Callable[[int], object], *, watts_per_thread: float, ram_watts: float, country: str, block_s: float = BLOCK_S
) -> Estimate:
    """Return codecarbon's estimate for a block of at least 30 s of the arm in a closed loop, without any network.

    Raises
    ------
    PluginFault : codecarbon gave nothing; its constructor swallows its own errors

    Notes
    -----
    Every setting is passed, so that a ``.codecarbon.config`` or a ``CODECARBON_*`` variable of the user's cannot change
    a figure. It is a load model: watts of all threads times this process's share of their time. The block is cut into
    parts that end before codecarbon's thread wakes, and the clocks are read between them: that thread walks through all
    processes of the machine, gives the interpreter back at each, and reads the clock before and the processor time
    after, so that an arm in Python was charged for up to three times what it took, the more processes, the more.
    """
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.ERROR)  # it speaks before it reads its own log level
    threads = os.cpu_count() or 1
    tracker = OfflineEmissionsTracker(
        # Its own CO2e is not used, but a country it must have; the intensity that it is given wins.
        country_iso_code="FRA" if country.lower() == "world" else country.upper(),
        force_carbon_intensity_g_co2e_kwh=intensity(country).grams_per_kwh,
        project_name="edge-defense-bench",
        output_methods=[],
        measure_power_secs=BLOCK_S,
        log_level="error",
        tracking_mode="process",
        force_cpu_power=watts_per_thread * threads,
        force_ram_power=ram_watts,
        force_mode_cpu_load=True,
        pue=1.0,
        wue=0.0,
        gpu_ids=[],
        allow_multiple_runs=True,
        rapl_include_dram=False,
        rapl_prefer_psys=False,
    )
    cpu_kwh = ram_kwh = used = seconds = 0.0
    runs = 0
    while seconds < block_s:
        tracker.start_task()
        start, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - start < min(_PART_S, block_s - seconds):
            arm(runs)
            runs += 1
        used, seconds = used + time.process_time() - cpu, seconds + time.perf_counter() - start
        data = _stopped(tracker)
        cpu_kwh, ram_kwh = cpu_kwh + data.cpu_energy, ram_kwh + data.ram_energy
    tracker.stop()
    return Estimate(cpu_kwh * 3.6e6, ram_kwh * 3.6e6, used, seconds, runs)


def _stopped(tracker: OfflineEmissionsTracker) -> EmissionsData:
    try:
        data = tracker.stop_task()
    except AttributeError as error:  # its constructor swallowed an error and left half a tracker
        raise PluginFault(
            f"codecarbon gave no estimate: its tracker was not set up ({error}). Use energy=tdp."
        ) from error
    if data is None:
        raise PluginFault("codecarbon gave no estimate: its task stopped with nothing. Use energy=tdp.")
    return data
