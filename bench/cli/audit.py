"""``bench audit``: one defense, the whole ladder, a verdict page."""

from __future__ import annotations

import math
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from bench.cli.failed import say_failed
from bench.cli.left_out import say_left_out_of_run
from bench.cli.options import JOBS, JSON, PLACES, RETRY, STORE, TERMS, folder, with_options
from bench.errors import ExitCode, UsageError

EPILOG = """\b
Examples:
  bench audit 'qusec-cq[levels=2]'
  bench audit superiot --datasets mnist --data-dir ~/data --budget standard --seeds 0,1,2
  bench audit jpeg --datasets cifar10 --eps 0,2/255,4/255,8/255 --fail-under 30
"""


@click.command(epilog=EPILOG)
@click.argument("defense")
@with_options(*PLACES)
@click.option(
    "--attacks",
    default="",
    metavar="SELECTION",
    help="Attacks to run instead of the usual list (core, controls, every way to a gradient, strong ones).",
)
@click.option("--norm", default="linf", show_default=True, metavar="NORMS", help="linf, l2, l1, l0.")
@with_options(*TERMS, STORE)
@with_options(JOBS)
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    default=None,
    metavar="FOLDER",
    help="Where audit.md, audit.html and records.jsonl go.  [default: reports/audit-DEFENSE]",
)
@click.option(
    "--fail-under",
    type=click.FloatRange(min=0, max=100),
    default=None,
    metavar="PERCENT",
    help="End with exit code 3 where robust accuracy is lower, its whole interval with it, such as 30.",
)
@with_options(RETRY, JSON)
def command(
    *,
    defense: str,
    store: str | None,
    jobs: int | None,
    out: str | None,
    fail_under: float | None,
    retry: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Attack DEFENSE by the whole ladder and write a verdict page that can be attached.

    The page has what is claimed, what each kind of attacker leaves (with intervals), which attack broke what, the
    gates, the cost and the budgets, and one word for each threat: broken, unbroken, certified, incomplete, or not
    ranked with the gate that failed.

    Ends with exit code 3 where a threat's verdict is incomplete or not ranked, or where --fail-under says so. That a
    defense is broken is a result and no failure. What is in the store is not computed again.
    """
    from bench import api
    from bench.execution.progress import watcher
    from bench.reporting import reserved, verdict, wording

    if fail_under is not None and math.isnan(fail_under):
        raise UsageError("--fail-under must be a number of per cent, such as 30.")
    spec = api.audit_specification(defense, **flags)
    say_left_out_of_run(spec)
    place = folder(out) or Path("reports").absolute() / f"audit-{_slug(defense)}"
    click.get_current_context().with_resource(reserved(place))
    call = "bench " + shlex.join(sys.argv[1:])
    ended = api.execute(spec, store=folder(store), jobs=jobs or 0, watcher=watcher(), command=call, retry=retry)
    found = api.audit_of(ended.records, defense)
    if not any(record["kind"] == "attack" and not record.get("probe") for record in ended.records):
        click.echo(
            f"bench: no attack was run on {defense}: none that was selected suits it and has this norm.", err=True
        )
        return ExitCode.NOTHING
    if not found.settings:
        raise UsageError(f"Nothing of {defense!r} was evaluated.")
    cache = api.open_store(folder(store)).root / "cache"
    files = verdict.write(found, ended.records, place, command=call, cache=cache)
    if as_json:
        click.echo(verdict.as_json(found))
    else:
        verdict.show(found)
    click.echo(f"{ended.executed} tasks executed, {ended.reused} reused", err=True)
    say_failed(ended)
    click.echo(f"audit: {files['audit.html']}", err=True)
    failed = False
    for one in found.settings:
        where = wording.plain(wording.setting_title(one.line))
        if not one.is_settled:
            click.echo(f"{where}: {wording.plain(one.verdict)}: {wording.plain(one.line['reasons'])}", err=True)
        under = fail_under is not None and one.is_under(fail_under / 100)
        if under:
            click.echo(f"{where}: robust accuracy is under {fail_under:g} %", err=True)
        failed = failed or under or not one.is_settled
    if failed:
        return ExitCode.VERDICT
    return ExitCode.CELLS_FAILED if ended.broken else ExitCode.DONE


def _slug(defense: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", defense.lower()).strip("-")
