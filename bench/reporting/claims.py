"""Claims on record beside our figures, in words: what stands in the page, in Markdown and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bench.reporting import wording

Row = Mapping[str, Any]

TITLES = ("Data set and network", "Defense", "Claim on record", "Same attack here", "Adaptive", "What differs")
CAPTION = (
    "What sources say of a defense, the same attack by the same attacker here, and the worst case over all attackers "
    "that know the defense; 95 % intervals. Claims are not checked here: where something differs, the figures cannot "
    "be compared, and what a source does not state is said to be so."
)
NOT_RUN = "not run"


def cells(row: Row) -> tuple[str, ...]:
    """Return what stands in each column of ``TITLES``, as plain text."""
    place = f"{row['dataset']} · {row['model']}"
    return (place, row["defense"], claim(row), figure(row, "reproduced"), figure(row, "adaptive"), differs(row))


def claim(row: Row) -> str:
    """Return the claim, and of what attack and attacker it is."""
    if not row["claim"]:
        return "none on record"
    radius = "" if wording.is_missing(row["claimed_epsilon"]) else wording.radius(row["claimed_epsilon"])
    norm = wording.NORMS.get(row["claimed_norm"], row["claimed_norm"])
    ball = f"{norm or 'ε'} ≤ {radius}" if radius else norm
    quantity = "" if row["quantity"] in ("gain", "accuracy") else row["quantity"]
    of = ", ".join(filter(None, [row["claimed_attack"], ball, row["claimed_knowledge"]]))
    told = ": ".join(filter(None, [" ".join(filter(None, [quantity, of])), row["claim"]]))
    return told + (f" ({row['conditions']})" if row["conditions"] else "")


def short(row: Row, name: str) -> str:
    """Return one of our figures, "reproduced" or "adaptive", and its radius where the claim has another."""
    where = f" at {wording.radius(row[f'{name}_epsilon'])}" if _is_elsewhere(row, name) else ""
    return _value(row, name) + where


def _value(row: Row, name: str) -> str:
    none_meant = row["quantity"] == "clean accuracy" if name == "adaptive" else not row["claim"]
    if none_meant:
        return wording.NOTHING
    if not row[f"{name}_images"]:
        return NOT_RUN
    return f"{100 * row[name]:+.1f} points" if row["quantity"] == "gain" else wording.percent(row[name])


def figure(row: Row, name: str) -> str:
    """Return one of our two figures with its interval, images and attacks."""
    value = _value(row, name)
    if value in (wording.NOTHING, NOT_RUN):
        return value
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    signed = row["quantity"] == "gain"
    interval = f"{100 * low:+.1f} to {100 * high:+.1f}" if signed else wording.interval(low, high)
    told = [f"{value} ({interval})", wording.count(int(row[f"{name}_images"]), "image")]
    if row[f"{name}_norm"]:
        told.append(wording.ball({"norm": row[f"{name}_norm"], "epsilon": row[f"{name}_epsilon"]}))
    attacks = row[f"{name}_attacks"].split(", ") if row[f"{name}_attacks"] else []
    if len(attacks) > 2:
        told.append(f"worst of {len(attacks)} attacks")
    elif attacks:
        told.append(wording.listed(attacks))
    if name == "reproduced" and row["reproduced_knowledge"]:
        told.append(row["reproduced_knowledge"])
    elsewhere = f"{NOT_RUN} at {wording.radius(row['claimed_epsilon'])}; " if _is_elsewhere(row, name) else ""
    return elsewhere + ", ".join(told)


def _is_elsewhere(row: Row, name: str) -> bool:
    """Return whether a figure is of another radius than the claim."""
    claimed, run = row["claimed_epsilon"], row[f"{name}_epsilon"]
    known = not wording.is_missing(claimed) and not wording.is_missing(run)
    return known and not math.isclose(run, claimed, rel_tol=1e-3)


def differs(row: Row) -> str:
    """Return what is not the same there and here, and what the source does not state; "" where there is no claim."""
    return "; ".join(_differences(row)) if row["claim"] else ""


def _differences(row: Row) -> Iterable[str]:
    if not row["claimed_model"]:
        yield "network not stated"
    elif row["claimed_model"] != row["model"].split("[")[0]:
        yield f"other network: {row['model']} here, {row['claimed_model']} there"
    here, there = (row[name].split(", ") if row[name] else [] for name in ("parameters", "claimed_parameters"))
    if other := [setting for setting in there if setting not in here]:
        own = [setting for setting in here if setting not in there]
        yield f"other parameters: {', '.join(own) or 'unknown'} here, {', '.join(other)} there"
    if row["quantity"] == "clean accuracy":
        return
    if not row["claimed_attack"]:
        yield "attack not stated: the worst of all here"
    if not row["claimed_knowledge"]:
        yield "attacker not stated: an oblivious one here"
    name = "reproduced" if row["reproduced_images"] else "adaptive"
    radius = wording.radius(row[f"{name}_epsilon"]) if row[f"{name}_images"] else ""
    if not row["claimed_norm"]:
        yield "norm not stated"
    if wording.is_missing(row["claimed_epsilon"]):
        yield f"radius not stated: {radius} here" if radius else "radius not stated"
    elif _is_elsewhere(row, name):
        yield f"other radius: {radius} here, {wording.radius(row['claimed_epsilon'])} there"
    if row["transfer"] and row["reproduced_knowledge"] == "oblivious":
        yield "a transfer here: the defense trains its own network"
