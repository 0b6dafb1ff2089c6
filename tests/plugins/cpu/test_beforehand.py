"""What the CPU's plugin says while a run is planned."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.errors import UnknownName
from bench.plugins.parameters import resolve
from bench_cpu import machine
from bench_cpu.beforehand import prospect
from bench_cpu.plugin import bench_hardware


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


def test_asking_imports_nothing_slow() -> None:
    code = (
        "import sys, bench_cpu.beforehand\n"
        "heavy = {'torch', 'scipy', 'pandas', 'codecarbon', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
