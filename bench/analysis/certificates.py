"""What is proven, beside what attacks found: certified <= true <= attacked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from bench.analysis.generations import current
from bench.analysis.groups import Setting, seeds_of, setting_of
from bench.analysis.records import Record, outcome
from bench.analysis.statistics import Values

CERTIFIED_COLUMNS = ("certified", "bracket_width", "bracket_images", "certified_broken")
Certificates: TypeAlias = Mapping[tuple[Setting, str], Values]


def certificates(records: Iterable[Record]) -> Certificates:
    """Return for each setting and defense the share of seeds under which each image is certified, float64, (n,)."""
    found: dict[tuple[Setting, str], dict[tuple[int, int, int], Values]] = {}
    for record in current(records):
        if record["kind"] == "certificate" and record["status"] == "ok":
            seeds = found.setdefault((setting_of(record), str(record["defense"]["label"])), {})
            flags = outcome(record, "certified").astype(np.float64)
            # A merged report may have another run's certificate of fewer of these images.
            seeds[seeds_of(record)] = max(flags, seeds.get(seeds_of(record), flags), key=len)
    shares: dict[tuple[Setting, str], Values] = {}
    for name, seeds in found.items():
        n = min(map(len, seeds.values()))
        shares[name] = np.mean([flags[:n] for flags in seeds.values()], axis=0)
    return shares


def bracket(certified: Values | None, attacked: Values) -> dict[str, float]:
    """Return what the leaderboard says: the certified share, and how far below the attacked one it lies.

    Parameters
    ----------
    attacked : of each image, correct under the worst case, float64, (n,)

    Returns
    -------
    dict : ``certified`` and ``bracket_width`` on the ``bracket_images`` that both have; ``certified_broken`` counts
        images that an attack broke although they are certified, which a sound certificate never has
    """
    n = 0 if certified is None else min(len(certified), len(attacked))
    if certified is None or not n:
        return dict.fromkeys(CERTIFIED_COLUMNS, math.nan)
    proven, held = certified[:n], attacked[:n]
    return {
        "certified": float(proven.mean()),
        "bracket_width": float(held.mean() - proven.mean()),
        "bracket_images": float(n),
        "certified_broken": float(np.sum(held < proven - 1e-9)),
    }
