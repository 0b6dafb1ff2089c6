"""Which checks are run on which kind of plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.conformance.construction import check_parameters
from bench.conformance.result import CheckResult, perform
from bench.errors import UnknownName, UsageError
from bench.plugins.entries import Attack, Dataset, Defense, Entry, Hardware, Model
from bench.plugins.parameters import Value, resolve
from bench.plugins.registry import Found, Kind, Registry, discover
from bench.plugins.selection import select

KINDS: Final[tuple[Kind, ...]] = ("defense", "attack", "model", "dataset", "hardware")


def run_checks(found: Found, parameters: Mapping[str, object] | None = None) -> list[CheckResult]:
    """Return what every check of the suite says of one plugin.

    Parameters
    ----------
    found : a defense, an attack, a model, a data set or hardware, as the registry gives it
    parameters : values other than the entry's defaults

    Raises
    ------
    UsageError : it cannot run here, or nothing is checked of its kind
    UnknownName, BadParameter : a parameter that it does not have, or a value outside its schema
    """
    entry = found.entry
    if found.unavailable:
        raise UsageError(f"{entry.name!r} cannot run here. {found.unavailable}")
    described = perform("parameters", check_parameters, entry)
    if described.outcome != "pass":
        return [described]
    values = resolve(repr(entry.name), entry.parameters, parameters or {})
    return [described, *_checks_of(entry, values, frozenset(parameters or {}))]


def _checks_of(entry: Entry, values: Mapping[str, Value], named: frozenset[str]) -> list[CheckResult]:
    if isinstance(entry, Defense):
        from bench.conformance.defense import check_defense

        small = {name: value for name, value in entry.checked_with if name not in named}
        return check_defense(entry, resolve(repr(entry.name), entry.parameters, {**values, **small}))
    if isinstance(entry, Attack):
        from bench.conformance.attack import check_attack

        return check_attack(entry, values, named=named)
    if isinstance(entry, Model):
        from bench.conformance.model import check_model

        return check_model(entry, values)
    if isinstance(entry, Dataset):
        from bench.conformance.dataset import check_dataset

        return check_dataset(entry, values)
    if isinstance(entry, Hardware):
        from bench.conformance.hardware import check_hardware

        return check_hardware(entry, values)
    raise UsageError(
        f"Nothing is checked of {entry.name!r}, a {type(entry).__name__}; expected one of {', '.join(KINDS)}."
    )


def check_selection(text: str, registry: Registry | None = None) -> list[CheckResult]:
    """Return what the suite says of every plugin that ``text`` selects, of whatever kind.

    Parameters
    ----------
    text : as on the command line: "superiot", "qusec-tq[levels=2]", the family "qusec"
    registry : default, all that is installed

    Raises
    ------
    UnknownName : no plugin of that name, of any kind
    """
    registry = registry or discover()
    chosen = []
    for kind in KINDS:
        try:
            chosen += select(registry, kind, text).chosen
        except UnknownName as error:
            if error.kind != kind:
                raise
    if not chosen:
        for kind in ("gate", "report-section"):
            if text in registry.of(kind):
                raise UsageError(f"{text!r} is a {kind}; nothing is checked of those but that they are contained.")
        raise UnknownName("plugin", text, [name for kind in KINDS for name in registry.of(kind)])
    results = []
    for one in chosen:
        prefix = f"{one.label}: " if len(chosen) > 1 else ""
        results += [
            CheckResult(prefix + result.name, result.outcome, result.evidence)
            for result in run_checks(one.found, one.given)
        ]
    return results
