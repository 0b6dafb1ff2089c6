"""``bench run``: run a comparison."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bench.cli.failed import say_failed
from bench.cli.left_out import say_left_out_of_run
from bench.cli.options import EXECUTION, JSON, SELECTION, STORE, folder, with_options
from bench.errors import ExitCode

EPILOG = """\b
Examples:
  bench run --defenses superiot,qusec --attacks all
  bench run --defenses all --datasets mnist --data-dir ~/data --norm linf --budget standard
  bench run --config study.toml --jobs 2 --out reports/study

Exit codes: 0, all that was asked for is there; 1, the run ended and some cells are errors; 2, a flag, name, file or
folder is wrong and nothing was started; 3, --strict, and a row could not be ranked; 4, nothing was selected; 130,
interrupted: the same command goes on.
"""


@click.command(epilog=EPILOG)
@with_options(*SELECTION, STORE, *EXECUTION)
@JSON
def command(
    *,
    store: str | None,
    jobs: int | None,
    out: str | None,
    html: bool,
    retry: bool,
    strict: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Run a comparison and write its leaderboard and report.

    What is in the store is not computed again: after an interruption the same command goes on where it stopped.
    """
    from bench import api
    from bench.execution.progress import watcher
    from bench.reporting import reserved, show, write

    spec = api.specification(**flags)
    say_left_out_of_run(spec)
    place = folder(out) or Path("reports").absolute() / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    click.get_current_context().with_resource(reserved(place))
    call = "bench " + shlex.join(sys.argv[1:])
    ended = api.execute(spec, store=folder(store), jobs=jobs or 0, watcher=watcher(), command=call, retry=retry)
    if not ended.records:
        click.echo("bench: nothing was selected that could be run.", err=True)
        return ExitCode.NOTHING
    files = write(ended.records, place, html=html, command=call, cache=api.open_store(folder(store)).root / "cache")
    if out is None:
        _link_latest(place)
    if as_json:
        click.echo(files["leaderboard.json"].read_text())
    else:
        show(ended.records)
    click.echo(f"{ended.executed} tasks executed, {ended.reused} reused", err=True)
    say_failed(ended)
    click.echo(f"report: {files.get('html', place)}", err=True)
    if ended.broken:
        return ExitCode.CELLS_FAILED
    if strict and _unranked(ended.records):
        return ExitCode.VERDICT
    return ExitCode.DONE


def _link_latest(place: Path) -> None:
    latest = place.parent / "latest"
    temporary = place.parent / f".latest-{place.name}"
    if latest.is_symlink() or not latest.exists():
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(place.name)
        temporary.replace(latest)


def _unranked(records: list[dict[str, Any]]) -> bool:
    from bench.analysis import leaderboard
    from bench.analysis.ladder import CORE

    board = leaderboard(records)
    without_ladder = {norm for norm, core in CORE.items() if not core}
    return bool(((board["status"] != "ranked") & ~board["norm"].isin(without_ladder)).any())
