"""Gate ``ball``: every adversarial image was allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.analysis.gates.verdict import Verdict
from bench.analysis.records import outcome


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""
    return _judge


def _judge(record: Mapping[str, Any]) -> Verdict:
    if record["kind"] != "attack":
        return Verdict("ball", "n/a", "No attack.")
    arrays = dict(record)
    distance = outcome(arrays, "distance")
    out = np.zeros(len(distance), dtype=bool)
    if not record["attack"].get("minimum_norm", False):  # one that looks for the nearest image may find it outside
        out = (outcome(arrays, "inside") == 0) & (outcome(arrays, "attacked") > 0)
    return ball(np.flatnonzero(out).tolist(), np.flatnonzero(np.isnan(distance)).tolist())


def ball(outside: Sequence[int], nonfinite: Sequence[int]) -> Verdict:
    """Judge whether every adversarial image was allowed: in the ball and the box, finite.

    Parameters
    ----------
    outside, nonfinite : numbers of the offending images
    """
    if not outside and not nonfinite:
        return Verdict("ball", "pass", "Every adversarial image is finite and inside the ball and the box.")
    parts = []
    if outside:
        parts.append(f"{len(outside)} outside the ball or the box (images {_some(outside)})")
    if nonfinite:
        parts.append(f"{len(nonfinite)} not finite (images {_some(nonfinite)})")
    return Verdict("ball", "fail", "; ".join(parts) + ".")


def _some(numbers: Sequence[int], limit: int = 8) -> str:
    return ", ".join(str(number) for number in numbers[:limit]) + (" …" if len(numbers) > limit else "")
