"""``bench plan``: a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from bench.cli.left_out import say_left_out_of_run
from bench.cli.options import JSON, OF_A_RUN, SELECTION, STORE, echo_json, folder, with_options
from bench.errors import DamagedObject, ExitCode, MissingObject

if TYPE_CHECKING:
    from bench.planning.cell import Cell
    from bench.planning.task import Task
    from bench.store import Store

_NAMED: Final = 4  # of what was skipped for one reason; --cells has them all


@click.command(
    epilog="\b\nExamples:\n"
    "  bench plan --defenses superiot,qusec --attacks all\n"
    "  bench plan --config study.toml --json\n"
)
@with_options(*SELECTION, STORE)
@click.option("--cells", "list_cells", is_flag=True, help="List every cell.")
@with_options(JSON, *OF_A_RUN)
def command(*, store: str | None, list_cells: bool, as_json: bool, **flags: Any) -> int:
    """Show what a run would consist of: cells, what is there, what is skipped and why, time and bytes.

    Nothing is executed. What depends on a data set that was not read, or on a defense that was not fitted, is planned
    as for a usual one, and said to be so.
    """
    from bench import api
    from bench.planning.estimate import estimate

    say_left_out_of_run(api.specification(**flags))
    opened = api.open_store(folder(store))
    made = api.plan(store=folder(store), **flags)
    timed = list(_timed(opened, made.tasks.values()))
    missing = [task for task in made.tasks.values() if not opened.has(task.key)]
    guess = estimate(missing, timed)
    cells = [
        {
            "cell_id": c.cell_id,
            "run_key": c.run_key,
            "what": c.label,
            "reason": c.reason,
            "state": c.status or ("cached" if all(opened.has(k) for k in c.wants) else "to do"),
        }
        for c in made.cells
    ]
    states = Counter(cell["state"] for cell in cells)
    if as_json:
        echo_json(
            {
                "settled": made.settled,
                "cells": cells,
                "tasks": len(made.tasks),
                "missing": len(missing),
                "seconds_on_one_core": guess.seconds,
                "judged_by_like_tasks": guess.learned,
                "bytes": guess.size,
            }
        )
        return ExitCode.DONE
    if list_cells:
        for cell in cells:
            click.echo(
                f"{cell['run_key'][:8]}  {cell['state']:8} {cell['what']}"
                + (f"  ({cell['reason']})" if cell["reason"] else "")
            )
    click.echo(f"{len(cells)} cells: " + (", ".join(f"{n} {state}" for state, n in states.items()) or "none known yet"))
    kinds = Counter(task.kind for task in missing)
    click.echo(
        f"{len(made.tasks)} tasks, {len(missing)} to run"
        + (f" ({', '.join(f'{n} {k}' for k, n in kinds.items())})" if kinds else "")
    )
    basis = f" ({guess.learned} of {len(missing)} tasks judged by what like ones took here)" if missing else ""
    click.echo(f"about {guess.seconds / 60:.1f} min on one core, {guess.size / 1e6:.1f} MB of results{basis}")
    for line in _skipped(made.cells):
        click.echo(line)
    if not made.settled:
        click.echo(
            "Some data sets are not read or defenses not fitted yet: supposed to be usual ones. A defense that draws "
            "takes longer, since it is asked many times."
        )
    return ExitCode.DONE if made.tasks else ExitCode.NOTHING


def _skipped(cells: Iterable[Cell]) -> Iterator[str]:
    """Yield a line each reason: how many cells, and of which attacks or defenses."""
    by_reason: dict[str, Counter[str]] = {}
    for cell in cells:
        if cell.status == "skipped":
            names = by_reason.setdefault(cell.reason, Counter())
            names[cell.asked["attack" if cell.kind == "attack" else "defense"]["label"]] += 1
    for reason, names in by_reason.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"skipped {names.total()} of {', '.join(list(names)[:_NAMED])}{more}: {reason}"


def _timed(store: Store, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
    """Yield what is in the store, with the processor seconds it took; a damaged object is to be made again."""
    for task in tasks:
        with suppress(MissingObject, DamagedObject):
            yield task, float(store.meta(task.key)["cpu_seconds"])
