"""Cost on the machine that the suite runs on."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Hardware
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter


@hookimpl
def bench_hardware() -> Sequence[Hardware]:
    """Return the CPU of this machine."""
    return [
        Hardware(
            name="cpu",
            factory="bench_cpu.profile:CpuProfile",
            summary="This machine's CPU: latency against the undefended model, energy, bytes, memory, MACs.",
            prospect="bench_cpu.beforehand:prospect",
            requires=("codecarbon>=3.0",),
            source="MLPerf inference rules (early stopping), MLPerf Tiny (median of windows)",
            parameters=(
                Parameter(
                    name="threads",
                    type=int,
                    default=1,
                    minimum=0,
                    help="threads that compute; 0: all that it may use; 1 compares across boards",
                ),
                Parameter(
                    name="preset",
                    type=str,
                    default="budget",
                    choices=("budget", "quick", "default", "strict"),
                    help="how long: as the budget says, or strict, 10 minutes an arm as MLPerf has it, 60 at most",
                ),
                Parameter(
                    name="energy",
                    type=str,
                    default="auto",
                    choices=("auto", "rapl", "codecarbon", "tdp", "none"),
                    help="auto: RAPL where readable, else codecarbon offline; quick preset: always declared watts",
                ),
                Parameter(
                    name="watts_per_thread",
                    type=float,
                    default=4.0,
                    minimum=0.0,
                    help="declared watts of a busy hardware thread; 4: codecarbon's for an unknown CPU, an assumption",
                ),
                Parameter(
                    name="ram_watts",
                    type=float,
                    default=0.0,
                    minimum=0.0,
                    help="declared watts of the memory; 0 leaves it out: a constant would hide what the CPU does",
                ),
                Parameter(
                    name="country",
                    type=str,
                    default="world",
                    help="whose electricity, for CO2e; ISO 3166 alpha-3 or world",
                ),
                Parameter(
                    name="window_s",
                    type=float,
                    default=10.0,
                    minimum=10.0,
                    help="length of one energy window, s; protocol: >= 10",
                ),
                Parameter(
                    name="idle_s",
                    type=float,
                    default=30.0,
                    minimum=1.0,
                    help="length of each idle phase, s; protocol: 30",
                ),
            ),
        )
    ]
