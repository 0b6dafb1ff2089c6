from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from bench.analysis import leaderboard
from bench.reporting import wording
from bench.reporting.terminal import show


def printed(records: list[dict[str, Any]], width: int, *, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    show(records, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_numbers_are_never_cut(sample: list[dict[str, Any]], width: int) -> None:
    text = printed(sample, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    assert "1.01×" in text
    assert "qusec-cq[levels=2]" in text
    assert "jpeg[quality=50]  incomplete: apgd-dlr timed out (adaptive)" in text


def test_wide_terminals_show_intervals_and_bytes(sample: list[dict[str, Any]]) -> None:
    assert "784 B" in printed(sample, 120)
    assert "784 B" not in printed(sample, 80)


def test_escape_sequences_and_markup_of_strangers_are_not_obeyed(made: Any) -> None:
    text = printed(made.hostile_records(), 120)
    assert "\x1b" not in text
    assert "<script>" in text


def test_nothing_evaluated_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show([])
    assert capsys.readouterr().out == "Nothing was evaluated.\n"


def test_piped_output_is_plain(sample: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    show(sample)
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "784 B" in told


def test_terminal_and_page_say_with_the_same_words_what_may_go_undetected(sample: list[dict[str, Any]]) -> None:
    said = wording.resolution(wording.rows_of(leaderboard(sample))[:7])
    assert said.startswith("With 4 rows, true differences below about")
    assert said in " ".join(printed(sample, 120).split())
