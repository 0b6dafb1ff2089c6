"""What the CPU's plugin says while a run is planned."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.errors import UnknownName
from bench.hardware.latency import LIMITS
from bench.plugins.parameters import resolve
from bench_cpu import machine
from bench_cpu.beforehand import prospect
from bench_cpu.plugin import bench_hardware
from bench_cpu.power import BLOCK_S, WINDOWS


def asked(**given: str):
    (entry,) = bench_hardware()
    return prospect(resolve("cpu", entry.parameters, given), "quick")


def test_it_names_the_machine_as_it_is_set_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "governors", lambda root: ("powersave",))
    assert asked().machine["governors"] == ["powersave"]
    monkeypatch.setattr(machine, "governors", lambda root: ("performance",))
    assert asked(threads="3").machine == {**machine.identity(), "governors": ["performance"], "threads": 3}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_all_threads_are_those_that_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert asked(threads="0").machine["threads"] == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_a_country_without_a_known_intensity_is_refused_with_a_proposal() -> None:
    with pytest.raises(UnknownName, match=r"Unknown country 'fraa'\. Did you mean 'fra'"):
        asked(country="fraa")


@pytest.mark.parametrize(("preset", "budget"), [("budget", "quick"), ("budget", "default"), ("strict", "quick")])
def test_the_limit_is_beyond_what_the_protocol_takes_at_most(preset: str, budget: str) -> None:
    """A disturbed machine repeats until the cap, and warming up ends at ten times its floor."""
    (entry,) = bench_hardware()
    limits = LIMITS[budget if preset == "budget" else preset]
    for given in ({}, {"window_s": "60", "idle_s": "300"}):
        parameters = resolve("cpu", entry.parameters, {"preset": preset, **given})
        longest = 2.25 * limits.cap_s + 3 * 10 * limits.warm_s + WINDOWS * 2 * parameters["window_s"]
        longest += 2 * parameters["idle_s"] + BLOCK_S
        known = prospect(parameters, budget)
        assert known.seconds < 1.5 * longest < known.timeout_s


def test_asking_imports_nothing_slow() -> None:
    code = (
        "import sys, bench_cpu.beforehand\n"
        "heavy = {'torch', 'scipy', 'pandas', 'codecarbon', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
