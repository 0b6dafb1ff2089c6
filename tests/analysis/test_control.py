"""What a defense that multiplies the compute is held against."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.analysis import control

IMAGES = 200


def kept(share: float, *, last: bool = False) -> np.ndarray:
    shares = np.zeros(IMAGES)
    shares[: round(share * IMAGES)] = 1.0
    return shares[::-1] if last else shares


def controls(asked: list[dict[str, object]], ranked: dict[str, np.ndarray]) -> dict[str, dict[str, object]]:
    return control.controls(asked, ranked, {str(line["defense"]): str(line["defense"]).split("[")[0] for line in asked})


def lines(**macs: float) -> list[dict[str, object]]:
    return [{"defense": name, "macs": needed} for name, needed in macs.items()]


def test_the_control_is_the_best_that_needs_no_more() -> None:
    asked = lines(none=1.0, slim=1.5, defed=10.0, wide=10.4, wider=11.0)
    ranked = {"none": kept(0.0), "slim": kept(0.2), "defed": kept(0.1), "wide": kept(0.5), "wider": kept(0.9)}
    found = controls(asked, ranked)
    assert found["defed"]["control"] == "wide"
    assert found["defed"]["control_accuracy"] == pytest.approx(0.5)
    assert found["defed"]["control_difference"] == pytest.approx(0.4)
    assert 0.3 < found["defed"]["control_low"] < 0.4 < found["defed"]["control_high"] < 0.5
    assert found["wide"]["control"] == "slim"  # wider needs more than 5 % more
    assert found["wider"]["control"] == "wide"
    assert "slim" not in found  # less than twice the leanest
    assert "none" not in found


def test_among_equals_the_leaner_is_the_control() -> None:
    found = controls(lines(none=1.0, slim=2.0, defed=10.0), {n: kept(0.0) for n in ("none", "slim", "defed")})
    assert found["defed"]["control"] == "none"
    assert found["defed"]["control_low"] < 0 < found["defed"]["control_high"]


def test_the_difference_is_taken_on_the_same_images() -> None:
    ranked = {"none": kept(0.5, last=True), "defed": kept(0.5)[:100]}
    found = controls(lines(none=1.0, defed=4.0), ranked)
    assert found["defed"]["control_difference"] == pytest.approx(-1.0)
    assert found["defed"]["control_accuracy"] == pytest.approx(0.5)  # as its own row says


def test_twice_the_leanest_is_held_and_a_little_less_is_not() -> None:
    found = controls(lines(none=1.0, twice=2.0, less=1.9), {n: kept(0.0) for n in ("none", "twice", "less")})
    assert set(found) == {"twice"}


def test_what_is_not_ranked_or_whose_compute_is_unknown_is_neither_held_nor_a_control() -> None:
    asked = lines(none=1.0, defed=4.0, blind=3.0, unknown=math.nan, other=9.0)
    ranked = {"none": kept(0.1), "defed": kept(0.1), "unknown": kept(0.9)}
    found = controls(asked, ranked)
    assert set(found) == {"defed"}
    assert found["defed"]["control"] == "none"


def test_another_setting_of_the_same_defense_is_no_control() -> None:
    asked = lines(**{"none": 1.0, "defed[a=1]": 4.0, "defed[a=2]": 4.0})
    ranked = {"none": kept(0.1), "defed[a=1]": kept(0.2), "defed[a=2]": kept(0.9)}
    assert {label: line["control"] for label, line in controls(asked, ranked).items()} == {
        "defed[a=1]": "none",
        "defed[a=2]": "none",
    }
