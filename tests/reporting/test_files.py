from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bench.reporting
from bench.analysis import leaderboard, load
from bench.errors import UsageError


def test_everything_is_written_and_can_be_read_again(tmp_path: Path, sample: list[dict[str, Any]]) -> None:
    written = bench.reporting.write(sample, tmp_path / "new" / "out", html=False, command="bench run")
    board = leaderboard(sample)
    read = pd.read_csv(written["leaderboard.csv"])
    assert read.robust_accuracy.to_numpy() == pytest.approx(board.robust_accuracy.to_numpy(), nan_ok=True)
    assert read.defense.tolist() == board.defense.tolist()
    told = json.loads(written["leaderboard.json"].read_text())
    assert [line["defense"] for line in told] == board.defense.tolist()
    assert len(json.loads(written["cells.json"].read_text())) == len(sample)
    assert leaderboard(load(tmp_path / "new" / "out")).equals(board)
    assert "html" not in written
    assert "| 1 | adversarial-training |" in written["leaderboard.md"].read_text()
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == {path.name for path in written.values()}


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "out"
    with pytest.raises(UsageError, match="Cannot write the report"), bench.reporting.reserved(folder):
        pass


def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:  # root may write to any folder; the kernel's own is closed even to root
        folder = Path("/proc/self")
        if not folder.is_dir():
            pytest.skip("needs an ordinary user or Linux")
    else:
        folder = tmp_path
        folder.chmod(0o500)
    with pytest.raises(UsageError, match="Cannot write the report"), bench.reporting.reserved(folder):
        pass


def test_folders_that_nothing_was_written_to_are_taken_away(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), bench.reporting.reserved(tmp_path / "new" / "out"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_takes_its_parents_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / ("x" * 300)  # longer than a name may be
    with pytest.raises(UsageError, match="Cannot write the report"), bench.reporting.reserved(folder):
        pass
    assert not list(tmp_path.iterdir())


def test_folders_that_hold_something_or_were_there_before_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with bench.reporting.reserved(tmp_path / "there"):
        pass
    with bench.reporting.reserved(tmp_path / "new" / "out"):
        (tmp_path / "new" / "page").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "page", "there"]


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, sample: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = bench.reporting.write(sample[:3], tmp_path, html=False)
    before = written["leaderboard.csv"].read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        bench.reporting.write(sample, tmp_path, html=False)
    assert written["leaderboard.csv"].read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_names_are_harmless_in_markdown_and_spreadsheets(tmp_path: Path, made: Any) -> None:
    written = bench.reporting.write(made.hostile_records(), tmp_path, html=False)
    markdown = written["leaderboard.md"].read_text() + written["cells.md"].read_text()
    assert "<script>" not in markdown
    assert "&lt;script&gt;" in markdown
    assert "\x1b" not in markdown
    record = made.clean_record("=HYPERLINK(1)", np.ones(5))
    written = bench.reporting.write([record], tmp_path, html=False)
    with written["leaderboard.csv"].open() as file:
        assert [line["defense"] for line in csv.DictReader(file)] == ["'=HYPERLINK(1)"]


def test_records_with_numbers_that_json_does_not_know_are_written_without_them(tmp_path: Path, made: Any) -> None:
    record = made.clean_record("none", np.ones(5))
    record["notes"] = {"loss": float("nan")}
    written = bench.reporting.write([record], tmp_path, html=False)
    assert json.loads(written["records"].read_text())["notes"] == {"loss": None}
