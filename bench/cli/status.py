"""``bench status``: what is there and what is missing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from bench.cli.options import JSON, OF_A_RUN, SELECTION, STORE, echo_json, folder, with_options
from bench.errors import ExitCode


@click.command(epilog="\b\nExamples:\n  bench status\n  bench status --defenses superiot --attacks pgd-linf\n")
@with_options(*SELECTION, STORE, JSON, *OF_A_RUN)
def command(*, store: str | None, as_json: bool, **flags: Any) -> int:
    """Show, for a run as these flags name it, which cells are done, missing, failed or stale.

    Stale cells were computed, by code or libraries that have changed since; a run computes them again.
    """
    from bench import api

    opened = api.open_store(folder(store))
    made = api.plan(store=folder(store), **flags)
    records = opened.records()
    known = {record["cell_id"] for record in records}
    rows = []
    for cell in made.cells:
        record = opened.record(cell.run_key)
        state = (
            record["status"]
            if record
            else cell.status or ("stale: code changed" if cell.cell_id in known else "missing")
        )
        rows.append(
            {
                "state": state,
                "what": cell.label,
                "run_key": cell.run_key,
                "reason": (record or {}).get("reason", cell.reason),
            }
        )
    if as_json:
        echo_json({"store": str(opened.root), "records": len(records), "settled": made.settled, "cells": rows})
        return ExitCode.DONE
    click.echo(f"store {opened.root}: {len(records)} records, {opened.du().total_bytes / 1e6:.1f} MB")
    for state, count in Counter(row["state"] for row in rows).items():
        click.echo(f"{count:6} {state}")
    for row in rows:
        if row["state"] in {"failed", "timed-out"}:
            click.echo(f"{row['run_key'][:8]} {row['state']}: {row['what']}: {row['reason']}")
    if not made.settled:
        click.echo("Some data sets are not read or defenses not fitted yet; their cells are counted as usual ones.")
    return ExitCode.DONE
