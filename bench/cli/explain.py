"""``bench explain``: what a key stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from bench.cli.options import JSON, STORE, echo_json, folder
from bench.errors import ExitCode, UsageError

_COLOURS = {"fail": "red", "warn": "yellow", "pass": "green"}


@click.command(
    epilog="\b\nExamples:\n  bench explain 3f2a9c\n  bench explain 3f2a9c --records reports/mnist/records.jsonl.gz\n"
)
@click.argument("key")
@STORE
@click.option(
    "--records",
    "sources",
    multiple=True,
    type=click.Path(exists=True),
    metavar="FILE",
    help="Look in these record files, report folders or stores instead of the store. May be given again.",
)
@JSON
def command(*, key: str, store: str | None, sources: tuple[str, ...], as_json: bool) -> int:
    """Show what a key (or its first digits) stands for: all that would change it, how it ended, what gates say.

    A key of a published cells.csv is in the records.jsonl beside it: name that with --records.
    """
    from bench import api

    if not key:
        raise UsageError("Give a key, or its first digits: cells.csv and the pages of a report name them.")
    opened = None if sources else _store(store)
    known = api.load(sources) if opened is None else opened.records()
    records = [r for r in known if r["run_key"].startswith(key) or r["cell_id"].startswith(key)]
    if opened is None and not records:
        raise UsageError(
            f"No key of a record begins with {key!r} in {', '.join(sources)}. The cells.csv beside them names them."
        )
    tasks = {} if opened is None or records else {name: opened.preimage(name) for name in [opened.complete(key)]}
    verdicts = api.verdicts(known, records) if records else {}
    if as_json:
        told = {run: [{"where": where, **verdict} for where, verdict in said] for run, said in verdicts.items()}
        echo_json({"records": records, "tasks": tasks, "gates": told})
        return ExitCode.DONE
    _show(records, verdicts)
    for name, preimage in tasks.items():
        _show_task(opened, name, preimage)
    return ExitCode.DONE


def _store(named: str | None) -> Any:
    """Return the store to look in; who has none may have a report's records."""
    from bench import api

    try:
        return api.existing_store(folder(named))
    except UsageError as error:
        raise UsageError(f"{error} `bench explain --records` takes the records that lie beside a report.") from error


def _show(records: Sequence[dict[str, Any]], verdicts: dict[str, list[tuple[str, dict[str, str]]]]) -> None:
    from bench.reporting.wording import plain

    for record in records:
        click.secho(f"cell {record['cell_id']} run {record['run_key']}: {record['status']}", bold=True)
        for where, verdict in verdicts.get(record["run_key"], []):
            mark = click.style(f"{verdict['outcome']:4}", fg=_COLOURS.get(verdict["outcome"]))
            click.echo(f"  {mark}  {plain(verdict['name'])} ({where}): {plain(verdict['evidence'])}")
        echo_json({k: v for k, v in record.items() if k not in {"outcomes", "pictures", "measurements", "gates"}})


def _show_task(store: Any, name: str, preimage: object) -> None:
    ended = store.failure(name)
    state = f"{ended['status']}: {ended['reason']}" if ended else "done" if store.has(name) else "not there"
    click.secho(f"task {name}: {state}", bold=True)
    echo_json(preimage)
    for what in ("trace", "printed"):
        if ended and ended.get(what):
            click.secho(what, bold=True)
            click.echo(ended[what])
