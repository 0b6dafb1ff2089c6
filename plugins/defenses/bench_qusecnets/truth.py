"""The exact robust accuracy behind a quantiser: ``python -m bench_qusecnets.truth --data-dir DIR``."""

from __future__ import annotations

import multiprocessing
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from bench import api
from bench.errors import BenchError, UsageError
from bench.execution.progress import watcher
from bench.planning.own_model import is_own_model
from bench.planning.plan import Planner
from bench.plugins.registry import Kind, Registry, discover
from bench.plugins.selection import Chosen, select
from bench.store.code import code_digest
from bench.store.files import write_whole
from bench_qusecnets.distances import deployed, distances
from bench_qusecnets.exact import ExactAnswers, ImageTruth
from bench_qusecnets.progress import Progress
from bench_qusecnets.report import answers, report, table

_described: dict[str, Any] = {}  # what a worker process solves


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data-dir", type=click.Path(path_type=Path), envvar="BENCH_DATA_DIR", help="Where data sets lie.")
@click.option("--dataset", default="mnist", show_default=True)
@click.option("--model", default="cleverhans-cnn", show_default=True, help="A network whose layers form a chain.")
@click.option("--defense", default="qusec-cq[levels=2]", show_default=True, help="Of this package, deploy=hard.")
@click.option("--epsilon", default=0.1, show_default=True, type=click.FloatRange(0, 1), help="Linf radius.")
@click.option("--images", default=1000, show_default=True, type=click.IntRange(1), help="Of the test set, the first.")
@click.option("--nodes", default="3,80", show_default=True, help="Boxes bounded for an image, in each pass.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes of one thread.")
@click.option("--store", type=click.Path(path_type=Path), envvar="BENCH_STORE", help="Where the fit is kept.")
@click.option("--records", multiple=True, type=click.Path(path_type=Path, exists=True), help="Of runs to compare with.")
@click.option("--ask-solved", type=float, metavar="PERCENT", help="End with 3 where fewer images are solved.")
@click.option("--ask-distance", type=float, metavar="POINTS", help="End with 3 where adaptive attacks are further off.")
@click.option("--ask-minutes", type=float, metavar="MINUTES", help="End with 3 where it took longer, by the clock.")
@click.option("--out", default=Path("reports/truth"), show_default=True, type=click.Path(path_type=Path))
def command(
    *,
    data_dir: Path | None,
    dataset: str,
    model: str,
    defense: str,
    epsilon: float,
    images: int,
    nodes: str,
    jobs: int,
    store: Path | None,
    records: tuple[Path, ...],
    ask_solved: float | None,
    ask_distance: float | None,
    ask_minutes: float | None,
    out: Path,
) -> int:
    """Compute the exact robust accuracy on the first images, and each recorded attack's distance from it.

    What is solved stands in OUT/progress.jsonl; the same command goes on where it was interrupted. Ends with 3 where an
    attack broke what is proven, or where what is asked does not hold.
    """
    refuse(dataset, model, defense)
    spec = api.specification(
        datasets=dataset,
        models=model,
        defenses=defense,
        attacks="none",
        hardware="none",
        norm="linf",
        eps=str(epsilon),
        samples=images,
        data_dir=data_dir,
    )
    opened = api.open_store(store)
    api.execute(spec, store=opened.root, jobs=min(jobs, 2), watcher=watcher(), command=_call())
    plan = Planner(discover(), opened, spec).plan()
    cell = next(cell for cell in plan.cells if not cell.asked["defense"]["baseline"])
    described: dict[str, Any] = {
        "deployment": plan.tasks[cell.inspect].spec["deployment"],
        "images": cell.images,
        "labels": cell.labels,
        "count": cell.asked["samples"],
        "epsilon": epsilon,
    }
    budgets = _budgets(nodes)
    named = {
        "fit": cell.fit,
        "images": cell.images,
        "labels": cell.labels,
        "epsilon": epsilon,
        "solver": code_digest("bench_qusecnets.exact:ExactAnswers"),
    }
    progress = Progress(out / "progress.jsonl", named)
    for budget in budgets:
        wanted = [image for image in range(described["count"]) if progress.wants(image, budget)]
        for truth in _solved(opened.root, described, wanted, budget, jobs):
            progress.add(truth)
            click.echo(f"\r{progress.line(described['count'])}, at most {budget} boxes", nl=False, err=True)
        click.echo("", err=True)
    truths = [progress.known[image] for image in range(described["count"])]
    asked = {**deployed(cell.asked), "epsilon": epsilon}
    compared = distances(truths, api.load(records) if records else [], asked)
    answered = answers(
        truths,
        compared,
        progress.minutes,
        solved=ask_solved,
        distance=ask_distance,
        minutes=ask_minutes,
    )
    text = report(asked, _call(), truths, compared, answered, progress)
    write_whole(out / "images.csv", table(truths).encode(), what="truth")
    write_whole(out / "TRUTH.md", text.encode(), what="truth")
    click.echo(text)
    return 0 if all(answer.holds for answer in answered) else 3


def refuse(dataset: str, model: str, defense: str) -> None:
    """Raise UsageError where what is asked for is not one hard quantiser of this package, one network, one data set."""
    registry = discover()
    _one(registry, "dataset", dataset)
    if not is_own_model(model):
        _one(registry, "model", model)
    chosen = _one(registry, "defense", defense)
    if not chosen.found.entry.factory.startswith("bench_qusecnets."):
        raise UsageError(
            f"--defense {defense!r} is no quantiser of QuSecNets, and only behind one can all inputs be enumerated. "
            "Name such as qusec-cq[levels=2]."
        )
    if chosen.parameters["deploy"] != "hard":
        raise UsageError(f"--defense {defense!r} sends no codes, and the search is over codes. Use deploy=hard.")


def _one(registry: Registry, kind: Kind, text: str) -> Chosen:
    chosen, _ = select(registry, kind, text)
    if len(chosen) != 1:
        found = ", ".join(one.label for one in chosen) or "none"
        raise UsageError(f"The truth is of one {kind}; --{kind} {text!r} selects {found}. Name one.")
    return chosen[0]


def _solved(
    store: Path, described: Mapping[str, Any], wanted: Sequence[int], budget: int, jobs: int
) -> Iterator[ImageTruth]:
    """Yield results as they come, from processes of one thread each."""
    if not wanted:
        return
    spawned = multiprocessing.get_context("spawn")
    with spawned.Pool(jobs, _begin, (store, described)) as pool:
        yield from pool.imap_unordered(_solve, [(image, budget) for image in wanted])


def _begin(store: Path, described: Mapping[str, Any]) -> None:
    import torch

    torch.set_num_threads(1)
    _described.update(store=store, described=described)


def _solve(asked: tuple[int, int]) -> ImageTruth:
    return _solver().solve(*asked)


@cache
def _solver() -> ExactAnswers:
    """Return the process's solver, made with its first image: a pool whose workers cannot begin never ends."""
    return ExactAnswers.of(_described["store"], _described["described"])


def _budgets(text: str) -> list[int]:
    try:
        budgets = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--nodes {text!r} is no list of numbers; write such as 3,80.") from None
    if min(budgets) < 1:
        raise UsageError(f"--nodes {text!r}: a budget is at least one box.")
    return sorted(budgets)


def _call() -> str:
    return "python -m bench_qusecnets.truth " + shlex.join(sys.argv[1:])


def main() -> int:
    """Run the command; a user's mistake is one line."""
    try:
        ended: int = command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BenchError as error:
        click.echo(f"truth: {error}", err=True)
        return 2
    except click.exceptions.Abort:
        return 130
    return ended


if __name__ == "__main__":
    sys.exit(main())
