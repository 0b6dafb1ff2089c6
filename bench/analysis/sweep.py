"""Accuracy against epsilon: from radii that were swept, and from minimum-norm attacks, which give the whole curve."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.groups import Row, counts, rows
from bench.analysis.ranking import leaderboard
from bench.analysis.records import Record
from bench.analysis.statistics import Values, estimate, pooled
from bench.analysis.worst_case import Candidate, at_epsilon, first, found_distances, known, worst_case

CURVE_COLUMNS = (
    "dataset", "model", "norm", "domain", "budget", "defense", "source", "epsilon", "accuracy", "low", "high",
    "samples",
)  # fmt: skip
POINTS = 60  # of a minimum-norm curve; the steps between are finer than a reader sees


def curve(
    records: Iterable[Record], *, dataset: str = "", model: str = "", norm: str = "", board: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return accuracy at many epsilons, for the data set, network and norm given ("" for all).

    Parameters
    ----------
    board : the leaderboard of the same records, where it is already there

    Returns
    -------
    DataFrame : ``source`` is "swept" (the worst case over all attacks at a radius that was run) or "minimum-norm"
        (share of images whose nearest wrong image found lies farther than epsilon: an upper bound, the pointwise
        worst case over those attacks alone; deterministic deployments only, since such attacks end on the boundary of
        one draw)
    """
    records = list(records)
    board = leaderboard(records) if board is None else board
    asked = {"dataset": dataset, "model": model, "norm": norm}
    lines = [
        _swept(row)
        for row in board.to_dict("records")
        if row["attacks"] and all(not value or row[name] == value for name, value in asked.items())
    ]
    done: set[tuple[object, ...]] = set()
    for row in rows(records):
        threat = (replace(row.setting, epsilon=0.0), row.label)
        if threat in done or any(value and getattr(row.setting, name) != value for name, value in asked.items()):
            continue
        done.add(threat)
        lines += _minimum_norm(row)
    frame = pd.DataFrame(lines, columns=list(CURVE_COLUMNS))
    return frame.sort_values(list(CURVE_COLUMNS[:8]), kind="stable").reset_index(drop=True)


def _minimum_norm(row: Row) -> list[dict[str, Any]]:
    parts: list[tuple[Candidate, list[Record]]] = []
    for part in row.replicates:
        clean = part.clean_candidate()
        found = [r for r in (*part.attacks, *part.elsewhere) if counts(r) and r["attack"].get("minimum_norm", False)]
        if clean is None or not found or part.randomised:
            return []
        parts.append((clean, found))
    distances = np.concatenate([found_distances(r, clean.scored) for clean, found in parts for r in found])
    finite = distances[np.isfinite(distances) & (distances > 0)]
    if not len(finite):
        return []
    farthest = max(float(np.quantile(finite, 0.98)), row.setting.epsilon)
    radii = [float(radius) for radius in np.linspace(0.0, farthest * 1.05, POINTS)]
    tried = {
        radius: [(clean, [at_epsilon(r, clean.scored, radius) for r in found]) for clean, found in parts]
        for radius in radii
    }
    n = min(known(one) for one in tried.values())  # a curve is of the same images everywhere
    return [
        _point(row, radius, pooled([worst_case(first(clean, n), attacks).shares for clean, attacks in one]))
        for radius, one in tried.items()
    ]


def _point(row: Row, epsilon: float, shares: Values) -> dict[str, Any]:
    setting, share = row.setting, estimate(shares)
    names = ("dataset", "model", "norm", "domain", "budget")
    return {name: getattr(setting, name) for name in names} | {
        "defense": row.label,
        "source": "minimum-norm",
        "epsilon": epsilon,
        "accuracy": share.value,
        "low": share.low,
        "high": share.high,
        "samples": share.n,
    }


def _swept(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    names = ("dataset", "model", "norm", "domain", "budget", "defense", "epsilon", "samples")
    return {name: row[name] for name in names} | {
        "source": "swept",
        "accuracy": row["robust_accuracy"],
        "low": row["robust_low"],
        "high": row["robust_high"],
    }
