"""Profile toy deployments here: what is counted is checked, what is timed is only seen to be there."""

import math
import sys
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from bench.deployment import Capture, Classify, Deployment, Draws, Signal, Stage
from bench.hardware import Workload
from bench.hardware.latency import Limits
from bench.plugins.parameters import resolve
from bench_cpu import memory
from bench_cpu.pipeline import Pipeline
from bench_cpu.plugin import bench_hardware
from bench_cpu.profile import CpuProfile
from bench_cpu.wire import byte_rows, references

SIDE = 8


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIDE * SIDE, 5)).eval()


def images(count=40):
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2)).mul(255).round().div(255)


class Halved(Stage):
    """Blanks half of the picture; sends it plain, squeezed, or by a format that forgets."""

    placement = "device"
    macs_declared = 7
    wire_formats = ("plain", "squeezed", "forgetful", "broken")

    def transform(self, x):
        return x * (torch.arange(SIDE) < SIDE // 2)

    def encode(self, signal, wire_format="plain"):
        if wire_format == "broken":
            raise ValueError("no")
        found = [b"HEAD" + payload for payload in super().encode(signal)]
        if wire_format == "squeezed":
            return [zlib.compress(payload) for payload in found]
        return [payload[: len(payload) // 2] for payload in found] if wire_format == "forgetful" else found

    def decode(self, payloads, like, wire_format="plain"):
        if wire_format == "squeezed":
            payloads = [zlib.decompress(payload) for payload in payloads]
        if wire_format == "forgetful":
            return Signal(torch.zeros_like(like.x), like.draws)
        return super().decode([payload[4:] for payload in payloads], like)


class Noise(Stage):
    placement = "device"
    randomised = True

    def forward(self, signal):
        noise = torch.from_numpy(signal.draws.normal("n", 3, SIDE, SIDE)).float()
        return signal.replace((signal.x + 0.1 * noise).clamp(0, 1))


def figures(found):
    return {(r.quantity, r.statistic, r.placement, r.runtime, r.variant): r for r in found}


def test_bytes_are_the_length_of_what_each_format_really_sends():
    deployment = Deployment.chain(Halved(), Classify(network()))
    found = figures(byte_rows(deployment, images(), seed=0))
    raw = 3 * SIDE * SIDE
    plain = found["uplink_bytes", "mean", "device", "", "plain"]
    assert plain.value == raw + 4
    assert "default" in plain.flags
    assert "default" not in found["uplink_bytes", "mean", "device", "", "squeezed"].flags
    assert (plain.low, plain.high, plain.n, plain.provenance) == (raw + 4, raw + 4, 40, "counted")
    assert found["uplink_ratio", "mean", "device", "", "plain"].value == pytest.approx((raw + 4) / raw)

    stage = deployment.nodes[0].stage
    signal = Signal(images() * (torch.arange(SIDE) < SIDE // 2), Draws.of("profile", 0, [b"x"] * 40))
    lengths = sorted(len(payload) for payload in stage.encode(signal, "squeezed"))
    statistics = {s: found["uplink_bytes", s, "device", "", "squeezed"].value for s in ("mean", "p50", "p95", "max")}
    assert statistics == {"mean": np.mean(lengths), "p50": lengths[19], "p95": lengths[37], "max": lengths[-1]}


def test_a_format_that_does_not_suffice_has_no_bytes_and_says_why():
    found = figures(byte_rows(Deployment.chain(Halved(), Classify(network())), images(), seed=0))
    forgetful = found["uplink_bytes", "mean", "device", "", "forgetful"]
    assert forgetful.value is None
    assert any("another_signal" in flag for flag in forgetful.flags)
    assert any("does_not_decode: ValueError" in f for f in found["uplink_bytes", "mean", "device", "", "broken"].flags)


def test_files_of_the_same_images_stand_beside():
    flat = torch.full((3, 3, SIDE, SIDE), 0.5)
    found = references(flat)
    assert set(found) == {"pixels", "deflate", "png", "jpeg-q75", "jpeg-q90"}
    assert found["deflate"].tolist() == [len(zlib.compress(bytes([128] * 192), 9))] * 3
    assert found["pixels"].tolist() == [192] * 3
    assert found["png"].max() < 192
    assert set(references(flat[:, :1])) == set(found)
    assert set(references(flat[:, :2])) == {"pixels", "deflate"}


def test_what_stays_on_the_device_sends_nothing():
    found = figures(byte_rows(Deployment.chain(Classify(network(), "device")), images(), seed=0))
    assert {r.value for r in found.values() if r.quantity == "uplink_bytes"} == {0.0}
    assert all("no border" in r.source for r in found.values())


def test_a_pipeline_gives_the_deployments_answer():
    deployment = Deployment.chain(Halved(), Noise(), Classify(network()))
    x = images(3)
    signals = [Signal(x[i : i + 1], Draws.of("profile", 0, [bytes([i])])) for i in range(3)]
    pipeline = Pipeline(deployment, signals)
    for index, signal in enumerate(signals):
        assert torch.equal(pipeline.answer(index).x, deployment.answer(signal).x)
    assert len(pipeline(0)) == 2


def test_a_part_shorter_than_fifty_clock_readings_is_repeated_inside_its_clock():
    ticks = iter(range(0, 10**9, 100))
    signals = [Signal(images(1), Draws.of("profile", 0, [b"0"]))]
    pipeline = Pipeline(Deployment.chain(Capture(), Classify(network())), signals, clock=lambda: next(ticks))
    pipeline.calibrate([(1000, 6000)] * 5, clock_cost=100.0)
    assert pipeline.repeats == [5, 1]
    assert pipeline(0) == (20, 100)  # one tick of 100 ns over five repeats, and over one


@pytest.fixture(autouse=True)
def short_protocol(monkeypatch):
    limits = Limits(warm_runs=5, warm_s=0.0, runs=16, seconds=0.0, quads=2, cap_s=30.0, block_s=0.01)
    monkeypatch.setattr("bench_cpu.profile.LIMITS", {"quick": limits})


def measured(deployment, folder, **parameters):
    baseline = Deployment.chain(Capture(), Classify(network()))
    workload = Workload(deployment=deployment, baseline=baseline, images=images(), seed=0, scratch=folder)
    return CpuProfile(**parameters).measure(workload, "quick")


def test_an_exportable_device_is_timed_in_onnxruntime_with_torch_beside(tmp_path):
    rows = measured(Deployment.chain(Halved(), Classify(network())), tmp_path)
    found = figures(rows)
    for runtime in ("onnxruntime", "torch"):
        assert found["latency_ms", "p50", "device", runtime, ""].value > 0
        assert found["latency_ms", "p50", "total", runtime, ""].value > 0
    assert found["latency_ms", "p50", "server", "torch", ""].value > 0
    ratio = found["latency_ratio", "median", "total", "onnxruntime", ""]
    assert ratio.low <= ratio.value <= ratio.high
    sizes = [p.stat().st_size for p in (tmp_path / "deployment").glob("*.onnx")]
    assert len(sizes) == 2
    assert found["model_bytes", "total", "total", "", ""].value == sum(sizes)
    assert found["param_bytes", "total", "server", "", ""].value == sum(p.numel() * 4 for p in network().parameters())
    assert found["macs", "total", "device", "", ""].value == 7
    assert found["macs", "total", "total", "", ""].value == 7 + SIDE * SIDE * 4 * 27 + 4 * SIDE * SIDE * 5
    assert all(r.source and r.provenance and (r.value is not None or r.flags) for r in rows)
    runs = np.load(tmp_path / "runs-b-onnxruntime.npy", allow_pickle=False)
    assert runs.dtype == np.int64
    assert len(runs) == found["latency_ms", "p50", "device", "onnxruntime", ""].n


def test_a_device_that_does_not_export_is_timed_in_torch_on_both_arms_with_the_reason(tmp_path):
    found = figures(measured(Deployment.chain(Noise(), Classify(network())), tmp_path))
    p50 = found["latency_ms", "p50", "device", "torch", ""]
    assert p50.value > 0
    assert any(flag.startswith("not_exportable: stage '0-noise' draws at random") for flag in p50.flags)
    assert ("latency_ratio", "median", "total", "torch", "") in found
    assert not [key for key in found if key[3] == "onnxruntime"]
    assert found["model_bytes", "total", "device", "", ""].value is None
    assert found["macs", "total", "total", "", ""].value is None
    assert found["macs", "total", "total", "", ""].flags == ("unknown: 0-noise",)


def test_quick_energy_is_declared_and_marked(tmp_path):
    found = figures(measured(Deployment.chain(Halved(), Classify(network())), tmp_path, watts_per_thread=3.0))
    energy = found["energy_mj", "gross", "total", "onnxruntime", ""]
    assert (energy.provenance, energy.flags) == ("estimated-tdp", ("short",))
    seconds = found["cpu_seconds", "mean", "total", "onnxruntime", ""].value
    assert energy.value == pytest.approx(3.0 * seconds * 1e3)
    assert found["co2e_mg", "gross", "total", "onnxruntime", ""].value is None
    assert not [k for k in figures(measured(Deployment.chain(Capture(), Classify(network())), tmp_path, energy="none"))
                if k[0] in {"energy_mj", "co2e_mg"}]  # fmt: skip


def test_threads_and_affinity_are_put_back(tmp_path):
    import os

    before = (torch.get_num_threads(), os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None)
    measured(Deployment.chain(Capture(), Classify(network())), tmp_path)
    assert (torch.get_num_threads(), os.sched_getaffinity(0) if before[1] else None) == before


def test_memory_of_a_child_sees_what_it_allocates():
    if not memory.reset_peak():
        pytest.skip("this kernel does not reset VmHWM")

    def work():
        memory.reset_peak()
        before = memory.resident_bytes()
        block = np.ones(30_000_000)
        return memory.peak_bytes() - before if block.all() else 0

    assert memory.in_child(work) == pytest.approx(240e6, rel=0.05)


def test_a_child_that_fails_or_dies_gives_the_reason_and_not_a_number():
    assert "ZeroDivisionError" in memory.in_child(lambda: 1 / 0)
    assert "died with status -9" in memory.in_child(lambda: __import__("os").kill(__import__("os").getpid(), 9))


def test_the_fresh_process_that_runs_a_graph_holds_no_torch(tmp_path):
    found = figures(measured(Deployment.chain(Halved(), Classify(network())), tmp_path))
    if "linux" not in sys.platform:
        pytest.skip("reads /proc")
    fresh, forked = (found["peak_rss_bytes", "max", p, r, ""].value
                     for p, r in (("device", "onnxruntime"), ("total", "torch")))  # fmt: skip
    assert 10e6 < fresh < forked - 50e6


def test_the_entry_declares_what_the_profile_takes():
    (entry,) = bench_hardware()
    profile = CpuProfile(**resolve("cpu", entry.parameters, {"threads": "2", "country": "FRA"}))
    assert (profile.threads, profile.country, profile.watts_per_thread) == (2, "FRA", 4.0)
    assert profile.machine() == profile.machine()
    assert math.isclose(profile.idle_s, 30.0)


def test_profiling_starts_no_thread_pool_beside_the_timed_thread(tmp_path):
    import numba.np.ufunc.parallel as pool

    assert not pool._is_initialized
    measured(Deployment.chain(Capture(), Classify(network())), tmp_path)
    assert not pool._is_initialized, "numba's waiting threads slowed even the baseline fifteen times"
