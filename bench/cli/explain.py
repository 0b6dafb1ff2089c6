"""``bench explain``: what a key stands for."""

from __future__ import annotations

import click

from bench.cli.options import JSON, STORE, echo_json, folder
from bench.errors import ExitCode, UsageError

_COLOURS = {"fail": "red", "warn": "yellow", "pass": "green"}


@click.command(epilog="\b\nExample:\n  bench explain 3f2a9c\n")
@click.argument("key")
@STORE
@JSON
def command(*, key: str, store: str | None, as_json: bool) -> int:
    """Show what a key (or its first digits) stands for: all that would change it, how it ended, what gates say."""
    from bench import api
    from bench.reporting.wording import plain

    if not key:
        raise UsageError("Give a key, or its first digits: cells.csv and the pages of a report name them.")
    opened = api.open_store(folder(store))
    records = [r for r in opened.records() if r["run_key"].startswith(key) or r["cell_id"].startswith(key)]
    tasks = {} if records else {name: opened.preimage(name) for name in [opened.complete(key)]}
    if as_json:
        found = api.verdicts(opened, records) if records else {}
        told = {run: [{"where": where, **verdict} for where, verdict in said] for run, said in found.items()}
        echo_json({"records": records, "tasks": tasks, "gates": told})
        return ExitCode.DONE
    verdicts = api.verdicts(opened, records) if records else {}
    for record in records:
        click.secho(f"cell {record['cell_id']} run {record['run_key']}: {record['status']}", bold=True)
        for where, verdict in verdicts.get(record["run_key"], []):
            mark = click.style(f"{verdict['outcome']:4}", fg=_COLOURS.get(verdict["outcome"]))
            click.echo(f"  {mark}  {plain(verdict['name'])} ({where}): {plain(verdict['evidence'])}")
        echo_json({k: v for k, v in record.items() if k not in {"outcomes", "pictures", "measurements", "gates"}})
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
