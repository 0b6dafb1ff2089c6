"""``bench diff``: two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from bench.cli.options import JSON, echo_json
from bench.errors import ExitCode

if TYPE_CHECKING:
    from bench.analysis.bounds import Judgement

EPILOG = """\b
Examples:
  bench diff reports/before reports/after
  bench diff main.jsonl mine.jsonl --fail-if 'robust_accuracy drops 2' --fail-if 'uplink_bytes rises 10% for superiot'
"""


def _figures(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from bench.analysis.figures import UNITS

    return [CompletionItem(figure) for figure in UNITS if figure.startswith(incomplete)]


@click.command(epilog=EPILOG)
@click.argument("before", metavar="A", type=click.Path(exists=True))
@click.argument("after", metavar="B", type=click.Path(exists=True))
@click.option(
    "--fail-if",
    "bounds",
    multiple=True,
    shell_complete=_figures,
    metavar="BOUND",
    help="End with exit code 3 where FIGURE drops|rises AMOUNT [points|%] [for DEFENSE], such as "
    "'robust_accuracy drops 2'. May be given again.",
)
@click.option(
    "--allow-unjudged",
    is_flag=True,
    help="Do not fail where a bound could not be judged of something that A has: it is missing in B, attacks on it "
    "failed there, or it was not asked in the same way.",
)
@click.option("--csv", "table", type=click.Path(dir_okay=False), metavar="FILE", help="Write every figure as CSV.")
@JSON
def command(
    *, before: str, after: str, bounds: tuple[str, ...], allow_unjudged: bool, table: str | None, as_json: bool
) -> int:
    """Show what moved between A and B, by how much, and whether it is noise.

    A and B are stores, report folders or record files. Accuracies are compared on the images and seeds of both, image
    by image, with the 95 % interval of the paired difference; what was not asked in the same way is named and not
    compared.

    A bound is broken where the figure went that way by AMOUNT or more and chance is a poor explanation: the interval
    leaves 0 out, and p is below .05 also when corrected for all defenses that the bound is asked of. AMOUNT is in
    points for accuracies and in the figure's own unit for costs; with % it is relative to A. What A has and B has not,
    and accuracies for which attacks of A failed in B, are not judged and fail too, unless --allow-unjudged is given. A
    bound for which nothing can be compared is an error.
    """
    from bench import api
    from bench.analysis.bounds import judge, parse
    from bench.reporting import show_differences, wording
    from bench.reporting.differences import broken, held, unjudged
    from bench.reporting.files import as_csv, write_whole
    from bench.reporting.files import as_json as frame_as_json

    asked = [parse(text) for text in bounds]
    frame = api.diff(before, after)
    lines = wording.rows_of(frame)
    judgements = [judge(bound, lines) for bound in asked]
    if table:
        write_whole(Path(table).absolute(), as_csv(frame), advice="Name another file with --csv.")
    if as_json:
        echo_json({"figures": json.loads(frame_as_json(frame)), "bounds": [_told(found) for found in judgements]})
    else:
        show_differences(frame)
    for found in judgements:
        for text in [*unjudged(found), *broken(found), *held(found)]:
            click.echo(text, err=True)
    failed = any(found.broken or (found.is_open and not allow_unjudged) for found in judgements)
    return ExitCode.VERDICT if failed else ExitCode.DONE


def _told(found: Judgement) -> dict[str, Any]:
    names = ("dataset", "model", "norm", "epsilon", "budget", "defense", "difference", "low", "high", "p")
    return {
        "bound": found.bound.text,
        "broken": [{name: line[name] for name in names} for line in found.broken],
        "judged": found.judged,
        "not_judged": [
            {name: line[name] for name in ("defense", "verdict", "reason", "missing")} for line in found.unjudged
        ],
    }
