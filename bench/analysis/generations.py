"""Which records of several runs count: the newest of each cell, of what networks and defenses are now."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

Record: TypeAlias = dict[str, Any]
Name = tuple[str, ...]
_DIGEST: Final = re.compile(r"[0-9a-f]{32,}$")


def finished(record: Record) -> str:
    """Return when a record was made, as it says; "" where it does not."""
    provenance = record.get("provenance")
    return str(provenance.get("finished", "")) if isinstance(provenance, dict) else ""


def merge(*collections: Iterable[Record]) -> list[Record]:
    """Return the records of several runs as one, the newest of each ``run_key``, in a fixed order.

    Of two that finished at the same moment, the later one in the argument order stays.
    """
    newest: dict[str, Record] = {}
    for record in (record for collection in collections for record in collection):
        known = newest.get(record["run_key"])
        if known is None or finished(record) >= finished(known):
            newest[record["run_key"]] = record
    return sorted(newest.values(), key=lambda record: (record["cell_id"], record["run_key"]))


def current(records: Iterable[Record]) -> list[Record]:
    """Return one record of each cell: the newest, whatever code made it; of costs, the newest of each machine.

    What was asked once must not enter a worst case twice, as an old and a new run of the same attack would; nor may
    what was found of an earlier version of a network or a defense (``newest``).
    """
    chosen: dict[tuple[str, str], Record] = {}
    for record in merge(records):
        machine = ""
        if record["kind"] == "cost":
            machine = json.dumps((record.get("hardware") or {}).get("machine"), sort_keys=True)
        name = (record["cell_id"], machine)
        if name not in chosen or finished(record) >= finished(chosen[name]):
            chosen[name] = record
    return newest(chosen.values())[0]


def newest(records: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the records of the newest version of each network and each defense, and what was left out, in words.

    Notes
    -----
    An attack on what a defense was before its author mended it says nothing of what it is: pooled, the worst of both
    would stand as the number of one. A network is told by its version and the digest of its weights, and what a defense
    learned by the digest of what was shipped, under each pair of seeds that they depend on; a defense by its version.
    Of two the one whose records finished last stays; where a record does not say, it is of neither.
    """
    records = list(records)
    latest: dict[Name, tuple[str, str]] = {}
    for record in records:
        finished = str((record.get("provenance") or {}).get("finished") or "")
        for name, version in _versions(record).items():
            latest[name] = max(latest.get(name, ("", "")), (finished, version))
    kept, left_out = [], Counter[str]()
    for record in records:
        old = [(name, version) for name, version in _versions(record).items() if version != latest[name][1]]
        if old:
            name, version = old[0]
            left_out[f"{name[0]} {name[1]}, {_told(version)} (the newest is {_told(latest[name][1])})"] += 1
        else:
            kept.append(record)
    return kept, [f"{count:,} record{'s' if count > 1 else ''} of {what}" for what, count in left_out.items()]


def _versions(record: Mapping[str, Any]) -> dict[Name, str]:
    """Return what the network, the defense and its fit are called, and which of each a record is of, where it says."""
    data, model, defense, seeds = (record[part] for part in ("dataset", "model", "defense", "seeds"))
    weights = str(model.get("digest") or "")
    own = weights if model.get("weights") == "user" else ""
    place = (str(data["label"]), str(data.get("fingerprint") or ""))
    trained = (str(seeds["split"]), str(seeds["training"]))
    network = ("network", str(model["label"]), own, *place, *trained)
    deployed = ("defense", str(defense["label"]), str(model["label"]), own, *place)
    found: dict[Name, str] = {}
    if model.get("version") and weights:
        found[network] = f"version {model['version']} with weights {weights}"
    if defense.get("version"):
        found[deployed] = f"version {defense['version']}"
    if (shipped := defense.get("shipped")) is not None:
        found[(*deployed, *trained)] = f"shipped fit {shipped}" if shipped else "fitted by its run"
    return found


def _told(version: str) -> str:
    """Return a version in words, with the beginning of a digest only."""
    return _DIGEST.sub(lambda found: found.group()[:8], version)
