"""Names of attacks for the heads of tables: what all of one name were given is said once, beside the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bench.analysis.detectors import without_variant
from bench.reporting import wording

_GIVEN = re.compile(r"(?P<name>[^\s\[]+)\[(?P<parameters>[^\]]*)\](?P<rest>.*)", re.S)


def shortened(labels: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels without the parameters that all labels of an attack share, and those parameters.

    Returns
    -------
    short : label -> what is left of it; what tells two of them apart stays
    shared : name of an attack -> the parameters that were left out, as text
    """
    families: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        families.setdefault(family(label), []).append(label)
    short: dict[str, str] = {}
    shared: dict[str, str] = {}
    for name, members in families.items():
        given = [_parameters(label) for label in members]
        common = [parameter for parameter in given[0] if all(parameter in other for other in given)]
        cut = {label: _without(label, common) for label in members}
        are_told_apart = len(set(cut.values())) == len(members)
        short |= cut if are_told_apart else {label: label for label in members}
        if common and are_told_apart:
            shared[name] = ", ".join(common)
    return short, shared


def rungs(cells: Iterable[Mapping[str, Any]], samples: int) -> str:
    """Return the attacks that stand for the ladder in a setting, with what they were given, in words; "" for none.

    Parameters
    ----------
    cells : rows of the setting, of the frame of all cells
    samples : images that the setting is of; an attack on fewer says on how many
    """
    tried: dict[str, int] = {}
    for cell in cells:
        if cell["core"] and cell["status"] == "ok":
            label = without_variant(cell["attack"]).partition(" made on ")[0]
            tried[label] = max(int(cell["samples"]), tried.get(label, 0))
    return wording.listed(
        [label if images >= samples else f"{label} on {images:,} images" for label, images in sorted(tried.items())]
    )


def family(label: str) -> str:
    """Return the name of an attack alone, without what it was given or how it was started."""
    return re.split(r"[\s\[]", label, maxsplit=1)[0]


def _parameters(label: str) -> list[str]:
    found = _GIVEN.fullmatch(label)
    return found["parameters"].split(",") if found else []


def _without(label: str, common: list[str]) -> str:
    found = _GIVEN.fullmatch(label)
    if not found:
        return label
    own = ",".join(parameter for parameter in _parameters(label) if parameter not in common)
    return found["name"] + (f"[{own}]" if own else "") + found["rest"]
