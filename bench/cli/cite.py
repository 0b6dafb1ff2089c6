"""``bench cite``: what to cite for a plugin."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from bench.cli.options import JSON, echo_json
from bench.cli.plugins import KINDS
from bench.errors import ExitCode, UnknownName
from bench.plugins.citation import cite
from bench.plugins.entries import Entry
from bench.plugins.registry import Registry, discover


def _names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(_entries(discover())) if name.startswith(incomplete)]


def _entries(registry: Registry) -> dict[str, list[tuple[str, Entry, str]]]:
    """Return kind, entry and distribution of every plugin of a name or a family, and of attacks that defenses bring."""
    entries: dict[str, list[tuple[str, Entry, str]]] = {}
    families: dict[str, list[tuple[str, Entry, str]]] = {}
    for kind in KINDS:
        for name, found in registry.of(kind).items():
            origin = f"{found.distribution} {found.version}".strip()
            told = (kind, found.entry, origin)
            entries.setdefault(name, []).append(told)
            if family := getattr(found.entry, "family", ""):
                families.setdefault(family, []).append(told)
            for attack in getattr(found.entry, "adaptive_attacks", ()):
                brought = entries.setdefault(attack.name, [])
                if not any(entry == attack for _, entry, _ in brought):  # by several defenses of one package
                    brought.append(("attack", attack, origin))
    return families | entries


@click.command(epilog="\b\nExamples:\n  bench cite superiot\n  bench cite pgd-linf --json\n")
@click.argument("name", shell_complete=_names)
@JSON
def command(*, name: str, as_json: bool) -> int:
    """Print what to cite for the plugin NAME: its source as it is stated, and as BibTeX.

    BibTeX has the fields that the stated source tells for sure, and the whole of it as a note.
    """
    entries = _entries(discover())
    bare = name.split("[")[0]
    if bare not in entries:
        raise UnknownName("plugin", bare, entries)
    told = [_row(*found) for found in entries[bare]]
    if as_json:
        echo_json(told)
        return ExitCode.DONE
    for number, row in enumerate(told):
        if number:
            click.echo()
        click.secho(f"{row['kind']} {row['name']}", bold=True)
        click.echo(f"  from {row['distribution']}, version {row['version']}")
        click.echo(f"  {row['source']}\n\n{row['bibtex']}" if row["source"] else "  It states no source.")
    return ExitCode.DONE


def _row(kind: str, entry: Entry, distribution: str) -> dict[str, Any]:
    known = cite(entry.source)
    return {
        "kind": kind,
        "name": entry.name,
        "version": entry.version,
        "distribution": distribution,
        "source": entry.source,
        "authors": list(known.authors),
        "title": known.title,
        "venue": known.venue,
        "year": known.year,
        "arxiv": known.arxiv,
        "doi": known.doi,
        "bibtex": known.bibtex(entry.name) if entry.source else "",
    }
