"""Which entries a text such as ``all,-qusec-tq,qusec-cq[levels=2|4]`` selects, and under which parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

from bench.errors import UsageError
from bench.plugins.entries import Attack, Entry
from bench.plugins.grammar import Item, parse, quote
from bench.plugins.parameters import Value, resolve
from bench.plugins.registry import Found, Kind, Registry


@dataclass(frozen=True)
class Chosen:
    """An entry with its parameters.

    Attributes
    ----------
    given : the parameters that the user named, which win over the settings of a budget
    parameters : all of them, resolved
    label : the shortest selection that gives the same; two choices are equal when their labels are
    """

    found: Found = field(compare=False)
    given: Mapping[str, Value] = field(compare=False)
    parameters: Mapping[str, Value] = field(compare=False)
    label: str


class Choice(NamedTuple):
    """What a text selects.

    Attributes
    ----------
    chosen : in the order of the text, and of the registry within "all", a family or a pattern; each once
    skipped : what "all", a family or a pattern brought in that cannot run here, with the reason
    """

    chosen: list[Chosen]
    skipped: list[tuple[Chosen, str]]


def select(registry: Registry, kind: Kind, text: str) -> Choice:
    """Return what ``text`` selects among the entries of a kind.

    Parameters
    ----------
    text : in the grammar of ``bench.plugins.grammar``. A name is an entry's, else a family's; "all" stands for the
        entries that are on by default. An item with a leading "-" takes out what it matches, wherever it stands;
        where there are only such items, they take out of "all". Several values of a parameter give one choice each.

    Raises
    ------
    UsageError : not in the grammar, or named outright and not available here
    UnknownName, BadParameter : no such entry, family, parameter or value
    """
    items = parse(text)
    if items and all(item.excluded for item in items):
        items = [*parse("all"), *items]
    chosen: dict[str, Chosen] = {}
    skipped: dict[str, tuple[Chosen, str]] = {}
    excluded = [(item, _matches(registry, kind, item)) for item in items if item.excluded]
    for item in items:
        if item.excluded:
            continue
        matches = _matches(registry, kind, item)
        for one in _grid(kind, item, matches):
            if any(_takes_out(kind, out, those, one) for out, those in excluded):
                continue
            reason = one.found.unavailable
            if not reason:
                chosen.setdefault(one.label, one)
            elif item.name == one.found.entry.name:
                raise UsageError(f"{_owner(kind, one.found.entry).capitalize()} cannot run here. {reason}")
            else:
                skipped.setdefault(one.label, (one, reason))
    return Choice(list(chosen.values()), list(skipped.values()))


def named_outright(registry: Registry, kind: Kind, text: str) -> frozenset[str]:
    """Return the entries that ``text`` names one by one, rather than by "all", a family or a pattern."""
    return frozenset(item.name for item in parse(text) if not item.excluded and item.name in registry.of(kind))


def choose(found: Found, kind: Kind, given: Mapping[str, object]) -> Chosen:
    """Return an entry with the parameters given, the others at their defaults.

    Raises
    ------
    UnknownName, BadParameter : a parameter that it does not have, or a value outside its schema
    """
    entry = found.entry
    parameters = resolve(_owner(kind, entry), entry.parameters, given)
    named = {name: value for name, value in parameters.items() if name in given}
    return Chosen(found, MappingProxyType(named), parameters, label(entry, named))


def label(entry: Entry, given: Mapping[str, Value]) -> str:
    """Return the shortest selection of ``entry`` with the parameters ``given``.

    A value that is the default is left out, unless a budget of the attack would set another one in its place.
    """
    set_by_budget = _set_by_budget(entry)
    shown = [
        f"{p.name}={_as_text(given[p.name])}"
        for p in entry.parameters
        if p.name in given and (given[p.name] != p.default or p.name in set_by_budget)
    ]
    return f"{entry.name}[{','.join(shown)}]" if shown else entry.name


def _as_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return quote(value) if isinstance(value, str) else str(value)


def _set_by_budget(entry: Entry) -> frozenset[str]:
    if not isinstance(entry, Attack):
        return frozenset()
    return frozenset(name for settings in (entry.quick, entry.standard) for name, _ in settings.parameters)


def _owner(kind: Kind, entry: Entry) -> str:
    return f"{kind} {entry.name!r}"


def _matches(registry: Registry, kind: Kind, item: Item) -> list[Found]:
    """Return the entries that an item names, in the registry's order.

    Raises
    ------
    UnknownName : nothing of that name
    UsageError : a pattern that nothing matches
    """
    known = registry.of(kind)
    if item.is_pattern:
        found = [f for name, f in known.items() if fnmatchcase(name, item.name)]
        if not found:
            raise UsageError(f"No {kind} matches {item.name!r} (character {item.position}). Known: {_listed(known)}.")
        return found
    if item.name == "all":
        return [f for f in known.values() if item.excluded or getattr(f.entry, "default", True)]
    if item.name in known:
        return [known[item.name]]
    family = [f for f in known.values() if f.entry.family == item.name]
    if not family:
        families = {f.entry.family for f in known.values() if f.entry.family}
        raise registry.unknown(kind, item.name, {*known, *families})
    return family


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _settings(kind: Kind, item: Item, entry: Entry) -> dict[str, tuple[str, ...]]:
    """Return the item's settings; what follows a colon is the entry's ``path``, else its first text parameter."""
    if item.argument is None:
        return item.settings
    texts = [p.name for p in entry.parameters if p.type is str]
    if not texts:
        raise UsageError(f"{_owner(kind, entry).capitalize()} takes nothing after a colon; got {item.argument!r}.")
    name = "path" if "path" in texts else texts[0]
    if name in item.settings:
        raise UsageError(f"{name!r} of {_owner(kind, entry)} is given twice: after the colon and in brackets.")
    return {name: (item.argument,), **item.settings}


def _grid(kind: Kind, item: Item, matches: Sequence[Found]) -> list[Chosen]:
    """Return one choice a match and combination of values; the first parameter varies slowest."""
    choices = []
    for found in matches:
        settings = _settings(kind, item, found.entry)
        for values in product(*settings.values()):
            choices.append(choose(found, kind, dict(zip(settings, values, strict=True))))
    return choices


def _takes_out(kind: Kind, item: Item, matches: Sequence[Found], one: Chosen) -> bool:
    """Return whether an excluding item matches a choice: its name, and all parameters that the item names."""
    name = one.found.entry.name
    return any(
        out.found.entry.name == name and all(one.parameters[p] == value for p, value in out.given.items())
        for out in _grid(kind, item, [f for f in matches if f.entry.name == name])
    )
