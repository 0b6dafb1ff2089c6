"""Which of the plugins that were left out as broken somebody may have meant.

A name that two plugins offer is the first one's. Whoever asks for it, and wrote the second, would read figures of
another's plugin as their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from bench.plugins.grammar import Item, parse
from bench.plugins.registry import Broken, Kind, Registry

_TAKEN: Final = re.compile(r"(?P<kind>\S+) '(?P<name>[^']+)' is already offered ")  # as ``Registry.add`` says it


def left_out(registry: Registry, texts: Mapping[Kind, str]) -> list[Broken]:
    """Return the broken plugins that selections may mean.

    Parameters
    ----------
    texts : kind -> what selects among its entries

    Returns
    -------
    list : those of whose entries a selected name was taken, and else those whose own name is selected, of any kind
    """
    asked = {kind: parse(text) for kind, text in texts.items()}
    return [b for b in registry.broken if any(_means(registry, kind, items, b) for kind, items in asked.items())]


def _means(registry: Registry, kind: Kind, items: list[Item], broken: Broken) -> bool:
    taken = _TAKEN.match(broken.reason)
    if taken is None:
        return _selects(items, broken.name)
    return taken["kind"] == kind and _selects(items, taken["name"], registry.of(kind)[taken["name"]].entry.family)


def _selects(items: list[Item], name: str, family: str = "") -> bool:
    def means(item: Item) -> bool:
        return item.name == "all" or fnmatchcase(name, item.name) or (family != "" and item.name == family)

    within = [item for item in items if not item.excluded]
    taken_out = any(item.excluded and not item.settings and means(item) for item in items)
    return bool(items) and not taken_out and (not within or any(map(means, within)))
