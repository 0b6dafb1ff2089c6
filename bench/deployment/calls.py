"""Calls of one shape: floating point depends on it, so that else a result would on the size of a block."""

from __future__ import annotations

from collections.abc import Iterator

ROWS = 16  # of every call


def calls(count: int) -> Iterator[tuple[list[int], int]]:
    """Yield the rows of each call for so many images, the last one's filled up with its last row, and how many count.

    Examples
    --------
    >>> [(len(rows), rows[-1], counting) for rows, counting in calls(18)]
    [(16, 15, 16), (16, 17, 2)]
    """
    for start in range(0, count, ROWS):
        rows = list(range(start, min(start + ROWS, count)))
        yield rows + rows[-1:] * (ROWS - len(rows)), len(rows)
