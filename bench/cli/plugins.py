"""``bench plugins``: what is there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

import click

from bench.cli.options import JSON, echo_json
from bench.errors import ExitCode, UnknownName
from bench.plugins.entries import Attack, BudgetName, NotOffered, Settings
from bench.plugins.registry import Found, Kind, Registry, discover

_HEADINGS = {"hardware": "hardware"}
KINDS: tuple[Kind, ...] = ("defense", "attack", "model", "dataset", "hardware", "gate", "report-section")


@click.command(epilog="\b\nExamples:\n  bench plugins\n  bench plugins qusec-tq\n  bench plugins qusec\n")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Also what libraries have and is not offered, with the reason.")
@JSON
def command(*, name: str | None, everything: bool, as_json: bool) -> int:
    """List all plugins with origin and version, what is broken and why; with NAME, of one or a family, parameters."""
    registry = discover()
    if name:
        return _one(registry, name, as_json=as_json)
    if as_json:
        echo_json(
            {kind: [_row(found) for found in registry.of(kind).values()] for kind in KINDS}
            | {
                "not-offered": [_refused(entry) for entry in registry.not_offered],
                "broken": [asdict(b) for b in registry.broken],
            }
        )
        return ExitCode.DONE
    for kind in KINDS:
        entries = registry.of(kind)
        if not entries:
            continue
        click.secho(_HEADINGS.get(kind, f"{kind}s"), bold=True)
        width = max(len(n) for n in entries)
        for n, found in entries.items():
            state = f"  [unavailable: {found.unavailable}]" if found.unavailable else ""
            click.echo(f"  {n:{width}}  {found.entry.summary}  ({found.distribution} {found.version}){state}")
    if registry.not_offered:
        click.secho("not offered", bold=True)
        if everything:
            for refused in registry.not_offered:
                click.echo(f"  {refused.name}: {refused.summary}")
        else:
            names = ", ".join(refused.name for refused in registry.not_offered)
            click.echo(f"  {names}  (--all says why)")
    for broken in registry.broken:
        click.secho(f"broken: {broken.name} ({broken.distribution} {broken.version}): {broken.reason}", fg="red")
    return ExitCode.DONE


def _refused(entry: NotOffered) -> dict[str, Any]:
    return {"kind": "not offered", "name": entry.name, "summary": entry.summary, "source": entry.source}


def _row(found: Found) -> dict[str, Any]:
    entry = found.entry
    parameters = [
        {"name": p.name, "type": p.type.__name__, "default": p.default, "allowed": p.expected(), "help": p.help}
        for p in entry.parameters
    ]
    return {
        "name": entry.name,
        "family": entry.family,
        "summary": entry.summary,
        "version": entry.version,
        "source": entry.source,
        "distribution": found.distribution,
        "distribution_version": found.version,
        "unavailable": found.unavailable,
        "factory": entry.factory,
        "parameters": parameters,
    }


def _allowed(settings: Settings) -> str:
    """Return what a budget gives an attack: parameters that differ from the defaults above, and the images tried."""
    images = f"{settings.samples} images at most" if settings.samples else "all images of the run"
    return ", ".join([*(f"{name} = {value}" for name, value in settings.parameters), images])


def _one(registry: Registry, name: str, *, as_json: bool) -> int:
    name = name.partition("[")[0]
    matches = [(kind, registry.of(kind)[name]) for kind in KINDS if name in registry.of(kind)] or [
        (kind, found) for kind in KINDS for found in registry.of(kind).values() if name == found.entry.family
    ]
    refused = [entry for entry in registry.not_offered if entry.name == name]
    if not matches and not refused:
        refusals = [entry.name for entry in registry.not_offered]
        raise UnknownName("plugin", name, [*(n for kind in KINDS for n in registry.of(kind)), *refusals])
    if as_json:
        echo_json([*({"kind": kind, **_row(found)} for kind, found in matches), *map(_refused, refused)])
        return ExitCode.DONE
    for entry in refused:
        click.echo(f"{name}: {entry.summary}")
    for kind, found in matches:
        described = found.entry
        click.secho(f"{kind} {described.name}", bold=True)
        click.echo(f"  {described.summary}")
        click.echo(
            f"  from {found.distribution} {found.version}, version {described.version}"
            + (f", {described.source}" if described.source else "")
        )
        if found.unavailable:
            click.echo(f"  unavailable: {found.unavailable}")
        for p in described.parameters:
            click.echo(f"  {p.name} = {p.default}")
            click.echo(f"      {p.help} ({p.expected()})")
        if isinstance(described, Attack):
            for budget in get_args(BudgetName):
                click.echo(f"  under --budget {budget}: {_allowed(described.settings(budget))}")
    return ExitCode.DONE
