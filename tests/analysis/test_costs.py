"""Which figure stands for the cost of a deployment."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.analysis import leaderboard


@pytest.mark.parametrize(
    ("total", "shown"),
    [(670_000, 670_000), (None, math.nan), ("nothing", 158)],
    ids=["known", "of a part alone", "one place, no total"],
)
def test_a_part_of_a_model_is_never_shown_for_the_whole(made: Any, total: Any, shown: float) -> None:
    record = made.cost_record("none")
    others = [item for item in record["measurements"] if item["quantity"] != "model_bytes"]
    sizes = [made.measurement("model_bytes", 158, "B", statistic="total", placement="device", provenance="counted")]
    if total != "nothing":
        sizes.append(made.measurement("model_bytes", total, "B", statistic="total", provenance="counted"))
    record["measurements"] = others + sizes
    clean = made.clean_record("none", [1] * 64)
    (line,) = leaderboard([clean, record]).to_dict("records")
    assert line["model_bytes"] == pytest.approx(shown, nan_ok=True)


def test_the_images_as_png_stand_beside_what_a_defense_sends(made: Any) -> None:
    record = made.cost_record("none")
    size = made.measurement("uplink_bytes", 269, "B", statistic="mean", placement="device", variant="png")
    record["measurements"].append(size)
    (line,) = leaderboard([made.clean_record("none", [1] * 64), record]).to_dict("records")
    assert line["png_bytes"] == 269
    assert line["uplink_bytes"] != 269


def test_of_several_measurements_that_of_the_rows_own_budget_is_shown_else_the_newest(made: Any) -> None:
    """Which cell comes first by its name, a digest, says nothing."""
    attacked = [made.clean_record("none", [1]), made.attack_record("none", "pgd", [0])]

    def shown(*measured: tuple[str, int, float]) -> float:
        records = []
        for number, (budget, day, ratio) in enumerate(measured):
            record = made.cost_record("none") | {
                "budget": budget,
                "cell_id": f"{number:032x}",
                "run_key": f"{number:032x}",
            }
            record["provenance"] = record["provenance"] | {"finished": f"2026-11-{day:02}T10:00:00+00:00"}
            record["measurements"] = [
                item | {"value": ratio} if item["quantity"] == "latency_ratio" else item
                for item in record["measurements"]
            ]
            records.append(record)
        return float(leaderboard(attacked + records)["latency_ratio"].iloc[0])

    assert shown(("standard", 2, 9.0), ("quick", 1, 1.5)) == 9.0
    assert shown(("standard", 1, 9.0), ("quick", 2, 1.5)) == 9.0
    assert shown(("standard", 2, 9.0), ("standard", 1, 1.5)) == 9.0
    assert shown(("standard", 1, 9.0), ("standard", 2, 1.5)) == 1.5
    assert shown(("quick", 2, 9.0), ("quick", 1, 1.5)) == 9.0


def test_memory_is_that_of_a_process_that_holds_nothing_but_what_the_device_runs(made: Any) -> None:
    """A fork of a process with the suite in it takes the more, the more a run asked for."""
    records = [made.clean_record("none", [1]), made.attack_record("none", "pgd", [0]), made.cost_record("none")]
    assert leaderboard(records)["peak_bytes"].iloc[0] == 210_000_000
    records[-1]["measurements"] = [item for item in records[-1]["measurements"] if item["runtime"] != "onnxruntime"]
    assert math.isnan(leaderboard(records)["peak_bytes"].iloc[0])
