"""The gates of records, asked about each one that is made."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.analysis.gates.asking import Judge
from bench.analysis.gates.verdict import Verdict
from bench.plugins.registry import Registry


@dataclass(frozen=True)
class Judges:
    """What gates have to say of a record, the suite's own first."""

    judges: tuple[Judge, ...]

    @classmethod
    def of(cls, registry: Registry) -> Judges:
        """Return the gates of records of all plugins."""
        return cls(Judge.of(registry, "cell", "clean", "attack"))

    def verdicts(self, record: Mapping[str, Any]) -> list[Verdict]:
        """Return each gate's verdict on a record; each is given a copy of its own."""
        return [
            judge.verdict(copy.deepcopy(dict(record)))
            for judge in self.judges
            if judge.entry.scope in ("cell", record["kind"])
        ]
