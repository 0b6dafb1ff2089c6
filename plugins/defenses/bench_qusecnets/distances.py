"""How far recorded attacks are from what is true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.groups import rows
from bench.analysis.records import Record, outcome
from bench_qusecnets.exact import ImageTruth

Flags = NDArray[np.bool_]
WORST = "worst case"


@dataclass(frozen=True)
class Distance:
    """One attack, or the worst case of several, on the images that it was tried on and that are solved.

    Attributes
    ----------
    images : how many these are
    attacked, exact : shares that are right under the attack, and that are robust
    missed : images that are broken and that the attack did not break
    impossible : images that it broke although they are proven robust; anything but 0 is a fault of the proof
    """

    attack: str
    knowledge: str
    images: int
    attacked: float
    exact: float
    missed: int
    impossible: int

    @property
    def points(self) -> float:
        """Percentage points by which the attack overstates robust accuracy."""
        return 100.0 * (self.attacked - self.exact)


def distances(truths: Sequence[ImageTruth], records: Iterable[Record], asked: Mapping[str, object]) -> list[Distance]:
    """Return each attack's distance, then that of the worst case of each knowledge and of all.

    The worst cases are the leaderboard's own, so that what is compared with the truth is what the suite publishes.

    Parameters
    ----------
    truths : of the first images, in order
    asked : "dataset", "defense" and "model" (labels), "fingerprint" (of the data set), "training_seed" and "epsilon",
        which a record must be of
    """
    chosen = [record for record in records if _fits(record, asked)]
    found: dict[tuple[str, str], Flags] = {}
    for record in (each for each in chosen if _tells(each)):
        name = (str(record["attack"]["label"]), str(record["knowledge"]))
        right = outcome(record, "scored") > 0
        known = found.get(name)
        found[name] = right if known is None or len(right) > len(known) else known
    lines = [_distance(truths, *name, right) for name, right in sorted(found.items())]
    for row in rows(chosen) if found else []:
        for knowledge in (*sorted({name[1] for name in found}), ""):
            left = row.left(knowledge)
            if left is not None:
                lines.append(_distance(truths, WORST, knowledge or "all", left > 0))
    return lines


def _tells(record: Record) -> bool:
    return record["kind"] == "attack" and record["status"] == "ok" and not record["attack"].get("control", False)


def _fits(record: Record, asked: Mapping[str, object]) -> bool:
    if record["kind"] not in ("clean", "attack"):
        return False
    told = {
        "dataset": record["dataset"]["label"],
        "fingerprint": record["dataset"].get("fingerprint"),
        "model": record["model"]["label"],
        "defense": record["defense"]["label"],
        "training_seed": record["seeds"]["training"],
    }
    if any(told[name] != asked[name] for name in told):
        return False
    if record["kind"] == "clean":
        return True
    threat = record["threat"]
    return (threat["norm"], threat["domain"], threat["epsilon"]) == ("linf", "uint8", asked["epsilon"])


def _distance(truths: Sequence[ImageTruth], attack: str, knowledge: str, right: Flags) -> Distance:
    n = min(len(truths), len(right))
    solved = np.array([truth.verdict != "open" for truth in truths[:n]], dtype=bool)
    robust = np.array([truth.verdict == "robust" for truth in truths[:n]], dtype=bool)[solved]
    under = right[:n][solved]
    share = float(under.mean()) if len(under) else float("nan")
    exact = float(robust.mean()) if len(robust) else float("nan")
    return Distance(
        attack, knowledge, len(under), share, exact, int((under & ~robust).sum()), int((~under & robust).sum())
    )
