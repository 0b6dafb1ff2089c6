"""Figures and flags of blocks whose durations are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench_cpu import rows
from bench_cpu.power import Estimate, Idle, Metered, Window
from bench_cpu.timing import Block, Quad, Series

MS = 1_000_000
BOTH = ("device", "server")


def block(*parts: float, runs: int = 8) -> Block:
    """Return a block of equal runs whose parts take so many ms."""
    each = np.tile(np.array([round(part * MS) for part in parts], dtype=np.int64), (runs, 1))
    return Block(each, int(each.sum()), int(each.sum()))


def timed(blocks: list[Block], placements: tuple[str, ...] = BOTH, **more: Any) -> rows.Timed:
    told = {"runtime": "onnxruntime", "repeats": (1,) * len(placements), "flags": ()} | more
    return rows.Timed(blocks=blocks, placements=placements, **told)


def latency(arm: rows.Timed) -> dict[tuple[str, str], Any]:
    return {(row.placement, row.statistic): row for row in rows.latency_rows(arm)}


def test_each_placement_has_its_own_time_runtime_and_repeats() -> None:
    found = latency(timed([block(2, 5)] * 6, repeats=(10, 1)))
    assert {place: found[place, "p50"].value for place in ("device", "server", "total")} == {
        "device": 2.0, "server": 5.0, "total": 7.0
    }  # fmt: skip
    assert [found[place, "p50"].runtime for place in ("device", "server")] == ["onnxruntime", "torch"]
    assert [found[place, "p50"].flags for place in ("device", "server", "total")] == [
        ("batched_10",), (), ("batched_10",)
    ]  # fmt: skip


def test_times_that_drift_or_scatter_say_so() -> None:
    assert "drift" in latency(timed([block(t, 1) for t in (10, 10, 11, 11, 12, 12)]))["device", "p50"].flags
    scattered = latency(timed([block(t, 1) for t in (10, 14, 10, 14, 10, 14)]))
    assert "noisy" in scattered["device", "p50"].flags
    assert "drift" not in scattered["server", "p50"].flags
    assert "noisy" not in scattered["server", "p50"].flags


def ratios(a: list[Block], b: list[Block], **more: Any) -> dict[str, Any]:
    """Return the ratios of quads, one of each pair of blocks; the arms name their parts in another order."""
    quads = [Quad((one, one), (other, other), None, ()) for one, other in zip(a, b, strict=True)]
    arms = timed(a, BOTH[::-1]), timed(b, BOTH, **more)
    return {row.placement: row for row in rows.ratio_rows(Series(quads), *arms)}


def test_a_ratio_compares_the_same_placement_of_both_arms() -> None:
    found = ratios([block(4, 1)] * 6, [block(2, 6)] * 6, flags=("short",))
    assert {place: row.value for place, row in found.items()} == pytest.approx(
        {"total": 8 / 5, "device": 2.0, "server": 1.5}
    )
    assert all(row.flags == ("short",) for row in found.values())
    assert found["server"].runtime == "torch"


def test_ratios_that_scatter_hold_one_or_rest_on_an_arm_that_drifts_say_so() -> None:
    steady = [block(4, 1)] * 6
    scattered = ratios(steady, [block(1, t) for t in (3, 5, 3, 5, 3, 5)])
    assert set(scattered["total"].flags) == {"noisy", "overlap"}
    drifting = [block(t, t / 4) for t in (4, 4, 4.4, 4.4, 4.8, 4.8)]
    assert ratios(drifting, [block(2 * t.parts[0, 1] / MS, 1) for t in drifting])["device"].flags == ("drift",)


def test_what_one_meter_saw_is_divided_by_the_time_of_each_placement() -> None:
    estimate = Estimate(cpu_j=6.0, ram_j=2.0, cpu_seconds=4.0, seconds=2.0, runs=4)
    found = {
        (row.quantity, row.statistic, row.placement): row.value
        for row in rows.estimate_rows(timed([block(3, 1)]), estimate, watts_per_thread=4.0, ram_watts=1.0)
    }
    energy = {place: found["energy_mj", "gross", place] for place in ("total", "device", "server")}
    assert energy == pytest.approx({"total": 2000.0, "device": 1500.0, "server": 500.0})
    assert found["cpu_seconds", "mean", "device"] == pytest.approx(0.75)
    assert found["energy_mj", "net", "total"] is None


@pytest.mark.parametrize(
    ("last", "after", "net"),
    [
        (40.0, (2.0, 2.0), 2000.0),
        (19.0, (2.0, 2.0), None),  # a median over the others would be a choice of the good ones
        (40.0, (0.8, 3.2), None),  # one idle phase that scatters is enough
    ],
)
def test_net_energy_is_told_where_every_window_stands_above_the_noise_of_either_idle_phase(
    last: float, after: tuple[float, ...], net: float | None
) -> None:
    windows = [Window(40.0, 10.0, 10)] * 4 + [Window(last, 10.0, 10)]
    found = Metered(a=(), b=tuple(windows), idle=(Idle((2.0, 2.0)), Idle(after)))
    figures = {
        (r.quantity, r.statistic): r for r in rows.metered_rows(timed([block(4)], ("total",)), found, country="fra")
    }
    told = figures["energy_mj", "net"]
    assert told.value == (None if net is None else pytest.approx(net))
    assert ("below_idle_noise" in told.flags) == (net is None)
    assert figures["energy_mj", "gross"].value == pytest.approx(4000.0)
