"""What several verbs say of plugins that were left out and may have been meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from bench.plugins.registry import Kind

if TYPE_CHECKING:
    from bench.planning.specification import RunSpecification


def say_left_out_of_run(spec: RunSpecification) -> None:
    """Say on standard error which broken plugins a run may have meant, a line each."""
    from bench.planning.own_model import is_own_model

    texts: dict[Kind, str] = {
        "defense": spec.defenses,
        "attack": spec.attacks,
        "dataset": spec.datasets,
        "hardware": spec.hardware,
    }
    if not is_own_model(spec.models):
        texts["model"] = spec.models
    say_left_out(texts)


def say_left_out(texts: Mapping[Kind, str]) -> None:
    """Say on standard error which broken plugins selections may mean, a line each."""
    from bench.plugins.left_out import left_out
    from bench.plugins.registry import discover

    for broken in left_out(discover(), texts):
        origin = f"{broken.distribution} {broken.version}".strip()
        click.echo(f"bench: left out: {broken.name} ({origin}): {broken.reason}", err=True)
