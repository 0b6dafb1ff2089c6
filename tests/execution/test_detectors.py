"""What a detector is worth: refusals, rates, and one fit for all of its thresholds."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

from bench.analysis.records import decode_array

VARIANTS = "toy-rejects[threshold=0.75],toy-rejects[threshold=0.75,refuses=false],toy-rejects[threshold=2]"
SILENT, REFUSING, ALL = (
    "toy-rejects[threshold=0.75,refuses=false]",
    "toy-rejects[threshold=0.75]",
    "toy-rejects[threshold=2]",
)


@pytest.fixture(scope="module")
def ran(shared_command_line) -> Any:
    shared_command_line(
        *(
            "run",
            "--datasets",
            "toy",
            "--models",
            "toy-net",
            "--defenses",
            VARIANTS,
            "--attacks",
            "toy-step,noise,jpeg-shift,evade",
        ),
        *("--norm", "linf", "--eps", "0.2", "--samples", "128", "--hardware", "none", "--out", "out"),
    )
    return shared_command_line


def outcomes(record: dict[str, Any], name: str) -> np.ndarray:
    return decode_array(record["outcomes"][name])


def test_to_refuse_an_attacked_image_is_right_and_to_refuse_a_clean_one_is_not(ran) -> None:
    records = {(r["defense"]["label"], r.get("knowledge", "")): r for r in ran.records("out") if r["status"] == "ok"}
    clean = {label: outcomes(records[label, ""], "clean_correct") for label in (SILENT, REFUSING, ALL)}
    refused = outcomes(records[REFUSING, ""], "detected") == 1
    assert 0 < refused.mean() < 0.2
    assert records[REFUSING, ""]["evidence"]["rejected"] == refused.mean()
    assert "rejected" not in records[SILENT, ""]["evidence"]  # it detects, and answers all the same
    assert clean[SILENT].all()
    np.testing.assert_array_equal(clean[REFUSING] == 0, refused)
    assert not clean[ALL].any()

    # The step leaves no bright pixel: what it turns is refused, and wrong where nothing is.
    attacked = {label: records[label, "white-box"] for label in (SILENT, REFUSING, ALL)}
    assert 0.5 < outcomes(attacked[SILENT], "scored").mean() < 0.9
    assert (outcomes(attacked[SILENT], "detected") == 1).mean() > 0.9
    np.testing.assert_array_equal(outcomes(attacked[REFUSING], "scored"), clean[REFUSING])
    assert not outcomes(attacked[ALL], "scored").any()


def test_whoever_detects_is_probed_by_who_looks_at_the_detector(ran) -> None:
    probes = [r for r in ran.records("out") if r.get("probe") == "unbounded"]
    met = {(r["defense"]["label"], r["attack"]["name"]) for r in probes}
    assert met == {(label, "evade") for label in (SILENT, REFUSING, ALL)}
    assert {r["threat"]["epsilon"] for r in probes} == {1.0}


def test_one_fit_serves_what_matters_only_where_it_is_deployed(ran) -> None:
    clean = [r for r in ran.records("out") if r["kind"] == "clean" and r["defense"]["name"] == "toy-rejects"]
    fits = {next(key for key in r["provenance"]["objects"][2:3]) for r in clean}
    assert len(clean) == 3
    assert len(fits) == 1
    assert {r["notes"]["fit"]["threshold"] for r in clean} == {0.5}  # the default, which no variant has
    assert len({r["run_key"] for r in clean}) == 3


def test_rates_and_the_area_under_the_curve_are_written(ran) -> None:
    with (ran.folder / "out" / "detection.csv").open() as file:
        every = list(csv.DictReader(file))
    lines = {(line["defense"], line["knowledge"]): line for line in every if line["attack"] == "toy-step"}
    silent, refusing = lines[SILENT, "oblivious"], lines[REFUSING, "white-box"]
    (clean,) = (r for r in ran.records("out") if (r["kind"], r["defense"]["label"]) == ("clean", SILENT))
    assert float(silent["false_positives"]) == pytest.approx((outcomes(clean, "detector") > 0).mean())
    assert float(silent["false_positives_low"]) <= float(silent["false_positives"])
    assert float(silent["fooling_detected"]) > 0.9
    assert 0 < float(silent["fooling_images"]) <= float(silent["images"])
    assert refusing["fooling_detected"] == ""  # this attacker saw more than the undefended network
    assert float(refusing["auroc"]) > 0.9
    assert "none" not in {defense for defense, _ in lines}
    shifts = [line for line in every if line["defense"] == REFUSING and line["control"] == "True"]
    assert {line["attack"] for line in shifts} == {"noise", "jpeg-shift"}
    assert {line["images"] for line in shifts} == {"128"}  # right or wrong when clean
    assert "nobody: harmless shift" in (ran.folder / "out" / "index.html").read_text()
    undefended = {r["attack"]["name"] for r in ran.records("out") if r["kind"] == "attack" and r["defense"]["baseline"]}
    assert "noise" in undefended
    assert "jpeg-shift" not in undefended  # it has no detector to be asked
    with (ran.folder / "out" / "detectors.csv").open() as file:
        ranks = {line["defense"]: line for line in csv.DictReader(file)}
    assert set(ranks) == {SILENT, REFUSING, ALL}
    assert float(ranks[ALL]["held"]) == 0.0
    assert 0 < float(ranks[REFUSING]["held"]) < 1
    assert (ranks[SILENT]["held"], ranks[SILENT]["reason"]) == ("", "it answers what it detects")
    assert "Rank at 5 %" in (ran.folder / "out" / "index.html").read_text()
    assert "Detectors</h3>" in (ran.folder / "out" / "index.html").read_text()
