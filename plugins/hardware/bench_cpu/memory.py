"""Peak memory: of a graph in a process that holds nothing else, and of a deployment in a forked child.

``python -m bench_cpu.memory MODEL.onnx INPUTS.npz THREADS`` is the first; it imports NumPy and onnxruntime only
and prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench_cpu.machine import status_kib

if TYPE_CHECKING:
    from bench_cpu.pipeline import Pipeline

Peaks = dict[str, dict[str, int]]
RUNS: Final = 8
TIMEOUT_S: Final = 120.0


def reset_peak() -> bool:
    """Set this process's high-water mark back to what it holds now; False where the kernel does not offer it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def release_freed() -> None:
    """Give memory that was freed back to the system, so that using it again is seen as growth; glibc only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_bytes() -> int:
    """Return the high-water mark of resident memory of this process."""
    high = status_kib("VmHWM")
    if high is not None:
        return high * 1024
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024


def resident_bytes() -> int:
    """Return what this process holds in memory now; its peak where the system says nothing else."""
    now = status_kib("VmRSS")
    return peak_bytes() if now is None else now * 1024


def of_graph(model: Path, inputs: Path, *, threads: int = 1) -> dict[str, int] | str:
    """Return peak and growth of a fresh process that loads the graph and runs it, or why there is none.

    Parameters
    ----------
    inputs : .npz of the graph's inputs by name
    """
    command = [sys.executable, "-m", "bench_cpu.memory", str(model), str(inputs), str(threads)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return "the measuring process took too long"
    if done.returncode:
        return f"the measuring process ended with {done.returncode}: {done.stderr.strip()[-160:]}"
    found: dict[str, int] = json.loads(done.stdout)
    return found


def of_pipeline(pipeline: Pipeline) -> Peaks | str:
    """Return peak and growth of a forked child that runs the deployment in torch, by placement and in total.

    Notes
    -----
    A deployment cannot be sent to another process without pickling code, so the child is a fork: its resident memory
    includes what it shares with this process, which is why the growth stands beside the peak.
    """

    def run() -> Peaks:
        found: Peaks = {}
        _run_once(pipeline, 0, {})  # what a first run allocates for good is growth too, but not of one part
        release_freed()
        start = resident_bytes()
        for index in range(RUNS):
            _run_once(pipeline, index, found)
        highest = max(entry["peak"] for entry in found.values())
        found["total"] = {"peak": highest, "growth": max(0, highest - start)}
        return found

    found: Peaks | str = in_child(run)
    return found


def _run_once(pipeline: Pipeline, index: int, found: Peaks) -> None:
    from bench.deployment import INPUT
    from bench_cpu.pipeline import Passage

    passage = Passage({INPUT: pipeline.signals[index % len(pipeline.signals)]})
    for part in pipeline.parts:
        release_freed()
        reset_peak()
        before = resident_bytes()
        part.run(passage)
        peak = peak_bytes()
        entry = found.setdefault(part.subgraph.placement, {"peak": 0, "growth": 0})
        entry["peak"] = max(entry["peak"], peak)
        entry["growth"] = max(entry["growth"], peak - before)


def in_child(work: Callable[[], Any]) -> Any:
    """Return what ``work`` gives in a forked child as JSON, or a text that says why there is nothing."""
    if not hasattr(os, "fork"):
        return "this system has no fork"
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: the child runs on one
        child = os.fork()
    if child == 0:
        _report(work, writer)
    os.close(writer)
    try:
        text = _read(reader, time.monotonic() + TIMEOUT_S)
        if text is None:
            os.kill(child, signal.SIGKILL)
            return "the measuring process took too long"
    finally:
        os.close(reader)
        _, status = os.waitpid(child, 0)
    if not text:
        return f"the measuring process died with status {os.waitstatus_to_exitcode(status)}"
    return json.loads(text)


def _report(work: Callable[[], Any], writer: int) -> None:
    """Run in the child; never returns, and runs no clean-up of the parent's."""
    code = 1
    try:
        import torch

        torch.set_num_threads(1)  # threads of the parent's pool do not exist here
        with torch.no_grad():
            answer = json.dumps(work())
        code = 0
    except BaseException as error:  # the child must never go on as a second parent
        answer = json.dumps(f"the measuring process failed: {type(error).__name__}: {error}"[:300])
    try:
        os.write(writer, answer.encode())
    finally:
        os._exit(code)


def _read(reader: int, deadline: float) -> str | None:
    found = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            return None
        piece = os.read(reader, 65536)
        if not piece:
            return found.decode()
        found += piece
    return None


def main(arguments: list[str]) -> None:
    """Print peak and growth of this process around loading and running a graph."""
    import numpy as np

    from bench.inference import session

    model, inputs, threads = arguments
    with np.load(inputs, allow_pickle=False) as stored:
        feeds = {name: stored[name] for name in stored.files}
    reset_peak()
    before = resident_bytes()
    graph = session(Path(model), threads=int(threads))
    known = {item.name for item in graph.get_inputs()}
    for _ in range(RUNS):
        graph.run(None, {name: value for name, value in feeds.items() if name in known})
    peak = peak_bytes()
    sys.stdout.write(json.dumps({"peak": peak, "growth": max(0, peak - before)}))


if __name__ == "__main__":
    main(sys.argv[1:])
