"""What sources claim of defenses, beside what the same attack leaves here and what an adaptive attacker does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, get_args

import pandas as pd

from bench.analysis.detectors import FEWEST, of_row
from bench.analysis.gates.evidence import RowEvidence, clean_shares
from bench.analysis.groups import Row, alike, rows
from bench.analysis.paired import paired_difference
from bench.analysis.records import KNOWLEDGE, NORMS, Record
from bench.analysis.rungs import left, narrowed
from bench.analysis.scrutiny import asked_rows
from bench.analysis.statistics import Values, estimate
from bench.analysis.worst_case import evened
from bench.plugins.entries import Claim, Quantity

_OURS: Final = ("", "_low", "_high", "_images", "_attacks", "_knowledge", "_norm", "_epsilon", "_budget")
CLAIM_COLUMNS = (
    "dataset", "model", "defense", "claim", "quantity", "claimed", "claimed_attack", "claimed_norm",
    "claimed_epsilon", "claimed_knowledge", "claimed_model", "claimed_parameters", "parameters", "conditions",
    *(f"reproduced{name}" for name in _OURS), *(f"adaptive{name}" for name in _OURS), "transfer",
)  # fmt: skip
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(("text", "dataset", "attack", "model", "conditions"), str),
    **dict.fromkeys(("value", "epsilon"), (int, float)),
    "parameters": dict,
}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "quantity": get_args(Quantity), "norm": ("", *NORMS), "knowledge": ("", *KNOWLEDGE),
}  # fmt: skip
_NOTHING: Final = Claim(text="")


@dataclass(frozen=True)
class Found:
    """A figure of ours, as ``reproduced`` and ``adaptive`` columns hold it; nothing where ``images`` is 0."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    images: int = 0
    attacks: str = ""
    knowledge: str = ""
    norm: str = ""
    epsilon: float = math.nan
    budget: str = ""

    def columns(self, name: str) -> dict[str, Any]:
        """Return it under the names of the frame."""
        told = (self.value, self.low, self.high, self.images, self.attacks)
        return dict(zip((name + end for end in _OURS), (*told, self.knowledge, *self._where), strict=True))

    @property
    def _where(self) -> tuple[str, float, str]:
        return (self.norm, self.epsilon, self.budget)


def on_record(defense: Mapping[str, Any], dataset: str) -> tuple[Claim, ...]:
    """Return what a record's defense says of claims on a data set; what has another form is left out.

    Parameters
    ----------
    dataset : label, with its parameters
    """
    told = (_read(item) for item in defense.get("published") or [])
    return tuple(claim for claim in told if claim and claim.dataset in ("", dataset.split("[")[0]))


def _read(item: Any) -> Claim | None:
    if not isinstance(item, Mapping) or not isinstance(item.get("text"), str):
        return None
    given = {name: item[name] for name in (*_TYPES, *_WORDS) if name in item}
    if not all(isinstance(given[name], kind) for name, kind in _TYPES.items() if name in given):
        return None
    if not all(given[name] in words for name, words in _WORDS.items() if name in given):
        return None
    if not 0 <= given.get("value", 0) <= 1:
        return None
    return Claim(**given | {"parameters": tuple(given.get("parameters", {}).items())})


def is_called(attack: Mapping[str, Any], claimed: str) -> bool:
    """Return whether a record's attack is the claimed one, perhaps under a norm or a loss: "pgd-linf" is "pgd"."""
    names = (str(attack["name"]), str(attack.get("core") or ""))
    return any(name == claimed or name.startswith(f"{claimed}-") for name in names)


def in_words(claims: Iterable[Claim]) -> str:
    """Return claims as one text; those in a row that share their conditions have them once."""
    told = [(_conditions(claim), _figure(claim)) for claim in claims]
    groups = groupby(told, key=itemgetter(0))
    return "; ".join("; ".join(text for _, text in group) + (f" ({end})" if end else "") for end, group in groups)


def _figure(claim: Claim) -> str:
    radius = "" if claim.epsilon is None else f" at ε {claim.epsilon:g}"
    what = claim.attack or ("" if claim.quantity == "gain" else claim.quantity)
    return f"{what}{radius}: {claim.text}" if what else claim.text


def _conditions(claim: Claim) -> str:
    parts = [claim.model, _settings(claim.parameters), claim.knowledge and f"{claim.knowledge} attacker"]
    return ", ".join(filter(None, [*parts, claim.conditions]))


def _settings(parameters: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters)


def reproduction(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row for each claim on each defense, data set and network, with our two figures beside it.

    Returns
    -------
    DataFrame : ``claimed`` is the figure where it is a share of ``quantity``, and ``reproduced`` and ``adaptive`` are
        ours of the same quantity, with 95 % intervals; a figure of 0 ``images`` was not run. A defense without a claim
        has a row with an empty ``claim``.

    Notes
    -----
    ``reproduced`` is what attacks of the claimed name leave at the claimed knowledge, as near to the claimed radius as
    was run; where the source names no attack, the worst of all; no attacker, an oblivious one, which is the kindest
    reading. ``adaptive`` is the worst case under that norm over all white-box and adaptive attacks, which adaptive ones
    have to be among: who knows of stand-ins may do without them. Of several variants of a defense
    those have the claim that share most of its parameters.
    """
    places: dict[tuple[Any, ...], list[RowEvidence]] = {}
    for evidence in asked_rows(rows(list(records))):
        row = evidence.row
        if row.pool == "test" and not row.defense.get("baseline", False):
            places.setdefault((row.setting.place, str(row.defense["name"])), []).append(evidence)
    lines = [line for (place, _), group in sorted(places.items()) for line in _of_defense(place, group)]
    return pd.DataFrame(lines, columns=list(CLAIM_COLUMNS))


def _of_defense(place: tuple[str, ...], group: Sequence[RowEvidence]) -> Iterator[dict[str, Any]]:
    dataset, _, model, _ = place
    variants: dict[str, list[RowEvidence]] = {}
    for evidence in group:
        variants.setdefault(evidence.row.label, []).append(evidence)
    said = on_record(group[0].row.defense, dataset) or (_NOTHING,)
    for claim in said:
        shared = {label: _shared(claim, found) for label, found in variants.items()}
        for label in sorted(label for label in variants if shared[label] == max(shared.values())):
            found = variants[label]
            here = found[0].row.defense.get("parameters") or {}
            yield {
                "dataset": dataset,
                "model": model,
                "defense": label,
                "claim": claim.text,
                "quantity": claim.quantity,
                "claimed": math.nan if claim.value is None else float(claim.value),
                "claimed_attack": claim.attack,
                "claimed_norm": claim.norm,
                "claimed_epsilon": math.nan if claim.epsilon is None else float(claim.epsilon),
                "claimed_knowledge": claim.knowledge,
                "claimed_model": claim.model,
                "claimed_parameters": _settings(claim.parameters),
                "parameters": _settings((name, here[name]) for name, _ in claim.parameters if name in here),
                "conditions": claim.conditions,
                **_nearest(claim, found, _reproduced).columns("reproduced"),
                **_nearest(claim, found, _adaptive).columns("adaptive"),
                "transfer": bool(found[0].row.defense.get("trains", False)),
            }


def _shared(claim: Claim, group: Sequence[RowEvidence]) -> int:
    here = group[0].row.defense.get("parameters") or {}
    return sum(here.get(name) == value for name, value in claim.parameters)


def _nearest(claim: Claim, group: Sequence[RowEvidence], judge: Callable[[Claim, RowEvidence], Found | None]) -> Found:
    """Return the figure of the setting that is nearest to the claim's, of those where there is one."""

    def nearness(pair: tuple[RowEvidence, Found]) -> tuple[Any, ...]:
        setting, found = pair[0].row.setting, pair[1]
        if claim.epsilon is not None:
            distance = abs(setting.epsilon - claim.epsilon)
        else:
            distance = -math.inf if pair[0].row.headline else -setting.epsilon
        return (distance, setting.domain != "uint8", -found.images)

    meant = [one for one in group if claim.norm in ("", one.row.setting.norm)]
    told = [(one, found) for one in meant if (found := judge(claim, one)) is not None]
    return min(told, key=nearness)[1] if told else Found()


def _reproduced(claim: Claim, evidence: RowEvidence) -> Found | None:
    """Return our figure under the claimed attack by the claimed attacker, None where that was not run."""
    level = claim.knowledge or "oblivious"
    if claim.quantity == "clean accuracy":
        clean = clean_shares(evidence.row)
        return None if clean is None else _found(evidence, clean, (), "")
    return _attacked(claim, evidence, (level,), claim.attack)


def _adaptive(claim: Claim, evidence: RowEvidence) -> Found | None:
    """Return our figure under the worst attack by who knows the defense, None without an adaptive one or a meaning."""
    if claim.quantity == "clean accuracy" or not _is_met(evidence.row, "adaptive"):
        return None
    return _attacked(claim, evidence, ("white-box", "adaptive"), "")


def _attacked(claim: Claim, evidence: RowEvidence, levels: Sequence[str], attack: str) -> Found | None:
    """Return our figure under attacks by that name, "" for all, at these levels; it is called that of the last."""

    def meant(record: Record) -> bool:
        return not attack or is_called(record["attack"], attack)

    def belongs(record: Record) -> bool:
        return record["knowledge"] in levels and meant(record)

    if claim.quantity == "detection rate":
        return _detected(evidence, levels[-1], attack)
    if claim.quantity != "gain":
        shares, used = left(evidence.row, belongs)
        return None if shares is None else _found(evidence, shares, used, levels[-1])
    if evidence.twin is None or evidence.twin is evidence.row:
        return None
    pair = alike(narrowed(evidence.row, belongs), narrowed(evidence.twin, meant), lambda row: evened(row.met()))
    if pair is None:
        return None
    shares, used = left(pair[0], belongs)
    bare, _ = left(pair[1], meant)
    return None if shares is None or bare is None else _found(evidence, shares, used, levels[-1], bare)


def _is_met(row: Row, level: str) -> bool:
    return left(row, lambda record: record["knowledge"] == level)[0] is not None


def _detected(evidence: RowEvidence, level: str, attack: str) -> Found | None:
    """Return the rate of the attack that is detected least; of an oblivious one, among what fools the twin.

    Of attacks with so few such images that their rate says nothing, none is taken.
    """
    name = "fooling_detected" if level == "oblivious" else "detected"
    images = "fooling_images" if level == "oblivious" else "images"
    lines = [
        line
        for line in of_row(evidence.row)
        if line["knowledge"] == level
        and line.get(images, 0) >= FEWEST
        and not line["control"]
        and (not attack or is_called({"name": str(line["attack"]).split("[")[0]}, attack))
    ]
    if not lines:
        return None
    worst = min(lines, key=lambda line: float(line[name]))
    setting = evidence.row.setting
    figures = (worst[name], worst[f"{name}_low"], worst[f"{name}_high"], int(worst[images]))
    return Found(*figures, worst["attack"], level, setting.norm, setting.epsilon, setting.budget)


def _found(evidence: RowEvidence, shares: Values, used: Sequence[str], level: str, bare: Values | None = None) -> Found:
    setting = evidence.row.setting
    where = (setting.norm, setting.epsilon, setting.budget) if level else ("", math.nan, setting.budget)
    if bare is not None:
        n = min(len(bare), len(shares))
        moved = paired_difference(bare[:n], shares[:n])
        return Found(moved.value, moved.low, moved.high, n, ", ".join(used), level, *where)
    told = estimate(shares)
    return Found(told.value, told.low, told.high, told.n, ", ".join(used), level, *where)
