"""What a worker is to its task."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.execution.executor import Finished, LocalExecutor
from bench.planning.task import Task
from bench.store import Store

COUNTING = """
import ctypes
import resource
import torch
import bench.tasks.kinds
from bench.tasks.outcome import Outcome

bench.tasks.kinds.FUNCTIONS["count"] = "counting:count"

class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

def mapped():
    told = ctypes.CDLL(None).mallinfo2
    told.restype = Mallinfo2
    return told().hblkhd

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def count(spec, store):
    before = mapped()
    large = torch.ones(7_500_000)
    from_the_system = mapped() - before
    del large
    first = None
    for _ in range(21):  # a network's layers, allocated anew at each call: 160 MB of them
        layers = [torch.ones(2_000_000) for _ in range(20)]
        del layers
        first = first or faults()
    pages = open("/proc/self/status").read().partition("THP_enabled:")[2].split()
    return Outcome(
        meta={"from_the_system": from_the_system, "faults": faults() - first, "huge_pages": pages[:1] == ["1"]}
    )
"""
LOOKING = """
import os
import sys
import time
from pathlib import Path
import bench.tasks.kinds
from bench.tasks.outcome import Outcome

bench.tasks.kinds.FUNCTIONS["look"] = bench.tasks.kinds.FUNCTIONS["late"] = "looking:look"
bench.tasks.kinds.BEFOREHAND["late"] = ("loaded_late",)

def look(spec, store):
    siblings = set()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        siblings |= set(Path(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read_text().split())
        time.sleep(0.01)
    seen, sys.argv = sys.argv, "seen"
    return Outcome(
        meta={
            "process": os.getpid(),
            "siblings": len(siblings - {str(os.getpid())}),
            "late": "loaded_late" in sys.modules,
            "fresh": seen != "seen",
        }
    )
"""


@contextmanager
def _executor(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalExecutor]:
    """Give an executor whose server has imported a module of this text."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    Store(folder / "store")
    with closing(LocalExecutor(folder / "store", jobs=1, preload=("torch", name), memory_bytes=4 << 30)) as executor:
        yield executor


def _done(executor: LocalExecutor, folder: Path, kind: str, key: str, *, timed: bool = False) -> dict[str, Any]:
    """Return what a task left, having seen it end well."""
    task = Task(kind=kind, key=key * 32, label=kind, spec={}, preimage={}, exclusive=timed)  # type: ignore[arg-type]
    executor.submit(task)
    event = executor.next(60)
    assert isinstance(event, Finished), event
    assert event.status == "ok", event
    return dict(Store(folder / "store").meta(task.key))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later")
def test_workers_keep_what_is_freed_except_where_something_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _executor(tmp_path, "counting", COUNTING, monkeypatch) as executor:
        found = {
            timed: _done(executor, tmp_path, "count", key, timed=timed) for key, timed in (("a", False), ("b", True))
        }
    assert found[False]["from_the_system"] == 0
    assert found[False]["faults"] < 20 * 160_000_000 // 4096 / 20  # else each page is one in each of 20 calls
    assert found[True]["from_the_system"] >= 30_000_000  # as malloc does unasked
    here = Path("/proc/self/status").read_text().partition("THP_enabled:")[2].split()[:1] == ["1"]
    assert (found[False]["huge_pages"], found[True]["huge_pages"]) == (here, False)


def test_a_worker_waits_ahead_of_its_task_and_serves_that_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _executor(tmp_path, "looking", LOOKING, monkeypatch) as executor:
        first = _done(executor, tmp_path, "look", "a")
        waiting = _waiting(executor, gone=first["process"])
        second = _done(executor, tmp_path, "look", "b")
    assert first["siblings"] == 1
    assert second["process"] == waiting
    assert first["fresh"]
    assert second["fresh"]


def test_nothing_is_forked_beside_what_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _executor(tmp_path, "looking", LOOKING, monkeypatch) as executor:
        assert _done(executor, tmp_path, "look", "a", timed=True)["siblings"] == 0


def test_a_waiting_worker_that_is_killed_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _executor(tmp_path, "looking", LOOKING, monkeypatch) as executor:
        waiting = _waiting(executor, gone=_done(executor, tmp_path, "look", "a")["process"])
        os.kill(waiting, signal.SIGKILL)
        while Path(f"/proc/{waiting}/stat").read_text().split()[2] != "Z":
            time.sleep(0.01)
        assert _done(executor, tmp_path, "look", "b")["process"] != waiting


def test_what_a_task_needs_loaded_is_loaded_in_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loaded_late.py").touch()
    with _executor(tmp_path, "looking", LOOKING, monkeypatch) as executor:
        assert not _done(executor, tmp_path, "look", "a")["late"]
        assert _done(executor, tmp_path, "late", "b")["late"]


def _waiting(executor: LocalExecutor, gone: int) -> int:
    """Return the worker that waits once that of the last task is gone."""
    server, end = executor._server.pid, time.monotonic() + 60
    while time.monotonic() < end:
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        if waiting := [int(child) for child in children if int(child) != gone]:
            return waiting[0]
        time.sleep(0.01)
    raise AssertionError("no worker waits")
