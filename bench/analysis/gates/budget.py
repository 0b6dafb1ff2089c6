"""Gate ``budget``: accuracy does not still fall when the attacks may try longer."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from bench.analysis.gates.evidence import Raw, RowEvidence, beside, raw, told
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import counts
from bench.analysis.records import per_image
from bench.analysis.statistics import fewer

FALL = 0.02  # ours: 2 points


def gate() -> Callable[[RowEvidence], Verdict]:
    """Return the judge of a row."""
    return budget


def budget(evidence: RowEvidence) -> Verdict:
    """Judge whether an attack of the ladder that was run under two budgets leaves as many under the larger one.

    Notes
    -----
    Compared are runs of one attack at one knowledge and radius that spent more and less an image: two budgets, or two
    numbers of steps. Where the longer one leaves over 2 points fewer, the shorter one had not converged, and nothing
    says that the longer one has. It warns.
    """
    groups: dict[tuple[str, str], dict[tuple[str, str], Raw]] = {}
    for row in evidence.family:
        if row.setting.epsilon == evidence.row.setting.epsilon:
            for attack in raw(r for part in row.replicates for r in part.attacks if counts(r) and _ladder(r)):
                given = groups.setdefault((str(attack.record["attack"]["name"]), attack.knowledge), {})
                given.setdefault((row.setting.budget, str(attack.record["attack"]["label"])), attack)  # on most images
    pairs = [pair for given in groups.values() for pair in pairwise(sorted(given.values(), key=_spent))]
    if not pairs:
        return Verdict("budget", "n/a", "No attack of the ladder was run under two budgets.")
    falling = [(less, more) for less, more in pairs if fewer(*beside(more, less), pairs=len(pairs), margin=FALL)]
    if not falling:
        return Verdict("budget", "pass", f"{len(pairs)} attacks leave as many under the larger of two budgets.")
    return Verdict("budget", "warn", f"Not converged: {told(_falls(less, more) for less, more in falling)}.")


def _falls(less: Raw, more: Raw) -> str:
    before, after = beside(less, more)
    return (
        f"of {len(before):,} images {more.name} leaves {before.mean():.1%} after {_spent(less):,.0f} evaluations an "
        f"image, {after.mean():.1%} after {_spent(more):,.0f}"
    )


def _ladder(record: dict[str, Any]) -> bool:
    return bool(record["attack"].get("core")) and record["knowledge"] != "oblivious"


def _spent(attack: Raw) -> float:
    """Return how many forward evaluations it took an image."""
    spent = per_image(attack.record, "forward")
    return 0.0 if math.isnan(spent) else spent
