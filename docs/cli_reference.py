"""Write docs/reference/cli.md from the command line's own help: ``python docs/cli_reference.py``."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from bench.cli import app

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEADING = """\
# Command line

<!-- Written by docs/cli_reference.py from the commands themselves. -->

Progress goes to standard error, results to standard output; `--json` prints them for programs.
`NO_COLOR` switches colours off. Selections such as `qusec-tq[levels=4]` are described [here](selection.md),
configuration files and exit codes [there](config.md).
"""


def page() -> str:
    """Return the page."""
    parts = [HEADING]
    for verb in app.VERBS:
        command: click.Command = importlib.import_module(f"bench.cli.{verb}").command
        parts += _sections(command, f"bench {verb}")
    return "\n".join(parts)


def _sections(command: click.Command, path: str) -> list[str]:
    names = app.bench.context_settings["help_option_names"]  # as each verb inherits them
    context = click.Context(
        command, info_name=path, max_content_width=100, terminal_width=100, color=False, help_option_names=names
    )
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    parts = [f"## {path}\n\n```text\n{text}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                parts += _sections(child, f"{path} {name}")
    return parts


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
