"""A run that is killed anywhere, and started again, ends like one that was not."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults
RUNS = Path(__file__).parents[2] / "reports" / ".runs"
RUN = (
    "run",
    "--datasets",
    "toy",
    "--defenses",
    "toy-round",
    "--attacks",
    "toy-step,toy-null-00",
    "--norm",
    "linf",
    "--hardware",
    "none",
    "--samples",
    "128",
    "--jobs",
    "2",
    "--no-html",
)


def listener(folder: Path, **more: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return {"BENCH_STORE_LISTENER": "killer:heard", "BENCH_KILL_FOLDER": str(folder), **more}


@pytest.fixture(autouse=True)
def usual_handler():
    """Ctrl-C means what it means in a terminal, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def expected(command_line):
    """The records of an undisturbed run, in a store of its own, and the events of its store, each with its process."""
    folder = command_line.folder / "undisturbed"
    command_line(*RUN, "--out", "expected", "--store", str(folder / "store"), **listener(folder))
    return command_line.lasting("expected"), (folder / "events").read_text().splitlines()


def check_goes_on(command_line, expected, store: str, out: str, *, twice: bool = True) -> int:
    """Start the run again; it must end, give the same, and (``twice``) leave nothing to do. Return what it executed."""
    done = command_line(*RUN, "--out", out, "--store", store)
    assert command_line.lasting(out) == expected
    if twice:
        again = command_line(*RUN, "--out", out, "--store", store)
        assert "\n0 tasks executed" in "\n" + again.stderr
    return int(done.stderr.rpartition(" tasks executed")[0].split()[-1])


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_stop_at_the_events_of_the_store_in_turn_loses_nothing(command_line, expected, how):
    """Killed in main process and workers, and Ctrl-C, each time in a fresh store that is then gone on with.

    By default at every kind of event in every kind of process, where it happens last; at every single one under
    ``make faults``, which goes on with the events that are left when it is started again at the same commit.
    """
    records, events = expected
    assert {event.split()[0] for event in events} == {"main", "worker"}
    every = bool(os.environ.get("BENCH_EVERY_EVENT"))
    numbers = range(1, len(events) + 1) if every else sorted({event: n for n, event in enumerate(events, 1)}.values())
    passed = Passed(RUNS / f"faults-{how}" if every else command_line.folder / "passed")
    wrong = []
    for turn, number in enumerate(left := [number for number in numbers if number not in passed.numbers]):
        store, folder = (command_line.folder / f"{what}-{number}" for what in ("store", "events"))
        at = listener(folder, BENCH_KILL_AT=str(number), BENCH_KILL_SIGNAL=how)
        done = command_line(*RUN, "--out", "x", "--store", str(store), code=None, **at)
        # How many events there are varies a little with who waits for whom: the last ones may not come.
        killed = (folder / "killed").exists()
        ended = how != "SIGINT" or done.returncode == (130 if killed else 0)
        if not ended or "Traceback" in done.stderr:
            wrong.append((number, events[number - 1], done.returncode, done.stderr))
            continue
        check_goes_on(command_line, records, str(store), f"after-{number}", twice=turn % 4 == 3)
        shutil.rmtree(store)
        passed.add(number, killed)
    assert not wrong, f"{len(wrong)} of {len(left)}: {wrong}"
    assert passed.killed >= 0.9 * len(numbers), f"{passed.killed} of {len(numbers)}"


class Passed:
    """Events that were passed at this commit, in a file that outlives the test.

    Attributes
    ----------
    killed : at how many of them the run was really stopped
    """

    def __init__(self, path: Path) -> None:
        self.path, self.numbers, self.killed = path, set[int](), 0
        told = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
        commit = subprocess.run(told, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
        lines = path.read_text().splitlines() if path.exists() else []
        if lines[:1] != [commit] or commit.endswith("-dirty"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{commit}\n")
            lines = []
        for line in lines[1:]:
            self._keep(*map(int, line.split()))

    def add(self, number: int, killed: bool) -> None:
        """Keep one, in the file first."""
        with self.path.open("a") as file:
            file.write(f"{number} {int(killed)}\n")
        self._keep(number, killed)

    def _keep(self, number: int, killed: int) -> None:
        self.numbers.add(number)
        self.killed += killed


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_run_that_is_stopped_at_a_random_moment_goes_on(command_line, expected, how):
    records, _ = expected
    rng = random.Random(how)
    store = str(command_line.folder / "stopped")
    for _ in range(2):
        running = command_line.start(*RUN, "--out", "x", "--store", store)
        time.sleep(rng.uniform(1.0, 5.0))
        running.send_signal(getattr(signal, how))
        running.communicate(timeout=60)
        if how == "SIGINT":
            assert running.returncode in {130, 0}
        assert workers_of(store) == []
    check_goes_on(command_line, records, store, "after")


def test_a_killed_worker_costs_its_task_alone(command_line, expected):
    records, events = expected
    store = str(command_line.folder / "worker")
    folder = command_line.folder / "events-worker"
    event = "worker before object.rename"  # how many events of other kinds come before its last is a matter of time
    at = listener(folder, BENCH_KILL_EVENT=event, BENCH_KILL_AT=str(events.count(event)))
    done = command_line(*RUN, "--jobs", "1", "--out", "x", "--store", store, code=None, **at)
    assert (folder / "killed").exists()
    assert done.returncode == 1
    assert "the worker died (signal 9)" in done.stderr
    broken = [r for r in command_line.records("x") if r["status"] != "ok"]
    # One task may serve two cells: where nothing is defended, the adaptive attacker is the white-box one.
    assert {(r["status"], r["reason"]) for r in broken} == {("failed", "the worker died (signal 9)")}
    assert len({(r["defense"]["name"], r["attack"]["name"]) for r in broken}) == 1
    check_goes_on(command_line, records, store, "after")


def test_two_runs_on_one_store_share_the_work(command_line, expected):
    records, _ = expected
    store = str(command_line.folder / "shared")
    both = [command_line.start(*RUN, "--jobs", "1", "--out", f"out-{i}", "--store", store) for i in (0, 1)]
    said = [run.communicate(timeout=120) for run in both]
    assert [run.returncode for run in both] == [0, 0], said
    executed = [int(err.rpartition(" tasks executed")[0].split()[-1]) for _, err in said]
    assert command_line.lasting("out-0") == command_line.lasting("out-1") == records
    alone = command_line(*RUN, "--out", "alone", "--store", str(command_line.folder / "alone"))
    assert sum(executed) == int(alone.stderr.rpartition(" tasks executed")[0].split()[-1])


def workers_of(store: str) -> list[int]:
    """Return processes that still work on the store, after a moment's grace."""
    for _ in range(50):
        left = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if store.encode() in words and int(process.name) != os.getpid():
                left.append(int(process.name))
        if not left:
            return []
        time.sleep(0.1)
    return left
