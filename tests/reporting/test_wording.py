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
