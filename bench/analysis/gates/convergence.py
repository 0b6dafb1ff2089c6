"""Gate ``convergence``: an attack had done what it could when it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import GateOutcome, Verdict, worst

ONE_STEP = ("", "fgsm")  # marks of the ladder: of none, and of the rung that is one step
FEWEST = 4  # steps: of fewer there is no last quarter
SETTLED = 0.02  # ours: so few images still standing are not worth more steps
# Ours: of the way made, the share made in the last quarter. PGD of 20 steps of .1 epsilon makes .10 there, APGD .01,
# and what keeps its pace to the end .25 or more.
SLOW, STEEP = 0.15, 0.2


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""

    def judge(record: Mapping[str, Any]) -> Verdict:
        rung = record["attack"].get("core", "") not in ONE_STEP
        return convergence(record["evidence"].get("path", {}), record["knowledge"], rung=rung)

    return judge


def convergence(path: Mapping[str, float], knowledge: str, *, rung: bool = False) -> Verdict:
    """Judge whether the margin of the images that still stand had levelled off.

    Parameters
    ----------
    path : what ``bench.attack.path.Path`` saw
    knowledge : of the attacker; only an adaptive one's number ranks a row, so only that may fail
    rung : the attack stands for an iterated rung of the ladder, which a handful of steps cannot where something stands

    Notes
    -----
    The best margin so far of each image (the true class's logit less the best other) is compared after the first
    gradient of each search, after three quarters of them and after all; where every wrong answer was refused and the
    attacker looks at the detector, the lowest score of a wrong answer. Where 15 % of the way was made in the last
    quarter it warns; where a fifth was, an adaptive attack was stopped in the middle: fail.

    References
    ----------
    Carlini et al. 2019, arXiv 1902.06705, section 4.3: verify that attacks have converged.
    """
    steps, followed = path.get("steps", 0), path.get("followed", 0)
    if not steps:
        return Verdict("convergence", "n/a", "No gradient was asked for.")
    each = path["longest"] / path["blocks"]
    if 2 * followed < steps:
        return Verdict("convergence", "n/a", f"Only {followed:,.0f} of {steps:,.0f} steps could be followed.")
    unsettled = [
        (name, measure)
        for count, name, measure in (("standing", "", "margins"), ("scored", "score_", "scores"))
        if path[count] > SETTLED * path["images"]
    ]
    if unsettled and each < FEWEST:
        return Verdict("convergence", "warn" if rung else "n/a", f"Too few steps to tell: {each:.3g}.")
    text = f"After {each:.0f} steps a search {path['standing']:,.0f} of {path['images']:,.0f} images stand"
    text += f" and {path['withheld']:,.0f} are refused" if path["withheld"] else ""
    found = [
        _fall(path[f"{name}first"], path[f"{name}late"], path[f"{name}last"], measure, knowledge)
        for name, measure in unsettled
    ]
    outcome = worst(outcome for outcome, _ in found) if found else "pass"
    return Verdict("convergence", outcome, text + "".join(told for _, told in found) + ".")


def _fall(first: float, late: float, last: float, measure: str, knowledge: str) -> tuple[GateOutcome, str]:
    """Return what is to be said of how sums of a measure fell."""
    if first <= last:
        return "warn", f"; their {measure} never fell"
    share = (late - last) / (first - last)
    text = f"; {share:.1%} of the fall of their {measure} came in the last quarter"
    if share > STEEP and knowledge == "adaptive":
        return "fail", text
    return "warn" if share > SLOW else "pass", text
