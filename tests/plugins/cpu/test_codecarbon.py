"""codecarbon as the estimator of last resort: real, in a block of its own, without any network."""

import socket
import time

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


def test_the_estimate_is_declared_watts_times_cpu_seconds():
    found = estimated_by_codecarbon(
        lambda index: sum(range(2000)), watts_per_thread=4.0, ram_watts=0.0, country="world", block_s=3.0
    )
    assert found.cpu_j == pytest.approx(4.0 * found.cpu_seconds, rel=0.1)


def test_a_tracker_that_stops_with_nothing_is_a_fault_and_no_zero(monkeypatch):
    import codecarbon

    monkeypatch.setattr(codecarbon.OfflineEmissionsTracker, "stop", lambda self: None)
    monkeypatch.setattr(codecarbon.OfflineEmissionsTracker, "start", lambda self: None)
    with pytest.raises(PluginFault, match="gave no estimate"):
        estimated_by_codecarbon(
            lambda index: time.sleep(0.001), watts_per_thread=4.0, ram_watts=0.0, country="fra", block_s=0.01
        )
