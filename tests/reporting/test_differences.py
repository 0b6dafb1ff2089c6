from __future__ import annotations

import copy
import io
import math
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.analysis.bounds import judge, parse
from bench.analysis.differences import differences
from bench.analysis.records import encode_array, outcome
from bench.reporting import wording
from bench.reporting.differences import broken, show, unjudged

Records = list[dict[str, Any]]


def printed(frame: Any, width: int, *, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    show(frame, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def moved(sample: Records) -> Any:
    """The whole comparison, and again with 30 images less under one attack, a row more and a budget changed."""
    after = copy.deepcopy(sample)
    for record in after:
        attack = (record.get("attack") or {}).get("name")
        if record["defense"]["name"] == "adversarial-training" and attack == "square" and record["status"] == "ok":
            scored = outcome(record, "scored").copy()
            scored[np.flatnonzero(scored)[:30]] = 0
            record["outcomes"] |= {name: encode_array(scored) for name in ("scored", "selected")}
        if record["defense"]["name"] == "median":
            record["budget"] = "quick"
    return differences(sample, after)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_numbers_are_never_cut(moved: Any, width: int) -> None:
    text = printed(moved, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    assert "lower" in text
    assert ("p  Verdict" in text) is (width >= 100)


def test_what_moved_is_told_with_its_attack_and_what_did_not_in_a_line(moved: Any) -> None:
    text = " ".join(printed(moved, 200).split())
    assert "robust lower: in B, square (" in text
    assert "images that only B loses" in text
    assert "median[size=3] robust, oblivious, black-box, white-box not comparable: budget standard in A, quick" in text
    assert "jpeg[quality=50]" in text
    assert "same" in text


def test_the_change_that_the_images_would_show_is_told(moved: Any) -> None:
    told = " ".join(printed(moved, 200).split())
    images = int(moved["images"].max())
    assert f"{images:,} images of both" in told
    assert f"below about {100 * 2.802 * math.sqrt(0.1 / images):.1f} points may go undetected" in told


def test_nothing_in_common_and_nothing_at_all_are_said() -> None:
    assert printed(differences([], []), 100) == "Neither side has a figure to compare.\n"


def test_escape_sequences_and_markup_of_strangers_are_not_obeyed(made: Any) -> None:
    hostile = made.hostile_records()
    changed = copy.deepcopy(hostile)
    changed[1]["outcomes"] |= {name: encode_array(np.ones(20, dtype=np.uint8)) for name in ("scored", "selected")}
    for record in changed:
        record["provenance"]["versions"] = {"\x1b[31mtorch": "[bold]\x1b[0m"}
    for frame in (differences(hostile, changed), differences(hostile, made.sample_records(n=20))):
        text = printed(frame, 120)
        assert "\x1b" not in text
        assert "<script>" in text
    found = judge(parse("robust_accuracy rises 1"), wording.rows_of(differences(hostile, changed)))
    assert found.broken
    assert "\x1b" not in "".join(broken(found))


def test_a_broken_bound_names_figure_place_size_and_certainty(moved: Any) -> None:
    found = judge(parse("robust_accuracy drops 2"), wording.rows_of(moved))
    (text,) = [one for one in broken(found) if "L∞ ≤ 0.3" in one]
    assert text.startswith("broken: robust_accuracy drops 2: adversarial-training (mnist · cleverhans-cnn · L∞ ≤ 0.3")
    assert text.endswith("p <.001 on 300 images")
    assert any("median[size=3]: not comparable: budget" in one for one in unjudged(found))
