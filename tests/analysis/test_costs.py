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
