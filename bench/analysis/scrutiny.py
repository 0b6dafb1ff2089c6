"""Gates of rows, asked; and all verdicts as a frame."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd

from bench.analysis.gates.asking import Judge
from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import SEVERITY, GateOutcome, Verdict, worst
from bench.analysis.groups import Row, Setting, rows
from bench.analysis.ladder import deciding
from bench.analysis.records import Record
from bench.plugins.registry import ONLY_VARIABLE, discover

VERDICT_COLUMNS = (
    "dataset", "model", "norm", "epsilon", "domain", "budget", "defense", "gate", "where", "outcome", "evidence",
    "setting",
)  # fmt: skip


def row_verdicts(evidence: RowEvidence) -> list[Verdict]:
    """Return what every gate of rows says of one row; one that breaks says so in its own line."""
    return [judge.verdict(evidence) for judge in _judges(os.environ.get(ONLY_VARIABLE))]


def asked_rows(every: Sequence[Row]) -> list[RowEvidence]:
    """Return what a gate is given of each row, in order."""
    families: dict[tuple[Setting, str], list[Row]] = {}
    variants: dict[tuple[Hashable, ...], list[Row]] = {}
    others: dict[Setting, list[Row]] = {}
    twins: dict[Setting, Row] = {}
    for row in every:
        families.setdefault(_kin(row), []).append(row)
        variants.setdefault(_name(row), []).append(row)
        others.setdefault(_images(row), []).append(row)
        if row.defense.get("baseline", False):
            twins[row.setting] = row
    return [
        RowEvidence(
            row,
            tuple(families[_kin(row)]),
            twins.get(row.setting),
            tuple(variants[_name(row)]),
            tuple(others[_images(row)]),
        )
        for row in every
    ]


def decisive(row: Row) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (where, verdict) of the gates of a row's records that may bar it: clean ones and those of the ladder."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for record, gate in deciding(row):
        attack = record.get("attack") or {}
        found.append((f"{attack['label']} ({record['knowledge']})" if attack else str(record["kind"]), gate))
    return found


def verdicts(records: Iterable[Record]) -> pd.DataFrame:
    """Return every verdict that counts for a row of the leaderboard, the worst of each row first.

    Returns
    -------
    DataFrame : ``where`` is "row", "clean", or the attack of the ladder that was judged
    """
    lines: list[dict[str, Any]] = []
    numbers: dict[Setting, int] = {}
    for evidence in asked_rows(rows(list(records))):
        row, setting = evidence.row, evidence.row.setting
        names = ("dataset", "model", "norm", "epsilon", "domain", "budget")
        number = numbers.setdefault(setting, len(numbers))
        common = {name: getattr(setting, name) for name in names} | {"defense": row.label, "setting": number}
        found = [("row", verdict.as_dict()) for verdict in row_verdicts(evidence)] + decisive(row)
        found.sort(key=lambda one: SEVERITY.index(one[1]["outcome"]))
        lines += [
            common | {"gate": gate["name"], "where": where, "outcome": gate["outcome"], "evidence": gate["evidence"]}
            for where, gate in found
        ]
    return pd.DataFrame(lines, columns=list(VERDICT_COLUMNS))


def badge(row: Row, given: Sequence[Verdict]) -> tuple[GateOutcome, tuple[str, ...]]:
    """Return the worst outcome of a row, and the names of the gates that warn."""
    outcomes = [(verdict.name, verdict.outcome) for verdict in given]
    outcomes += [(str(gate["name"]), gate["outcome"]) for _, gate in decisive(row)]
    warned = dict.fromkeys(name for name, outcome in outcomes if outcome == "warn")
    return worst(outcome for _, outcome in outcomes), tuple(warned)


def _kin(row: Row) -> tuple[Setting, str]:
    return replace(row.setting, epsilon=0.0, budget=""), row.label


def _images(row: Row) -> Setting:
    return replace(row.setting, model="", weights="", epsilon=0.0, budget="")


def _name(row: Row) -> tuple[Hashable, ...]:
    """Return what all settings of a defense have in common that was tried under one threat, whatever the images."""
    images = (row.dataset["name"], json.dumps(row.dataset.get("parameters", {}), sort_keys=True))
    setting = row.setting
    threat = (setting.norm, setting.epsilon, setting.domain, setting.targeted)
    return (*images, setting.model, setting.weights, *threat, row.defense["name"])


@cache
def _judges(only: str | None) -> tuple[Judge, ...]:
    """Return the gates of rows that are installed, those of ``only`` where that is set."""
    return Judge.of(discover(), "row")
