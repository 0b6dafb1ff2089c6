"""``bench completion``: names completed by your shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from bench.errors import ExitCode


@click.command(epilog="\b\nExample:\n  bench completion bash >> ~/.bashrc\n")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> int:
    """Print the script that completes verbs, flags and plugin names in SHELL."""
    from bench.cli.app import bench

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(bench, {}, "bench", "_BENCH_COMPLETE").source())
    return ExitCode.DONE
