"""The protocol's driver on clocks that the tests turn by hand: nothing here depends on how fast a machine is."""

import math

import numpy as np
import pytest

from bench.hardware.latency import LIMITS, Limits
from bench_cpu import rows
from bench_cpu.machine import State
from bench_cpu.timing import Block, cpu_seconds_a_run, interleave, warm_up

MS = 1_000_000


class Time:
    """A clock in ns that only moves when an arm works; it can slow down linearly."""

    def __init__(self, drift=0.0, over_ns=1.0):
        self.now, self.drift, self.over = 0, drift, over_ns

    def __call__(self):
        return self.now

    def spend(self, ns):
        cost = round(ns * (1 + self.drift * self.now / self.over))
        self.now += cost
        return cost


class Worker:
    def __init__(self, time, *parts_ns, log=None, name=""):
        self.time, self.parts, self.log, self.name, self.indices = time, parts_ns, log, name, []

    def __call__(self, index):
        self.indices.append(index)
        if self.log is not None:
            self.log.append(self.name)
        return tuple(self.time.spend(ns) for ns in self.parts)


def limits(**changed):
    values = {"warm_runs": 5, "warm_s": 0.0, "runs": 64, "seconds": 0.0, "quads": 5, "cap_s": math.inf}
    return Limits(**{**values, **changed})


def calm():
    return State(0.0, 0.0)


def timed(a, b, time, bounds, **options):
    return interleave(a, b, bounds, clock=time, cpu_clock=time, look=options.pop("look", calm), **options)


def test_blocks_run_in_the_order_a_b_b_a_and_cycle_through_the_images():
    time, log = Time(), []
    a, b = (Worker(time, 50 * MS, log=log, name=name) for name in "ab")
    series = timed(a, b, time, limits(runs=16, quads=1))
    assert "".join(log) == "a" * 8 + "b" * 16 + "a" * 8
    assert a.indices == list(range(16))
    assert [len(block.parts) for block in series.blocks("a")] == [8, 8]


def test_a_block_holds_eight_runs_or_a_tenth_of_a_second_whichever_is_longer():
    time = Time()
    series = timed(Worker(time, MS), Worker(time, 40 * MS), time, limits(quads=1, runs=1))
    assert [len(block.parts) for block in series.blocks("a")] == [100, 100]
    assert [len(block.parts) for block in series.blocks("b")] == [8, 8]


def test_both_arms_meet_every_floor():
    time = Time()
    series = timed(Worker(time, MS), Worker(time, 2 * MS), time, LIMITS["quick"])
    for arm in ("a", "b"):
        assert sum(len(block.parts) for block in series.blocks(arm)) >= 64
        assert sum(block.wall_ns for block in series.blocks(arm)) >= 2e9
    assert len(series.quads) == 10
    assert not series.short


@pytest.mark.parametrize(
    ("floors", "quads"), [({"runs": 64}, 4), ({"runs": 1, "seconds": 1.0}, 5)], ids=["runs", "seconds"]
)
@pytest.mark.parametrize("swapped", [False, True])
def test_the_floors_hold_for_the_arm_that_has_less(floors, quads, swapped):
    time = Time()
    arms = [Worker(time, MS), Worker(time, 40 * MS)]  # 200 runs a quad in .2 s, and 16 in .64 s
    series = timed(*(arms[::-1] if swapped else arms), time, limits(quads=1, **floors))
    assert len(series.quads) == quads


def test_a_series_that_meets_its_floors_as_the_cap_comes_is_not_short():
    time = Time()
    series = timed(Worker(time, 50 * MS), Worker(time, 50 * MS), time, limits(runs=16, quads=1, cap_s=0.5))
    assert len(series.quads) == 1
    assert not series.short


def test_each_quad_has_its_own_repetitions_and_none_is_left_once_the_cap_has_come():
    time, count = Time(), iter(range(1000))

    def look():
        return State(0.0, 0.0, swap_kib=next(count))

    arms = Worker(time, MS), Worker(time, MS)
    series = timed(*arms, time, limits(quads=2, runs=1), look=look)
    assert (len(series.discarded), series.tainted, len(series.quads)) == (6, 2, 2)
    series = timed(*arms, time, limits(quads=2, runs=1, cap_s=0.1), look=look)
    assert (len(series.discarded), series.tainted, len(series.quads)) == (0, 1, 1)
    assert series.short


def test_a_slow_arm_ends_at_the_cap_and_says_so():
    time = Time()
    series = timed(Worker(time, 500 * MS), Worker(time, 1000 * MS), time, limits(cap_s=30.0))
    assert series.short
    assert sum(block.wall_ns for block in series.blocks("b")) <= 32e9


def test_quads_undo_a_drifting_clock_end_to_end():
    time = Time(drift=0.2, over_ns=20e9)
    a, b = Worker(time, 10 * MS), Worker(time, 13 * MS)
    series = timed(a, b, time, limits(quads=20, runs=1))
    arms = {name: timed_rows(series, name) for name in ("a", "b")}
    ratio = rows.ratio_rows(series, arms["a"], arms["b"])[0]
    assert ratio.value == pytest.approx(1.3, abs=2e-4)
    assert ratio.n == 20
    assert "overlap" not in ratio.flags


def timed_rows(series, name, flags=()):
    return rows.Timed(blocks=series.blocks(name), runtime="torch", placements=("device",), repeats=(1,), flags=flags)


def test_the_third_arm_gets_half_blocks_and_enters_no_ratio():
    time = Time()
    series = timed(Worker(time, MS), Worker(time, MS), time, limits(quads=2, runs=1), beside=Worker(time, 5 * MS))
    assert [len(block.parts) for block in series.blocks("beside")] == [10, 10]
    assert {float(np.median(block.totals)) for block in series.blocks("b")} == {float(MS)}


def test_a_disturbed_quad_is_done_again_at_most_three_times_and_both_are_counted():
    time, states = Time(), []

    def look():
        states.append(len(states))
        # the first quad is disturbed in all its tries, later ones never
        swap = len(states) if len(states) <= 8 else 8
        return State(0.0, 0.0, swap_kib=swap)

    series = timed(Worker(time, MS), Worker(time, MS), time, limits(quads=3, runs=1), look=look)
    assert len(series.discarded) == 3
    assert len(series.quads) == 3
    assert series.tainted == 1
    assert series.quads[0].taint == ("swap",)


def test_a_bound_on_all_repetitions_holds_over_the_series():
    time, count = Time(), iter(range(1000))
    series = timed(
        Worker(time, MS), Worker(time, MS), time, limits(quads=4, runs=1), redos_in_all=1,
        look=lambda: State(0.0, 0.0, swap_kib=next(count)),
    )  # fmt: skip
    assert (len(series.discarded), series.tainted, len(series.quads)) == (1, 4, 4)


def test_the_warm_up_waits_for_a_plateau():
    time = Time()
    costs = iter([100, 90, 80, 70, 60, 50, 40, 30, 20] + [10] * 100)
    settled = warm_up(lambda index: (time.spend(next(costs) * MS),), limits(warm_runs=5), clock=time)
    assert settled.plateau
    assert len(settled.runs) == 17  # the median of 30 20 10 10 10 is level with that of the five after


def test_a_warm_up_without_a_plateau_ends_at_ten_times_its_floor():
    time = Time()
    settled = warm_up(lambda index: (time.spend((index + 1) ** 3 * MS),), limits(warm_runs=5), clock=time)
    assert not settled.plateau
    assert len(settled.runs) == 50


def test_the_warm_up_meets_its_floor_in_seconds_too():
    time = Time()
    settled = warm_up(Worker(time, 10 * MS), limits(warm_runs=5, warm_s=1.0), clock=time)
    assert len(settled.runs) == 100


def block(*runs, wall=None, cpu=0):
    parts = np.array(runs, dtype=np.int64)[:, None]
    return Block(parts, wall or int(parts.sum()), cpu)


def test_cpu_seconds_of_a_part_that_is_repeated_inside_its_clock_count_once():
    # ten runs of 1 us, each repeated 10 times: 100 us of CPU were used, 1 us is one inference
    assert cpu_seconds_a_run([block(*[1000] * 10, wall=100_000, cpu=100_000)]) == pytest.approx(1e-6)
    assert cpu_seconds_a_run([block(*[MS] * 4, wall=4 * MS, cpu=8 * MS)]) == pytest.approx(2e-3)  # two threads


def test_latency_rows_carry_null_where_the_runs_do_not_suffice():
    few = rows.Timed(
        blocks=[block(*range(1, 33)), block(*range(33, 65))], runtime="torch", placements=("device",), repeats=(1,),
        flags=("short",),
    )  # fmt: skip
    found = {(r.placement, r.statistic): r for r in rows.latency_rows(few)}
    assert found["total", "p50"].value == pytest.approx(32e-6)
    assert found["total", "es_p90"].value == pytest.approx(64e-6)
    for statistic in ("p99", "es_p99"):
        assert found["total", statistic].value is None
        assert "too_few_runs" in found["total", statistic].flags
    assert all("short" in r.flags and r.n == 64 and r.provenance == "measured" for r in found.values())


def test_estimated_energy_shows_cpu_seconds_and_watts_and_no_co2e():
    arm = rows.Timed(
        blocks=[block(*[750 * MS] * 2, cpu=3000 * MS)], runtime="torch", placements=("device",), repeats=(1,), flags=()
    )
    found = {
        (r.quantity, r.statistic, r.placement): r
        for r in rows.declared_rows(arm, watts_per_thread=4.0, flags=("short",))
    }
    assert found["cpu_seconds", "mean", "total"].value == pytest.approx(1.5)
    assert found["energy_mj", "gross", "total"].value == pytest.approx(6000.0)  # 4 W a thread x 1.5 CPU-s = 6.0 J
    assert found["power_w", "declared", "total"].value == 4.0
    assert found["co2e_mg", "gross", "total"].value is None
    assert {r.provenance for r in found.values()} == {"estimated-tdp"}
    assert all("short" in r.flags for r in found.values())
