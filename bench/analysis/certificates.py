"""What is proven, beside what attacks found: certified <= true <= attacked."""

from __future__ import annotations

import math

import numpy as np

from bench.analysis.groups import Row
from bench.analysis.records import outcome
from bench.analysis.worst_case import worst_cases

CERTIFIED_COLUMNS = ("certified", "bracket_width", "bracket_images", "certified_broken")


def bracket(row: Row) -> dict[str, float]:
    """Return what the leaderboard says: the certified share, and how far below the attacked one it lies.

    Returns
    -------
    dict : ``certified`` and ``bracket_width``, means over the triples of seeds that have a certificate and were
        attacked, on the ``bracket_images`` that all of these have; ``certified_broken`` counts images that are broken
        although their own network's certificate has them, which a sound one never has. NaN where nothing has both
    """
    met = row.met()
    held = dict(zip(met, worst_cases(list(met.values())), strict=True))
    proven = {
        part.seeds: outcome(part.certificate, "certified").astype(np.float64)
        for part in row.replicates
        if part.certificate is not None and part.certificate["status"] == "ok" and part.seeds in held
    }
    n = min((min(len(flags), len(held[seeds].shares)) for seeds, flags in proven.items()), default=0)
    if not n:
        return dict.fromkeys(CERTIFIED_COLUMNS, math.nan)
    certified = np.stack([flags[:n] for flags in proven.values()])
    attacked = np.stack([held[seeds].shares[:n] for seeds in proven])
    return {
        "certified": float(certified.mean()),
        "bracket_width": float(attacked.mean() - certified.mean()),
        "bracket_images": float(n),
        "certified_broken": float(np.sum((attacked < certified - 1e-9).any(0))),
    }
