"""Views of the frames: files, a table for the terminal, one self-contained page.

Nothing is imported before it is used: pandas, Jinja and the charts cost a second together.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.records import Record

__all__ = ["reserved", "show", "show_differences", "write"]


def reserved(out: Path) -> AbstractContextManager[None]:
    """Make the output folder and see that it can be written to, before work is done that would be lost.

    At the end, folders that were made for it are taken away again where nothing was written.

    Raises
    ------
    UsageError : the folder cannot be made or written to
    """
    from bench.reporting import files

    return files.reserved(out)


def write(
    records: Iterable[Record], out: Path, *, html: bool = True, command: str = "", cache: Path | None = None
) -> dict[str, Path]:
    """Write the comparison to a folder: its frames as CSV, some as JSON and Markdown too, the records, and the page.

    Parameters
    ----------
    command : what was typed, shown on the page
    cache : folder for drawn charts; the same numbers are not drawn twice

    Returns
    -------
    dict : "leaderboard.csv", "leaderboard.json", "leaderboard.md", "cells.csv", ..., "records", "html" -> path

    Raises
    ------
    UsageError : the folder cannot be written to, or the disk is full; files that were there before stay as they were
    """
    from bench.reporting import files

    return files.write(list(records), Path(out), html=html, command=command, cache=cache)


def show(records: Iterable[Record]) -> None:
    """Print the leaderboard to standard output."""
    from bench.reporting import terminal

    terminal.show(list(records))


def show_differences(frame: pd.DataFrame) -> None:
    """Print what moved between two comparisons, a frame of ``bench.analysis.differences``."""
    from bench.reporting import differences

    differences.show(frame)
