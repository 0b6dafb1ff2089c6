"""``bench check``: whether a plugin keeps its contract."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from bench.cli.left_out import say_left_out
from bench.cli.options import JSON, echo_json
from bench.errors import ExitCode, UnknownName, UsageError


@click.command(epilog="\b\nExamples:\n  bench check superiot\n  bench check 'qusec-tq[levels=2]'\n")
@click.argument("name")
@JSON
def command(*, name: str, as_json: bool) -> int:
    """Run the conformance suite on the plugin NAME.

    Shapes and range, randomness and derivatives as declared, the wire, the export, state, batches.
    """
    from bench.conformance import check_selection
    from bench.conformance.suite import KINDS

    say_left_out(dict.fromkeys(KINDS, name))
    try:
        results = check_selection(name)
    except UnknownName as error:
        if (package := Path(f"bench-defense-{name}")).is_dir():
            raise UsageError(f"Plugin {name!r} is not installed. Run: pip install -e {package}") from error
        raise
    failed = [result for result in results if result.outcome == "fail"]
    if as_json:
        echo_json([asdict(result) for result in results])
    else:
        for result in results:
            colour = {"pass": "green", "fail": "red"}.get(result.outcome, "yellow")
            click.echo(click.style(f"{result.outcome:5}", fg=colour) + f" {result.name}: {result.evidence}")
        click.echo(f"{len(results)} checks, {len(failed)} failed")
    return ExitCode.VERDICT if failed else ExitCode.DONE
