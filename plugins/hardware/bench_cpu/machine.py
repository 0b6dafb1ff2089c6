"""What the kernel says about the machine and what disturbs it; absent files give None.

Everything is read below ``root``, so that a test can put a folder of made-up files in its place.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")
GOOD_CLOCKS: Final = frozenset({"tsc", "arch_sys_counter", "kvm-clock"})
_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

# The protocol's limits of disturbance within a quad.
_STEAL, _SLOWER, _OTHERS = 0.01, 0.02, 0.25


@dataclass(frozen=True)
class State:
    """What is read before and after a quad of blocks.

    Attributes
    ----------
    wall_s, own_cpu_s : monotonic clock; CPU-seconds of this process
    busy_s, steal_s, capacity_s : CPU-seconds of the machine since boot: in use, taken by the hypervisor, all
    frequency_khz : lowest current frequency of the CPUs
    swap_kib : of this process
    """

    wall_s: float
    own_cpu_s: float
    busy_s: float | None = None
    steal_s: float | None = None
    capacity_s: float | None = None
    frequency_khz: int | None = None
    swap_kib: int | None = None


def observe(root: Path = ROOT) -> State:
    """Return the state now; about 0.1 ms."""
    fields = cpu_times(root).get("cpu")
    busy = steal = capacity = None
    if fields:
        idle = fields[3] + (fields[4] if len(fields) > 4 else 0)
        steal = fields[7] / _TICKS if len(fields) > 7 else None
        capacity = sum(fields[:8]) / _TICKS
        busy = capacity - idle / _TICKS - (steal or 0.0)
    frequencies = [
        int(text) for f in _cpufreq(root) if (text := _text(f / "scaling_cur_freq")) is not None and text.isdigit()
    ]
    return State(
        time.perf_counter(), time.process_time(), busy, steal, capacity, min(frequencies, default=None), _swap_kib(root)
    )


def taints(before: State, after: State) -> tuple[str, ...]:
    """Return what disturbed the time between two states: "steal", "frequency", "swap", "load"."""
    found = []
    wall = after.wall_s - before.wall_s
    if after.steal_s is not None and before.steal_s is not None and wall > 0:
        capacity = (after.capacity_s or 0.0) - (before.capacity_s or 0.0)
        if capacity > 0 and (after.steal_s - before.steal_s) / capacity > _STEAL:
            found.append("steal")
    if before.frequency_khz and after.frequency_khz and after.frequency_khz < (1 - _SLOWER) * before.frequency_khz:
        found.append("frequency")
    if before.swap_kib is not None and after.swap_kib is not None and after.swap_kib > before.swap_kib:
        found.append("swap")
    if after.busy_s is not None and before.busy_s is not None and wall > 0:
        others = (after.busy_s - before.busy_s) - (after.own_cpu_s - before.own_cpu_s)
        # A tick of 10 ms at either end is no load: on a quad of 0.1 s it alone would look like a fifth of a core.
        if (others - 2 / _TICKS) / wall > _OTHERS:
            found.append("load")
    return tuple(found)


def idlest(
    count: int, allowed: Sequence[int], before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]]
) -> set[int]:
    """Return the ``count`` CPUs that were least busy between two readings of ``cpu_times``; the first ones in a tie."""

    def busy(cpu: int) -> int:
        first, last = before.get(f"cpu{cpu}"), after.get(f"cpu{cpu}")
        if not first or not last:
            return 0
        return sum(last[:8]) - sum(first[:8]) - (last[3] - first[3])

    return set(sorted(allowed, key=lambda cpu: (busy(cpu), cpu))[:count])


def cpu_times(root: Path = ROOT) -> dict[str, list[int]]:
    """Return the lines of /proc/stat that count CPU time, in ticks: "cpu" is all, "cpu0" the first."""
    lines = (_text(root / "proc/stat") or "").splitlines()
    rows = [line.split() for line in lines if line.startswith("cpu")]
    return {row[0]: [int(value) for value in row[1:]] for row in rows}


def clock_source(root: Path = ROOT) -> str | None:
    """Return the kernel's clock source, such as "tsc"."""
    return _text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")


def governors(root: Path = ROOT) -> tuple[str, ...]:
    """Return the frequency governors in use, without repeats."""
    found = [_text(folder / "scaling_governor") for folder in _cpufreq(root)]
    return tuple(sorted({name for name in found if name}))


def standing_flags(root: Path = ROOT) -> tuple[str, ...]:
    """Return flags of the machine itself: "slow_clock", "dvfs" (a governor other than performance; never set here)."""
    clock, flags = clock_source(root), []
    if clock is not None and clock not in GOOD_CLOCKS:
        flags.append("slow_clock")
    if any(name != "performance" for name in governors(root)):
        flags.append("dvfs")
    return tuple(flags)


def identity(root: Path = ROOT) -> dict[str, object]:
    """Return what identifies the machine; nothing in it changes from run to run."""
    clock = time.get_clock_info("perf_counter")
    highest = [int(t) for f in _cpufreq(root) if (t := _text(f / "cpuinfo_max_freq")) is not None and t.isdigit()]
    return {
        "cpu": cpu_model(root),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(root),
        "system": platform.system(),
        "clock": clock.implementation,
        "clock_resolution_s": clock.resolution,
        "clock_source": clock_source(root),
        "governors": list(governors(root)),
        "highest_frequency_khz": max(highest, default=None),
    }


def cpu_model(root: Path = ROOT) -> str:
    """Return the CPU's name as the kernel gives it, else what Python knows of it."""
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model", "Hardware"} and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def status_kib(field: str, root: Path = ROOT) -> int | None:
    """Return a field of /proc/self/status in KiB: "VmHWM", "VmRSS", "VmSwap"."""
    for line in (_text(root / "proc/self/status") or "").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return None


def _swap_kib(root: Path) -> int | None:
    return status_kib("VmSwap", root)


def _memory_bytes(root: Path) -> int | None:
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _cpufreq(root: Path) -> list[Path]:
    return sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip("\0\n ")
    except (OSError, UnicodeDecodeError):
        return None
