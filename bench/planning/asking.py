"""What was asked for, as the records of one data set and one classifier say it, and the names of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.planning.attacks import Assault, ThreatPoint, precision
from bench.planning.cell import Cell, CellKind
from bench.planning.specification import RunSpecification
from bench.planning.subjects import DataSubject, Subject, asked, world
from bench.plugins.selection import Chosen
from bench.store.code import code_digest
from bench.store.keys import key

Traits = Mapping[str, Any] | None


class Asking:
    """Makes the cells of one data set and one classifier.

    Parameters
    ----------
    fingerprint : of the images that are attacked
    gates : the plugins' gates, as keys name them

    Notes
    -----
    ``more`` of its methods is what a cell has besides: the keys that its record is made of, or its status and reason.
    """

    def __init__(
        self, spec: RunSpecification, data: DataSubject, *, fingerprint: str, gates: Sequence[Mapping[str, Any]]
    ) -> None:
        self.spec, self.data, self.fingerprint, self.gates = spec, data, fingerprint, gates
        self._subjects: dict[tuple[str, int, int], tuple[dict[str, Any], str]] = {}
        self._attacks: dict[tuple[str, str], dict[str, Any]] = {}

    def clean(self, subject: Subject, traits: Traits, seed: int, count: int, **more: Any) -> Cell:
        """Return the cell of a deployment's clean answers."""
        return self._cell("clean", self._subject(subject, traits, seed, count), **more)

    def attack(self, subject: Subject, traits: Traits, assault: Assault, count: int, **more: Any) -> Cell:
        """Return the cell of an attack on a deployment."""
        return self._cell(
            "attack",
            self._subject(subject, traits, assault.seed, count),
            named={
                "attack": self._attack(assault),
                "knowledge": assault.level,
                "threat": assault.point.as_dict(),
                **({"probe": assault.probe} if assault.probe else {}),
            },
            # How many draws an adaptive attacker averages is asked, maybe as "auto"; how many it is, the surface shows.
            hidden={"expectation": self.spec.expectation} if assault.level == "adaptive" else {},
            # What it changes stands in the keys of the record's parts.
            shown={"headline": assault.point.headline, "precision": precision(assault.entry, self.spec.precision)},
            **more,
        )

    def certificate(
        self, subject: Subject, traits: Traits, point: ThreatPoint, seed: int, count: int, **more: Any
    ) -> Cell:
        """Return the cell of what a defense's certificate says of its deployment."""
        named = {"certificate": subject.entry.certificate, "threat": point.as_dict()}
        return self._cell("certificate", self._subject(subject, traits, seed, count), named=named, **more)

    def cost(self, subject: Subject, traits: Traits, hardware: Chosen, count: int, **more: Any) -> Cell:
        """Return the cell of what a deployment costs."""
        return self._cell("cost", self._subject(subject, traits, 0, count), named={"hardware": asked(hardware)}, **more)

    def _subject(self, subject: Subject, traits: Traits, seed: int, count: int) -> tuple[dict[str, Any], str]:
        """Return what all records of a subject have in common, and a digest of it."""
        which = (subject.inspect.key, seed, count)
        if which not in self._subjects:
            entry = subject.entry
            defense = {
                **asked(subject.chosen),
                "family": entry.family,
                "trains": entry.trains,
                "baseline": entry.baseline,
            }
            named: dict[str, Any] = {
                "track": entry.track,
                "dataset": self.data.asked(self.fingerprint),
                "model": dict(subject.model.asked),
                "defense": defense,
                "budget": self.spec.budget,
                "seeds": {"split": self.spec.split_seed, "training": self.spec.training_seed, "attack": seed},
                "samples": count,
            }
            shown = {
                "shipped": subject.shipped,
                "published": [claim.as_dict() for claim in entry.published],
                "randomised": bool(traits["randomised"]) if traits else None,
                "differentiable": bool(traits["differentiable"]) if traits else None,
            }
            digest = key({name: _lasting(value) for name, value in named.items()})
            self._subjects[which] = ({**named, "defense": {**defense, **shown}}, digest)
        return self._subjects[which]

    def _attack(self, assault: Assault) -> dict[str, Any]:
        """Return an attack as a record shows it."""
        label, entry = assault.label, assault.entry
        name = (label, entry.factory)  # two defenses may bring attacks of one name against themselves
        if name not in self._attacks:
            self._attacks[name] = {
                **asked(assault.chosen),
                "label": label,
                **({"way": assault.way} if assault.way else {}),
                **({"start": assault.start} if assault.start else {}),
                **({"made_on": assault.made_on} if assault.made_on else {}),
                "norm": entry.norm,
                "access": entry.access,
                "minimum_norm": entry.minimum_norm,
                "core": assault.core,
                "control": entry.control,
            }
        return self._attacks[name]

    def _cell(
        self,
        kind: CellKind,
        subject: tuple[dict[str, Any], str],
        *,
        named: Mapping[str, Any] | None = None,
        hidden: Mapping[str, Any] | None = None,
        shown: Mapping[str, Any] | None = None,
        status: str = "",
        reason: str = "",
        **parts: Any,
    ) -> Cell:
        """Return a cell: ``named`` stands in its name and its record, ``hidden`` and ``shown`` in one of them."""
        named, hidden, shown = named or {}, hidden or {}, shown or {}
        told, digest = subject
        lasting = {name: _lasting(value) for name, value in named.items()}
        cell_id = key({"kind": kind, "base": digest, **lasting, **hidden})
        run_key = key(
            {
                "cell": cell_id,
                "parts": parts,
                "status": status,
                "reason": reason,
                "shown": {**told["defense"], **shown},
                "world": world(),
                "assembly": code_digest("bench.execution.assembly:Assembler"),
                "gates": self.gates,
            }
        )
        return Cell(
            kind=kind,
            asked={**told, **named, **shown},
            cell_id=cell_id,
            run_key=run_key,
            images=self.data.images.key,
            labels=self.data.labels.key,
            status=status,
            reason=reason,
            **parts,
        )


def _lasting(value: Any) -> Any:
    """Return what of a record's field says what was asked, whatever release answered it and on which machine."""
    if not isinstance(value, dict):
        return value
    passing = {"distribution"} if value.get("weights", "user") == "user" else {"distribution", "digest", "weights"}
    return {name: part for name, part in value.items() if name not in passing}
