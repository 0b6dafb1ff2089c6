"""The bracket certified <= true <= attacked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.analysis.certificates import bracket
from bench.analysis.groups import Row, rows
from bench.reporting.wording import bracket as in_words

DEFENSE = "jpeg[quality=50]"


def row_of(made: Any, *seeds: tuple[Sequence[int] | None, Sequence[int] | None]) -> Row:
    """The row of records of which each seed has images certified and images left right by an attack, or None."""
    records = []
    for seed, (certified, left) in enumerate(seeds):
        attack = made.attack_record(DEFENSE, "pgd", np.array(left or [1]), seed=seed)
        records.append(made.clean_record(DEFENSE, np.ones(len(left or certified or [])), seed=seed))
        if left is not None:
            records.append(attack)
        if certified is not None:
            proof = made.base("certificate", DEFENSE, n=len(certified), seed=seed) | {"threat": attack["threat"]}
            records.append(made.with_outcomes(proof, certified=np.array(certified, np.uint8)))
    return next(row for row in rows(records) if row.setting.norm or all(left is None for _, left in seeds))


def test_the_bracket_stands_on_the_images_that_both_have(made: Any) -> None:
    told = bracket(row_of(made, ([1, 0, 0, 1], [1, 1, 0])))
    assert told == {"certified": 1 / 3, "bracket_width": 2 / 3 - 1 / 3, "bracket_images": 3.0, "certified_broken": 0.0}


def test_a_certified_image_that_is_broken_is_counted(made: Any) -> None:
    assert bracket(row_of(made, ([1, 1], [0, 1])))["certified_broken"] == 1.0


def test_without_a_certificate_or_an_attack_there_is_no_bracket(made: Any) -> None:
    for row in (row_of(made, (None, [1, 1, 1])), row_of(made, ([1, 1, 1], None))):
        assert all(math.isnan(value) for value in bracket(row).values())


def test_each_network_is_held_to_its_own_certificate(made: Any) -> None:
    """What breaks the network of one seed refutes no certificate of another's, and what is left hides no refutation."""
    told = bracket(row_of(made, ([1, 1], [1, 1]), (None, [0, 0])))
    assert told == {"certified": 1.0, "bracket_width": 0.0, "bracket_images": 2.0, "certified_broken": 0.0}
    told = bracket(row_of(made, ([1, 1, 0, 0], [0, 1, 1, 1]), ([0, 0, 0, 0], [1, 1, 1, 1])))
    assert told == {"certified": 1 / 4, "bracket_width": 7 / 8 - 1 / 4, "bracket_images": 4.0, "certified_broken": 1.0}


def test_in_words_it_is_rounded_outwards() -> None:
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


def test_of_two_runs_certificates_the_one_of_more_images_counts(made: Any) -> None:
    """A merged report has a run of every image, and one of the first few under other attacks."""
    attack = made.attack_record(DEFENSE, "pgd", np.ones(9))
    for sizes in ({"a": 4, "b": 9}, {"a": 9, "b": 4}):  # records are taken in the order of their names
        records = [made.clean_record(DEFENSE, np.ones(9)), attack]
        for name, n in sizes.items():
            whole = {**made.base("certificate", DEFENSE, n=n), "cell_id": name, "run_key": name}
            records.append(made.with_outcomes({**whole, "threat": attack["threat"]}, certified=np.ones(n, np.uint8)))
        assert [bracket(row)["bracket_images"] for row in rows(records)] == [9.0]
