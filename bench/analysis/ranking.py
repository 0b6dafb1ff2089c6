"""The leaderboard: one row per defense in each setting."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.certificates import CERTIFIED_COLUMNS, bracket
from bench.analysis.claims import in_words, on_record
from bench.analysis.control import CONTROL_COLUMNS, NOTHING, controls
from bench.analysis.costs import on_leaderboard
from bench.analysis.gates.evidence import RowEvidence
from bench.analysis.gates.verdict import Verdict
from bench.analysis.groups import Row, Setting, rows
from bench.analysis.ladder import Standing, standing
from bench.analysis.paired import Difference, paired_difference
from bench.analysis.records import KNOWLEDGE, Record
from bench.analysis.scrutiny import asked_rows, badge, row_verdicts
from bench.analysis.statistics import Estimate, Values, estimate, pooled, rank_intervals, rank_text, resolution
from bench.analysis.worst_case import QUERIES, Candidate, WorstCase, first

_NOTHING = Estimate(math.nan, math.nan, math.nan, 0)
_COSTS = (
    "latency_ratio", "latency_ratio_low", "latency_ratio_high", "latency_ratio_flags", "device_ms", "server_ms",
    "latency_flags", "uplink_bytes", "uplink_bytes_p95", "uplink_format", "png_bytes", "model_bytes", "macs",
    "peak_bytes", "energy_mj", "energy_provenance", "hardware",
)  # fmt: skip
_TEXTS = ("latency_ratio_flags", "latency_flags", "uplink_format", "energy_provenance", "hardware")  # among them
_LEVELS = tuple(knowledge.replace("-", "_") for knowledge in KNOWLEDGE)
TWIN_COLUMNS = ("twin_difference", "twin_low", "twin_high")
COLUMNS = (
    "dataset", "pool", "model", "norm", "epsilon", "domain", "targeted", "budget", "headline",
    "rank", "rank_low", "rank_high", "defense", "family", "status", "reasons", "samples", "detectable_difference",
    "seeds", "robust_accuracy", "robust_low", "robust_high",
    "seed_spread", *TWIN_COLUMNS, *CERTIFIED_COLUMNS, "clean_accuracy", "clean_low", "clean_high",
    "rejected", *_LEVELS,
    *(f"{level}_{end}" for end in ("low", "high", "samples") for level in _LEVELS),
    "oblivious_is_transfer", "strongest_attack", "strongest_knowledge", "strongest_share", "attacks", "randomised",
    *(f"wrong_in_{k}" for k in QUERIES), *(f"clean_wrong_in_{k}" for k in QUERIES), "gates", "warnings",
    "worst_gate", *_COSTS, *CONTROL_COLUMNS, "published", "setting",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """A row with its numbers.

    Attributes
    ----------
    verdicts : of the gates of rows
    cases, cleans : of each triple of seeds, the worst case and the clean images
    shares : of each image that the worst case is known of, correct under it, mean over seeds, float64, (n,)
    levels : knowledge -> share of right answers under its attacks alone, with its interval
    spread : standard deviation of the robust accuracy over triples of seeds; NaN for one
    over_twin : ``shares`` less those of the same network undefended, None where that was not attacked
    """

    row: Row
    standing: Standing
    verdicts: list[Verdict]
    cases: list[WorstCase]
    cleans: list[Candidate]
    shares: Values
    clean: Values
    levels: dict[str, Estimate]
    spread: float
    strongest: tuple[str, str, float]
    attacks: int
    over_twin: Difference | None = None


def judge(evidence: RowEvidence) -> Judged:
    """Return the numbers of a row, and what its gates say.

    Notes
    -----
    The headline is the worst case over every attack at every knowledge. Oblivious attacks on a jointly trained defense
    are transfers from another network: they may lower its number like any attack, and are never ranked alone, since a
    row without an adaptive attack has no rank.
    """
    row, given = evidence.row, row_verdicts(evidence)
    parts = [(part, clean) for part in row.replicates if (clean := part.clean_candidate()) is not None]
    if not parts:
        nothing: Values = np.zeros(0)
        return Judged(row, standing(row, given), given, [], [], nothing, nothing, {}, math.nan, ("", "", math.nan), 0)
    tried, cases = row.tried(), row.worst_cases()
    names = [
        (attacks[case.strongest].attack, attacks[case.strongest].knowledge, case.harmed / len(case.shares))
        for case, (_, attacks) in zip(cases, tried, strict=True)
        if case.strongest >= 0
    ]
    unharmed = pooled([clean.scored for _, clean in parts])
    means = [float(case.shares.mean()) for case in cases]
    levels = {knowledge: estimate(left) for knowledge in KNOWLEDGE if (left := row.left(knowledge)) is not None}
    return Judged(
        row=row,
        standing=standing(row, given),
        verdicts=given,
        cases=cases,
        cleans=[clean for _, clean in parts],
        shares=unharmed if row.worst_shares is None else row.worst_shares,
        clean=unharmed,
        levels=levels,
        spread=float(np.std(means, ddof=1)) if len(means) > 1 else math.nan,
        strongest=max(names, key=lambda name: name[2], default=("", "", math.nan)),
        attacks=max((len(attacks) for _, attacks in tried), default=0),
        over_twin=_over_twin(evidence),
    )


def _over_twin(evidence: RowEvidence) -> Difference | None:
    """Return what a row keeps more than the same network undefended, of the images that both were attacked on."""
    pair = evidence.over_twin(Row.left, Row.met)
    return None if pair is None else paired_difference(pair[1], pair[0])


def leaderboard(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per defense within each setting (data set, network, norm, epsilon, domain, budget).

    Returns
    -------
    DataFrame : settings in order, the headline first; in each the ranked rows by ``robust_accuracy``, then the others.
        ``rank`` is text: "1", or "1–2" where McNemar's test (paired permutation where shares are fractional), corrected
        by Holm over all pairs, cannot tell rows apart; empty where ``status`` is not "ranked". Shares are in [0, 1];
        the columns are described in docs/reference/records.md.
    """
    records = list(records)
    costs = on_leaderboard(records)
    lines: list[dict[str, Any]] = []
    asked = asked_rows(rows(records))
    for number, (setting, group) in enumerate(groupby(asked, key=lambda evidence: evidence.row.setting)):
        judged = [judge(evidence) for evidence in group]
        ranked = {j.row.label: j.shares for j in judged if j.standing.status == "ranked"}
        ranks = rank_intervals(ranked)
        found = [_line(j, setting, ranks.get(j.row.label), costs, number) for j in judged]
        smallest = resolution([len(j.shares) for j in judged if (j.row.label in ranked if ranked else j.attacks)])
        held = controls(found, ranked, {j.row.label: str(j.row.defense["name"]) for j in judged})
        found = [{**line, "detectable_difference": smallest, **held.get(line["defense"], NOTHING)} for line in found]
        found.sort(key=lambda line: (line["status"] != "ranked", -_or(line["robust_accuracy"], -1.0), line["defense"]))
        lines += found
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.astype({"rank_low": "Int64", "rank_high": "Int64"})


def _line(
    judged: Judged,
    setting: Setting,
    rank: tuple[int, int] | None,
    costs: dict[tuple[Any, ...], dict[str, Any]],
    number: int,
) -> dict[str, Any]:
    row, defense, over = judged.row, judged.row.defense, judged.over_twin
    attacked = bool(judged.attacks)
    robust = estimate(judged.shares) if len(judged.shares) and attacked else _NOTHING
    clean = estimate(judged.clean) if len(judged.clean) else _NOTHING
    worst_gate, warnings = badge(row, judged.verdicts)
    line: dict[str, Any] = {
        "dataset": setting.dataset,
        "pool": row.pool,
        "model": setting.model,
        "norm": setting.norm,
        "epsilon": setting.epsilon,
        "domain": setting.domain,
        "targeted": setting.targeted,
        "budget": setting.budget,
        "headline": row.headline,
        "rank": rank_text(rank),
        "rank_low": rank[0] if rank else None,
        "rank_high": rank[1] if rank else None,
        "defense": row.label,
        "family": defense.get("family", ""),
        "status": judged.standing.text,
        "reasons": judged.standing.reasons,
        "samples": robust.n or clean.n,
        "seeds": len(row.replicates),
        "robust_accuracy": robust.value,
        "robust_low": robust.low,
        "robust_high": robust.high,
        "seed_spread": judged.spread,
        **dict(zip(TWIN_COLUMNS, (math.nan,) * 3 if over is None else (over.value, over.low, over.high), strict=True)),
        **bracket(row),
        "clean_accuracy": clean.value,
        "clean_low": clean.low,
        "clean_high": clean.high,
        "rejected": _mean(part.rejected for part in row.replicates if part.rejected is not None),
        **_levels(judged),
        "oblivious_is_transfer": bool(defense.get("trains", False)),
        "strongest_attack": judged.strongest[0],
        "strongest_knowledge": judged.strongest[1],
        "strongest_share": judged.strongest[2],
        "attacks": judged.attacks,
        "randomised": any(part.randomised for part in row.replicates),
        "gates": ", ".join(judged.standing.gates),
        "warnings": ", ".join(warnings),
        "worst_gate": worst_gate,
        "published": in_words(on_record(defense, setting.dataset)),
        "setting": number,
    }
    for k in QUERIES:
        line[f"wrong_in_{k}"] = _mean(case.wrong_within(k) for case in judged.cases)
        line[f"clean_wrong_in_{k}"] = _mean(first(clean, len(judged.shares)).wrong_within(k) for clean in judged.cleans)
    empty = {name: "" if name in _TEXTS else math.nan for name in _COSTS}
    measured = costs.get((setting.place, row.label, setting.budget)) or costs.get((setting.place, row.label, ""), {})
    return line | {**empty, **measured}


def _levels(judged: Judged) -> dict[str, float | int]:
    line: dict[str, float | int] = {}
    for knowledge, name in zip(KNOWLEDGE, _LEVELS, strict=True):
        left = judged.levels.get(knowledge, _NOTHING)
        line[name], line[f"{name}_samples"] = left.value, left.n
        line[f"{name}_low"], line[f"{name}_high"] = left.low, left.high
    return line


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else math.nan


def _or(value: float, instead: float) -> float:
    return instead if math.isnan(value) else value
