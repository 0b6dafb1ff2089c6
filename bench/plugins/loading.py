"""Import what an entry names as text."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def loaded(place: str) -> Any:
    """Return what "package.module:callable" names; it may be of a class, as in "package.module:Outer.make"."""
    module, _, names = place.partition(":")
    found: Any = import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found
