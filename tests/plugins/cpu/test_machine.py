from pathlib import Path

import numpy as np
import pytest

from bench.errors import Unavailable
from bench_cpu import rows
from bench_cpu.machine import (
    State,
    clock_source,
    cpu_model,
    governors,
    identity,
    idlest,
    observe,
    standing_flags,
    taints,
)
from bench_cpu.power import Rapl, metered
from bench_cpu.timing import Block


def tree(root: Path, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_absent_files_give_nothing_and_no_error(tmp_path):
    state = observe(tmp_path)
    assert (state.busy_s, state.steal_s, state.frequency_khz, state.swap_kib) == (None, None, None, None)
    assert standing_flags(tmp_path) == ()
    assert identity(tmp_path)["clock_source"] is None
    assert taints(state, observe(tmp_path)) == ()


def test_a_governor_that_varies_and_a_slow_clock_are_flagged(tmp_path):
    clock = "sys/devices/system/clocksource/clocksource0/current_clocksource"
    cpu = "sys/devices/system/cpu/cpu{}/cpufreq/{}"
    tree(tmp_path, {
        clock: "hpet\n", cpu.format(0, "scaling_governor"): "performance\n",
        cpu.format(1, "scaling_governor"): "ondemand\n",
        cpu.format(0, "scaling_cur_freq"): "1800000\n", cpu.format(1, "scaling_cur_freq"): "1500000\n",
        "proc/cpuinfo": "processor : 0\nmodel name : Some CPU @ 2.5 GHz\n",
    })  # fmt: skip
    assert clock_source(tmp_path) == "hpet"
    assert governors(tmp_path) == ("ondemand", "performance")
    assert standing_flags(tmp_path) == ("slow_clock", "dvfs")
    assert observe(tmp_path).frequency_khz == 1_500_000
    assert cpu_model(tmp_path) == "Some CPU @ 2.5 GHz"
    tree(tmp_path, {clock: "tsc\n", cpu.format(1, "scaling_governor"): "performance\n"})
    assert standing_flags(tmp_path) == ()


def test_proc_stat_is_read_in_its_order(tmp_path):
    tree(tmp_path, {"proc/stat": "cpu  100 0 50 800 20 0 10 20 0 0\ncpu0 100 0 50 800 20 0 10 20 0 0\n"})
    state = observe(tmp_path)
    assert (state.busy_s, state.steal_s, state.capacity_s) == pytest.approx((1.6, 0.2, 10.0))


BEFORE = State(0.0, 0.0, 10.0, 1.0, 100.0, 2_000_000, 0)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (State(1.0, 1.0, 11.0, 1.0, 102.0, 2_000_000, 0), ()),
        (State(1.0, 1.0, 11.0, 1.03, 102.0, 2_000_000, 0), ("steal",)),
        (State(1.0, 1.0, 11.0, 1.01, 102.0, 2_000_000, 0), ()),
        (State(1.0, 1.0, 11.0, 1.0, 102.0, 1_950_000, 0), ("frequency",)),
        (State(1.0, 1.0, 11.0, 1.0, 102.0, 1_970_000, 0), ()),
        (State(1.0, 1.0, 11.0, 1.0, 102.0, 2_000_000, 4), ("swap",)),
        (State(1.0, 1.0, 11.5, 1.0, 102.0, 2_000_000, 0), ("load",)),
        (State(1.0, 1.0, 11.2, 1.0, 102.0, 2_000_000, 0), ()),
    ],
)
def test_what_taints_a_block(after, expected):
    assert taints(BEFORE, after) == expected


def test_the_cpus_that_others_use_least_are_chosen():
    before = {"cpu0": [0] * 8, "cpu1": [0] * 8, "cpu2": [0] * 8}
    after = {"cpu0": [9, 0, 0, 1, 0, 0, 0, 0], "cpu1": [1, 0, 0, 9, 0, 0, 0, 0], "cpu2": [5, 0, 0, 5, 0, 0, 0, 0]}
    assert idlest(1, [0, 1, 2], before, after) == {1}
    assert idlest(2, [0, 1, 2], before, after) == {1, 2}
    assert idlest(1, [0, 2], {}, {}) == {0}


def rapl(root, **energy):
    names = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "psys"}
    files = {}
    for folder, name in names.items():
        base = f"sys/class/powercap/{folder}"
        files[f"{base}/name"] = f"{name}\n"
        files[f"{base}/energy_uj"] = f"{energy.get(name.replace('-', '_'), 0)}\n"
        files[f"{base}/max_energy_range_uj"] = "262143328850\n"
    return tree(root, files)


def test_rapl_counts_packages_and_memory_and_neither_cores_nor_the_platform_twice(tmp_path):
    counter = Rapl.find(rapl(tmp_path, package_0=262143328000, dram=1000, psys=5))
    assert set(counter.domains) == {"intel-rapl:0 package-0", "intel-rapl:0:1 dram"}
    before = counter.read()
    rapl(tmp_path, package_0=150000, dram=3000, psys=10**9, core=10**9)
    assert counter.joules(before, counter.read()) == pytest.approx((150_850 + 2000) / 1e6)


def test_a_machine_without_rapl_says_so(tmp_path):
    with pytest.raises(Unavailable, match="no RAPL"):
        Rapl.find(tmp_path)


class Meter:
    """A counter that follows a fake clock: 2 W always, and what each run costs."""

    def __init__(self):
        self.now, self.extra, self.order = 0.0, 0.0, []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def arm(self, name, seconds, joules):
        def run(index):
            self.order.append(name)
            self.now += seconds
            self.extra += joules

        return run

    def read(self):
        return {"all": round((2.0 * self.now + self.extra) * 1e6)}

    def joules(self, before, after):
        return (after["all"] - before["all"]) / 1e6


def test_energy_windows_run_in_abba_order_with_an_idle_phase_on_either_side():
    meter = Meter()
    found = metered(
        meter.arm("a", 0.5, 0.5), meter.arm("b", 1.0, 3.0), meter, window_s=10.0, idle_s=30.0, clock=meter.clock,
        sleep=meter.sleep,
    )  # fmt: skip
    switches = [name for i, name in enumerate(meter.order) if i == 0 or meter.order[i - 1] != name]
    assert "".join(switches) == "ababab"  # a bb aa bb aa b: five windows an arm, neighbours merged
    assert [window.runs for window in found.b] == [10] * 5
    assert found.idle[0].mean_w == pytest.approx(2.0)
    block = Block(np.full((4, 1), 10**9, dtype=np.int64), 4 * 10**9, 0)
    arm = rows.Timed(blocks=[block], runtime="torch", placements=("device",), repeats=(1,), flags=())
    figures = {(r.quantity, r.statistic, r.placement): r for r in rows.metered_rows(arm, found, country="fra")}
    gross, net = figures["energy_mj", "gross", "total"], figures["energy_mj", "net", "total"]
    assert (gross.value, gross.n, gross.provenance) == (pytest.approx(5000.0), 5, "measured-rapl")
    assert net.value == pytest.approx(3000.0, rel=1e-4)
    assert figures["co2e_mg", "gross", "total"].value == pytest.approx(5.0 / 3.6e6 * 56.039 * 1000, rel=1e-6)
