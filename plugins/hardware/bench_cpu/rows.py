"""Turn timed blocks and measured energy into figures with their provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.hardware import Measurement
from bench.hardware.energy import Windowed, co2e_mg, declared_j, intensity, net_j, over_windows
from bench.hardware.latency import (
    Runs,
    early_stopping_bound,
    has_drifted,
    interval_of_median,
    intervals_of_percentiles,
    is_noisy,
    median_absolute_deviation,
    overlaps_one,
    quad_ratio,
    supported_percentile,
)
from bench_cpu.power import Estimate, Metered
from bench_cpu.timing import Block, Series, cpu_seconds_a_run

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
TOTAL = "total"


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Blocks of one arm, by placement.

    Attributes
    ----------
    runtime : "onnxruntime" where every part of the device ran there, else "torch"
    placements : of the parts, in the order of the blocks' columns
    repeats : inner batches of the parts
    flags : of the arm and of the series
    """

    blocks: Sequence[Block]
    runtime: str
    placements: Sequence[str]
    repeats: Sequence[int]
    flags: tuple[str, ...]

    def columns(self, placement: str) -> list[int]:
        """Return the parts that run at a placement; all for "total"."""
        return [i for i, name in enumerate(self.placements) if placement in (TOTAL, name)]

    def runs(self, placement: str) -> list[Runs]:
        """Return the durations of each block at a placement, ns."""
        columns = self.columns(placement)
        return [block.parts[:, columns].sum(axis=1) for block in self.blocks]


def latency_rows(timed: Timed) -> list[Measurement]:
    """Return the order statistics of every placement and of the total, in ms."""
    rows = []
    for placement in (*dict.fromkeys(timed.placements), TOTAL):
        # The server is timed in torch, whatever the device runs on.
        runtime = "torch" if placement == "server" else timed.runtime
        rows += _latency(timed, placement, runtime)
    return rows


def _latency(timed: Timed, placement: str, runtime: str) -> list[Measurement]:
    blocks = timed.runs(placement)
    runs = np.concatenate(blocks)
    inner = max((timed.repeats[i] for i in timed.columns(placement)), default=1)
    flags = [*timed.flags, *([f"batched_{inner}"] if inner > 1 else []), *(["drift"] if has_drifted(blocks) else [])]
    intervals = intervals_of_percentiles(blocks, tuple(SHARES.values())) or {}
    source = "perf_counter_ns around decode, compute and encode; batch 1, closed loop, nearest rank"

    def row(statistic: str, ns: float | None, interval: tuple[float, float] | None, *more: str) -> Measurement:
        return Measurement(
            quantity="latency_ms",
            statistic=statistic,
            placement=placement,
            runtime=runtime,
            value=None if ns is None else ns / 1e6,
            low=None if interval is None else interval[0] / 1e6,
            high=None if interval is None else interval[1] / 1e6,
            unit="ms",
            n=len(runs),
            provenance="measured",
            source=source,
            flags=(*flags, *more),
        )

    rows = []
    for name, share in SHARES.items():
        value = supported_percentile(runs, share)
        interval = None if value is None else intervals.get(share)
        more = ["too_few_runs"] if value is None else []
        if value is not None and is_noisy(float(value), interval):
            more.append("noisy")
        rows.append(row(name, value, interval, *more))
        bound = early_stopping_bound(runs, share)
        rows.append(row(f"es_{name}", bound, None, *(["too_few_runs"] if bound is None else [])))
    rows += [
        row("min", float(runs.min()), None),
        row("mean", float(runs.mean()), None),
        row("max", float(runs.max()), None),
        row("mad", median_absolute_deviation(runs), None),
    ]
    return rows


def ratio_rows(series: Series, a: Timed, b: Timed) -> list[Measurement]:
    """Return how much longer the deployment takes than the baseline, in total and at each common placement."""
    rows = []
    common = [p for p in dict.fromkeys(b.placements) if p in a.placements]
    for placement in (TOTAL, *common):
        left, right = a.columns(placement), b.columns(placement)
        ratios = [
            quad_ratio(
                quad.a[0].parts[:, left].sum(axis=1),
                quad.b[0].parts[:, right].sum(axis=1),
                quad.b[1].parts[:, right].sum(axis=1),
                quad.a[1].parts[:, left].sum(axis=1),
            )
            for quad in series.quads
        ]
        value, interval = float(np.median(ratios)), interval_of_median(ratios)
        flags = [*b.flags]
        flags += ["drift"] if has_drifted(a.runs(placement)) else []
        flags += ["noisy"] if is_noisy(value, interval) else []
        flags += ["overlap"] if overlaps_one(interval) else []
        rows.append(
            Measurement(
                quantity="latency_ratio",
                statistic="median",
                placement=placement,
                runtime="torch" if placement == "server" else b.runtime,
                value=value,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
                unit="1",
                n=len(ratios),
                provenance="measured",
                source="median over quads A B B A of block medians, A the undefended model in the same process",
                flags=tuple(flags),
            )
        )
    return rows


def declared_rows(timed: Timed, *, watts_per_thread: float, flags: tuple[str, ...]) -> list[Measurement]:
    """Return CPU-seconds, declared watts and what they give, from the latency blocks."""
    seconds = cpu_seconds_a_run(timed.blocks)
    n = sum(len(block.parts) for block in timed.blocks)
    source = (
        f"{watts_per_thread:g} W a busy hardware thread (declared, not measured) x CPU-seconds of the latency blocks"
    )
    joules = declared_j(watts_per_thread, seconds)
    return _estimated(timed, seconds, joules, watts_per_thread, n, source, flags)


def estimate_rows(timed: Timed, estimate: Estimate, *, watts_per_thread: float, ram_watts: float) -> list[Measurement]:
    """Return codecarbon's estimate of a block of its own."""
    joules = (estimate.cpu_j + estimate.ram_j) / estimate.runs
    source = (
        f"codecarbon offline, process mode, {estimate.seconds:.0f} s: {watts_per_thread:g} W a hardware thread and "
        f"{ram_watts:g} W memory (declared, not measured)"
    )
    seconds = estimate.cpu_seconds / estimate.runs
    return _estimated(timed, seconds, joules, watts_per_thread, estimate.runs, source, ())


def _estimated(
    timed: Timed, cpu_seconds: float, joules: float, watts: float, n: int, source: str, flags: tuple[str, ...]
) -> list[Measurement]:
    shares = _shares(timed)

    def row(quantity: str, statistic: str, placement: str, value: float | None, unit: str, *more: str) -> Measurement:
        return Measurement(
            quantity=quantity,
            statistic=statistic,
            placement=placement,
            runtime=timed.runtime,
            value=value,
            unit=unit,
            n=n,
            provenance="estimated-tdp",
            source=source,
            flags=(*flags, *more),
        )

    rows = [row("power_w", "declared", TOTAL, watts, "W"), row("cpu_seconds", "mean", TOTAL, cpu_seconds, "s")]
    rows += [row("cpu_seconds", "mean", p, cpu_seconds * s, "s", "apportioned") for p, s in shares.items()]
    rows.append(row("energy_mj", "gross", TOTAL, joules * 1e3, "mJ"))
    rows += [row("energy_mj", "gross", p, joules * s * 1e3, "mJ", "apportioned") for p, s in shares.items()]
    rows.append(row("energy_mj", "net", TOTAL, None, "mJ", "no_idle_phase"))
    rows.append(row("co2e_mg", "gross", TOTAL, None, "mg", "estimated_energy_gives_no_co2e"))
    return rows


def metered_rows(timed: Timed, found: Metered, *, country: str) -> list[Measurement]:
    """Return gross and net energy an inference from RAPL, and its carbon dioxide equivalent."""
    gross = over_windows([window.joules / window.runs for window in found.b])
    idle_w = tuple(idle.mean_w for idle in found.idle)
    sigma = max(idle.sigma_w for idle in found.idle)
    nets = [net_j(w.joules, w.seconds, w.runs, idle_w, sigma) for w in found.b]
    known = [net.value for net in nets if net.value is not None]
    # One window in the noise is enough: a median over the others would be a choice of the good ones.
    net = over_windows(known) if len(known) == len(nets) else None
    net_flags = tuple(dict.fromkeys(flag for each in nets for flag in each.flags))
    source = f"RAPL counters over {len(found.b)} windows of {found.b[0].seconds:.0f} s in ABBA order; median, min..max"

    def row(
        quantity: str,
        statistic: str,
        placement: str,
        scale: float,
        unit: str,
        windowed: Windowed | None,
        *flags: str,
        more: str = "",
    ) -> Measurement:
        return Measurement(
            quantity=quantity,
            statistic=statistic,
            placement=placement,
            runtime=timed.runtime,
            value=None if windowed is None else windowed.value * scale,
            low=None if windowed is None else windowed.low * scale,
            high=None if windowed is None else windowed.high * scale,
            unit=unit,
            n=len(found.b),
            provenance="measured-rapl",
            source=source + more,
            flags=flags,
        )

    mix = intensity(country)
    rows = [
        row("energy_mj", "gross", TOTAL, 1e3, "mJ", gross),
        row("energy_mj", "net", TOTAL, 1e3, "mJ", net, *net_flags),
    ]
    rows += [row("energy_mj", "gross", p, 1e3 * s, "mJ", gross, "apportioned") for p, s in _shares(timed).items()]
    carbon = f"; {mix.grams_per_kwh:g} g/kWh, {mix.country} {mix.year}"
    rows.append(row("co2e_mg", "gross", TOTAL, co2e_mg(1.0, country), "mg", gross, more=carbon))
    return rows


def no_energy_row(reason: str) -> list[Measurement]:
    """Return the row that says why there is no energy."""
    return [
        Measurement(
            quantity="energy_mj",
            statistic="gross",
            placement=TOTAL,
            value=None,
            unit="mJ",
            provenance="estimated-tdp",
            source="none",
            flags=(reason,),
        )
    ]


def _shares(timed: Timed) -> dict[str, float]:
    """Return each placement's share of the clocked time: the only way to divide what one meter saw."""
    totals = {p: float(sum(run.sum() for run in timed.runs(p))) for p in dict.fromkeys(timed.placements)}
    whole = sum(totals.values()) or 1.0
    return {placement: total / whole for placement, total in totals.items()}
