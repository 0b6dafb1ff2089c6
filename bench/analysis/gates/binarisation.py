"""Gate ``binarisation``: the attack finds adversarial examples that are known to be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import SEVERITY, Verdict
from bench.analysis.records import Record

FOUND = 0.95  # evaluation.md of this project, section 4, as are the next two
BY_CHANCE = 0.5
IMAGES = 64


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return of_row


def of_row(evidence: RowEvidence) -> Verdict:
    """Judge the tests of a row's attacks: the best under each triple of seeds, of these the worst.

    Notes
    -----
    One attack that would have found what is there vouches for the images that it was tried on, whatever weaker ones
    would have missed: of several tested attacks those that were tried on the most images count, and the best of them.
    """
    left = evidence.row.worst_shares
    over = 1.0 if left is None else float(left.mean())
    verdicts = [verdict for part in evidence.row.replicates if (verdict := _of_seeds(part.attacks, over)) is not None]
    return min(verdicts, key=_severity, default=binarisation(None))


def _of_seeds(attacks: Sequence[Record], left: float) -> Verdict | None:
    tested = [record for record in attacks if record.get("evidence", {}).get("binarisation")]
    most = max((int(record["samples"]) for record in tested), default=0)
    found = [
        binarisation(record["evidence"]["binarisation"], left) for record in tested if int(record["samples"]) == most
    ]
    able = [verdict for verdict in found if verdict.outcome != "n/a"]  # what cannot be tested tells nothing
    return max(able or found, key=_severity, default=None)


def _severity(verdict: Verdict) -> int:
    return SEVERITY.index(verdict.outcome)


def binarisation(test: Mapping[str, Any] | None, left: float = 1.0) -> Verdict:
    """Judge whether the attack found 95 % of the examples that were hidden for it, on 64 images or more.

    Parameters
    ----------
    test : reason (why there is none, "" where there is one), broken (whether it should have been made), looked_at,
        testable, found, random, queries
    left : share of the images that all attacks together leave right

    Notes
    -----
    For each image the deployment's last layer was replaced by one that takes a point of the ball's border for another
    class, so there is an adversarial example; an attack that misses it would have missed others. Where random search
    finds over half of them too, the test was too easy to vouch for anything: a warning. Some last layers do not tell a
    border point from inner ones: with fewer than 64 images the test vouches for nothing, and a number that claims more
    than a twentieth of the images has no rank. One that claims less needs no voucher, since that many examples were
    found among the images themselves: a warning. The same bound holds where the test cannot be made at all, as of a
    head that is no linear layer: else whoever writes such a head would be spared it.

    References
    ----------
    Zimmermann, Brendel, Tramer, Carlini, "Increasing Confidence in Adversarial Robustness Evaluations", NeurIPS 2022.
    """
    if test is None:
        told = "the first PGD of the ladder, at adaptive knowledge and the headline radius, under the standard budget"
        return Verdict("binarisation", "n/a", f"It is made of {told}.")
    if reason := str(test["reason"]):
        if test.get("broken"):
            return Verdict("binarisation", "fail", reason)
        if left > 1 - FOUND:
            return Verdict("binarisation", "fail", f"{reason} Nothing vouches for the {left:.1%} that are left.")
        return Verdict("binarisation", "n/a", reason)
    testable, found, random = test["testable"], test["found"], test["random"]
    text = (
        f"Of {testable} hidden adversarial examples ({test['looked_at']} images looked at) the attack finds {found}, "
        f"random search {random} in {test['queries']:,} queries"
    )
    lacking = max(0, IMAGES - testable)
    if found + lacking < FOUND * (testable + lacking):
        return Verdict("binarisation", "fail", f"{text}: it would miss others.")
    if lacking and left > 1 - FOUND:
        return Verdict(
            "binarisation", "fail", f"{text}; {IMAGES} are needed to vouch for the {left:.1%} that are left."
        )
    if lacking:
        return Verdict("binarisation", "warn", f"{text}; {IMAGES} are needed, but no more than {left:.1%} are left.")
    if random > BY_CHANCE * testable:
        return Verdict("binarisation", "warn", f"{text}: they were too easy to find.")
    return Verdict("binarisation", "pass", f"{text}.")
