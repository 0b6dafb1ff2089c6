"""What a worker is to its task."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from bench.execution.executor import Finished, LocalExecutor
from bench.planning.task import Task
from bench.store import Store

COUNTING = """
import ctypes
import resource
import torch
import bench.tasks
from bench.tasks.outcome import Outcome

bench.tasks.FUNCTIONS["count"] = "counting:count"

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
    return Outcome(meta={"from_the_system": from_the_system, "faults": faults() - first})
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later")
def test_workers_keep_what_is_freed_except_where_something_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    store = Store(tmp_path / "store")
    executor = LocalExecutor(store.root, jobs=1, preload=("torch", "counting"), memory_bytes=4 << 30)
    found = {}
    try:
        for key, timed in (("a" * 32, False), ("b" * 32, True)):
            task = Task(kind="count", key=key, label="count", spec={}, preimage={}, exclusive=timed)  # type: ignore[arg-type]
            executor.submit(task)
            event = executor.next(60)
            assert isinstance(event, Finished), event
            assert event.status == "ok", event
            found[timed] = store.meta(key)
    finally:
        executor.close()
    assert found[False]["from_the_system"] == 0
    assert found[False]["faults"] < 20 * 160_000_000 // 4096 / 20  # else each page is one in each of 20 calls
    assert found[True]["from_the_system"] >= 30_000_000  # as malloc does unasked
