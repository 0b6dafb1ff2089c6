"""Gate ``repeatable``: an attack finds the same again under the same seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""
    return _judge


def _judge(record: Mapping[str, Any]) -> Verdict:
    repeated = record["evidence"].get("repeated", {})
    return repeatable(repeated.get("images", 0), repeated.get("differ", 0))


def repeatable(images: int, differ: int) -> Verdict:
    """Judge whether an attack run twice on the same images gave the same to the bit.

    Parameters
    ----------
    images : attacked twice, under one seed, in one process
    differ : those of which the two results differ

    Notes
    -----
    An attack that draws from the clock, or from a generator that nobody seeds, gives numbers that nobody can make
    again. Looked at on a few images of every attack of the ladder.
    """
    if not images:
        return Verdict("repeatable", "n/a", "The attack was not repeated.")
    text = f"{differ} of {images} images differ when the attack is run again under the same seed."
    return Verdict("repeatable", "fail" if differ else "pass", text)
