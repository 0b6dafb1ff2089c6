"""What a run says at its end of what has no result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bench.execution.run import Run


def say_failed(ended: Run) -> None:
    """Say on standard error why cells have no result, a line each reason, and what was not tried this time."""
    told: dict[tuple[str, str], list[str]] = {}
    for record in (*ended.late, *ended.broken):
        told.setdefault((record["status"], record["reason"]), []).append(_what(record))
    for (status, reason), cells in told.items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        click.echo(f"{status}: {cells[0]}{more}: {reason}", err=True)
    if ended.remembered:
        click.echo("What failed in an earlier run was not tried again. Give --retry to try it.", err=True)


def _what(record: dict[str, Any]) -> str:
    parts = [record[kind]["label"] for kind in ("dataset", "defense", "attack", "hardware") if kind in record]
    return " · ".join([*parts, record.get("knowledge", "")]).rstrip(" ·")
