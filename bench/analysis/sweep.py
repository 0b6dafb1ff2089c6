"""Accuracy against epsilon: from radii that were swept, and from minimum-norm attacks, which give the whole curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.groups import Row, Setting, counts, rows
from bench.analysis.records import Record
from bench.analysis.statistics import Values, estimate, pooled
from bench.analysis.worst_case import Candidate, at_epsilon, first, found_distances, known, worst_case

CURVE_COLUMNS = (
    "dataset", "model", "norm", "domain", "budget", "defense", "source", "epsilon", "accuracy", "low", "high",
    "samples",
)  # fmt: skip
POINTS = 60  # of a minimum-norm curve; the steps between are finer than a reader sees


def curve(records: Iterable[Record], *, dataset: str = "", model: str = "", norm: str = "") -> pd.DataFrame:
    """Return accuracy at many epsilons, for the data set, network and norm given ("" for all).

    Returns
    -------
    DataFrame : ``source`` is "swept" (the worst case, at a radius that was run, over the attacks that were run at every
        radius, on the images that they all met) or "minimum-norm" (share of images whose nearest wrong image found
        lies farther than epsilon: an upper bound, the pointwise worst case over those attacks alone; deterministic
        deployments only, since such attacks end on the boundary of one draw)

    Notes
    -----
    Were each radius to count what happened to be run there, a curve would fall where the attacks grow in number.
    """
    asked = {"dataset": dataset, "model": model, "norm": norm}
    threats: dict[tuple[Setting, str], list[Row]] = {}
    for row in rows(records):
        if all(not value or getattr(row.setting, name) == value for name, value in asked.items()):
            threats.setdefault((replace(row.setting, epsilon=0.0), row.label), []).append(row)
    lines = [line for swept in threats.values() for line in (*_swept(swept), *_minimum_norm(swept[0]))]
    frame = pd.DataFrame(lines, columns=list(CURVE_COLUMNS))
    return frame.sort_values(list(CURVE_COLUMNS[:8]), kind="stable").reset_index(drop=True)


def _swept(radii: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a point of each radius at which one defense was attacked."""
    attacked = [row for row in radii if row.worst_shares is not None]
    met = [{_name(r) for part in row.replicates for r in part.attacks if counts(r)} for row in attacked]
    everywhere = set.intersection(*met) if met else set()
    alike = [(row, left) for row in attacked if (left := _restricted(row, everywhere).worst_shares) is not None]
    n = min((len(left) for _, left in alike), default=0)
    return [_point(row, "swept", row.setting.epsilon, left[:n]) for row, left in alike]


def _restricted(row: Row, names: AbstractSet[tuple[str, str]]) -> Row:
    """Return a row that has met no attacks but these, and minimum-norm ones, which tell of every radius."""
    return replace(
        row,
        replicates=[
            replace(part, attacks=[r for r in part.attacks if _name(r) in names or r["attack"].get("minimum_norm")])
            for part in row.replicates
        ],
    )


def _name(record: Record) -> tuple[str, str]:
    return str(record["attack"]["label"]), str(record["knowledge"])


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
        _point(
            row, "minimum-norm", radius, pooled([worst_case(first(clean, n), attacks).shares for clean, attacks in one])
        )
        for radius, one in tried.items()
    ]


def _point(row: Row, source: str, epsilon: float, shares: Values) -> dict[str, Any]:
    setting, share = row.setting, estimate(shares)
    names = ("dataset", "model", "norm", "domain", "budget")
    return {name: getattr(setting, name) for name in names} | {
        "defense": row.label,
        "source": source,
        "epsilon": epsilon,
        "accuracy": share.value,
        "low": share.low,
        "high": share.high,
        "samples": share.n,
    }
