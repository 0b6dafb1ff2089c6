from __future__ import annotations

from typing import Any

import numpy as np

from bench.analysis.gates.coverage import coverage

DEFENSE = "median[size=3]"


def first(standing: float, n: int) -> np.ndarray:
    """The first so many of n images right."""
    return (np.arange(n) < standing * n).astype(np.uint8)


def test_a_number_that_few_images_were_really_tried_for_has_no_rank(made: Any, attacked: Any) -> None:
    """A transfer on all images leaves most of them; the ladder breaks all of the 64 that it was tried on."""
    ladder = [
        made.attack_record(DEFENSE, name, np.zeros(64, np.uint8), knowledge=level)
        for name, level in (("pgd", "adaptive"), ("apgd-dlr", "adaptive"), ("square", "black-box"))
    ]
    verdict = coverage(attacked([("pgd", "oblivious", 0.9)], records=ladder))
    assert verdict.outcome == "fail"
    assert "(apgd-dlr, pgd and 1 more)" in verdict.evidence


def test_shorter_attacks_that_find_nothing_new_pass(made: Any, attacked: Any) -> None:
    brief = made.attack_record(DEFENSE, "apgd-dlr", first(0.5, 400)[:64], knowledge="adaptive")
    assert coverage(attacked([("pgd", "adaptive", 0.5)], records=[brief])).outcome == "pass"


def test_a_fall_that_may_be_chance_warns(made: Any, attacked: Any) -> None:
    """Five images of 128 that stand under attacks on all, and fall under one on 128: p = .06."""
    standing = (np.arange(400) % 25 == 0).astype(np.uint8)
    long = made.attack_record(DEFENSE, "pgd", standing, knowledge="adaptive")
    brief = made.attack_record(DEFENSE, "apgd-dlr", np.zeros(110, np.uint8), knowledge="adaptive")
    verdict = coverage(attacked([], records=[long, brief]))
    assert verdict.outcome == "warn"
    assert (
        "Of the first 110 images attacks on all 400 leave 4.5%, with those on fewer (apgd-dlr) 0.0%" in verdict.evidence
    )


def test_what_every_attack_saw_whole_passes(attacked: Any) -> None:
    verdict = coverage(attacked([("pgd", "adaptive", 0.5), ("square", "black-box", 0.7)]))
    assert verdict.outcome == "pass"
    assert "all 400 images" in verdict.evidence


def test_without_an_attack_that_counts_there_is_nothing_to_judge(attacked: Any) -> None:
    assert coverage(attacked([("noise", "white-box", 0.9)])).outcome == "n/a"
