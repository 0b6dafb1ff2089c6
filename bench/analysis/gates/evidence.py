"""What a gate of a row is given: every attack by itself, before any pooling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.analysis.groups import Row, Seeds, counts, seeds_of
from bench.analysis.records import Record, decode_array
from bench.analysis.statistics import Values, pooled
from bench.analysis.worst_case import attack_candidate

ITERATED = ("pgd-ce", "apgd-dlr", "square")  # marks of the ladder that search: more room can only help them


@dataclass(frozen=True)
class Raw:
    """One attack at one knowledge, as it did alone.

    Attributes
    ----------
    record : of its first triple of seeds
    left : of each image, share of right answers to this attack's x', mean over seeds, float64, (m,)
    """

    record: Record
    left: Values

    @property
    def accuracy(self) -> float:
        """Return the share of images that it leaves right."""
        return float(self.left.mean())

    @property
    def name(self) -> str:
        """Return the attack in words."""
        return f"{self.record['attack']['label']} ({self.record['knowledge']})"

    @property
    def core(self) -> str:
        """Return its place on the ladder, "" for none."""
        return str(self.record["attack"].get("core") or "")

    @property
    def knowledge(self) -> str:
        """Return what the attacker knows."""
        return str(self.record["knowledge"])

    @property
    def follows_gradients(self) -> bool:
        """Whether it differentiates the deployment itself."""
        return self.record["attack"].get("access") == "gradient" and self.knowledge in ("white-box", "adaptive")


@dataclass(frozen=True)
class RowEvidence:
    """A row, and what it is to be seen beside.

    Attributes
    ----------
    row : one defense in one setting
    family : the same defense under the same kind of threat, at every radius and budget; the row itself among them
    twin : the undefended row of the same setting, None where it was not run
    variants : the defense of that name with any parameters, under the same threat, at any budget, on the test images
        and in any pool; the row itself among them
    others : every row of the same images under the same kind of threat, at every radius and budget, of any defense and
        network; the row itself among them
    """

    row: Row
    family: tuple[Row, ...]
    twin: Row | None
    variants: tuple[Row, ...]
    others: tuple[Row, ...]

    @property
    def raw(self) -> list[Raw]:
        """Return every attack that ended well, controls left out."""
        return raw(record for part in self.row.replicates for record in part.attacks if counts(record))

    @property
    def controls(self) -> list[Raw]:
        """Return every control that ended well."""
        return raw(
            record
            for part in self.row.replicates
            for record in part.attacks
            if record["status"] == "ok" and record["attack"].get("control", False)
        )

    @property
    def clean(self) -> Values | None:
        """Return the share of right clean answers of each image, float64, (n,), mean over seeds."""
        return clean_shares(self.row)

    @property
    def views(self) -> dict[str, Values]:
        """Return of each node before the last that gives logits what it answers rightly, as ``clean`` has it."""
        told: dict[str, list[Values]] = {}
        for part in self.row.replicates:
            for name, right in ((part.clean or {}).get("views") or {}).items():
                told.setdefault(name, []).append(decode_array(right).astype(np.float64))
        return {name: pooled(found) for name, found in told.items()}

    @property
    def randomised(self) -> bool:
        """Whether the deployment draws."""
        return any(part.randomised for part in self.row.replicates)


def raw(records: Iterable[Record]) -> list[Raw]:
    """Return attacks by themselves, equal ones of several seeds as one; of two runs of one, that on more images."""
    groups: dict[tuple[str, str], dict[Seeds, Record]] = {}
    for record in records:
        same = groups.setdefault((str(record["attack"]["label"]), str(record["knowledge"])), {})
        seeds = seeds_of(record)
        if seeds not in same or int(record["samples"]) > int(same[seeds]["samples"]):
            same[seeds] = record
    return [
        Raw(next(iter(same.values())), pooled([attack_candidate(one).scored for one in same.values()]))
        for same in groups.values()
    ]


def clean_shares(row: Row) -> Values | None:
    """Return the share of right clean answers of each image, None where there are none."""
    found = [candidate.scored for part in row.replicates if (candidate := part.clean_candidate()) is not None]
    return pooled(found) if found else None


def best_beside(attacks: Iterable[Raw], other: Raw) -> Raw | None:
    """Return the attack that leaves the fewest of the images that ``other`` was tried on; None where there is none.

    Notes
    -----
    One of those that were tried on all of these images; where none was, of those that were tried on the most. Of
    attacks on different numbers of images, the few images of one may be easier than the many of another.
    """
    known = list(attacks)
    seen = min(len(other.left), max((len(attack.left) for attack in known), default=0))
    enough = (attack for attack in known if len(attack.left) >= seen)
    return min(enough, key=lambda attack: float(attack.left[:seen].mean()), default=None)


def side_by_side(first: Raw, second: Raw) -> str:
    """Return what two attacks leave of the images that both were tried on, in words."""
    n = min(len(first.left), len(second.left))
    on = f" of {n:,} images" if len(first.left) != len(second.left) else ""
    return f"{first.name} leaves {first.left[:n].mean():.1%}{on}, {second.name} {second.left[:n].mean():.1%}"


def told(pairs: Iterable[str], limit: int = 3) -> str:
    """Return some findings as one clause."""
    found = list(pairs)
    return "; ".join(found[:limit]) + (f"; and {len(found) - limit} more" if len(found) > limit else "")
