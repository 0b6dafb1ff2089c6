"""Gate ``convergence``: an attack had done what it could when it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

FEWEST = 4  # steps: of fewer there is no last quarter
SETTLED = 0.02  # ours: so few images still standing are not worth more steps
# Ours: of the way made, the share made in the last quarter. PGD of 20 steps of .1 epsilon makes .10 there, APGD .01,
# and what keeps its pace to the end .25 or more.
SLOW, STEEP = 0.15, 0.2


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""
    return lambda record: convergence(record["evidence"].get("path", {}), record["knowledge"])


def convergence(path: Mapping[str, float], knowledge: str) -> Verdict:
    """Judge whether the margin of the images that still stand had levelled off.

    Parameters
    ----------
    path : what ``bench.attack.path.Path`` saw
    knowledge : of the attacker; only an adaptive one's number ranks a row, so only that may fail

    Notes
    -----
    The best margin so far of each image (the true class's logit less the best other) is compared after the first
    gradient, after three quarters of them and after all. Where 15 % of the way was made in the last quarter it warns;
    where a fifth was, an adaptive attack was stopped in the middle: fail.

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
    if each < FEWEST:
        return Verdict("convergence", "n/a", f"Too few steps to tell: {each:.3g}.")
    standing, images = path["standing"], path["images"]
    text = f"After {each:.0f} steps {standing:,.0f} of {images:,.0f} images stand"
    if standing <= SETTLED * images:
        return Verdict("convergence", "pass", text + ".")
    whole, late = path["first"] - path["last"], path["late"] - path["last"]
    if whole <= 0:
        return Verdict("convergence", "warn", text + "; their margins never fell.")
    share = late / whole
    text += f"; {share:.1%} of the fall of their margins came in the last quarter"
    if share > STEEP and knowledge == "adaptive":
        return Verdict("convergence", "fail", text + ".")
    return Verdict("convergence", "warn" if share > SLOW else "pass", text + ".")
