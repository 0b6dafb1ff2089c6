"""Ask a gate, the suite's own or a plugin's: one that breaks harms no other and says so in its own line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.analysis.gates.verdict import SEVERITY, GateOutcome, Verdict
from bench.plugins.containment import built, contained
from bench.plugins.entries import Gate, GateScope
from bench.plugins.registry import Registry


@dataclass(frozen=True)
class Judge:
    """A gate, ready to be asked.

    Attributes
    ----------
    call : ``judge(evidence) -> Verdict``; None where there is none
    fault : why not
    """

    entry: Gate
    call: Any
    fault: str

    @classmethod
    def of(cls, registry: Registry, *scopes: GateScope) -> tuple[Judge, ...]:
        """Return the gates of these scopes, in the order of the registry."""
        judges = []
        for found in registry.of("gate").values():
            assert isinstance(found.entry, Gate)
            if found.entry.scope in scopes:
                call, fault = (None, found.unavailable) if found.unavailable else contained(lambda f=found: built(f))  # type: ignore[misc]
                judges.append(cls(found.entry, call, fault))
        return tuple(judges)

    def verdict(self, evidence: Any) -> Verdict:
        """Return what the gate says, under the name of its entry; a failure that bars nothing is a warning."""
        given: Any = None
        fault = self.fault
        if not fault:
            given, fault = contained(lambda: self.call(evidence))
        if not fault and not isinstance(given, Verdict):
            fault = f"judge gave {type(given).__name__}; expected a Verdict."
        if not fault and given.outcome not in SEVERITY:
            fault = f"judge gave the outcome {given.outcome!r}."
        if fault:  # what nobody looked at is not known to be well
            return Verdict(self.entry.name, "warn", f"This gate could not judge: {fault}")
        barred: GateOutcome = "fail" if self.entry.bars_ranking else "warn"
        return Verdict(
            self.entry.name, barred if given.outcome == "fail" else given.outcome, str(given.evidence)[:2000]
        )
