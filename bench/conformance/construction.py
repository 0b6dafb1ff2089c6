"""Checks that every kind of plugin shares: its parameters, and whether its factory gives the object promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.conformance.result import Failed
from bench.plugins.entries import Entry
from bench.plugins.loading import loaded
from bench.plugins.parameters import Value


def check_parameters(entry: Entry) -> str:
    """Every default lies in its own schema, survives a command line, and every parameter has a help text."""
    for parameter in entry.parameters:
        owner = f"{entry.name!r}"
        if parameter.parse(owner, parameter.default) != parameter.default:
            raise Failed(f"The default of {parameter.name!r}, {parameter.default!r}, is not {parameter.expected()}.")
        if parameter.parse(owner, str(parameter.default)) != parameter.default:
            raise Failed(f"The default of {parameter.name!r}, {parameter.default!r}, does not survive being typed.")
        if not parameter.help.strip():
            raise Failed(
                f"Parameter {parameter.name!r} has no help; say in one line what it does and where the default is from."
            )
    return f"{len(entry.parameters)} parameters, defaults valid."


def construct(entry: Entry, parameters: Mapping[str, Value], methods: Sequence[str]) -> Any:
    """Return what the factory gives, seen to have ``methods``."""
    made = loaded(entry.factory)(**parameters)
    missing = [method for method in methods if not callable(getattr(made, method, None))]
    if missing:
        raise Failed(f"{entry.factory} gave a {type(made).__name__} without {', '.join(missing)}.")
    return made
