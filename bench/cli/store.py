"""``bench store``: the space that results take."""

from __future__ import annotations

import click

from bench.cli.options import STORE, folder
from bench.errors import ExitCode


@click.group()
def command() -> None:
    """Show or free the space that results take."""


@command.command("du")
@STORE
def du(*, store: str | None) -> int:
    """Show how many bytes the store takes."""
    from bench import api

    opened = api.existing_store(folder(store))
    click.echo(f"{opened.root}: {opened.du().total_bytes / 1e6:.1f} MB, {len(opened.records())} records")
    return ExitCode.DONE


@command.command("gc")
@STORE
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def gc(*, store: str | None, dry_run: bool) -> int:
    """Remove damaged and unreferenced objects."""
    from bench import api

    opened = api.open_store(api.existing_store(folder(store)).root)
    gone = opened.gc(dry_run=dry_run)
    click.echo(f"{'would free' if dry_run else 'freed'} {gone.bytes / 1e6:.1f} MB in {len(gone.paths)} files")
    return ExitCode.DONE
