"""The gates of plugins, asked about finished records."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.analysis.gates import GateOutcome, Verdict
from bench.plugins.containment import built, contained
from bench.plugins.entries import Gate
from bench.plugins.registry import Found, Registry


@dataclass
class Judges:
    """What plugins have to say of a record; one that fails harms no other and says so in its own line.

    Attributes
    ----------
    gates : entry, its ``judge(record) -> Verdict``, and why there is none
    """

    gates: list[tuple[Found, Any, str]]

    @classmethod
    def of(cls, registry: Registry) -> Judges:
        """Return the gates of all plugins."""
        gates = []
        for found in registry.of("gate").values():
            judge, fault = (None, found.unavailable) if found.unavailable else contained(lambda f=found: built(f))  # type: ignore[misc]
            gates.append((found, judge, fault))
        return cls(gates)

    def verdicts(self, record: Mapping[str, Any]) -> list[Verdict]:
        """Return each gate's verdict on a record, under the name of its entry."""
        return [self._verdict(found, judge, fault, record) for found, judge, fault in self.gates]

    def _verdict(self, found: Found, judge: Any, fault: str, record: Mapping[str, Any]) -> Verdict:
        entry = found.entry
        assert isinstance(entry, Gate)
        given: Any = None
        if not fault:
            own = copy.deepcopy(dict(record))
            given, fault = contained(lambda: judge(own))
        if not fault and not isinstance(given, Verdict):
            fault = f"judge gave {type(given).__name__}; expected a Verdict."
        if not fault and given.outcome not in ("pass", "warn", "fail", "n/a"):
            fault = f"judge gave the outcome {given.outcome!r}."
        if fault:
            return Verdict(entry.name, "n/a", f"This gate could not judge: {fault}")
        outcome: GateOutcome = "warn" if given.outcome == "fail" and not entry.bars_ranking else given.outcome
        return Verdict(entry.name, outcome, str(given.evidence)[:2000])
