"""The lines of the tables of detectors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bench.analysis.detectors import worst_variants
from bench.reporting import wording

Row = dict[str, Any]


def lines(detectors: Iterable[Row], cells: Iterable[Row]) -> list[Row]:
    """Return the lines of detectors, of the variants of one attack the worst, named without what it was given.

    Where two settings of one attack would be called the same, what they were given stays.

    Parameters
    ----------
    detectors, cells : rows of one setting, of ``bench.analysis.detection`` and ``bench.analysis.cells``

    Returns
    -------
    list : the rows left, with ``asked``, the name to show, and ``samples``, the images that ``accuracy`` is of, None
        where no cell tells
    """
    samples: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        if cell["status"] == "ok":
            place = (cell["defense"], cell["knowledge"], cell["attack"])
            samples[place] = max(cell["samples"], samples.get(place, 0))
    found = worst_variants(detectors)
    short = Counter((row["defense"], row["knowledge"], wording.without_parameters(row["asked"])) for row in found)
    for row in found:
        name = wording.without_parameters(row["asked"])
        row["asked"] = name if short[row["defense"], row["knowledge"], name] == 1 else row["asked"]
        row["samples"] = samples.get((row["defense"], row["knowledge"], row["attack"]))
    return sorted(found, key=lambda row: (row["defense"], row["control"], row["accuracy"]))


def alarms(ranks: Sequence[Row], detectors: Iterable[Row]) -> list[Row]:
    """Return one line for each detector: its rank, of how many, and what it flags of clean images.

    Parameters
    ----------
    ranks, detectors : rows of one setting, of ``bench.analysis.detector_ranks``, which are of detectors that were
        attacked, and of ``bench.analysis.detection``, which are of all
    """
    found = {row["defense"]: row for row in ranks}
    for row in detectors:
        found.setdefault(row["defense"], _unattacked(row))
    lines = [dict(row) for row in found.values()]
    for name in ("rank_at_5", "rank_at_1"):
        ranked = [row for row in lines if row[name]]
        for row in ranked:
            row[name] = f"{row[name]} of {len(ranked)}"
    return lines


def _unattacked(row: Row) -> Row:
    names = ("defense", "false_positives", "false_positives_low", "false_positives_high")
    nothing = {"held": math.nan, "held_images": 0, "rank_at_5": "", "rank_at_1": "", "reason": "no attack was run"}
    return {name: row[name] for name in names} | {"samples": row["clean_images"]} | nothing
