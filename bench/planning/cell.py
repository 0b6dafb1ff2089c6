"""One combination of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CellKind = Literal["clean", "attack", "certificate", "cost"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What becomes one record.

    Attributes
    ----------
    asked : the record's fields that say what was asked, as ``docs/reference/records.md`` has them
    evaluations : keys of the blocks of answers, or of certified labels, in order
    clean : keys of the blocks of clean answers of the same deployment
    views : keys of the blocks of what the nodes before the last say of clean images
    crafts : keys of the blocks of adversarial images
    binarised : key of the binarisation test of the attack, "" where there is none. The record does without it where
        it cannot be made: it says something of the attack's number and is no part of it
    profile : key of the cost figures
    versions : of libraries that its numbers depend on beside those of all records
    status, reason : set where it is already known that nothing will be run: "skipped" or "failed", and why
    """

    kind: CellKind
    asked: Mapping[str, Any]
    cell_id: str
    run_key: str
    images: str = ""
    labels: str = ""
    fit: str = ""
    inspect: str = ""
    clean: tuple[str, ...] = ()
    evaluations: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    crafts: tuple[str, ...] = ()
    binarised: str = ""
    profile: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    status: str = ""
    reason: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the keys of all objects without which there is no record."""
        own = (*self.clean, *self.views, *self.crafts, *self.evaluations)
        return (*own, self.profile) if self.profile else own

    @property
    def wants(self) -> tuple[str, ...]:
        """Return the keys of all objects that a whole record is made of."""
        return (*self.needs, self.binarised) if self.binarised else self.needs

    @property
    def label(self) -> str:
        """Return it in words."""
        asked = self.asked
        parts = [asked["dataset"]["label"], asked["model"]["label"], asked["defense"]["label"]]
        if self.kind == "attack":
            parts += [
                asked["attack"]["label"],
                asked["knowledge"],
                f"{asked['threat']['norm']} {asked['threat']['epsilon']:.4g}",
            ]
            if "probe" in asked:
                parts.append(f"probe of the gate {asked['probe']}")
        if self.kind == "certificate":
            parts += ["certificate", f"{asked['threat']['norm']} {asked['threat']['epsilon']:.4g}"]
        if self.kind == "cost":
            parts.append(asked["hardware"]["label"])
        return " · ".join(parts)
