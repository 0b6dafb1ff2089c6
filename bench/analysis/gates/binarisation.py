"""Gate ``binarisation``: the attack finds adversarial examples that are known to be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

FOUND = 0.95  # evaluation.md of this project, section 4, as are the next two
BY_CHANCE = 0.5
IMAGES = 64


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""
    return lambda record: binarisation(record["evidence"].get("binarisation"))


def binarisation(test: Mapping[str, Any] | None) -> Verdict:
    """Judge whether the attack found 95 % of the examples that were hidden for it, on 64 images or more.

    Parameters
    ----------
    test : reason (why there is none, "" where there is one), looked_at, testable, found, random, queries

    Notes
    -----
    For each image the deployment's last layer was replaced by one that takes a point of the ball's border for another
    class, so there is an adversarial example; an attack that misses it would have missed others. Where random search
    finds over half of them too, the test was too easy to vouch for anything: a warning. So are too few images, since
    some last layers do not tell a border point from inner ones; unless so few of them were found that the lacking
    ones, found every one, would not have made up for it.

    References
    ----------
    Zimmermann, Brendel, Tramer, Carlini, "Increasing Confidence in Adversarial Robustness Evaluations", NeurIPS 2022.
    """
    if test is None:
        told = "the first PGD of the ladder, at adaptive knowledge and the headline radius, under the standard budget"
        return Verdict("binarisation", "n/a", f"It is made of {told}.")
    if test["reason"]:
        return Verdict("binarisation", "n/a", str(test["reason"]))
    testable, found, random = test["testable"], test["found"], test["random"]
    if not testable:
        return Verdict("binarisation", "n/a", f"None of {test['looked_at']} images could be tested.")
    text = (
        f"Of {testable} hidden adversarial examples ({test['looked_at']} images looked at) the attack finds {found}, "
        f"random search {random} in {test['queries']:,} queries"
    )
    lacking = max(0, IMAGES - testable)
    if found + lacking < FOUND * (testable + lacking):
        return Verdict("binarisation", "fail", f"{text}: it would miss others.")
    if lacking:
        return Verdict("binarisation", "warn", f"{text}; {IMAGES} are needed.")
    if random > BY_CHANCE * testable:
        return Verdict("binarisation", "warn", f"{text}: they were too easy to find.")
    return Verdict("binarisation", "pass", f"{text}.")
