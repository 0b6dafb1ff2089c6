"""What is wrong with an entry: fields are not checked by Python, and anything may stand in those of a plugin."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from bench.plugins.entries import (
    Attack,
    Claim,
    Dataset,
    Defense,
    Entry,
    Gate,
    Hardware,
    Model,
    NotOffered,
    Probe,
    ThreatSpec,
)
from bench.plugins.parameters import Parameter

API_VERSIONS: Final = frozenset({"1"})
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_PARTS: Final[tuple[tuple[type[Entry], str, type[Any]], ...]] = (
    (Defense, "published", Claim),
    (Dataset, "threats", ThreatSpec),
    (Gate, "probes", Probe),
)


def fault_of(entry: Entry) -> str:
    """Return what is wrong with an entry, in words, or ""."""
    if entry.api not in API_VERSIONS:
        return f"is written for api {entry.api!r}; this version knows {', '.join(sorted(API_VERSIONS))}."
    for name in (entry.name, *((entry.family,) if entry.family else ())):
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "all":
            return f"{name!r} is no name; expected lower case letters and digits, joined by dashes, and not 'all'."
    return next(filter(None, _faults(entry)), "")


def words(error: BaseException) -> str:
    """Return what an error says, on one line, after its type."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def called(entry: Entry) -> str:
    """Return an entry as messages call it."""
    return f"{type(entry).__name__} {entry.name!r}"


def _faults(entry: Entry) -> Iterator[str]:
    """Yield what is wrong with what an entry holds; "" where a part of it is right."""
    yield from _of_places(entry)
    yield _of_words(entry)
    if not all(isinstance(name, str) for name in entry.preload) or isinstance(entry.preload, str):
        yield f"preload must be names of modules; got {entry.preload!r}."
    for owner, field, kind in _PARTS:
        for part in getattr(entry, field) if isinstance(entry, owner) else ():
            yield _of_words(part) if isinstance(part, kind) else f"{field} holds {part!r}, which is no {kind.__name__}."
    if isinstance(entry, Dataset):
        yield _of_threats(entry)
    for own in entry.adaptive_attacks if isinstance(entry, Defense) else ():
        fault = fault_of(own) if isinstance(own, Attack) else f"{own!r} is no Attack."
        if fault or not own.norm:
            yield f"adaptive attack {getattr(own, 'name', '')!r}: {fault or 'names no norm.'}"
    yield _of_parameters(entry)


def _of_places(entry: Entry) -> Iterator[str]:
    if not isinstance(entry, NotOffered) and not (isinstance(entry.factory, str) and _FACTORY.fullmatch(entry.factory)):
        yield f"factory must be 'package.module:callable'; got {entry.factory!r}."
    for field in ("certificate", "check", "prospect") if isinstance(entry, Attack | Defense | Model | Hardware) else ():
        place = getattr(entry, field, "")
        if place and not _FACTORY.fullmatch(place):
            yield f"{field} must be 'package.module:callable'; got {place!r}."


def _of_words(part: Any) -> str:
    for field, known in _closed(part.__class__).items():
        if (said := getattr(part, field)) not in known:
            return f"{field} must be one of {', '.join(map(repr, known))}; got {said!r}."
    return ""


@cache
def _closed(kind: type[Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the fields of a class whose words are a closed set, and these."""
    found: dict[str, tuple[str, ...]] = {}
    for field, hint in get_type_hints(kind).items():
        parts = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
        if all(get_origin(part) is Literal for part in parts):
            found[field] = tuple(word for part in parts for word in get_args(part))
    return found


def _of_threats(entry: Dataset) -> str:
    if not entry.threats:
        return "threats names none; give one at least, such as ThreatSpec(norm='linf', epsilons=(8 / 255,))."
    for threat in entry.threats:
        radii = threat.epsilons
        if not radii or not all(isinstance(e, int | float) and math.isfinite(e) and e >= 0 for e in radii):
            return f"epsilons of the threat {threat.norm!r} must be radii, one at least; got {radii!r}."
    return ""


def _of_parameters(entry: Entry) -> str:
    seen: set[str] = set()
    for parameter in entry.parameters:
        if not isinstance(parameter, Parameter) or not parameter.name.isidentifier() or parameter.name in seen:
            return f"{getattr(parameter, 'name', parameter)!r} is no parameter, or is declared twice."
        seen.add(parameter.name)
        try:
            parameter.parse(called(entry), parameter.default)
        except Exception as error:
            return f"the default is outside what is allowed: {words(error)}"
    for settings in (entry.quick, entry.standard) if isinstance(entry, Attack) else ():
        for given, _ in settings.parameters:
            if given not in seen:
                return f"a budget sets {given!r}, which is no parameter of it."
    return ""
