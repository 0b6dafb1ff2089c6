"""Gate ``determinism``: a deployment is as random as it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

MOVES = 1e-5  # of a logit: floating point alone stays below


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of a clean record."""
    return _judge


def _judge(record: Mapping[str, Any]) -> Verdict:
    if "difference" not in record["evidence"]:
        return Verdict("determinism", "n/a", "Judged on the clean record.")
    difference = float(record["evidence"]["difference"])
    return determinism(bool(record["defense"]["randomised"]), difference > MOVES, difference)


def determinism(declared_randomised: bool, observed_differs: bool, max_difference: float) -> Verdict:
    """Judge whether a deployment is as random as it says.

    Parameters
    ----------
    observed_differs : the same images, asked twice under different draws, got different logits
    max_difference : largest difference of a logit

    Notes
    -----
    Undeclared randomness fails: its images were scored on one draw, which a worst case over many attacks turns into
    breaks that are none. Declared randomness that does not show is only a waste of draws: a warning.
    """
    evidence = f"Largest difference of a logit between two draws: {max_difference:.3g}"
    if observed_differs and not declared_randomised:
        return Verdict("determinism", "fail", evidence + ", but the defense declares no randomness.")
    if declared_randomised and not observed_differs:
        return Verdict("determinism", "warn", evidence + ", although the defense declares randomness.")
    return Verdict("determinism", "pass", evidence + ", as declared.")
