"""How the costs of two comparisons differ: what was counted exactly, what was timed only where that is fair."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bench.analysis.causes import versions
from bench.analysis.costs import FIRM, Measured, figures, machine_of, newest_costs, unquiet
from bench.analysis.figures import COSTS, judged, line
from bench.analysis.paired import Difference, timed_difference
from bench.analysis.pairing import Key, held_fixed, match, unattacked
from bench.analysis.records import Record

DRIFT: Final = 0.05  # within a run, drift is flagged from 5 % on; as much may pass unseen between two runs

Machine = tuple[str, str, str]  # and the budget that was measured under
Machines = Mapping[Machine, Record]


def cost_lines(before: Iterable[Record], after: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the lines of all costs of all deployments."""
    sides = [_costs(side) for side in (before, after)]
    tally = Counter(machine for side in sides for machines in side.values() for machine in machines)
    lines = []
    for a, b, why in match(sides[0], sides[1]):
        key = b or a
        assert key is not None
        machines = [side[k] if k is not None else {} for side, k in zip(sides, (a, b), strict=True)]
        first, second = _chosen(machines[0], machines[1], tally)
        if first and second and not why:
            why = held_fixed(first, second)
        lines += _lines(key, first, second, why)
    return lines


def _costs(records: Iterable[Record]) -> dict[Key, dict[Machine, Record]]:
    """Return the newest cost record of each deployment on each machine under each budget."""
    found: dict[Key, dict[Machine, Record]] = defaultdict(dict)
    for ((_, label, budget), machine), record in newest_costs(records).items():
        found[unattacked(record), label][*machine, budget] = record
    return found


def _chosen(before: Machines, after: Machines, tally: Counter[Machine]) -> tuple[Record | None, Record | None]:
    """Return the records of one machine and budget where both have one, else of what measured most on either side."""

    def most(machines: Iterable[Machine]) -> Machine | None:
        return min(machines, key=lambda machine: (-tally[machine], machine), default=None)

    shared = most(before.keys() & after.keys())
    names = [shared or most(side) for side in (before, after)]
    first, second = (side[name] if name else None for side, name in zip((before, after), names, strict=True))
    return first, second


def _lines(key: Key, before: Record | None, after: Record | None, why: str) -> list[dict[str, Any]]:
    known = [figures(record) if record else {} for record in (before, after)]
    changed = "; ".join(versions([before], [after])) if before and after else ""
    found = []
    for name in COSTS:
        a, b = (side.get(name) for side in known)
        if a is None and b is None:
            continue
        values = [float(item["value"]) if item else float("nan") for item in (a, b)]
        told = line(key, name, *values)
        if a is None or b is None:
            told["verdict"] = "only in B" if a is None else "only in A"
        elif not why and a == b:  # one measurement, read twice
            told |= judged(Difference(0.0, 0.0, 0.0, 1.0, 0)) | {"verdict": "same"}
        elif obstacle := why or _obstacle(a, b, same_machine=machine_of(before or {}) == machine_of(after or {})):
            told |= {"verdict": "not comparable", "reason": obstacle}
        else:
            told |= _moved(a, b) | {"changed": changed}
        found.append(told)
    return found


def _obstacle(before: Measured, after: Measured, *, same_machine: bool) -> str:
    """Return why two figures of one quantity cannot be compared, "" where they can."""
    for name, what in (
        ("provenance", "came about otherwise"),
        ("placement", "of another placement"),
        ("statistic", "another statistic"),
        ("runtime", "another runtime"),
        ("variant", "another format"),
    ):
        a, b = (str(item.get(name) or "") for item in (before, after))
        if a != b:
            return f"{what}: {a or 'none named'} in A, {b or 'none named'} in B"
    if before["provenance"] not in FIRM:
        return f"{before['provenance']}: an estimate is compared with nothing"
    if before["provenance"] == "counted":
        if before.get("n") != after.get("n"):
            return f"counted on {before.get('n')} images in A, {after.get('n')} in B"
        return ""
    if not same_machine:
        return "measured on different machines"
    flagged = {side: unquiet(item) for side, item in (("A", before), ("B", after))}
    if any(flagged.values()):
        told = "; ".join(f"{side}: {', '.join(flags)}" for side, flags in flagged.items() if flags)
        return f"not timed in quiet ({told})"
    if not all(0 < _end(item, "low") <= item["value"] <= _end(item, "high") for item in (before, after)):
        return "measured without an interval"
    return ""


def _end(item: Measured, name: str) -> float:
    return float(item[name]) if item.get(name) is not None else float("nan")


def _moved(before: Measured, after: Measured) -> dict[str, Any]:
    a, b = float(before["value"]), float(after["value"])
    if before["provenance"] == "counted":
        word = "same" if a == b else "lower" if b < a else "higher"
        return judged(Difference(b - a, b - a, b - a, float(a == b), 0)) | {"verdict": word}
    first, second = ((float(item["value"]), _end(item, "low"), _end(item, "high")) for item in (before, after))
    return judged(timed_difference(first, second, drift=DRIFT))
