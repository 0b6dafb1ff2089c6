"""One defense under one threat, rung by rung: what each kind of attacker leaves, and which attack broke what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.analysis.groups import Replicate, Row
from bench.analysis.records import Record
from bench.analysis.statistics import Estimate, Values, estimate, pooled
from bench.analysis.worst_case import Candidate, evened, first, worst_case, worst_cases

USUAL: Final = "adaptive, the usual way"
_HALF: Final = 0.5

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Spent:
    """What attacks asked of the deployment, or of its twin.

    Attributes
    ----------
    forward, gradient : images evaluated, and images differentiated
    """

    forward: int
    gradient: int
    seconds: float


@dataclass(frozen=True)
class Rung:
    """What one kind of attacker leaves.

    Attributes
    ----------
    share : right under the worst of its attacks, image by image, with its interval; None where there is no number
    attacks : labels of those that gave a number
    gaps : "label: status: reason" of those that gave none
    """

    name: str
    share: Estimate | None
    attacks: tuple[str, ...]
    gaps: tuple[str, ...]
    spent: Spent


@dataclass(frozen=True)
class Breaker:
    """One attack by itself.

    Attributes
    ----------
    broken : images that it breaks, of ``images`` that it was tried on
    alone : those of them that no other attack of the audit breaks
    """

    attack: str
    knowledge: str
    rung: str
    broken: int
    alone: int
    images: int


def rung_of(record: Record, own_rungs: Mapping[str, str]) -> str:
    """Return the rung that an attack record stands on.

    Parameters
    ----------
    own_rungs : name of an attack -> its rung, for those that do not stand among the usual ones
    """
    attack, knowledge = record["attack"], str(record["knowledge"])
    if knowledge != "adaptive":
        return knowledge
    if rung := own_rungs.get(str(attack["name"])):
        return rung
    if start := str(attack.get("start") or ""):
        return f"adaptive, from {start}"
    way = str(attack.get("way") or "")
    return f"adaptive, via {way.rpartition(':')[2]}" if way else USUAL


def rungs(row: Row, own_rungs: Mapping[str, str]) -> tuple[Rung, ...]:
    """Return the rungs of a row, the usual ones always, from the weakest attacker to the strongest."""
    attacks = [record for part in row.replicates for record in _attacks(part)]
    others = {rung_of(record, own_rungs): None for record in attacks}
    usual = ("oblivious", "black-box", "white-box", USUAL)
    ways = sorted(name for name in others if name.startswith("adaptive, via "))
    rest = sorted(name for name in others if name not in (*usual, *ways))
    return tuple(_rung(row, name, own_rungs) for name in (*usual, *ways, *rest))


def breakers(row: Row, own_rungs: Mapping[str, str]) -> tuple[Breaker, ...]:
    """Return what each attack breaks, the one that breaks most first."""
    flags: dict[tuple[str, str], list[Flags]] = {}
    rung: dict[tuple[str, str], str] = {}
    for part in row.replicates:
        if (clean := part.clean_candidate()) is None:
            continue
        rung |= {_name(record): rung_of(record, own_rungs) for record in (*part.attacks, *part.elsewhere)}
        for found in part.candidates(row.setting, clean.scored):
            flags.setdefault((found.attack, found.knowledge), []).append(_broken(clean, found.scored))
    joined = {name: _either(parts) for name, parts in flags.items()}
    n = max((len(one) for one in joined.values()), default=0)
    tally: NDArray[np.int64] = np.zeros(n, dtype=np.int64)
    for one in joined.values():
        tally[: len(one)] += one
    told = [
        Breaker(*name, rung[name], int(one.sum()), int((one & (tally[: len(one)] == 1)).sum()), len(one))
        for name, one in joined.items()
    ]
    return tuple(sorted(told, key=lambda b: (-b.broken, -b.alone, b.attack, b.knowledge)))


def broken(row: Row) -> tuple[int, int]:
    """Return how many images are broken by the worst attack on each, and how many were right without attack.

    Notes
    -----
    Of the images that the worst case stands on. An image is right that is answered rightly more often than not, and
    broken where that holds of the clean image and not of its worst x', under any triple of seeds. Of a deterministic
    deployment this is right and wrong.
    """
    lost, right = [], []
    for part in row.replicates:
        if (clean := part.clean_candidate()) is None:
            continue
        if row.worst_shares is not None:
            clean = first(clean, len(row.worst_shares))
        case = worst_case(clean, part.candidates(row.setting, clean.scored))
        lost.append(_broken(clean, case.shares))
        right.append(clean.scored > _HALF)
    return (int(_either(lost).sum()), int(_either(right).sum())) if lost else (0, 0)


def spent(records: Iterable[Record]) -> Spent:
    """Return what attacks asked, in total."""
    told = [record.get("aggregates") or {} for record in records]

    def total(name: str) -> float:
        return sum(float(one[name]) for one in told if isinstance(one.get(name), int | float))

    return Spent(int(total("forward")), int(total("gradient")), total("seconds"))


def left(row: Row, belongs: Callable[[Record], bool]) -> tuple[Values | None, tuple[str, ...]]:
    """Return what some of a row's attacks leave, and the labels of those that gave a number; controls never belong.

    Returns
    -------
    share of right answers of each image under the worst of them, as ``Row.left`` has it; None where no number came of
    them under some triple of seeds. Where attacks that not all seeds met tell, those that met the most count.
    """
    met = narrowed(row, belongs).met()
    used = tuple(dict.fromkeys(candidate.attack for _, attacks in met.values() for candidate in attacks))
    if not met or len(met) < len(row.replicates):
        return None, used
    return pooled([case.shares for case in worst_cases(list(evened(met).values()))]), used


def narrowed(row: Row, belongs: Callable[[Record], bool]) -> Row:
    """Return a row with some of its attacks; controls never belong."""
    return replace(row, replicates=[_narrowed(part, belongs) for part in row.replicates])


def _rung(row: Row, name: str, own_rungs: Mapping[str, str]) -> Rung:
    def belongs(record: Record) -> bool:
        return rung_of(record, own_rungs) == name

    shares, used = left(row, belongs)
    records = [record for part in row.replicates for record in _narrowed(part, belongs).attacks]
    gaps = dict.fromkeys(
        f"{r['attack']['label']}: {r['status'].replace('-', ' ')}: {r.get('reason') or 'no reason was given'}"
        for r in records
        if r["status"] != "ok"
    )
    return Rung(name, None if shares is None else estimate(shares), used, tuple(gaps), spent(records))


def _narrowed(part: Replicate, belongs: Callable[[Record], bool]) -> Replicate:
    return replace(
        part,
        attacks=[record for record in _attacks(part) if belongs(record)],
        elsewhere=[record for record in part.elsewhere if belongs(record)],
    )


def _attacks(part: Replicate) -> list[Record]:
    return [record for record in part.attacks if not record["attack"].get("control", False)]


def _name(record: Record) -> tuple[str, str]:
    return str(record["attack"]["label"]), str(record["knowledge"])


def _broken(clean: Candidate, shares: Values) -> Flags:
    m = min(len(clean.scored), len(shares))
    flags: Flags = (clean.scored[:m] > _HALF) & (shares[:m] <= _HALF)
    return flags


def _either(parts: Sequence[Flags]) -> Flags:
    """Return where any holds, on as many images as the longest has."""
    joined: Flags = np.zeros(max(map(len, parts)), dtype=np.bool_)
    for part in parts:
        joined[: len(part)] |= part
    return joined
