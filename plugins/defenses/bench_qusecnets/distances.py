"""How far recorded attacks are from what is true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.generations import current
from bench.analysis.groups import counts, rows
from bench.analysis.records import Record
from bench.analysis.statistics import Values
from bench.analysis.worst_case import attack_candidate
from bench_qusecnets.exact import ImageTruth

WORST = "worst case"


@dataclass(frozen=True)
class Distance:
    """One attack, or the worst case of several, on the images that it was tried on and that are solved.

    Attributes
    ----------
    budget : that the attacks were run with
    images : how many these are
    attacked : share that is right under the attack, the mean over its seeds, as the leaderboard has it
    exact : share that is robust
    missed : images that are broken and that the attack broke under none of its seeds
    impossible : images that it broke under any seed although they are proven robust; anything but 0 is a fault of the
        proof
    """

    attack: str
    knowledge: str
    budget: str
    images: int
    attacked: float
    exact: float
    missed: int
    impossible: int

    @property
    def points(self) -> float:
        """Percentage points by which the attack, in the mean over its seeds, overstates robust accuracy."""
        return 100.0 * (self.attacked - self.exact)


def distances(truths: Sequence[ImageTruth], records: Iterable[Record], asked: Mapping[str, object]) -> list[Distance]:
    """Return each attack's distance, then that of the worst case of each knowledge and of all, budget by budget.

    The worst cases are the leaderboard's own, so that what is compared with the truth is what the suite publishes.

    Parameters
    ----------
    truths : of the first images, in order
    asked : what ``deployed`` says of the deployment, and "epsilon", which a record must be of
    """
    chosen = current(record for record in records if _fits(record, asked))
    found: dict[tuple[str, str, str], list[Values]] = {}
    for record in chosen:
        if record["kind"] == "attack" and counts(record) and record["threat"]["epsilon"] == asked["epsilon"]:
            name = (str(record["attack"]["label"]), str(record["knowledge"]), str(record.get("budget", "")))
            found.setdefault(name, []).append(attack_candidate(record).scored)
    lines = [_distance(truths, *name, shares) for name, shares in sorted(found.items())]
    for row in rows(chosen):
        budget = row.setting.budget
        levels = sorted({name[1] for name in found if name[2] == budget})
        for knowledge in (*levels, "") if levels and row.setting.epsilon == asked["epsilon"] else ():
            if cases := row.worst_cases(knowledge):
                lines.append(_distance(truths, WORST, knowledge or "all", budget, [case.shares for case in cases]))
    return lines


def deployed(told: Mapping[str, object]) -> dict[str, object]:
    """Return what tells a deployment from others of the same label, of a record or of what a cell was asked."""
    dataset, model, defense, seeds = (_part(told, name) for name in ("dataset", "model", "defense", "seeds"))
    return {
        "dataset": dataset["label"],
        "fingerprint": dataset.get("fingerprint"),
        "model": model["label"],
        "weights": model.get("weights"),
        "digest": model.get("digest"),
        "defense": defense["label"],
        "version": defense.get("version"),
        "fit": defense.get("shipped"),
        "split_seed": seeds["split"],
        "training_seed": seeds["training"],
    }


def _part(told: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = told[name]
    assert isinstance(part, Mapping)
    return part


def _fits(record: Record, asked: Mapping[str, object]) -> bool:
    if record["kind"] not in ("clean", "attack") or not deployed(record).items() <= asked.items():
        return False
    if record["kind"] == "clean":
        return True
    threat = record["threat"]
    # Of every radius: a minimum-norm attack at one of them tells of all, on the leaderboard too.
    return (threat["norm"], threat["domain"], threat.get("targeted", False)) == ("linf", "uint8", False)


def _distance(
    truths: Sequence[ImageTruth], attack: str, knowledge: str, budget: str, seeds: Sequence[Values]
) -> Distance:
    """Return the distance of what is left of each image under each seed, of as many images as any of them tried."""
    n = min(len(truths), max(len(shares) for shares in seeds))
    solved = np.array([truth.verdict != "open" for truth in truths[:n]], dtype=bool)
    robust = np.array([truth.verdict == "robust" for truth in truths[:n]], dtype=bool)[solved]
    left = np.full((len(seeds), n), np.nan)
    for row, shares in zip(left, seeds, strict=True):
        row[: len(shares)] = shares[:n]
    left = left[:, solved]
    if not len(robust):
        return Distance(attack, knowledge, budget, 0, float("nan"), float("nan"), 0, 0)
    stands = np.nanmin(left, axis=0) >= 1
    return Distance(
        attack,
        knowledge,
        budget,
        len(robust),
        float(np.nanmean(left, axis=0).mean()),
        float(robust.mean()),
        int((stands & ~robust).sum()),
        int((~stands & robust).sum()),
    )
