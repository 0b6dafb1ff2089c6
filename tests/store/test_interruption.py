"""Whatever the moment at which a process is killed, the store is consistent and the work goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from bench.store import Store

KEY, LOST, RUN = "ab" * 16, "cd" * 16, "ef" * 16
TENSORS = {"x": np.arange(1000, dtype=np.float32)}
SEQUENCE = """
import numpy as np
from bench.store import Store

def work(root):
    store = Store(root)
    if not store.has("ab" * 16):
        with store.claim("ab" * 16):
            store.remember("ab" * 16, {"needs": []})
            store.fail("ab" * 16, "failed", "first try")
            (store.scratch("ab" * 16) / "checkpoint").write_bytes(b"half")
            store.write("ab" * 16, {"x": np.arange(1000, dtype=np.float32)}, {"seconds": 1})
    if not store.failure("cd" * 16):
        with store.claim("cd" * 16):
            store.fail("cd" * 16, "failed", "for good")
    store.put_record({"run_key": "ef" * 16, "parts": ["ab" * 16, "cd" * 16], "turn": 1})
    store.put_record({"run_key": "ef" * 16, "parts": ["ab" * 16, "cd" * 16], "turn": 2})
"""
# Forks one child per event, since starting Python for each would take half a minute; each child is a real process
# and dies of a real SIGKILL. The server has no threads when it forks.
SERVER = (
    SEQUENCE
    + """
import os, signal, sys
from bench.store import events

heard = []
child = os.fork()
if child == 0:
    events.listeners.append(heard.append)
    work(sys.argv[1] + "/whole")
    print(",".join(heard), flush=True)
    os._exit(0)
os.waitpid(child, 0)
for line in sys.stdin:
    number, root = line.split(" ", 1)
    child = os.fork()
    if child == 0:
        def listener(event):
            heard.append(event)
            if len(heard) == int(number):
                os.kill(os.getpid(), signal.SIGKILL)
        events.listeners.append(listener)
        work(root.strip())
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
)


def check(store: Store) -> None:
    """Assert that all that is there is whole, and that nobody holds anything."""
    if store.has(KEY):
        np.testing.assert_array_equal(store.read(KEY).tensors["x"], TENSORS["x"])
        assert store.failure(KEY) is None
    assert store.failure(KEY) in (None, {"status": "failed", "reason": "first try", "trace": "", "printed": ""})
    assert store.failure(LOST) in (None, {"status": "failed", "reason": "for good", "trace": "", "printed": ""})
    record = store.record(RUN)
    assert record is None or (record["turn"] in (1, 2) and store.has(KEY))
    assert not (store.root / "damaged").exists()
    for key in (KEY, LOST):
        lease = store.claim(key)
        assert lease is not None
        lease.release()


def finish(store: Store) -> None:
    """Run the same work again and assert that it ends as if nothing had happened."""
    scope: dict[str, object] = {}
    exec(SEQUENCE, scope)
    scope["work"](store.root)  # type: ignore[operator]
    assert store.record(RUN)["turn"] == 2  # type: ignore[index]
    assert store.failure(LOST) == {"status": "failed", "reason": "for good", "trace": "", "printed": ""}
    check(store)
    store.gc(dry_run=False, grace_s=0.0)
    assert sorted(p.relative_to(store.root).parts[0] for p in store.root.rglob("*.*") if p.is_file()) == [
        "failures",
        "leases",  # the lock
        "objects",
        "preimages",
        "records",
    ]


@pytest.fixture
def memory_folder():
    """Return a folder in memory where there is one: hundreds of waits for a disk prove nothing here."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.mark.faults
def test_killed_at_every_event_in_turn_the_store_is_whole_and_the_work_goes_on(memory_folder: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, memory_folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    seen = server.stdout.readline().strip().split(",")
    assert {"before object.write", "before object.rename", "after object.rename", "after lease.claim"} <= set(seen)
    assert len(seen) > 40
    for number in range(1, len(seen) + 1):
        root = memory_folder / f"killed-{number}"
        server.stdin.write(f"{number} {root}\n")
        server.stdin.flush()
        assert int(server.stdout.readline()) == -signal.SIGKILL, seen[number - 1]
        store = Store(root)
        check(store)
        finish(store)
    server.communicate()


@pytest.mark.faults
def test_a_listener_named_in_the_environment_is_called_in_any_process(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(
        "import os, signal\n"
        "def listener(event):\n"
        "    if event == 'before object.rename':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", SEQUENCE + "import sys; work(sys.argv[1])", tmp_path / "store"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "BENCH_STORE_LISTENER": "killer:listener"},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    store = Store(tmp_path / "store")
    assert not store.has(KEY)
    assert len(list(store.root.rglob("*.tmp"))) == 1
    check(store)
    finish(store)
