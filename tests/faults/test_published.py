"""A published comparison that is killed, and made again, ends as one that was not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.faults
MAKE = Path(__file__).parents[2] / "reports" / "make"
TIMED = {"seconds", "finished"}  # columns of frames
TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:]+( UTC)?|[\d,.]+ (h|min|s)\b")  # in the text of a page


@pytest.fixture
def making(command_line):
    """Return a function that starts ``reports/make digits`` in a folder of its own, with a store of that name."""

    def start(name: str) -> subprocess.Popen[str]:
        folder = command_line.folder / name
        (folder / "reports").mkdir(parents=True, exist_ok=True)
        shutil.copy(MAKE, folder / "reports" / "make")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            ["sh", "reports/make", "digits"],
            cwd=folder,
            env={**command_line.environment, "PATH": path, "BENCH_STORE": str(folder / "store")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def frames(report: Path) -> dict[str, pd.DataFrame]:
    read = {path.name: pd.read_csv(path) for path in sorted(report.glob("*.csv"))}
    return {name: frame[[c for c in frame.columns if c not in TIMED]] for name, frame in read.items()}


def page(report: Path) -> str:
    """Return the text of a page, without scripts, pictures, and what a clock says."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<svg\b.*?</svg>", "", (report / "index.html").read_text(), flags=re.S)
    return TIMES.sub("TIME", re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)))


@pytest.mark.skipif(not os.environ.get("BENCH_EVERY_EVENT"), reason="takes a quarter of an hour: make faults")
@pytest.mark.timeout(3600)
def test_a_comparison_that_is_killed_several_times_ends_as_one_that_was_not(command_line, making) -> None:
    began = time.monotonic()
    whole = making("whole")
    said, _ = whole.communicate()
    assert whole.returncode == 0, said
    took = time.monotonic() - began

    kills = 0
    for _ in range(3):
        running = making("stopped")
        try:
            running.communicate(timeout=0.3 * took)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            kills += 1
            assert not (command_line.folder / "stopped" / "reports" / "digits" / "leaderboard.csv").exists()
    assert kills >= 2
    last = making("stopped")
    said, _ = last.communicate()
    assert last.returncode == 0, said

    assert_alike(command_line, "stopped", "whole")


@pytest.mark.skipif(not os.environ.get("BENCH_EVERY_EVENT"), reason="takes minutes: make faults")
@pytest.mark.timeout(3600)
def test_a_comparison_goes_on_from_its_parts_where_the_store_is_lost(command_line, making) -> None:
    whole = making("whole")
    said, _ = whole.communicate()
    assert whole.returncode == 0, said

    parts = command_line.folder / "moved" / "reports" / "digits" / "parts"
    running = making("moved")
    while not list(parts.glob("*.jsonl.gz")):
        assert running.poll() is None
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    shutil.rmtree(command_line.folder / "moved" / "store")
    shutil.rmtree(command_line.folder / "moved" / "reports" / ".runs")

    moved = making("moved")
    said, _ = moved.communicate()
    assert moved.returncode == 0, said
    assert said.count("kept from before") == 1
    assert not parts.exists()
    assert_alike(command_line, "moved", "whole")


def assert_alike(command_line, one: str, other: str) -> None:
    """Hold what two comparisons published against each other, times aside."""
    kept, expected = (command_line.folder / name / "reports" / "digits" for name in (one, other))
    assert {path.name for path in kept.iterdir()} == {path.name for path in expected.iterdir()}
    assert {"leaderboard.csv", "cells.csv", "gates.csv", "detection.csv"} <= {path.name for path in expected.iterdir()}
    assert frames(kept).keys() == frames(expected).keys()
    for name, frame in frames(expected).items():
        pd.testing.assert_frame_equal(frames(kept)[name], frame, obj=name)
    merged = [command_line.lasting(f"{name}/reports/.runs/digits") for name in (one, other)]
    assert merged[0] == merged[1]
    assert page(kept) == page(expected)
