"""What was compared: each defense and attack, in a line of its own words and with its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analysis.records import Record
from bench.plugins.citation import cite
from bench.plugins.entries import Entry
from bench.plugins.registry import Registry
from bench.reporting import wording


@dataclass(frozen=True)
class Compared:
    """A defense or an attack of a comparison.

    Attributes
    ----------
    labels : all that it is called on the page
    summary : of its entry; what is to be known instead where the plugin is not installed here
    sources : of its entry, one a paper: as it is stated, and where it is to be read, "" where that is not stated
    fit : of a defense: whether its weights are shipped or were fitted here, "" where the records do not tell
    """

    name: str
    labels: tuple[str, ...]
    summary: str
    sources: tuple[tuple[str, str], ...]
    fit: str = ""

    @property
    def runs(self) -> tuple[str, ...]:
        """The labels, of one that goes on from an earlier one the rest alone: ``pgd[steps=10]``, ``via soft``."""
        told: list[str] = []
        for number, label in enumerate(self.labels):
            begun = max((b for b in self.labels[:number] if label.startswith(f"{b} ")), key=len, default="")
            told.append(label.removeprefix(begun).lstrip())
        return tuple(told)


def defenses(records: Sequence[Record], registry: Registry) -> list[Compared]:
    """Return the defenses of the records, one a label, by name."""
    entries = {name: found.entry for name, found in registry.of("defense").items()}
    by_label: dict[str, list[Record]] = {}
    for record in records:
        by_label.setdefault(wording.plain(record["defense"]["label"]), []).append(record)
    return [
        _compared(members[0]["defense"], (label,), entries, fit=_fit(members))
        for label, members in sorted(by_label.items())
    ]


def attacks(records: Iterable[Record], registry: Registry) -> list[Compared]:
    """Return the attacks of the records by name, each with all its labels, those that defenses bring among them."""
    entries: dict[str, Entry] = {
        attack.name: attack
        for found in registry.of("defense").values()
        for attack in getattr(found.entry, "adaptive_attacks", ())
    }
    entries |= {name: found.entry for name, found in registry.of("attack").items()}
    told: dict[str, tuple[Mapping[str, Any], set[str]]] = {}
    for record in records:
        if attack := record.get("attack"):
            told.setdefault(attack["name"], (attack, set()))[1].add(wording.plain(attack["label"]))
    return [_compared(attack, tuple(sorted(labels)), entries) for _, (attack, labels) in sorted(told.items())]


def _compared(
    part: Mapping[str, Any], labels: tuple[str, ...], entries: Mapping[str, Entry], *, fit: str = ""
) -> Compared:
    """Return the line of a record's defense or attack."""
    name, entry = wording.plain(part["name"]), entries.get(part["name"])
    if entry is None:
        origin = wording.plain(part.get("distribution") or "a package that the records do not name")
        return Compared(name, labels, f"Not installed here, so without summary and source: it is of {origin}.", (), fit)
    return Compared(name, labels, wording.plain(entry.summary), tuple(map(_cited, _parts(entry.source))), fit)


def _parts(source: str) -> list[str]:
    return [wording.plain(part) for part in source.split("; ") if part]


def _cited(source: str) -> tuple[str, str]:
    """Return a source and the address that it states, as arXiv number or DOI."""
    known = cite(source)
    if known.arxiv:
        return source, f"https://arxiv.org/abs/{known.arxiv}"
    return source, f"https://doi.org/{known.doi}" if known.doi else ""


def _fit(records: Sequence[Record]) -> str:
    """Return where what a defense learned is from."""
    parts = [record["defense"] for record in records]
    shipped = [bool(part.get("shipped")) for part in parts]
    if any(shipped):
        return "fit shipped with the plugin" + ("" if all(shipped) else ", other fits made here")
    if any(
        part.get("trains") or (record.get("notes") or {}).get("fit")
        for part, record in zip(parts, records, strict=True)
    ):
        return "fitted here"
    return "nothing is fitted" if all("shipped" in part for part in parts) else ""
