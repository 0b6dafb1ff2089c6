"""Figures of cost: all in a file, one a quantity on the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bench.reporting
from bench.analysis import leaderboard
from bench.reporting import charts, costs, figures, wording


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


def unquiet_record(made: Any) -> Any:
    record = made.cost_record("none")
    for item in record["measurements"]:
        if item["quantity"] == "latency_ratio":
            item["value"], item["flags"] = 1.0576, ["tainted: 3 of 55 quads (load, steal)", "redone: 9 quads", "drift"]
        elif item["quantity"] == "latency_ms" and item["placement"] == "server":
            item["flags"] = ["noisy"]
    return record


def test_the_leaderboard_says_which_times_were_not_taken_in_quiet(made: Any) -> None:
    (row,) = wording.rows_of(leaderboard([made.clean_record("none", np.ones(9)), unquiet_record(made)]))
    assert row["latency_ratio_flags"] == "tainted drift"
    assert row["latency_flags"] == "noisy"
    (bare,) = wording.rows_of(leaderboard([made.clean_record("none", np.ones(9))]))
    assert (bare["latency_ratio_flags"], bare["latency_flags"]) == ("", "")


def test_times_that_were_not_taken_in_quiet_have_one_mark_everywhere(tmp_path: Path, made: Any, cache: Path) -> None:
    files = bench.reporting.write([made.clean_record("none", np.ones(9)), unquiet_record(made)], tmp_path, cache=cache)
    page, board = files["html"].read_text(), files["leaderboard.md"].read_text()
    assert re.search(r">1\.06‡<span", page)
    assert "‡ a doubtful time (tainted, drift, noisy)." in page
    table = page.split('aria-label="Cost figures"')[1].split("</table>")[0]
    assert len(re.findall(r"‡</td>", table)) == 2
    assert "| 1.06‡ |" in board
    assert "‡ a doubtful time (tainted, drift)." in board


def test_the_mark_stands_in_the_plot_and_beside_its_cost(cache: Path) -> None:
    group = [
        {"defense": name, "latency_ratio": cost, "robust_accuracy": 0.4, "robust_low": 0.3, "robust_high": 0.5,
            "status": "ranked", "attacks": 3, "latency_ratio_flags": flags}
        for name, cost, flags in (("good", 1.0, ""), ("poor", 2.0, "drift"))
    ]  # fmt: skip
    figure = str(figures.trade(charts.Painter(cache), group, "latency_ratio"))
    assert ">2‡</text>" in figure
    assert "<b>2</b> poor <span>40.0 %, 2.00×‡</span>" in figure
    assert "<b>1</b> good <span>40.0 %, 1.00×</span>" in figure
    assert "doubtful time" in figure
