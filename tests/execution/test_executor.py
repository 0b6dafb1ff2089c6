"""What a worker is to its task."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from bench.execution.executor import Finished, LocalExecutor
from bench.planning.task import Task
from bench.store import Store

COUNTING = '''
import resource
import torch
import bench.tasks
from bench.tasks.outcome import Outcome

bench.tasks.FUNCTIONS["count"] = "counting:count"

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def count(spec, store):
    """A network's layers, allocated anew at each of twenty calls: 160 MB of them."""
    first = None
    for _ in range(21):
        layers = [torch.ones(2_000_000) for _ in range(20)]
        del layers
        first = first or faults()
    return Outcome(meta={"faults": faults() - first})
'''


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="malloc of this system cannot be told")
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
            found[timed] = store.meta(key)["faults"]
    finally:
        executor.close()
    pages = 20 * 160_000_000 // 4096
    assert found[False] < pages / 20
    assert found[True] > pages / 2
