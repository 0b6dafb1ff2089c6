"""The tables of detectors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench.reporting
from bench.reporting import detectors

N = 100


@pytest.fixture
def records(made: Any) -> list[dict[str, Any]]:
    """A detector that flags 4 of 100 clean images, and half of what is attacked: the 90 that it answers rightly."""

    def flagged(record: dict[str, Any], right: int, seen: int) -> dict[str, Any]:
        shares = np.arange(N)
        arrays = {"scored": shares < right, "selected": shares < right, "detected": shares < seen}
        if record["kind"] == "clean":
            arrays["clean_correct"] = arrays["scored"]
        else:
            arrays |= {"attacked": shares < 90, "inside": shares < N}
            record["outcomes"] = {k: v for k, v in record["outcomes"].items() if k == "distance"}
        made_of = {name: value.astype(np.uint8) for name, value in arrays.items()}
        kept = record.get("outcomes", {})
        record = made.with_outcomes(record, **made_of, detector=np.linspace(1, -1, N).astype(np.float32))
        record["outcomes"] = {**kept, **record["outcomes"]}
        return record

    return [
        flagged(made.clean_record("watch", np.ones(N)), 90, 4),
        flagged(made.attack_record("watch", "pgd", np.zeros(N)), 10, 45),
        flagged(made.attack_record("watch", "fgsm", np.zeros(N), knowledge="white-box"), 20, 60),
    ]


def test_the_share_of_clean_images_stands_once_and_every_rate_says_of_how_many(
    tmp_path: Path, records: list[dict[str, Any]], cache: Path
) -> None:
    page = bench.reporting.write(records, tmp_path, cache=cache)["html"].read_text()
    ranks, table = (
        page.split(f'aria-label="{name}')[1].split("</table>")[0] for name in ("What detectors hold", "Detectors,")
    )
    assert "Detected: of clean" in ranks
    assert ranks.count("4.0 %") == 1
    assert "4.0 %" not in table
    assert ">Detected: of attacked</th>" in table
    assert ">of fooling</th>" in table
    assert table.count("of 90</span>") == 2  # those attacked
    assert table.count("of 100</span>") == 2  # under “Right”
    assert "On the dotted line the detector does no better than guessing." in page
    assert page.count('class="line"') == 3  # two attackers and guessing


def test_a_detector_that_nobody_attacked_has_its_false_alarms() -> None:
    shift = {"defense": "watch", "false_positives": 0.04, "false_positives_low": 0.01, "false_positives_high": 0.09}
    (line,) = detectors.alarms([], [shift | {"clean_images": 100}])
    assert (line["false_positives"], line["samples"], line["reason"]) == (0.04, 100, "no attack was run")
    assert math.isnan(line["held"])


def test_a_rank_says_of_how_many_detectors() -> None:
    def ranked(defense: str, at_5: str, at_1: str) -> dict[str, Any]:
        return {"defense": defense, "rank_at_5": at_5, "rank_at_1": at_1}

    found = detectors.alarms([ranked("a", "1–2", "1"), ranked("b", "1–2", ""), ranked("c", "", "")], [])
    assert [(row["rank_at_5"], row["rank_at_1"]) for row in found] == [
        ("1–2 of 2", "1 of 1"),
        ("1–2 of 2", ""),
        ("", ""),
    ]
