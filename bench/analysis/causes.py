"""Why a figure moved: the attack that breaks what was whole, and what else is not the same in two rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.analysis.groups import Replicate, Row, Seeds, counts
from bench.analysis.records import Record
from bench.analysis.worst_case import Candidate, worst_case

_NAMED = 4  # attacks named of many


class Cause(NamedTuple):
    """The attack that is worst, alone or with others, on most of the images that one row loses and the other does not.

    Attributes
    ----------
    attack, knowledge : "" where the clean images are to blame
    images : that it is worst on, of ``lost``
    """

    attack: str
    knowledge: str
    images: int
    lost: int


def cause(loser: Row, keeper: Row, images: int, knowledge: str = "") -> Cause | None:
    """Return what loses the images that ``loser`` answers wrongly more often than ``keeper``; None where none is lost.

    Parameters
    ----------
    loser, keeper : rows of the same triples of seeds
    images : the first so many are compared
    knowledge : "" for the attacks of every knowledge

    Notes
    -----
    Among equals an attack that was not run on ``keeper`` comes first: it explains more.
    """
    tally: dict[tuple[str, str], set[int]] = defaultdict(set)
    lost: set[int] = set()
    known: set[tuple[str, str]] = set()
    for mine, theirs in zip(loser.replicates, keeper.replicates, strict=True):
        found, kept = _candidates(loser, mine, knowledge), _candidates(keeper, theirs, knowledge)
        if found is None or kept is None:
            continue
        known |= {(attack.attack, attack.knowledge) for attack in kept[1]}
        here, there = worst_case(*found).shares, worst_case(*kept).shares
        newly = np.flatnonzero(here[:images] < there[:images])
        lost |= set(newly.tolist())
        for name, worst in _worst_on(*found).items():
            tally[name] |= set(newly[worst[newly]].tolist())
    if not lost:
        return None
    name = min(tally, key=lambda name: (-len(tally[name]), name in known, name))
    return Cause(*name, images=len(tally[name]), lost=len(lost))


def _candidates(row: Row, part: Replicate, knowledge: str) -> tuple[Candidate, list[Candidate]] | None:
    clean = part.clean_candidate()
    return None if clean is None else (clean, part.candidates(row.setting, clean.scored, knowledge))


def _worst_on(clean: Candidate, attacks: list[Candidate]) -> Mapping[tuple[str, str], NDArray[np.bool_]]:
    """Return on which images each candidate is worst: an attack, or the clean image where no attack is worse."""
    n = len(clean.selected)
    padded = [np.concatenate([a.selected[:n], np.full(max(0, n - len(a.selected)), np.inf)]) for a in attacks]
    lowest = np.min([clean.selected, *padded], axis=0)
    worst = {("", ""): clean.selected == lowest}
    for attack, selected in zip(attacks, padded, strict=True):
        worst[attack.attack, attack.knowledge] = (selected == lowest) & (selected < clean.selected)
    return worst


def changed(before: Row, after: Row) -> str:
    """Return what else differs between two rows of one setting: attacks and versions, as one line."""
    a, b = _attacks(before), _attacks(after)
    told = []
    for side, alone, there, ended in (
        ("A", a.keys() - b.keys(), "B", _broken(after)),
        ("B", b.keys() - a.keys(), "A", _broken(before)),
    ):
        told += [f"{_some([name])} {ended[name]} in {there}" for name in sorted(alone & ended.keys())]
        if absent := sorted(alone - ended.keys()):
            told.append(f"attacks only in {side}: {_some(absent)}")
    told += [
        f"{_some([name])} version {a[name]} → {b[name]}" for name in sorted(a.keys() & b.keys()) if a[name] != b[name]
    ]
    return "; ".join([*told, *versions(before.records, after.records)])


def missing(before: Row, after: Row, knowledge: str = "") -> str:
    """Return which attacks of the first row gave no number in the second, as one line: its number may be too high.

    Parameters
    ----------
    before, after : rows of the same triples of seeds; an attack that is missing under one of them is missing
    knowledge : "" for the attacks of every knowledge
    """
    told: dict[tuple[str, str], list[tuple[Seeds, str]]] = defaultdict(list)
    for mine, theirs in zip(before.replicates, after.replicates, strict=True):
        here, there = (replace(row, replicates=[part]) for row, part in ((before, mine), (after, theirs)))
        gone, ended = _attacks(here).keys() - _attacks(there).keys(), _broken(there)
        for name in gone:
            if knowledge in ("", name[1]):
                told[name].append((mine.seeds, ended.get(name, "not run")))
    return _first(_ended(name, told[name], len(after.replicates)) for name in sorted(told))


def _ended(name: tuple[str, str], ends: list[tuple[Seeds, str]], of: int) -> str:
    """Return how an attack ended, and where it did not under all triples of seeds, under which."""
    how = " or ".join(dict.fromkeys(end for _, end in ends))
    which = " and ".join("/".join(map(str, seeds)) for seeds, _ in ends)
    return f"{_some([name])} {how}" + (f" under seeds {which}" if len(ends) < of else "")


def versions(before: Iterable[Record], after: Iterable[Record]) -> list[str]:
    """Return how the versions of the defense and of libraries differ between two lots of records, one clause each."""
    a, b = (_versions(records) for records in (before, after))
    return [f"{name} {a[name]} → {b[name]}" for name in sorted(a.keys() & b.keys()) if a[name] != b[name]]


def _versions(records: Iterable[Record]) -> dict[str, str]:
    """Return the versions that the newest record names."""
    newest = max(records, key=lambda record: str(_provenance(record).get("finished") or ""), default=None)
    if newest is None:
        return {}
    libraries = _provenance(newest).get("versions") or {}
    own = {"defense": str(newest["defense"].get("version") or "")}
    return own | {str(name): str(value) for name, value in libraries.items()}


def _provenance(record: Record) -> dict[str, Any]:
    return record.get("provenance") or {}


def _attacks(row: Row) -> dict[tuple[str, str], str]:
    """Return the attacks that may lower a row's number, with their versions."""
    return {
        (str(record["attack"]["label"]), str(record["knowledge"])): str(record["attack"].get("version") or "")
        for part in row.replicates
        for record in part.attacks
        if counts(record)
    }


def _broken(row: Row) -> dict[tuple[str, str], str]:
    """Return the attacks that gave no number, with how they ended."""
    return {
        (str(record["attack"]["label"]), str(record["knowledge"])): str(record["status"]).replace("-", " ")
        for part in row.replicates
        for record in part.attacks
        if record["status"] != "ok"
    }


def _some(names: list[tuple[str, str]]) -> str:
    return _first(f"{attack} ({knowledge})" for attack, knowledge in names)


def _first(texts: Iterable[str]) -> str:
    """Return the first of many texts in a row, and how many more there are."""
    known = list(texts)
    return ", ".join(known[:_NAMED]) + (f" and {len(known) - _NAMED} more" if len(known) > _NAMED else "")
