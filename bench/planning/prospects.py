"""What a hardware plugin says of a measurement while a run is planned."""

from __future__ import annotations

from bench.errors import UsageError
from bench.hardware import Preset, Prospect
from bench.planning.specification import RunSpecification
from bench.plugins.containment import contained
from bench.plugins.entries import Hardware
from bench.plugins.loading import loaded
from bench.plugins.selection import Chosen
from bench.store.keys import key


def preset_of(spec: RunSpecification) -> Preset:
    """Return how long is measured under a budget, where the hardware's parameters do not say otherwise."""
    return "quick" if spec.budget == "quick" else "default"


def prospect(chosen: Chosen, spec: RunSpecification) -> Prospect:
    """Return what is known of measurements on a piece of hardware.

    Raises
    ------
    UsageError : its parameters cannot be meant, or its plugin gives none: what it measured would have a wrong name
    """
    entry = chosen.found.entry
    assert isinstance(entry, Hardware)
    if not entry.prospect:
        return Prospect()

    def ask() -> Prospect | UsageError:
        try:
            known: Prospect = loaded(entry.prospect)(chosen.parameters, preset_of(spec))
        except UsageError as refused:
            return refused
        key({**known.machine})  # raises where it cannot stand in one
        return known

    answer: Prospect | UsageError
    answer, fault = contained(ask)
    if fault:
        raise UsageError(f"Hardware {chosen.label!r} cannot be planned: {entry.prospect} fails: {fault}.")
    if isinstance(answer, UsageError):
        raise UsageError(f"Hardware {chosen.label!r} cannot be used: {answer}")
    return answer
