"""The bracket certified <= true <= attacked."""

from __future__ import annotations

import math

import numpy as np

from bench.analysis.certificates import bracket, certificates
from bench.reporting.wording import bracket as in_words


def test_the_bracket_stands_on_the_images_that_both_have():
    told = bracket(np.array([1.0, 0.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0]))
    assert told == {"certified": 1 / 3, "bracket_width": 2 / 3 - 1 / 3, "bracket_images": 3.0, "certified_broken": 0.0}


def test_a_certified_image_that_is_broken_is_counted():
    assert bracket(np.array([1.0, 1.0]), np.array([0.0, 1.0]))["certified_broken"] == 1.0


def test_without_a_certificate_or_an_attack_there_is_no_bracket():
    for told in (bracket(None, np.ones(3)), bracket(np.ones(3), np.ones(0))):
        assert all(math.isnan(value) for value in told.values())


def test_in_words_it_is_rounded_outwards():
    assert in_words({"certified": 0.12349, "bracket_width": 0.2217, "bracket_images": 9.0, "samples": 9}) == (
        "certified 12.3 % ≤ true ≤ 34.6 % attacked, width 22.3 points"
    )
    assert in_words({"certified": 0.1, "bracket_width": 0.2, "bracket_images": 9.0, "samples": 9}).startswith(
        "certified 10.0 % ≤ true ≤ 30.0 %"
    )


def test_a_bracket_of_fewer_images_than_the_row_says_of_how_many() -> None:
    """Its attacked end is of those images, and may lie above the row's own figure."""
    told = in_words({"certified": 0.0, "bracket_width": 0.862, "bracket_images": 128.0, "samples": 1000})
    assert told == "certified 0.0 % ≤ true ≤ 86.2 % attacked of 128 images, width 86.2 points"


def test_of_two_runs_certificates_the_one_of_more_images_counts(made) -> None:
    """A merged report has a run of every image, and one of the first few under other attacks."""
    threat = made.attack_record("jpeg[quality=50]", "pgd", np.ones(4))["threat"]
    for sizes in ({"a": 4, "b": 9}, {"a": 9, "b": 4}):  # records are taken in the order of their names
        records = []
        for name, n in sizes.items():
            whole = {**made.base("certificate", "jpeg[quality=50]", n=n), "cell_id": name, "run_key": name}
            records.append(made.with_outcomes({**whole, "threat": threat}, certified=np.ones(n, np.uint8)))
        assert [len(flags) for flags in certificates(records).values()] == [9]


def test_what_is_certified_is_a_mean_over_seeds(made) -> None:
    threat, records = made.attack_record("jpeg[quality=50]", "pgd", np.ones(4))["threat"], []
    for seed, flags in enumerate(([1, 1, 1, 0], [1, 0, 0, 0])):
        record = made.base("certificate", "jpeg[quality=50]", n=4, seed=seed) | {"threat": threat}
        records.append(made.with_outcomes(record, certified=np.array(flags, np.uint8)))
    (shares,) = certificates(records).values()
    assert shares.tolist() == [1.0, 0.5, 0.5, 0.0]
