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
    "samples", "attacks",
)  # fmt: skip
Name = tuple[str, str]  # of an attack, and what its attacker knows
POINTS = 60  # of a minimum-norm curve; the steps between are finer than a reader sees


def curve(records: Iterable[Record], *, dataset: str = "", model: str = "", norm: str = "") -> pd.DataFrame:
    """Return accuracy at many epsilons, for the data set, network and norm given ("" for all).

    Returns
    -------
    DataFrame : ``source`` is "swept" (the worst case, at a radius that was run, over the attacks that were run at every
        radius of the curve, on the images that they all met) or "minimum-norm" (share of images whose nearest wrong
        image found lies farther than epsilon: an upper bound, the pointwise worst case over those attacks alone;
        deterministic deployments only, since such attacks end on the boundary of one draw); ``attacks`` names those of
        a swept curve, "" of the other

    Notes
    -----
    Were each radius to count what happened to be run there, a curve would fall where the attacks grow in number. A
    radius that shares no attack with the others is left out: of each defense the most radii that share one are shown.
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
    """Return a point of each radius at which one defense met the same attacks."""
    attacked = [row for row in radii if row.worst_shares is not None]
    met = [{_name(r): r for part in row.replicates for r in part.attacks if counts(r)} for row in attacked]
    chosen, everywhere = _shared([set(names) for names in met])
    if len(chosen) < 2 <= len(met) and any(_is_fine(r) for names in met for r in names.values()):
        chosen, everywhere = range(len(met)), frozenset()
    alike = [
        (row, left)
        for row in (attacked[i] for i in chosen)
        if (left := _restricted(row, everywhere).worst_shares) is not None
    ]
    n = min((len(left) for _, left in alike), default=0)
    names = "; ".join(sorted({label for label, _ in everywhere}))
    return [_point(row, "swept", row.setting.epsilon, left[:n], names) for row, left in alike]


def _shared(met: Sequence[AbstractSet[Name]]) -> tuple[Sequence[int], AbstractSet[Name]]:
    """Return which radii share an attack, as many as can be, and all that these share; of equals the most attacks.

    Parameters
    ----------
    met : the attacks of each radius
    """
    choices = {tuple(i for i, names in enumerate(met) if name in names) for names in met for name in names}
    shared = {places: frozenset.intersection(*(frozenset(met[i]) for i in places)) for places in choices}
    best = min(shared, key=lambda places: (-len(places), -len(shared[places]), places), default=())
    return best, shared.get(best, frozenset())


def _is_fine(record: Record) -> bool:
    """Return whether an attack is a minimum-norm one, which tells of every radius."""
    return bool(record["attack"].get("minimum_norm"))


def _restricted(row: Row, names: AbstractSet[Name]) -> Row:
    """Return a row that has met no attacks but these, and minimum-norm ones, which tell of every radius."""
    return replace(
        row,
        replicates=[
            replace(part, attacks=[r for r in part.attacks if _name(r) in names or _is_fine(r)])
            for part in row.replicates
        ],
    )


def _name(record: Record) -> Name:
    return str(record["attack"]["label"]), str(record["knowledge"])


def _minimum_norm(row: Row) -> list[dict[str, Any]]:
    parts: list[tuple[Candidate, list[Record]]] = []
    for part in row.replicates:
        clean = part.clean_candidate()
        found = [r for r in (*part.attacks, *part.elsewhere) if counts(r) and _is_fine(r)]
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


def _point(row: Row, source: str, epsilon: float, shares: Values, attacks: str = "") -> dict[str, Any]:
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
        "attacks": attacks,
    }
