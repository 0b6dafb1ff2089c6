from __future__ import annotations

import math

import pytest

from bench.reporting import wording


@pytest.mark.parametrize(
    ("epsilon", "text"),
    [(0.3, "0.3"), (8 / 255, "8/255"), (1.5, "1.5"), (0.2, "0.2"), (0.03137, "0.03137"), (12, "12")],
)
def test_radii_are_written_as_in_the_field(epsilon: float, text: str) -> None:
    assert wording.radius(epsilon) == text


@pytest.mark.parametrize(
    ("value", "text"), [(784, "784 B"), (670_000, "670 kB"), (1_234_567, "1.23 MB"), (math.nan, "–"), (None, "–")]
)
def test_sizes(value: float | None, text: str) -> None:
    assert wording.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0500, "0.0500"), (1234.5, "1,234"), (0, "0"), (7.2, "7.20"), (-0.5, "-0.500")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert wording.figure(value) == text


def test_lists_and_counts() -> None:
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.count(1, "image") == "1 image"
    assert wording.count(2000, "image") == "2,000 images"


def test_control_and_direction_marks_become_visible() -> None:
    assert wording.plain("a\x1b[31m\u202eb\n") == "a\ufffd[31m\ufffdb\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(15_104, "4 h 12 min"), (3600, "1 h 0 min"), (300, "5 min"), (2.5, "2.50 s")]
)
def test_time_spans_have_units_of_their_size(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        ("2026-11-28T09:17:10+00:00", "2026-11-28 09:17 UTC"),
        ("2026-11-28T09:17:10+02:00", "2026-11-28 09:17 UTC+02:00"),
        ("2026-11-28T09:17:10", "2026-11-28 09:17 (zone unknown)"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_have_a_zone(iso: str, text: str) -> None:
    assert wording.moment(iso) == text


def test_what_may_go_undetected_is_of_the_rows_that_are_compared() -> None:
    def row(status: str, smallest: float = 0.0421) -> dict[str, object]:
        return {"status": status, "attacks": 3, "detectable_difference": smallest}

    told = "true differences below about 4.2 points may go undetected."
    assert wording.resolution([row("ranked"), row("ranked"), row("incomplete")]) == f"With 2 rows, {told}"
    assert wording.resolution([row("incomplete")] * 3) == f"With 3 rows, {told}"
    assert wording.resolution([row("ranked"), row("incomplete")]) == ""
    assert wording.resolution([row("ranked", math.nan)] * 2) == ""


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3072, "B", "3.07 kB"),
        (40_600_192, "MAC", "40.6 M MAC"),
        (1.28, "1", "1.28"),
        (1.28, "", "1.28"),
        (4.13, "ms", "4.13 ms"),
    ],
)
def test_figures_of_cost_have_units(value: float, unit: str, text: str) -> None:
    assert wording.with_unit(value, unit) == text


def test_what_is_left_to_one_kind_of_attacker_has_its_interval_and_how_many_images_where_fewer() -> None:
    row = {"adaptive": 0.25, "adaptive_low": 0.112, "adaptive_high": 0.469, "adaptive_samples": 20, "samples": 20}
    assert wording.level(row, "adaptive") == "25.0 % (11.2–46.9)"
    assert wording.level(row | {"samples": 1000}, "adaptive") == "25.0 % (11.2–46.9; 20 images)"
    assert wording.level(row | {"adaptive_samples": 0}, "adaptive") == wording.NOTHING


@pytest.mark.parametrize(
    ("value", "told"), [(2.848974, "2.85"), (0.998801, "1.00"), (12.04, "12.0"), (0.0012, "0.00120"), (None, "–")]
)
def test_a_ratio_has_two_decimals_at_most_where_these_say_anything(value: float | None, told: str) -> None:
    assert wording.ratio(value) == told
