"""The ROC curve: its area against SciPy's rank statistic, and its points against scikit-learn's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_curve

from bench.analysis.detectors import auroc, detected_at, detection, roc, worst_variants
from bench.analysis.ranking import leaderboard


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_the_rank_statistic_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean, attacked = rng.integers(0, 8, 50).astype(float), rng.integers(2, 10, 31).astype(float)
    expected = mannwhitneyu(attacked, clean).statistic / (len(clean) * len(attacked))
    assert auroc(clean, attacked) == pytest.approx(expected)


def test_the_ends_of_the_scale() -> None:
    assert auroc(np.zeros(3), np.ones(3)) == 1.0
    assert auroc(np.ones(3), np.zeros(3)) == 0.0
    assert auroc(np.ones(3), np.ones(3)) == 0.5
    assert math.isnan(auroc(np.zeros(0), np.ones(3)))


@pytest.mark.parametrize("rate", [0.05, 0.01])
@pytest.mark.parametrize("seed", range(3))
def test_detection_at_a_fixed_rate_is_the_last_point_of_the_curve_within_it(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    clean, attacked = rng.normal(0, 1, 190).round(1), rng.normal(1, 1, 150).round(1)  # 9.5 and 1.9 may be exceeded
    false, true, _ = roc_curve(np.r_[np.zeros(190), np.ones(150)], np.r_[clean, attacked], drop_intermediate=False)
    assert detected_at(rate, clean, attacked) == pytest.approx(true[false <= rate].max())


def test_scores_that_all_tie_detect_nothing() -> None:
    assert detected_at(0.05, np.ones(40), np.ones(40)) == 0.0
    assert math.isnan(detected_at(0.05, np.zeros(0), np.ones(3)))


def test_a_roc_curve_runs_from_nothing_to_everything_and_has_the_area_that_is_told(made: Any) -> None:
    rng = np.random.default_rng(0)
    clean, attacked = rng.normal(0.0, 1.0, 400), rng.normal(1.0, 1.0, 400)

    def scored(record: dict[str, Any], scores: np.ndarray, right: float = 1.0) -> dict[str, Any]:
        ones, kept = np.ones(400, np.uint8), (np.arange(400) < 400 * right).astype(np.uint8)
        arrays = {"clean_correct": ones, "selected": kept, "scored": kept}
        arrays |= {"detected": (scores > 0).astype(np.uint8)}
        if record["kind"] == "attack":
            arrays |= {"distance": np.full(400, 0.3, np.float32), "attacked": ones, "inside": ones}
        return made.with_outcomes(record, **arrays, detector=scores.astype(np.float32))

    records = [
        scored(made.clean_record("one", np.ones(400)), clean),
        scored(made.attack_record("one", "pgd", np.ones(400), knowledge="adaptive"), attacked, right=0),
        scored(made.attack_record("one", "mim", np.ones(400), knowledge="adaptive"), attacked + 1, right=0),
        scored(made.attack_record("one", "bim", np.ones(400), knowledge="adaptive"), clean, right=0.95),
        scored(made.attack_record("one", "fgsm", np.ones(400), knowledge="white-box"), attacked + 3, right=0.25),
        scored(
            made.attack_record("one", "bim", np.ones(400), knowledge="white-box"), clean - 9, right=0.95
        ),  # 20 images
    ]
    frame = roc(records)
    assert list(frame.groupby("knowledge").attack.first()) == ["pgd", "fgsm"], "bim gets past it, and breaks nothing"
    assert frame.groupby("knowledge").images.first().to_dict() == {"adaptive": 400, "white-box": 300}
    for _, curve in frame.groupby("knowledge"):
        assert tuple(curve.iloc[0][["false_positives", "detected"]]) == (0.0, 0.0)
        assert tuple(curve.iloc[-1][["false_positives", "detected"]]) == (1.0, 1.0)
        assert curve.false_positives.is_monotonic_increasing
        assert curve.detected.is_monotonic_increasing
        area = np.trapezoid(curve.detected, curve.false_positives)
        assert area == pytest.approx(curve.auroc.iloc[0], abs=0.01)


def test_a_roc_curve_of_scores_that_tie_has_the_area_in_which_ties_count_half(made: Any) -> None:
    rng = np.random.default_rng(0)
    ones = np.ones(64, np.uint8)
    told = dict.fromkeys(("clean_correct", "attacked", "inside"), ones) | dict.fromkeys(
        ("selected", "scored"), 0 * ones
    )
    told |= {"detected": 0 * ones, "distance": np.full(64, 0.3, np.float32)}
    clean, attack = made.clean_record("one", ones), made.attack_record("one", "pgd", 0 * ones)
    for record, most in ((clean, 4), (attack, 6)):
        made.with_outcomes(record, **told, detector=rng.integers(0, most, 64).astype(np.float32))
    curve = roc([clean, attack])
    assert np.trapezoid(curve.detected, curve.false_positives) == pytest.approx(curve.auroc.iloc[0])


def test_refused_images_are_what_an_attacker_wanted_and_the_detector_saw(made: Any) -> None:
    """Where a refusal counts as right, the images that were refused are among those that the rate is of."""
    ones, seen = np.ones(64, np.uint8), (np.arange(64) < 32).astype(np.uint8)
    right = (np.arange(64) < 48).astype(np.uint8)  # 32 refused, 16 answered rightly, 16 answered wrongly
    clean = made.clean_record("one", ones)
    clean = made.with_outcomes(
        clean, clean_correct=ones, selected=ones, scored=ones, detected=0 * ones, detector=np.zeros(64, np.float32)
    )
    attack = made.attack_record("one", "pgd", right, knowledge="adaptive")
    outcomes = dict.fromkeys(("clean_correct", "attacked", "inside"), ones) | {"selected": right, "scored": right}
    attack = made.with_outcomes(
        attack, **outcomes, distance=np.full(64, 0.3, np.float32), detected=seen, detector=seen.astype(np.float32)
    )
    (answering,) = detection([clean, attack]).to_dict("records")
    assert (answering["wrong_images"], answering["wrong_detected"]) == (16, 0.0)
    refusing = {**clean, "evidence": {**clean.get("evidence", {}), "rejected": 0.05}}
    (line,) = detection([refusing, attack]).to_dict("records")
    assert (line["wrong_images"], line["wrong_detected"]) == (48, pytest.approx(32 / 48))
    assert leaderboard([refusing, attack]).rejected.tolist() == [0.05]
    assert leaderboard([clean, attack]).rejected.isna().all()


def test_a_control_that_gives_the_clean_image_back_is_no_shift(made: Any) -> None:
    ones = np.ones(40, np.uint8)
    told = {"clean_correct": ones, "selected": ones, "scored": ones, "detected": 0 * ones}
    told["detector"] = np.full(40, -1.0, np.float32)
    records = [made.with_outcomes(made.clean_record("one", ones), **told)]
    for name, distance in (("null", np.inf), ("noise", 0.1)):
        moved = np.full(40, distance, np.float32)
        control = made.attack_record("one", name, ones, knowledge="white-box")
        records.append(made.with_outcomes(control, **told, distance=moved, attacked=ones, inside=ones))
    assert list(detection(records).attack) == ["noise"]


def test_of_the_variants_of_an_attack_the_worst_stands_for_all_and_of_its_runs_the_longest() -> None:
    def line(attack: str, accuracy: float, images: int = 500) -> dict[str, Any]:
        return {"defense": "d", "norm": "linf", "epsilon": 0.3, "knowledge": "adaptive"} | {
            "attack": attack,
            "accuracy": accuracy,
            "images": images,
        }

    found = worst_variants(
        [
            line("pgd[steps=20]", 0.5),
            line("pgd[steps=20] via identity", 0.3),
            line("pgd[steps=20] via identity", 0.0, images=64),
            line("pgd[steps=20] from transfer", 0.4),
            line("pgd[steps=20] made on robust[a=1]", 0.1),
            line("pgd[steps=40]", 0.2),
        ]
    )
    assert len(worst_variants([line("pgd", 0.1), line("pgd", 0.3) | {"epsilon": 0.1}])) == 2, "of two radii neither"
    assert {row["asked"]: row["accuracy"] for row in found} == {
        "pgd[steps=20]": 0.3,
        "pgd[steps=20] made on robust[a=1]": 0.1,  # no way of the same attacker
        "pgd[steps=40]": 0.2,
    }


def test_images_that_were_not_tried_or_do_not_count_are_in_no_rate(made: Any) -> None:
    """Of 64 images 32 were tried and 16 of these count at this radius; all others would be detected."""
    ones, tried, inside = np.ones(64, np.uint8), np.arange(64) < 32, (np.arange(64) < 16) | (np.arange(64) >= 32)
    seen = ~(tried & inside)
    told = {"clean_correct": ones, "selected": 0 * ones, "scored": 0 * ones}
    clean = made.with_outcomes(
        made.clean_record("one", ones), **told | {"clean_correct": tried.astype(np.uint8)},
        detected=(~tried).astype(np.uint8), detector=np.full(64, -1.0, np.float32),
    )  # fmt: skip
    attack = made.with_outcomes(
        made.attack_record("one", "pgd", ones), **told | {"scored": (~tried).astype(np.uint8)},
        distance=np.full(64, 0.3, np.float32), attacked=tried.astype(np.uint8),
        inside=inside.astype(np.uint8), fooling=ones, detected=seen.astype(np.uint8),
        detector=np.where(seen, 1.0, -1.0).astype(np.float32),
    )  # fmt: skip
    (line,) = detection([clean, attack]).to_dict("records")
    for name in ("", "fooling_", "wrong_"):
        assert (line[f"{name}images"], line[f"{name}detected"]) == (16, 0.0), name
    assert line["auroc"] == 0.5
    # Of all images, those that are answered wrongly when clean among them.
    assert (line["clean_images"], line["false_positives"], line["accuracy"]) == (64, 0.5, 0.5)


def test_of_a_randomised_detector_an_image_counts_by_its_draws_and_is_wrong_where_one_of_them_is(made: Any) -> None:
    ones, half = np.ones(64, np.uint8), (np.arange(64) < 32).astype(np.uint8)
    told = {"clean_correct": ones, "selected": ones, "detector": np.zeros(64, np.float32)}
    clean = made.with_outcomes(made.clean_record("one", ones), **told, scored=4 * ones, detected=ones)
    attack = made.attack_record("one", "pgd", ones)
    made.with_outcomes(
        attack, **told, scored=4 - half, detected=2 * ones, attacked=ones, inside=ones,
        distance=np.full(64, 0.3, np.float32),
    )  # fmt: skip
    for record in (clean, attack):
        record["draws"] = {"select": 1, "score": 4}
    (line,) = detection([clean, attack]).to_dict("records")
    assert (line["false_positives"], line["detected"], line["accuracy"]) == (0.25, 0.5, 0.875)
    assert (line["wrong_images"], line["wrong_detected"]) == (32, 0.5)
