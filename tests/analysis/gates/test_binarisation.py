from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.analysis.gates.binarisation import binarisation, gate

WELL = {"reason": "", "looked_at": 70, "testable": 64, "found": 64, "random": 3, "queries": 42}


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "pass"),
        ({"found": 61}, "pass"),  # .953
        ({"found": 60}, "fail"),  # .938
        ({"found": 0}, "fail"),
        ({"random": 32}, "pass"),
        ({"random": 33}, "warn"),
        ({"found": 60, "random": 60}, "fail"),
        ({"testable": 63, "found": 63}, "fail"),
        ({"testable": 0, "found": 0, "random": 0}, "fail"),
        ({"reason": "The deployment runs no linear layer."}, "fail"),
        ({"reason": "The test could not be made: out of memory", "broken": True}, "fail"),
    ],
)
def test_an_attack_must_find_what_is_known_to_be_there(change: dict[str, Any], outcome: str) -> None:
    verdict = binarisation(WELL | change, left=0.4)
    assert verdict.outcome == outcome
    assert verdict.evidence


@pytest.mark.parametrize(
    ("testable", "found", "outcome"),
    [(63, 63, "warn"), (6, 6, "warn"), (0, 0, "warn"), (20, 17, "warn"), (20, 16, "fail")],  # with the lacking 44, .953
)
def test_few_images_do_where_the_attack_leaves_next_to_nothing(testable: int, found: int, outcome: str) -> None:
    assert binarisation(WELL | {"testable": testable, "found": found}, left=0.05).outcome == outcome


def test_where_no_test_can_be_made_next_to_nothing_needs_no_voucher() -> None:
    assert binarisation(WELL | {"reason": "The deployment runs no linear layer."}, left=0.05).outcome == "n/a"


def test_a_test_that_should_have_been_made_fails_whatever_is_left() -> None:
    assert binarisation(WELL | {"reason": "It crashed.", "broken": True}, left=0.0).outcome == "fail"


def test_an_attack_that_cannot_be_tested_hides_none_that_misses_examples(made: Any, row_of: Any) -> None:
    records = [made.clean_record("none", np.ones(400)), made.attack_record("none", "apgd-dlr", np.zeros(400))]
    for steps, test in ((20, {"found": 12}), (40, {"reason": "The attack needs three classes."})):
        record = made.attack_record("none", f"pgd[steps={steps}]", np.ones(400))
        records.append(record | {"evidence": {"binarisation": WELL | test}})
    assert gate()(row_of(records, "none")).outcome == "fail"


def row(made: Any, row_of: Any, tests: list[dict[str, Any]], *, left: float) -> Any:
    """One PGD a seed that was put to these tests, and another attack that leaves so much."""
    records = []
    for seed, test in enumerate(tests):
        pgd = made.attack_record("none", "pgd", np.ones(400), seed=seed) | {"evidence": {"binarisation": test}}
        other = made.attack_record("none", "apgd-dlr", np.arange(400) < left * 400, seed=seed)
        records += [made.clean_record("none", np.ones(400), seed=seed), pgd, other]
    return row_of(records, "none")


def test_what_all_attacks_leave_needs_the_voucher(made: Any, row_of: Any) -> None:
    """PGD by itself left a fifth of Defed on MNIST in every way it took first, all attacks together nothing."""
    few = WELL | {"testable": 41, "found": 41}
    assert gate()(row(made, row_of, [few], left=0.0)).outcome == "warn"
    assert gate()(row(made, row_of, [few], left=0.3)).outcome == "fail"


def test_the_worst_of_several_seeds_counts(made: Any, row_of: Any) -> None:
    assert gate()(row(made, row_of, [WELL, WELL], left=0.4)).outcome == "pass"
    assert gate()(row(made, row_of, [WELL, WELL | {"found": 12}], left=0.4)).outcome == "fail"


@pytest.mark.parametrize(
    ("images", "tests", "outcome"),
    [
        ((400, 400), ({"found": 59}, {}), "pass"),  # the adversarially trained control of MNIST under 20 and 40 steps
        ((400, 400), ({}, {"found": 59}), "pass"),
        ((400, 128), ({"found": 59}, {}), "fail"),
        ((128, 400), ({}, {"found": 59}), "fail"),
        ((400, 128), ({}, {"found": 59}), "pass"),
        ((400, 400), ({"found": 59}, {"reason": "The attack needs three classes."}), "fail"),
        ((400, 400), ({"reason": "The attack needs three classes."}, {}), "pass"),
        ((400, 400), ({"found": 59}, {"found": 58}), "fail"),
    ],
)
def test_one_attack_on_all_images_vouches_whatever_weaker_ones_miss(
    images: tuple[int, int], tests: tuple[dict[str, Any], ...], outcome: str, made: Any, row_of: Any
) -> None:
    records = [made.clean_record("none", np.ones(400))]
    for steps, n, test in zip((20, 40), images, tests, strict=True):
        record = made.attack_record("none", f"pgd[steps={steps}]", np.ones(n))
        records.append(record | {"evidence": {"binarisation": WELL | test}})
    assert gate()(row_of(records, "none")).outcome == outcome


def test_no_seed_is_vouched_for_by_the_attack_of_another(made: Any, row_of: Any) -> None:
    tests = [(0, WELL), (1, WELL | {"found": 12}), (1, WELL | {"found": 20})]
    records = [made.clean_record("none", np.ones(400), seed=seed) for seed in (0, 1)]
    for place, (seed, test) in enumerate(tests):
        record = made.attack_record("none", f"pgd[steps={place}]", np.ones(400), seed=seed)
        records.append(record | {"evidence": {"binarisation": test}})
    assert gate()(row_of(records, "none")).outcome == "fail"


def test_a_row_without_the_test_says_when_it_is_made(attacked: Any) -> None:
    verdict = gate()(attacked([("pgd", "adaptive", 0.4)]))
    assert verdict.outcome == "n/a"
    assert "standard budget" in verdict.evidence
