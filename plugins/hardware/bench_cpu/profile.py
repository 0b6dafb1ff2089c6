"""Measure what a deployment costs on this machine, beside the undefended one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from bench.deployment import INPUT, Deployment, Signal
from bench.deployment.export import Exported, NotExportable, OnnxSubgraph, export, tensor_of
from bench.deployment.macs import count_macs
from bench.deployment.subgraph import Subgraph
from bench.errors import PluginFault, Unavailable
from bench.hardware import Measurement, Preset, Workload
from bench.hardware.latency import LIMITS
from bench_cpu import machine, memory, power, rows
from bench_cpu.beforehand import identified, threads_of
from bench_cpu.pipeline import Passage, Pipeline, Runner, clock_cost
from bench_cpu.timing import Series, interleave, undisturbed, warm_up
from bench_cpu.wire import byte_rows, draws_of

DISTINCT = 32  # images that are cycled through while timing
LOOK_S = 0.1  # how long other processes are watched before CPUs are chosen
COMPARED = 4  # images on which an exported graph must agree with torch


class CpuProfile:
    """The CPU that the suite runs on; parameters as in ``bench_cpu.plugin``."""

    def __init__(
        self,
        *,
        threads: int = 1,
        preset: str = "budget",
        energy: str = "auto",
        watts_per_thread: float = 4.0,
        ram_watts: float = 0.0,
        country: str = "world",
        window_s: float = 10.0,
        idle_s: float = 30.0,
    ) -> None:
        self.threads = threads_of(threads)
        self.preset = preset
        self.energy, self.country = energy, country
        self.watts_per_thread, self.ram_watts = watts_per_thread, ram_watts
        self.window_s, self.idle_s = window_s, idle_s

    def machine(self) -> Mapping[str, object]:
        """Return what identifies the machine; the same from run to run."""
        return identified(self.threads)

    def measure(self, workload: Workload, preset: Preset) -> Sequence[Measurement]:
        """Return every figure that this machine can give for the workload."""
        if self.preset != "budget":
            preset = cast(Preset, self.preset)
        signals = _singles(workload)
        found = [_Exports.of(workload.deployment, signals, workload.scratch / "deployment", everything=True)]
        found.append(_Exports.of(workload.baseline, signals, workload.scratch / "baseline", everything=False))
        defended, baseline = found
        figures = byte_rows(workload.deployment, workload.images, workload.seed)
        figures += _size_rows(defended) + _mac_rows(workload.deployment, signals[0])
        with self._settled():
            figures += self._memory_rows(defended, signals)
            figures += self._timed_rows(workload, defended, baseline, signals, preset)
        return figures

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Compute on so many threads, on the CPUs that others use least, until the end of the block."""
        threads, cpus = torch.get_num_threads(), None
        torch.set_num_threads(self.threads)
        # Not numba.set_num_threads: it starts numba's pool, whose waiting threads then share the CPU that is timed.
        # A stage that computes in parallel there is held to the same CPUs by the affinity.
        if hasattr(os, "sched_setaffinity"):
            cpus, before = os.sched_getaffinity(0), machine.cpu_times()
            time.sleep(LOOK_S)  # asleep, so that what is seen busy are others
            os.sched_setaffinity(0, machine.idlest(self.threads, sorted(cpus), before, machine.cpu_times()))
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)

    def _timed_rows(
        self,
        workload: Workload,
        defended: _Exports,
        baseline: _Exports,
        signals: Sequence[Signal],
        preset: Preset,
    ) -> list[Measurement]:
        both = defended.whole and baseline.whole
        arm = {
            name: Pipeline(exports.deployment, signals, exports.runners(self.threads) if both else None)
            for name, exports in (("a", baseline), ("b", defended))
        }
        if both or defended.whole:
            # The other runtime of the deployment, timed beside.
            other = Pipeline(workload.deployment, signals, None if both else defended.runners(self.threads))
            arm["beside"] = other
        runtime = {"a": "onnxruntime" if both else "torch", "b": "onnxruntime" if both else "torch"}
        runtime["beside"] = "torch" if both else "onnxruntime"

        limits, cost = LIMITS[preset], clock_cost()
        with undisturbed():
            warmed = {name: warm_up(pipeline, limits) for name, pipeline in arm.items()}
            for name, pipeline in arm.items():
                pipeline.calibrate(warmed[name].runs[-5:], cost)
            series = interleave(
                arm["a"], arm["b"], limits, beside=arm.get("beside"), redos_in_all=1 if preset == "quick" else None
            )
        common = (*machine.standing_flags(), *_series_flags(series), *_image_flags(signals))
        timed = {}
        for name, pipeline in arm.items():
            settled = () if warmed[name].plateau else ("no_warmup_plateau",)
            reasons = defended.reasons if name == "b" and not both else baseline.reasons if name == "a" else ()
            timed[name] = rows.Timed(
                blocks=series.blocks(name),
                runtime=runtime[name],
                placements=pipeline.placements,
                repeats=pipeline.repeats,
                flags=(*common, *settled, *reasons),
            )
        _keep_raw(timed, workload.scratch)
        figures = rows.ratio_rows(series, timed["a"], timed["b"]) + rows.latency_rows(timed["b"])
        if "beside" in timed:
            # The server's part is the same in both runtimes: once is enough.
            figures += [row for row in rows.latency_rows(timed["beside"]) if row.placement != "server"]
        return figures + self._energy_rows(arm, timed["b"], preset)

    def _energy_rows(self, arm: Mapping[str, Pipeline], timed: rows.Timed, preset: Preset) -> list[Measurement]:
        declared = rows.declared_rows(
            timed, watts_per_thread=self.watts_per_thread, flags=("short",) if preset == "quick" else ()
        )
        if self.energy == "none":
            return []
        if preset == "quick" or self.energy == "tdp":
            return declared
        try:
            if self.energy in {"auto", "rapl"}:
                counter = power.Rapl.find()
                with undisturbed():
                    metered = power.metered(arm["a"], arm["b"], counter, window_s=self.window_s, idle_s=self.idle_s)
                return rows.metered_rows(timed, metered, country=self.country)
        except Unavailable as error:
            if self.energy == "rapl":
                return rows.no_energy_row(f"no_rapl: {error}")
        try:
            estimate = power.estimated_by_codecarbon(
                arm["b"], watts_per_thread=self.watts_per_thread, ram_watts=self.ram_watts, country=self.country
            )
        except PluginFault as error:
            return rows.no_energy_row(f"no_codecarbon: {error}")
        return rows.estimate_rows(timed, estimate, watts_per_thread=self.watts_per_thread, ram_watts=self.ram_watts)

    def _memory_rows(self, defended: _Exports, signals: Sequence[Signal]) -> list[Measurement]:
        figures = _memory(memory.of_pipeline(Pipeline(defended.deployment, signals)), "torch", _FORKED)
        for part in defended.parts.values():
            if isinstance(part, Exported) and part.subgraph.placement == "device" and part.subgraph.crossings == 0:
                inputs = part.path.with_suffix(".npz")
                np.savez(inputs, **{p.name: tensor_of({INPUT: signals[0]}, p).numpy() for p in part.inputs})  # type: ignore[arg-type]
                peak = memory.of_graph(part.path, inputs, threads=self.threads)
                found = peak if isinstance(peak, str) else {"device": peak}
                figures += _memory(found, "onnxruntime", _FRESH)
        return figures


_FORKED = "VmHWM of a forked child in torch, reset by clear_refs; it shares the interpreter and libraries of its parent"
_FRESH = "VmHWM of a fresh process with NumPy and onnxruntime only, reset by clear_refs before the graph is loaded"


@dataclass(frozen=True)
class _Exports:
    """What became of a deployment's subgraphs.

    Attributes
    ----------
    parts : subgraph name -> its export, or why there is none; those not tried are missing
    """

    deployment: Deployment
    parts: Mapping[str, Exported | NotExportable]

    @classmethod
    def of(cls, deployment: Deployment, signals: Sequence[Signal], folder: Path, *, everything: bool) -> _Exports:
        """Export what runs on the device; with ``everything``, the server's subgraphs too."""
        folder.mkdir(parents=True, exist_ok=True)
        pipeline = Pipeline(deployment, signals)
        passages = [Passage({INPUT: signal}) for signal in signals[:COMPARED]]
        parts: dict[str, Exported | NotExportable] = {}
        with torch.no_grad():
            for part in pipeline.parts:
                wanted = everything or part.subgraph.placement != "server"
                if wanted:
                    examples = [_arrived(pipeline, part.subgraph, passage) for passage in passages]
                    parts[part.subgraph.name] = export(part.subgraph, examples, folder)
                for passage in passages:
                    part.run(passage)
        return cls(deployment, parts)

    @property
    def near(self) -> dict[str, Exported | NotExportable]:
        """Return the subgraphs of the device and its secure part."""
        return {name: part for name, part in self.parts.items() if part.subgraph.placement != "server"}

    @property
    def whole(self) -> bool:
        """Whether something runs on the device, and all of that runs in onnxruntime."""
        return bool(self.near) and all(isinstance(part, Exported) for part in self.near.values())

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why the device's part is timed in torch."""
        return tuple(f"not_exportable: {p.reason}" for p in self.near.values() if isinstance(p, NotExportable))

    def runners(self, threads: int) -> dict[str, Runner]:
        """Return onnxruntime sessions of the device's subgraphs."""
        return {name: OnnxSubgraph(p, threads=threads) for name, p in self.near.items() if isinstance(p, Exported)}


def _arrived(pipeline: Pipeline, subgraph: Subgraph, passage: Passage) -> dict[str, Signal]:
    part = next(p for p in pipeline.parts if p.subgraph is subgraph)
    given = {name: passage.made[name] for name in part.near}
    given |= {name: stage.decode(passage.sent[name], passage.made[name]) for name, stage in part.far}
    return {name: given[name] for name in subgraph.inputs}


def _singles(workload: Workload) -> list[Signal]:
    """Return the images that are cycled through, one a signal, with their draws made beforehand."""
    images = workload.images[:DISTINCT].contiguous()
    return [Signal(images[i : i + 1].clone(), draws_of(images[i : i + 1], workload.seed)) for i in range(len(images))]


def _image_flags(signals: Sequence[Signal]) -> tuple[str, ...]:
    return ("fewer_than_32_images",) if len(signals) < DISTINCT else ()


def _series_flags(series: Series) -> tuple[str, ...]:
    flags = ["short"] if series.short else []
    if series.tainted:
        causes = sorted({cause for quad in series.quads for cause in quad.taint})
        flags.append(f"tainted: {series.tainted} of {len(series.quads)} quads ({', '.join(causes)})")
    if series.discarded:
        flags.append(f"redone: {len(series.discarded)} quads")
    return tuple(flags)


def _keep_raw(timed: Mapping[str, rows.Timed], folder: Path) -> None:
    """Write every run as int64 ns, (runs, parts), so that anybody can compute the figures again."""
    for name, arm in timed.items():
        np.save(
            folder / f"runs-{name}-{arm.runtime}.npy", np.concatenate([b.parts for b in arm.blocks]), allow_pickle=False
        )


def _size_rows(exports: _Exports) -> list[Measurement]:
    figures = []
    sizes: dict[str, float | None] = {}
    reasons: dict[str, tuple[str, ...]] = {}
    for part in exports.parts.values():
        place: str = part.subgraph.placement
        if isinstance(part, NotExportable):
            sizes[place] = None
            reasons[place] = (*reasons.get(place, ()), f"not_exportable: {part.reason}")
        elif (before := sizes.get(place, 0.0)) is not None:
            sizes[place] = before + part.size_bytes
    known = [size for size in sizes.values() if size is not None]
    sizes["total"] = sum(known) if len(known) == len(sizes) else None
    reasons["total"] = tuple(reason for found in reasons.values() for reason in found)
    for where, size in sizes.items():
        source = "size of the exported ONNX files, not compressed"
        figures.append(_counted("model_bytes", where, size, "B", source, reasons.get(where, ())))
    for where, count in _parameters(exports.deployment).items():
        source = "sum of numel x itemsize of parameters and buffers"
        figures.append(_counted("param_bytes", where, count, "B", source, ()))
    return figures


def _parameters(deployment: Deployment) -> dict[str, float]:
    """Return bytes of parameters and buffers by placement; what two nodes of a placement share counts once."""
    held: dict[str, dict[int, int]] = {}
    for node in deployment.nodes:
        for tensor in (*node.stage.parameters(), *node.stage.buffers()):
            size = tensor.numel() * tensor.element_size()
            held.setdefault(node.placement, {})[id(tensor)] = size
            held.setdefault("total", {})[id(tensor)] = size
        held.setdefault(node.placement, {})
    held.setdefault("total", {})
    return {place: float(sum(sizes.values())) for place, sizes in held.items()}


def _mac_rows(deployment: Deployment, signal: Signal) -> list[Measurement]:
    macs = count_macs(deployment, signal)
    source = "torch.utils.flop_counter / 2, plus what stages declare"
    figures = []
    for place in (*deployment.placements, None):
        count, unknown = macs.total(place), macs.unknown(place)
        flags = (f"unknown: {', '.join(unknown)}",) if unknown else ()
        figures.append(
            _counted("macs", place or "total", None if count is None else float(count), "MAC", source, flags)
        )
    return figures


def _memory(found: memory.Peaks | str, runtime: str, source: str) -> list[Measurement]:
    if isinstance(found, str):
        place = "total" if runtime == "torch" else "device"
        return [_counted("peak_rss_bytes", place, None, "B", source, (found,), runtime=runtime, measured=True)]
    figures = []
    for place, entry in found.items():
        for quantity, key in (("peak_rss_bytes", "peak"), ("rss_delta_bytes", "growth")):
            figures.append(_counted(quantity, place, entry[key], "B", source, (), runtime=runtime, measured=True))
    return figures


def _counted(
    quantity: str,
    placement: str,
    value: float | None,
    unit: str,
    source: str,
    flags: tuple[str, ...],
    *,
    runtime: str = "",
    measured: bool = False,
) -> Measurement:
    return Measurement(
        quantity=quantity,
        statistic="max" if measured else "total",
        placement=placement,
        runtime=runtime,
        value=value,
        unit=unit,
        n=memory.RUNS if measured else 1,
        provenance="measured" if measured else "counted",
        source=source,
        flags=flags,
    )
