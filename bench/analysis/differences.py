"""Two comparisons side by side: what moved, by how much, and whether chance alone would do it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from bench.analysis import causes
from bench.analysis.cost_differences import cost_lines
from bench.analysis.figures import ATTACKED, CLEAN, DIFFERENCE_COLUMNS, SETTING, UNITS, WORDS, judged, line, size
from bench.analysis.gates.evidence import clean_shares
from bench.analysis.groups import Row, Seeds, rows
from bench.analysis.paired import paired_difference
from bench.analysis.pairing import Key, Matched, clean_rows, common, match
from bench.analysis.records import Record
from bench.analysis.statistics import Values

Sides: TypeAlias = tuple[Mapping[Key, Row], Mapping[Key, Row]]


def differences(before: Iterable[Record], after: Iterable[Record]) -> pd.DataFrame:
    """Return what moved from one comparison to another, one row a figure of a defense in a setting.

    Parameters
    ----------
    before, after : records of A and of B

    Returns
    -------
    DataFrame : settings in order, the headline first, then clean images and costs; in each what moved, by size, then
        what chance explains, what is the same, and what stands on one side only or cannot be compared, with the
        ``reason``. Shares are in [0, 1]; ``difference`` is B minus A on the images and seeds of both, with the 95 %
        interval of the paired difference. The columns are described in docs/reference/records.md.
    """
    a, b = list(before), list(after)
    lines = [*_attacked(a, b), *_clean(a, b), *cost_lines(a, b)]
    numbers: dict[tuple[object, ...], int] = {}
    for told in lines:
        told["setting"] = numbers.setdefault(tuple(told[name] for name in SETTING), len(numbers))
    lines.sort(key=_place)
    return pd.DataFrame(lines, columns=list(DIFFERENCE_COLUMNS))


def _place(told: Mapping[str, Any]) -> tuple[object, ...]:
    moved_first = max(0, WORDS.index(told["verdict"]) - 1)  # lower and higher stand together
    return (told["setting"], moved_first, -size(told), told["defense"], list(UNITS).index(told["figure"]))


def _attacked(before: list[Record], after: list[Record]) -> list[dict[str, Any]]:
    a, b = ({(row.setting, row.label): row for row in rows(side) if _is_attacked(row)} for side in (before, after))
    order = {key: number for number, key in enumerate({**b, **a})}
    pairs = sorted(match(a, b), key=lambda pair: min(order[key] for key in pair[:2] if key is not None))
    return [
        told
        for pair in pairs
        for figure, knowledge in ATTACKED.items()
        for told in _lines(
            (a, b), pair, figure, partial(Row.left, knowledge=knowledge), partial(Row.met, knowledge=knowledge)
        )
    ]


def _is_attacked(row: Row) -> bool:
    return any(part.attacks or part.elsewhere for part in row.replicates)


def _clean(before: list[Record], after: list[Record]) -> list[dict[str, Any]]:
    sides = (clean_rows(before), clean_rows(after))
    return [told for pair in match(*sides) for told in _lines(sides, pair, CLEAN, clean_shares, Row.judged)]


def _lines(
    sides: Sides,
    pair: Matched,
    figure: str,
    shares: Callable[[Row], Values | None],
    seeds: Callable[[Row], Collection[Seeds]],
) -> list[dict[str, Any]]:
    """Return the line of a figure of two rows; none where neither has it.

    Parameters
    ----------
    shares, seeds : the figure of a row, and the seeds that it is of
    """
    *keys, why = pair
    a, b = (side[key] if key else None for side, key in zip(sides, keys, strict=True))
    if a and b and not why:
        a, b, why = common(a, b, seeds)
    before, after = (shares(row) if row else None for row in (a, b))
    if before is None and after is None:
        return []
    key = pair[1] or pair[0]
    assert key is not None
    told = line(key, figure, *(np.nan if side is None else float(side.mean()) for side in (before, after)))
    if before is None or after is None:
        told["verdict"] = "only in B" if before is None else "only in A"
    elif why:
        told |= {"verdict": "not comparable", "reason": why}
    else:
        assert a is not None
        assert b is not None
        n = min(len(before), len(after))
        told |= _compared(before[:n], after[:n])
        told |= _explained(a, b, figure, told["verdict"], n)
    return [told]


def _compared(before: Values, after: Values) -> dict[str, Any]:
    told = {"before": float(before.mean()), "after": float(after.mean()), "images": len(before)}
    told |= judged(paired_difference(before, after))
    return told | ({"verdict": "same"} if np.array_equal(before, after) else {})


def _explained(a: Row, b: Row, figure: str, verdict: str, images: int) -> dict[str, Any]:
    """Return what is behind a figure of so many images that moved, and what else is not the same."""
    if figure == CLEAN:
        return {"changed": "; ".join(causes.versions(a.records, b.records))}
    told: dict[str, Any] = {"changed": causes.changed(a, b), "missing": causes.missing(a, b, ATTACKED[figure])}
    if verdict in ("lower", "higher"):
        found = causes.cause(*((b, a) if verdict == "lower" else (a, b)), images, ATTACKED[figure])
        if found is not None:
            told |= {
                "attack": found.attack or "clean images",
                "knowledge": found.knowledge,
                "attack_images": found.images,
                "changed_images": found.lost,
            }
    return told
