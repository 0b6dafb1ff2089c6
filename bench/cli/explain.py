"""``bench explain``: what a key stands for."""

from __future__ import annotations

import click

from bench.cli.options import JSON, STORE, echo_json, folder
from bench.errors import ExitCode


@click.command(epilog="\b\nExample:\n  bench explain 3f2a9c\n")
@click.argument("key")
@STORE
@JSON
def command(*, key: str, store: str | None, as_json: bool) -> int:
    """Show what a key (or its first digits) stands for: everything that would change it, and how it ended."""
    from bench import api

    opened = api.open_store(folder(store))
    records = [r for r in opened.records() if r["run_key"].startswith(key) or r["cell_id"].startswith(key)]
    tasks = {} if records else {name: opened.preimage(name) for name in [opened.complete(key)]}
    if as_json:
        echo_json({"records": records, "tasks": tasks})
        return ExitCode.DONE
    for record in records:
        click.secho(f"cell {record['cell_id']} run {record['run_key']}: {record['status']}", bold=True)
        echo_json({k: v for k, v in record.items() if k not in {"outcomes", "pictures", "measurements"}})
    for name, preimage in tasks.items():
        ended = opened.failure(name)
        state = f"{ended['status']}: {ended['reason']}" if ended else "done" if opened.has(name) else "not there"
        click.secho(f"task {name}: {state}", bold=True)
        echo_json(preimage)
        for what in ("trace", "printed"):
            if ended and ended.get(what):
                click.secho(what, bold=True)
                click.echo(ended[what])
    return ExitCode.DONE
