"""``bench report``: from records to a report again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from bench.cli.options import JSON, folder
from bench.errors import ExitCode, UsageError


@click.command(
    epilog="\b\nExamples:\n"
    "  bench report reports/latest --out again\n"
    "  bench report mine/records.jsonl theirs/records.jsonl --out merged\n"
)
@click.argument("sources", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Where the report goes.  [default: reports/merged]",
)
@click.option("--html/--no-html", default=True, help="Write the HTML page.")
@JSON
def command(*, sources: tuple[str, ...], out: str | None, html: bool, as_json: bool) -> int:
    """Write one report of the records of stores, report folders or record files; several merge into one comparison.

    Without SOURCES, the store's own records.
    """
    from bench import api
    from bench.analysis.generations import newest
    from bench.reporting import show, write

    records = api.load(sources or [str(api.open_store().root)])
    if not records:
        raise UsageError(
            f"No records in {', '.join(sources) or 'the store'}. Run `bench run` first, or name a records.jsonl."
        )
    place = folder(out) or Path("reports/merged").absolute()
    files = write(records, place, html=html, command="bench " + shlex.join(sys.argv[1:]))
    if as_json:
        click.echo(files["leaderboard.json"].read_text())
    else:
        show(records)
    for what in newest(records)[1]:
        click.echo(f"left out: {what}", err=True)
    click.echo(f"report: {files.get('html', place)}", err=True)
    return ExitCode.DONE
