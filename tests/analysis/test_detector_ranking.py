"""Detectors that refuse: who holds what, at which price, and who may be ranked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bench.analysis.detector_ranking import detector_ranks
from bench.analysis.statistics import detectable_difference

N = 400
CORE = ("fgsm", "pgd", "apgd-dlr", "square", "evade")


def images(*spans: tuple[int, int]) -> np.ndarray:
    """Return 1 for the images of these spans."""
    flags = np.zeros(N, dtype=np.uint8)
    for first, last in spans:
        flags[first:last] = 1
    return flags


@pytest.fixture
def ladder(made: Any) -> Any:
    """Return a function to the records of a defense with a detector, its ladder whole."""

    def records(name: str, *, alarms: np.ndarray, right: np.ndarray, seen: np.ndarray, level: str = "adaptive") -> Any:
        def with_detector(record: dict[str, Any], detected: np.ndarray, scored: np.ndarray) -> dict[str, Any]:
            arrays = {"clean_correct": scored, "selected": scored, "scored": scored, "detected": detected}
            if record["kind"] == "attack":
                arrays |= {
                    "distance": np.full(N, 0.3, np.float32),
                    "attacked": images((0, N)),
                    "inside": images((0, N)),
                }
            return made.with_outcomes(record, **arrays, detector=np.where(detected > 0, 1.0, -1.0).astype(np.float32))

        found = [with_detector(made.clean_record(name, images((0, N))), alarms, images((0, N)))]
        found[0]["evidence"] = {"rejected": float(alarms.mean())}
        for attack in CORE:
            record = made.attack_record(name, attack, right, knowledge=level)
            found.append(with_detector(record, seen, right))
        return found

    return records


def lines(*parts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    frame = detector_ranks([record for part in parts for record in part])
    return {row["defense"]: row for row in frame.to_dict("records")}


def test_what_is_wrong_and_detected_is_held_and_what_is_detected_when_clean_is_not(ladder: Any) -> None:
    found = lines(ladder("one", alarms=images((0, 10)), right=images((0, 100)), seen=images((100, 300))))["one"]
    assert found["held"] == pytest.approx(290 / N)  # 300 right or detected, 10 of them false alarms
    assert found["held_low"] < found["held"] < found["held_high"]
    assert found["false_positives"] == pytest.approx(10 / N)


def test_what_is_held_is_of_the_images_that_every_informed_attack_was_tried_on(ladder: Any, made: Any) -> None:
    """On the other images nobody knows whether the detector holds against one who knows it."""
    records = ladder("one", alarms=images(), right=images((0, 300)), seen=images())
    evading = made.attack_record("one", "evade", images()[:50], knowledge="adaptive")
    records.append(
        made.with_outcomes(
            evading,
            **{name: np.zeros(50, np.uint8) for name in ("selected", "scored", "detected")},
            clean_correct=np.ones(50, np.uint8),
            distance=np.full(50, 0.3, np.float32),
            attacked=np.ones(50, np.uint8),
            inside=np.ones(50, np.uint8),
            detector=np.full(50, -1.0, np.float32),
        )
    )
    found = lines(records)["one"]
    assert (found["held"], found["held_images"]) == (0.0, 50)


def test_one_who_detects_everything_holds_nothing(ladder: Any) -> None:
    found = lines(ladder("all", alarms=images((0, N)), right=images(), seen=images((0, N))))["all"]
    assert (found["held"], found["rank_at_5"], found["rank_at_1"]) == (0.0, "", "")


def test_ranks_are_among_those_that_keep_the_rate_and_ties_are_intervals(ladder: Any) -> None:
    found = lines(
        ladder("strict", alarms=images((0, 3)), right=images((0, 200)), seen=images()),
        ladder("strict-too", alarms=images((0, 3)), right=images((0, 201)), seen=images()),
        ladder("loose", alarms=images((0, 19)), right=images((0, 350)), seen=images()),
        ladder("looser", alarms=images((0, 60)), right=images((0, 399)), seen=images()),
    )
    assert {name: row["rank_at_5"] for name, row in found.items()} == {
        "loose": "1", "strict": "2–3", "strict-too": "2–3", "looser": "",
    }  # fmt: skip
    assert {name: row["rank_at_1"] for name, row in found.items()} == {
        "loose": "", "strict": "1–2", "strict-too": "1–2", "looser": "",
    }  # fmt: skip
    assert {row["detectable_difference"] for row in found.values()} == {detectable_difference(400, 6)}


def test_what_no_adaptive_attacker_has_seen_has_no_rank(ladder: Any) -> None:
    told = {"alarms": images(), "right": images((0, 200)), "seen": images()}
    found = lines(ladder("known", **told), ladder("unknown", **told, level="white-box"))
    assert (found["known"]["rank_at_5"], found["unknown"]["rank_at_5"]) == ("1", "")
    assert found["unknown"]["reason"] == "no adaptive attack"


def test_deployments_that_draw_have_no_figure_and_those_without_a_detector_no_line(ladder: Any, made: Any) -> None:
    drawing = ladder("drawing", alarms=images(), right=images((0, 200)), seen=images())
    for record in drawing:
        record["draws"] = {"select": 1, "score": 2}
    found = lines(drawing, [made.clean_record("none", images((0, N))), made.attack_record("none", "pgd", images())])
    assert set(found) == {"drawing"}
    assert math.isnan(found["drawing"]["held"])
    assert found["drawing"]["reason"] == "it draws"


def test_what_a_detector_holds_against_who_does_not_look_at_it_is_no_figure(ladder: Any) -> None:
    records = ladder("one", alarms=images((0, 10)), right=images((0, 100)), seen=images((100, 300)))
    blind = [r for r in records if (r.get("attack") or {}).get("name") != "evade"]
    found = lines(blind)["one"]
    assert math.isnan(found["held"])
    assert (found["held_images"], found["reason"], found["rank_at_5"]) == (0, "no attack on the detector", "")
    assert found["false_positives"] == pytest.approx(10 / N)


def test_where_what_is_detected_is_answered_nobody_had_to_pass_the_detector(ladder: Any) -> None:
    records = ladder("one", alarms=images((0, 10)), right=images((0, 100)), seen=images((100, 300)))
    del records[0]["evidence"]["rejected"]
    found = lines(records)["one"]
    assert math.isnan(found["held"])
    assert (found["reason"], found["rank_at_5"]) == ("it answers what it detects", "")


def test_an_attacker_who_knows_nothing_stretches_no_figure_of_those_who_do(ladder: Any, made: Any) -> None:
    records = ladder("one", alarms=images(), right=images((0, 300)), seen=images())
    for record in records[1:]:
        record["knowledge"] = "black-box" if record["attack"]["name"] == "square" else "adaptive"
        if record["knowledge"] == "adaptive":
            record |= {"samples": 50}
            made.with_outcomes(
                record,
                **{name: np.zeros(50, np.uint8) for name in ("selected", "scored", "detected")},
                distance=np.full(50, 0.3, np.float32),
                attacked=np.ones(50, np.uint8),
                inside=np.ones(50, np.uint8),
                detector=np.full(50, -1.0, np.float32),
            )
    assert lines(records)["one"]["held_images"] == 50
