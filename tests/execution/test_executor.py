"""What a worker is to its task."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.execution.executor import Finished, LocalExecutor
from bench.planning.task import Task
from bench.store import Store
from bench.store.code import code_digest

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
    monkeypatch.syspath_prepend(str(folder))
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


def test_what_lies_in_the_working_folder_is_no_module_of_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another checkout's code would be run there, under the keys of this one's."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "bench").mkdir(parents=True)
    for file in ("bench/__init__.py", "queue.py", "random.py"):
        (elsewhere / file).write_text("raise RuntimeError('shadow')\n")
    monkeypatch.chdir(elsewhere)
    with _executor(tmp_path, "looking", LOOKING, monkeypatch) as executor:
        assert _done(executor, tmp_path, "look", "a")["process"]


CHANGING = """
from pathlib import Path
import bench.tasks.kinds
from bench.tasks.outcome import Outcome

bench.tasks.kinds.FUNCTIONS["change"] = "changing:change"

def change(spec, store):
    Path(spec["file"]).write_text(spec["text"])
    return Outcome(meta={})
"""


@pytest.mark.parametrize(("text", "status"), [("value = 1  # as it was\n", "ok"), ("value = 2\n", "failed")])
def test_a_result_of_code_that_was_changed_meanwhile_is_not_kept(
    text: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("value = 1\n")
    code_digest(f"{file}:value")  # as planning does
    with _executor(tmp_path, "changing", CHANGING, monkeypatch) as executor:
        spec = {"file": str(file), "text": text}
        executor.submit(Task(kind="change", key="c" * 32, label="change", spec=spec, preimage={}))  # type: ignore[arg-type]
        event = executor.next(60)
    assert isinstance(event, Finished)
    assert event.status == status
    assert Store(tmp_path / "store").has("c" * 32) == (status == "ok")
    assert not event.lasting
    assert "mine.py changed during the run" in event.reason or status == "ok"


STARTING = """
import subprocess
import sys
import time
import bench.tasks.kinds
from bench.execution.executor import LocalExecutor
from bench.planning.task import Task

bench.tasks.kinds.FUNCTIONS["start"] = "starting:start"

def start(spec, store):
    print(subprocess.Popen(["sleep", "77.77"]).pid, file=open(spec["file"], "w"), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    executor = LocalExecutor(sys.argv[1], jobs=1, preload=("starting",), memory_bytes=4 << 30)
    executor.submit(Task(kind="start", key="d" * 32, label="start", spec={"file": sys.argv[2]}, preimage={}))
    executor.next(60)
"""


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_task_has_started_does_not_outlive_a_run_that_is_killed(by: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "starting.py").write_text(STARTING)
    Store(tmp_path / "store")
    said = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, tmp_path / "starting.py", tmp_path / "store", said])
    child = int(_once(lambda: said.exists() and said.read_text()))
    assert Path(f"/proc/{child}").exists()
    parent.send_signal(by)
    parent.wait(30)
    _once(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2:3])


def _once(found: Callable[[], Any]) -> Any:
    """Return what a function gives as soon as it gives anything."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if given := found():
            return given
        time.sleep(0.02)
    raise AssertionError("it did not come about")
