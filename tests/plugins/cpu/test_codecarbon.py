"""codecarbon as the estimator of last resort: real, in a block of its own, without any network."""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import time

import codecarbon
import pytest

from bench.errors import PluginFault
from bench_cpu.power import estimated_by_codecarbon


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("the test allows no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("offline")
def test_an_estimate_needs_no_network_leaves_no_file_and_reads_no_users_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".codecarbon.config").write_text("[codecarbon]\nforce_cpu_power=900\ntracking_mode=machine\npue=3\n")
    monkeypatch.setenv("CODECARBON_FORCE_RAM_POWER", "500")
    found = estimated_by_codecarbon(
        lambda index: sum(range(2000)), watts_per_thread=4.0, ram_watts=0.0, country="world", block_s=3.0
    )
    assert 0 < found.cpu_j < 900  # the file's 900 W for 3 s would be more
    assert found.ram_j == 0.0
    assert found.runs > 0
    assert [p.name for p in tmp_path.iterdir()] == [".codecarbon.config"]  # nothing written beside


@pytest.fixture
def crowd():
    """Three hundred sleeping processes, no children of this one."""
    started = subprocess.run(
        ["sh", "-c", "for i in $(seq 300); do sleep 60 >/dev/null 2>&1 & echo $!; done"],
        capture_output=True,
        text=True,
        check=True,
    )
    yield
    for pid in started.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.usefixtures("crowd")
def test_the_estimate_is_declared_watts_times_cpu_seconds_however_many_processes_there_are():
    found = estimated_by_codecarbon(
        lambda index: sum(range(2000)), watts_per_thread=4.0, ram_watts=0.0, country="world", block_s=3.0
    )
    assert found.cpu_j == pytest.approx(4.0 * found.cpu_seconds, rel=0.1)


def test_memory_is_declared_watts_times_seconds():
    found = estimated_by_codecarbon(
        lambda index: time.sleep(0.01), watts_per_thread=4.0, ram_watts=2.0, country="world", block_s=2.0
    )
    assert found.ram_j == pytest.approx(2.0 * found.seconds, rel=0.1)


def estimate_of_nothing():
    return estimated_by_codecarbon(
        lambda index: time.sleep(0.001), watts_per_thread=4.0, ram_watts=0.0, country="fra", block_s=0.01
    )


def test_a_tracker_that_stops_with_nothing_is_a_fault_and_no_zero(monkeypatch):
    monkeypatch.setattr(codecarbon.OfflineEmissionsTracker, "stop_task", lambda self: None)
    with pytest.raises(PluginFault, match="stopped with nothing"):
        estimate_of_nothing()


def test_a_tracker_whose_constructor_swallowed_an_error_is_a_fault(monkeypatch):
    monkeypatch.setattr(
        codecarbon, "OfflineEmissionsTracker", functools.partial(codecarbon.OfflineEmissionsTracker, no_such_setting=1)
    )
    with pytest.raises(PluginFault, match="was not set up"):
        estimate_of_nothing()
