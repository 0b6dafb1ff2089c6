"""Of several processes one gets the lease, and the dead hold nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bench.store import Store, events
from bench.store.leases import Leases

KEY = "ab" * 16


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def path_of(store: Store) -> Path:
    return store.root / "leases" / f"{KEY}.lease"


def pretend(store: Store, **other: object) -> None:
    """Rewrite the lease as if another process had it."""
    theirs = {**json.loads(path_of(store).read_text()), "token": "theirs", **other}
    path_of(store).write_text(json.dumps(theirs))


def test_a_claim_is_held_until_it_is_released(store: Store) -> None:
    lease = store.claim(KEY)
    assert lease is not None
    assert store.claim(KEY) is None
    assert store.leases.holder(KEY)["pid"] == os.getpid()
    assert store.claim("cd" * 16) is not None
    lease.release()
    lease.release()
    assert store.leases.holder(KEY) is None
    with store.claim(KEY):
        assert path_of(store).exists()
    assert not path_of(store).exists()
    assert list(store.root.rglob("*.tmp")) == []


def test_the_lease_of_a_killed_process_is_taken_over_at_once(store: Store) -> None:
    hold = """
        import sys, time
        from bench.store import Store
        assert Store(sys.argv[1]).claim(sys.argv[2])
        print("held", flush=True)
        time.sleep(60)
    """
    process = start(hold, store.root, KEY)
    assert process.stdout.readline() == "held\n"
    assert store.claim(KEY) is None
    process.kill()
    while process.poll() is None and store.leases.holder(KEY):  # a zombie until it is waited for, and yet dead
        time.sleep(0.01)
    lease = store.claim(KEY)
    process.wait()
    assert lease is not None
    assert store.leases.holder(KEY)["pid"] == os.getpid()


def test_a_process_that_ends_leaves_no_lease(store: Store) -> None:
    claim = "import sys; from bench.store import Store; assert Store(sys.argv[1]).claim(sys.argv[2]); 1 / 0"
    subprocess.run([sys.executable, "-c", claim, store.root, KEY], check=False, stderr=subprocess.DEVNULL)
    assert not path_of(store).exists()


def test_a_process_of_the_same_number_that_began_later_is_another(store: Store) -> None:
    store.claim(KEY)
    pretend(store, started=1.0)
    assert store.claim(KEY) is not None


@pytest.mark.parametrize("text", ["", "[1]", "[" * 100_000])
def test_a_file_that_says_nothing_is_nobodys_lease(store: Store, text: str) -> None:
    (store.root / "leases").mkdir()
    (store.root / "leases" / f"{KEY}.lease").write_text(text)
    assert store.leases.holder(KEY) is None


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"boot": "earlier"}, {"space": "pid:[1]"}])
def test_a_lease_of_another_machine_boot_or_container_lives_by_its_heartbeat(store: Store, other) -> None:
    store.claim(KEY)
    pretend(store, pid=1, started=0.0, **other)
    assert store.claim(KEY) is None
    old = time.time() - 61
    os.utime(path_of(store), (old, old))
    assert store.claim(KEY) is not None


def test_the_heartbeat_keeps_a_lease_alive(tmp_path: Path) -> None:
    leases = Leases(tmp_path, expiry_s=0.3)
    lease = leases.claim(KEY)
    old = time.time() - 100
    os.utime(lease.path, (old, old))
    limit = time.monotonic() + 10
    while lease.path.stat().st_mtime < old + 50:
        assert time.monotonic() < limit
        time.sleep(0.02)
    lease.release()


def test_the_heartbeat_keeps_no_lease_alive_that_another_has_taken_over(tmp_path: Path) -> None:
    leases = Leases(tmp_path, expiry_s=0.3)
    lost, held = leases.claim(KEY), leases.claim("cd" * 16)
    lost.path.write_text(json.dumps({**json.loads(lost.path.read_text()), "token": "theirs"}))
    time.sleep(0.1)  # a beat that had begun
    old = time.time() - 100
    for lease in (lost, held):
        os.utime(lease.path, (old, old))
    limit = time.monotonic() + 10
    for _ in range(3):  # whole beats
        while held.path.stat().st_mtime < old + 50:
            assert time.monotonic() < limit
            time.sleep(0.02)
        os.utime(held.path, (old, old))
    assert lost.path.stat().st_mtime < old + 50


def test_who_was_taken_over_does_not_remove_the_new_holders_lease(store: Store) -> None:
    late = store.claim(KEY)
    pretend(store, started=1.0)
    new = store.claim(KEY)
    late.release()
    assert path_of(store).exists()
    new.release()
    assert not path_of(store).exists()


def test_a_forked_child_neither_releases_nor_inherits(store: Store) -> None:
    lease = store.claim(KEY)
    child = os.fork()
    if child == 0:
        lease.release()
        os._exit(0 if store.claim(KEY) is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path_of(store).exists()


COMPETE = """
    import sys, os, time, json
    from bench.store import Store
    store, keys = Store(sys.argv[1]), sys.argv[2].split(",")
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for key in keys:
        lease = store.claim(key)
        if lease is None:
            continue
        # to be here twice at a time would make this fail
        mark = os.open(f"{store.root}/{key}.mark", os.O_CREAT | os.O_EXCL)
        won.append(key)
        if sys.argv[3] == "release":
            time.sleep(0.001)
            os.close(mark)
            os.unlink(f"{store.root}/{key}.mark")
            lease.release()
    print(json.dumps(won), flush=True)
    sys.stdin.readline()
"""


def compete(store: Store, keys: list[str], then: str) -> list[str]:
    """Return who won which key of four processes that begin together."""
    processes = [start(COMPETE, store.root, ",".join(keys), then) for _ in range(4)]
    assert [p.stdout.readline() for p in processes] == ["ready\n"] * 4
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    won = [key for process in processes for key in json.loads(process.stdout.readline())]
    for process in processes:
        process.communicate("\n")
        assert process.returncode == 0
    return won


def test_of_four_processes_one_takes_over_each_dead_lease(store: Store) -> None:
    keys = [f"{n:032x}" for n in range(60)]
    for key in keys:
        store.claim(key)
        path = store.root / "leases" / f"{key}.lease"
        path.write_text(json.dumps({**json.loads(path.read_text()), "started": 1.0}))
    assert sorted(compete(store, keys, "keep")) == keys


def test_of_four_processes_one_at_a_time_is_inside(store: Store) -> None:
    keys = [f"{n % 3:032x}" for n in range(150)]
    assert compete(store, keys, "release")
    assert list((store.root / "leases").glob("*.lease")) == []


def test_a_lease_released_during_a_take_over_is_not_given_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.claim(KEY)
    pretend(store, started=1.0)
    lock = store.leases._lock
    winners = []

    def released_before_the_lock():
        path_of(store).unlink(missing_ok=True)
        return lock()

    def claimed_at_the_last_moment(event: str) -> None:
        if event == "before lease.take-over":
            winners.append(Store(store.root).claim(KEY))

    monkeypatch.setattr(store.leases, "_lock", released_before_the_lock)
    monkeypatch.setattr(events, "listeners", [claimed_at_the_last_moment])
    winners.append(store.claim(KEY))
    assert len([winner for winner in winners if winner is not None]) == 1
