"""Figures of cost: all in a file, one a quantity on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bench.reporting
from bench.analysis import leaderboard
from bench.reporting import costs, wording


def test_all_figures_are_written_with_the_machine_they_were_taken_on(tmp_path: Path, sample: Any) -> None:
    written = bench.reporting.write(sample, tmp_path, html=False)
    read = pd.read_csv(written["costs.csv"], keep_default_na=False)
    assert list(read.columns[:10]) == [
        "defense", "model", "dataset", "placement", "quantity", "statistic", "value", "low", "high", "unit",
    ]  # fmt: skip
    assert len(read) == sum(len(record["measurements"]) for record in sample if record["kind"] == "cost")
    assert set(read.machine) == {"2 × Intel Xeon"}
    assert set(read.provenance) == {"measured", "counted", "estimated-tdp"}


def test_without_cost_there_is_no_file_of_it(tmp_path: Path, made: Any) -> None:
    assert "costs.csv" not in bench.reporting.write([made.clean_record("none", np.ones(5))], tmp_path, html=False)


def test_of_a_quantity_the_median_in_the_default_format_and_run_time_is_shown(made: Any) -> None:
    record = made.cost_record("none")
    record["measurements"] = [
        made.measurement("latency_ms", 9.0, "ms", statistic="p99"),
        made.measurement("latency_ms", 3.0, "ms", runtime="torch"),
        made.measurement("latency_ms", 2.0, "ms", runtime="onnxruntime"),
        made.measurement("uplink_bytes", 5.0, "B", statistic="mean", variant="coded"),
        made.measurement("uplink_bytes", 6.0, "B", variant="raw", flags=["default"]),
        made.measurement("uplink_bytes", 7.0, "B", statistic="mean", variant="raw", flags=["default"]),
        made.measurement("co2e_mg", None, "mg", statistic="gross"),
    ]
    assert [(row["quantity"], row["value"]) for row in costs.shown([record])] == [
        ("latency_ms", 2.0),
        ("uplink_bytes", 7.0),
    ]


def test_what_was_measured_on_is_told_as_far_as_it_is_known(made: Any) -> None:
    record = made.cost_record("none")
    for machine, told in (
        ({"cpu": "AMD EPYC", "cores": 2, "threads": 1}, "2 × AMD EPYC, 1 thread"),
        ({"cpu": "AMD EPYC"}, "AMD EPYC"),
        ({"threads": 4}, "4 threads"),
        (None, ""),
    ):
        record["hardware"]["machine"] = machine
        assert costs.processor(record) == told


def test_the_processors_of_a_leaderboard_are_those_of_its_profile(sample: Any) -> None:
    assert costs.processors(sample, wording.rows_of(leaderboard(sample))) == "2 × Intel Xeon"
