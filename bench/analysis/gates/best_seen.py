"""Gate ``best-seen``: an attack returns the success that it passed through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.analysis.gates.verdict import Verdict

SOME, MANY = 0.01, 0.05  # ours: shares of the images


def gate() -> Callable[[Mapping[str, Any]], Verdict]:
    """Return the judge of an attack record."""
    return lambda record: best_seen(record["evidence"].get("path", {}), record["knowledge"])


def best_seen(path: Mapping[str, float], knowledge: str) -> Verdict:
    """Judge whether images were returned rightly answered, or refused, although a query inside the ball was neither.

    Parameters
    ----------
    path : what ``bench.attack.path.Path`` saw
    knowledge : of the attacker; only an adaptive one's number ranks a row, so only that may fail

    Notes
    -----
    Not judged where a deployment draws, since an answer may be wrong by luck, nor of minimum-norm attacks, which look
    for another thing than a success in this ball. More than one image in a hundred warns; more than one in twenty fails
    an adaptive attack: it throws away what it found.
    """
    compared, lost = path.get("compared", 0), path.get("lost", 0)
    if not compared:
        return Verdict("best-seen", "n/a", "Not compared: the deployment draws, or the attack minimises the distance.")
    text = f"{lost:,.0f} of {compared:,.0f} images were answered wrongly on the way, and withstood when returned."
    share = lost / compared
    if share > MANY and knowledge == "adaptive":
        return Verdict("best-seen", "fail", text)
    return Verdict("best-seen", "warn" if share > SOME else "pass", text)
