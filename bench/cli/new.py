"""``bench new``: start a plugin."""

from __future__ import annotations

from pathlib import Path

import click

from bench.errors import ExitCode


@click.group()
def command() -> None:
    """Write a new plugin package that runs and passes its own test."""


@command.command(
    "defense",
    epilog="\b\nExample:\n  bench new defense blur && pip install -e bench-defense-blur && bench check blur\n",
)
@click.argument("name")
@click.option(
    "--folder",
    default=".",
    type=click.Path(file_okay=False),
    show_default=True,
    help="Where the package's folder goes.",
)
def defense(*, name: str, folder: str) -> int:
    """Write the package of a new defense called NAME."""
    from bench.scaffold import new_defense

    files = new_defense(name, Path(folder))
    for file in files:
        click.echo(str(file))
    click.echo(f"next: pip install -e {Path(folder) / f'bench-defense-{name}'} && bench check {name}", err=True)
    return ExitCode.DONE
