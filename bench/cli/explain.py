"""``bench explain``: what a key stands for."""

from __future__ import annotations

import click

from bench.cli.options import JSON, STORE, echo_json, folder
from bench.errors import ExitCode, UnknownName


@click.command(epilog="\b\nExample:\n  bench explain 3f2a9c\n")
@click.argument("key")
@STORE
@JSON
def command(*, key: str, store: str | None, as_json: bool) -> int:
    """Show what a key (or its first digits) stands for: everything that would change it, and how it ended."""
    from bench import api

    opened = api.open_store(folder(store))
    records = [r for r in opened.records() if r["run_key"].startswith(key) or r["cell_id"].startswith(key)]
    preimage = opened.preimage(key)
    if not records and preimage is None:
        raise UnknownName("key", key, [r["run_key"] for r in records])
    shown = {"records": records, "preimage": preimage}
    if as_json:
        echo_json(shown)
        return ExitCode.DONE
    for record in records:
        click.secho(f"cell {record['cell_id']} run {record['run_key']}: {record['status']}", bold=True)
        brief = {k: v for k, v in record.items() if k not in {"outcomes", "pictures", "measurements"}}
        echo_json(brief)
    if preimage is not None:
        click.secho(f"task {key}", bold=True)
        echo_json(preimage)
    return ExitCode.DONE
