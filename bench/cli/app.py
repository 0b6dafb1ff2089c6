"""The ``bench`` command and its verbs, each imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from bench.errors import BenchError, ExitCode, UnknownName, UsageError
from bench.usual import ours

VERBS = {
    "run": "Run a comparison and write its leaderboard and report.",
    "plan": "Show what a run would consist of; executes nothing.",
    "audit": "Attack one defense by the whole ladder and write a verdict page.",
    "status": "Show what the store holds and what of a run is missing.",
    "report": "Write a report again from records; several stores or files merge.",
    "diff": "Show what moved between two runs, by how much, and whether it is noise.",
    "plugins": "List all plugins, or show the parameters of one.",
    "cite": "Print what to cite for a plugin, plain and as BibTeX.",
    "explain": "Show what a key stands for and how its task ended.",
    "store": "Show or free the space that results take.",
    "fit": "Fit a defense and write what it learned, for a plugin to ship.",
    "new": "Write a new plugin package that runs and passes its own test.",
    "check": "Check a plugin against its contract.",
    "completion": "Print the script that completes names in your shell.",
}
EPILOG = """\b
Examples:
  bench run --defenses superiot,qusec --attacks all
  bench run --defenses 'qusec-tq[levels=4]' --datasets mnist --data-dir ~/data --budget standard
  bench plugins qusec-tq
  bench report ~/.cache/edge-defense-bench other-lab/records.jsonl --out merged

Exit codes: 0, all that was asked for is there; 1, some cells are errors; 2, a flag, name, file or folder is wrong and
nothing was started; 3, a verdict that was asked for is "no"; 4, nothing was selected; 130, interrupted. Of a flag that
is given twice the last one counts.
"""


class Verbs(click.Group):
    """Knows the verbs by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f"bench.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(str(UnknownName("command", args[0], VERBS)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="edge-defense-bench", message="edge-defense-bench %(version)s")
def bench() -> None:
    """Compare defenses of neural networks on edge devices: security under adaptive attack and cost, side by side."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with one of ``bench.errors.ExitCode``."""
    try:
        code = bench.main(args=arguments, standalone_mode=False)
        sys.exit(int(code or ExitCode.DONE))
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption):
            error = _as_meant(error)
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nInterrupted. What is in the store is kept; the same command goes on from there.", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except BenchError as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(_code(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(ExitCode.DONE)


def _as_meant(error: click.NoSuchOption) -> click.UsageError:
    """Return the error with the flag that is usually meant, instead of those that are spelled alike."""
    parameters = error.ctx.command.params if error.ctx else []
    flags = {option.strip("-") for parameter in parameters for option in parameter.opts}
    flag = ours(error.option_name, flags)
    # click drops a proposal that is not spelled alike, so it stands in the message.
    return click.UsageError(f"{error.message} Did you mean '--{flag}'?", error.ctx) if flag else error


def _code(error: BenchError) -> ExitCode:
    from bench.planning.selected import NothingSelected  # with all of planning, which help does without

    if isinstance(error, NothingSelected):
        return ExitCode.NOTHING
    return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.CELLS_FAILED
