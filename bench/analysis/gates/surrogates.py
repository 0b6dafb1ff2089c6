"""Gate ``surrogates``: what stands in for a stage on the way back moves as the stage does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

FAITHFUL = 0.3  # evaluation.md of this project, section 3: below, warn


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of a clean record."""
    return lambda record: surrogates(record["evidence"].get("surrogates", {}))


def surrogates(seen: Mapping[str, Mapping[str, float | None]]) -> Verdict:
    """Judge whether the change that each surrogate predicts points where the stage's own change does.

    Parameters
    ----------
    seen : node -> surrogate -> mean cosine between the two changes in the headline ball, None where nothing moved

    Notes
    -----
    A surrogate below .3 warns: an attack through it climbs another hill. It bars nothing by itself, since other rungs
    of the ladder ask for no surrogate; should they do better, other gates say so.
    """
    known = {
        f"{node} by {name}": cosine
        for node, found in seen.items()
        for name, cosine in found.items()
        if cosine is not None
    }
    if not known:
        return Verdict("surrogates", "n/a", "No stage is replaced on the way back, or none moved.")
    wrong = {name: cosine for name, cosine in known.items() if cosine < FAITHFUL}
    told = ", ".join(f"{name} {cosine:.2f}" for name, cosine in (wrong or known).items())
    return Verdict("surrogates", "warn" if wrong else "pass", f"Cosine of predicted and true change: {told}.")
