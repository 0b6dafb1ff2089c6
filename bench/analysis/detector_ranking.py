"""Detectors compared with each other: ranks at a fixed rate of false alarms, by the thresholds of their calibration."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.groups import Replicate, counts, rows
from bench.analysis.ladder import standing
from bench.analysis.records import Record, outcome
from bench.analysis.scrutiny import asked_rows, row_verdicts
from bench.analysis.statistics import Estimate, Values, estimate, rank_intervals, rank_text, resolution
from bench.analysis.worst_case import detected_shares
from bench.plugins.entries import Attack
from bench.plugins.registry import discover

RATES: Final = (0.05, 0.01)
RANK_COLUMNS = (
    "dataset", "model", "norm", "epsilon", "domain", "budget", "defense", "samples",
    "false_positives", "false_positives_low", "false_positives_high", "held", "held_low", "held_high", "held_images",
    "detectable_difference", "rank_at_5", "rank_at_1", "reason",
)  # fmt: skip


def detector_ranks(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row for each deployment with a detector, of the first triple of seeds.

    Returns
    -------
    DataFrame : ``held`` is the share of images that are answered rightly and not detected when clean, and answered
        rightly or detected under every attack that counts, of deployments that refuse what they detect;
        ``held_images`` are those that every attacker who knows the defense was tried on.
        ``rank_at_5`` and ``rank_at_1`` are rank intervals by it, as text, among the deployments whose own threshold
        detects 5 and 1 % of clean images at most, chance allowed for; empty where it detects more, or where ``reason``
        says why there is no rank. ``detectable_difference`` is the smallest difference of ``held`` that would show
        between two of them.

    Notes
    -----
    A detector that detects everything holds nothing, as it should. The threshold is the one that calibration gave: no
    test image moves it. What cannot be ranked on the leaderboard cannot be ranked here. What a detector holds against
    attackers who do not look at it is no figure: there is none where no attack on the detector, or on the answers that
    it compares, was run (an entry's ``wants``), nor of a deployment that answers what it detects: a wrong answer was
    enough there, and nobody had to pass the detector. Nor is there of deployments that draw: which draws are both wrong
    and detected is not in the records. Minimum-norm attacks at other radii say nothing of the score at this one and are
    left out.
    """
    lines: list[dict[str, Any]] = []
    for _, group in groupby(asked_rows(rows(list(records))), key=lambda evidence: evidence.row.setting):
        lines += _of_setting(list(group))
    return pd.DataFrame(lines, columns=list(RANK_COLUMNS))


def _of_setting(group: list[RowEvidence]) -> list[dict[str, Any]]:
    held: dict[str, Values] = {}
    alarms: dict[str, Estimate] = {}
    reasons: dict[str, str] = {}
    aware = {n for n, found in discover().of("attack").items() if isinstance(a := found.entry, Attack) and a.wants}
    for evidence in group:
        row, part = evidence.row, evidence.row.replicates[0]
        detected = None if part.clean is None or part.clean["status"] != "ok" else detected_shares(part.clean)
        if detected is None or not any(counts(record) for record in part.attacks):
            continue
        alarms[row.label] = estimate(detected)
        if part.randomised:
            reasons[row.label] = "it draws"
            continue
        if not row.refuses:
            reasons[row.label] = "it answers what it detects"
            continue
        if not any(counts(record) and record["attack"]["name"] in aware for record in part.attacks):
            reasons[row.label] = "no attack on the detector"
            continue
        held[row.label] = _held(part, detected)
        status = standing(row, row_verdicts(evidence))
        reasons[row.label] = "" if status.status == "ranked" else status.text
    ranks = [
        rank_intervals({n: v for n, v in held.items() if not reasons[n] and alarms[n].low <= rate}) for rate in RATES
    ]
    compared = [n for n in held if not reasons[n]] or list(held)
    smallest = resolution([len(held[n]) for n in compared])
    found = []
    for label, rate_of_alarms in alarms.items():
        setting, share = group[0].row.setting, estimate(held.get(label, np.zeros(0)))
        names = ("dataset", "model", "norm", "epsilon", "domain", "budget")
        found.append(
            {name: getattr(setting, name) for name in names}
            | {
                "defense": label,
                "samples": rate_of_alarms.n,
                "reason": reasons[label],
                "detectable_difference": smallest,
            }
            | _named("false_positives", rate_of_alarms)
            | {**_named("held", share), "held_images": share.n}
            | {name: rank_text(r.get(label)) for name, r in zip(("rank_at_5", "rank_at_1"), ranks, strict=True)}
        )
    return sorted(found, key=lambda line: (-np.nan_to_num(line["held"], nan=-1.0), line["defense"]))


def _held(part: Replicate, detected: Values) -> Values:
    """Return of each image 1 where the deployment holds it, float64, (n,).

    Notes
    -----
    Of the images that all attackers who know the defense were tried on, since of the others it is not known whether
    the detector holds against them.
    """
    assert part.clean is not None
    held = (outcome(part.clean, "scored") > 0) & (detected == 0)
    attacks = [
        (record, seen) for record in part.attacks if counts(record) and (seen := detected_shares(record)) is not None
    ]
    informed = [len(seen) for record, seen in attacks if record["knowledge"] == "adaptive"]
    held = held[: min(informed or [len(seen) for _, seen in attacks], default=len(held))]
    for record, seen in attacks:
        right = outcome(record, "scored") > 0
        held[: len(right)] &= (right | (seen > 0))[: len(held)]
    kept: Values = held.astype(np.float64)
    return kept


def _named(name: str, share: Estimate) -> dict[str, float]:
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}
