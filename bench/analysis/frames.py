"""Cells as a pandas frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.generations import current
from bench.analysis.groups import counts
from bench.analysis.records import Record, outcome, per_image
from bench.analysis.statistics import estimate
from bench.analysis.worst_case import attack_candidate, clean_candidate, found_distances

CELL_COLUMNS = (
    "dataset", "model", "defense", "family", "kind", "attack", "knowledge", "norm", "epsilon", "domain", "budget",
    "status", "reason", "samples", "accuracy", "accuracy_low", "accuracy_high", "accuracy_float",
    "success_rate", "median_distance",
    "transfer", "control", "probe", "core", "minimum_norm", "counts", "forward_per_image", "gradient_per_image",
    "seconds", "gates", "notes", "seed_split", "seed_training", "seed_attack", "hardware", "headline", "finished",
    "cell_id", "run_key",
)  # fmt: skip


CELL_RESAMPLES = 1_000  # a cell's interval is for the eye; the leaderboard's, which is compared, has ten times as many


def cells(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a cell, failed and skipped ones included.

    Notes
    -----
    ``accuracy`` is the share of all images of the cell that are right under this attack alone, images that are wrong
    when clean counted as wrong, and of a certificate's cell the share that is proven; ``success_rate`` is the share of
    the right answers to the cell's clean images that it turns. ``counts`` says whether the cell may lower the worst
    case: it ended well and is neither a control nor a probe of a gate. ``transfer`` marks oblivious attacks on a
    defense that trains the classifier: its twin is another network. ``accuracy_float`` is the accuracy before what the
    attack found was brought to the 8-bit grid, for deterministic deployments; ``notes`` is what the attack says.
    """
    chosen = current(records)
    judged = [record for record in chosen if record["kind"] == "clean" and record["status"] == "ok"]
    judged.sort(key=lambda record: int(record["samples"]))
    clean = {_deployment(record): record for record in judged}  # of several, that of the most images
    found = [_cell(record, clean.get(_deployment(record))) for record in chosen]
    order = [
        "dataset",
        "model",
        "norm",
        "epsilon",
        "domain",
        "budget",
        "defense",
        "kind",
        "knowledge",
        "attack",
        "cell_id",
    ]
    return pd.DataFrame(found, columns=list(CELL_COLUMNS)).sort_values(order, kind="stable").reset_index(drop=True)


def _deployment(record: Record) -> tuple[object, ...]:
    dataset, model, seeds = record["dataset"], record["model"], record["seeds"]
    data = (dataset["label"], dataset.get("fingerprint", ""))
    return (*data, model["label"], model.get("digest", ""), record["defense"]["label"], *sorted(seeds.items()))


def _cell(record: Record, clean: Record | None) -> dict[str, Any]:
    attack, threat = record.get("attack") or {}, record.get("threat") or {}
    defense, aggregates, seeds = record["defense"], record.get("aggregates") or {}, record["seeds"]
    samples = int(record.get("samples") or 0)
    knowledge = str(record.get("knowledge") or "") if record["kind"] == "attack" else ""
    told = (record.get("notes") or {}).get("attack")
    row: dict[str, Any] = {
        "dataset": record["dataset"]["label"],
        "model": record["model"]["label"],
        "defense": defense["label"],
        "family": defense.get("family", ""),
        "kind": record["kind"],
        "attack": attack.get("label", ""),
        "knowledge": knowledge,
        "norm": threat.get("norm", ""),
        "epsilon": float(threat.get("epsilon", math.nan)),
        "domain": threat.get("domain", ""),
        "budget": record.get("budget", ""),
        "status": record["status"],
        "reason": str(record.get("reason") or ""),
        "samples": samples,
        "accuracy": math.nan,
        "accuracy_low": math.nan,
        "accuracy_high": math.nan,
        "accuracy_float": _number(aggregates.get("accuracy_float")),
        "success_rate": math.nan,
        "median_distance": math.nan,
        "transfer": knowledge == "oblivious" and bool(defense.get("trains", False)),
        "control": bool(attack.get("control", False)),
        "probe": str(record.get("probe") or ""),
        "core": attack.get("core", ""),
        "minimum_norm": bool(attack.get("minimum_norm", False)),
        "counts": record["kind"] == "attack" and counts(record),
        "forward_per_image": per_image(record, "forward"),
        "gradient_per_image": per_image(record, "gradient"),
        "seconds": _number(aggregates.get("seconds")),
        "gates": "; ".join(f"{gate['outcome']}: {gate['name']}" for gate in record.get("gates") or []),
        "notes": "; ".join(f"{name} {value}" for name, value in told.items()) if isinstance(told, dict) else "",
        "seed_split": seeds["split"],
        "seed_training": seeds["training"],
        "seed_attack": seeds["attack"],
        "hardware": str((record.get("hardware") or {}).get("label", "")),
        "headline": bool(record.get("headline", False)),
        "finished": str((record.get("provenance") or {}).get("finished", "")),
        "cell_id": record["cell_id"],
        "run_key": record["run_key"],
    }
    if record["status"] == "ok" and record["kind"] != "cost":
        row |= _outcomes(record, clean)
    return row


def _outcomes(record: Record, clean: Record | None) -> dict[str, float]:
    if record["kind"] == "certificate":
        proven = estimate(outcome(record, "certified").astype(np.float64))
        return {"accuracy": proven.value, "accuracy_low": proven.low, "accuracy_high": proven.high}
    candidate = clean_candidate(record) if record["kind"] == "clean" else attack_candidate(record)
    share = estimate(candidate.scored, resamples=CELL_RESAMPLES)
    found = {"accuracy": share.value, "accuracy_low": share.low, "accuracy_high": share.high}
    if record["kind"] == "clean":
        return found
    if clean is not None:
        before = clean_candidate(clean).scored[: len(candidate.scored)]
        after = candidate.scored[: len(before)]
        if before.sum() > 0:
            # Of the sums: where answers are drawn, falls alone, without the rises, would be a success of no attack.
            found["success_rate"] = max(0.0, float((before - after).sum() / before.sum()))
        if record["attack"].get("minimum_norm", False) and len(before):
            found["median_distance"] = float(np.median(found_distances(record, before)))
    return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
