"""The exact robust accuracy behind a quantiser: ``python -m bench_qusecnets.truth --data-dir DIR``."""

from __future__ import annotations

import json
import multiprocessing
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bench import api
from bench.errors import BenchError, UsageError
from bench.execution.progress import watcher
from bench.planning.plan import Planner
from bench.plugins.registry import discover
from bench.store.files import write_whole
from bench_qusecnets.distances import Distance, distances
from bench_qusecnets.exact import ExactAnswers, ImageTruth

_solver: list[ExactAnswers] = []  # of a worker process


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data-dir", type=click.Path(path_type=Path), envvar="BENCH_DATA_DIR", help="Where data sets lie.")
@click.option("--dataset", default="mnist", show_default=True)
@click.option("--model", default="cleverhans-cnn", show_default=True, help="A network whose layers form a chain.")
@click.option("--defense", default="qusec-cq[levels=2]", show_default=True, help="Of this package, deploy=hard.")
@click.option("--epsilon", default=0.1, show_default=True, type=click.FloatRange(0, 1), help="Linf radius.")
@click.option("--images", default=1000, show_default=True, type=click.IntRange(1), help="Of the test set, the first.")
@click.option("--nodes", default="3,12,80,600", show_default=True, help="Boxes bounded for an image, in each pass.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes of one thread.")
@click.option("--store", type=click.Path(path_type=Path), envvar="BENCH_STORE", help="Where the fit is kept.")
@click.option("--records", multiple=True, type=click.Path(path_type=Path, exists=True), help="Of runs to compare with.")
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
    out: Path,
) -> None:
    """Compute the exact robust accuracy on the first images, and each recorded attack's distance from it.

    What is solved stands in OUT/progress.jsonl; the same command goes on where it was interrupted.
    """
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
    named = {"fit": cell.fit, "images": cell.images, "labels": cell.labels, "epsilon": epsilon}
    progress = Progress(out / "progress.jsonl", named)
    begun = time.monotonic()
    for budget in budgets:
        wanted = [image for image in range(described["count"]) if progress.wants(image, budget)]
        for truth in _solved(opened.root, described, wanted, budget, jobs):
            progress.add(truth)
            click.echo(f"\r{progress.line(described['count'])}, at most {budget} boxes", nl=False, err=True)
        click.echo("", err=True)
    truths = [progress.known[image] for image in range(described["count"])]
    asked = {
        "dataset": cell.asked["dataset"]["label"],
        "fingerprint": cell.asked["dataset"]["fingerprint"],
        "model": cell.asked["model"]["label"],
        "defense": cell.asked["defense"]["label"],
        "training_seed": cell.asked["seeds"]["training"],
        "epsilon": epsilon,
    }
    compared = distances(truths, api.load(records) if records else [], asked)
    text = report(asked, truths, compared, progress.seconds, time.monotonic() - begun)
    write_whole(out / "images.csv", _table(truths).encode(), what="truth")
    write_whole(out / "TRUTH.md", text.encode(), what="truth")
    click.echo(text)


class Progress:
    """Results one a line, each appended whole; a line that a kill cut short is dropped.

    Parameters
    ----------
    named : what is solved, by its keys; a file of something else is refused

    Attributes
    ----------
    known : image -> the result under the largest budget so far
    seconds : of one core, of all results
    """

    def __init__(self, path: Path, named: Mapping[str, Any]) -> None:
        self.path = path
        self.known: dict[int, ImageTruth] = {}
        self.seconds = 0.0
        lines = list(_whole_lines(path))
        if lines and lines[0] != named:
            raise UsageError(f"{path} holds results of another deployment or threat. Name another folder with --out.")
        for line in lines[1:]:
            self._keep(ImageTruth(**line))
        content = "".join(json.dumps(line) + "\n" for line in (lines or [dict(named)]))
        write_whole(path, content.encode(), what="truth")

    def wants(self, image: int, budget: int) -> bool:
        """Return whether an image is to be solved under a budget."""
        known = self.known.get(image)
        return known is None or (known.verdict == "open" and known.budget < budget)

    def add(self, truth: ImageTruth) -> None:
        """Keep a result, in the file first."""
        with self.path.open("a") as file:
            file.write(json.dumps(truth.as_dict()) + "\n")
        self._keep(truth)

    def line(self, count: int) -> str:
        """Return how far it is."""
        verdicts = [truth.verdict for truth in self.known.values()]
        told = ", ".join(f"{verdicts.count(word)} {word}" for word in ("robust", "broken", "open"))
        return f"{len(verdicts)} of {count} images: {told}; {self.seconds:.0f} s of one core"

    def _keep(self, truth: ImageTruth) -> None:
        self.known[truth.image] = truth
        self.seconds += truth.seconds


def report(
    asked: Mapping[str, object],
    truths: Sequence[ImageTruth],
    compared: Sequence[Distance],
    core_seconds: float,
    wall_seconds: float,
) -> str:
    """Return the result as Markdown."""
    count = len(truths)
    verdicts = [truth.verdict for truth in truths]
    robust, open_ = verdicts.count("robust"), verdicts.count("open")
    by = {how: sum(t.verdict == "broken" and t.by == how for t in truths) for how in ("clean", "attack", "search")}
    low, high = 100 * robust / count, 100 * (robust + open_) / count
    exact = f"**{low:.1f} %**" if not open_ else f"between **{low:.1f} %** and **{high:.1f} %**, width {high - low:.1f}"
    lines = [
        f"# Exact robust accuracy of {asked['defense']} on {asked['dataset']}",
        "",
        f"{asked['model']}, Linf {asked['epsilon']:g} on the 8-bit grid, the first {count} test images. Made by",
        "",
        f"    $ {_call()}",
        "",
        f"Robust accuracy is {exact}: {robust} images are proven robust, {count - robust - open_} are broken "
        f"({by['clean']} wrong when clean, {by['attack']} by the code-space attack, {by['search']} by the search), "
        f"{open_} are open. Solved: {100 * (count - open_) / count:.1f} %.",
        "",
        f"It took {core_seconds / 60:.1f} minutes of one core in all, {wall_seconds / 60:.1f} minutes by the clock in "
        "the run that ended it. Each image's verdict is in `images.csv`.",
    ]
    if compared:
        lines += [
            "",
            "Each attack on the solved images: how far above the exact value it stays, which broken images it misses.",
            "",
            "| attack | knowledge | images | under attack | exact | distance | missed | impossible |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {d.attack} | {d.knowledge} | {d.images} | {100 * d.attacked:.1f} % | {100 * d.exact:.1f} % | "
            f"{d.points:.1f} points | {d.missed} | {d.impossible} |"
            for d in compared
        ]
    return "\n".join(lines) + "\n"


def _table(truths: Sequence[ImageTruth]) -> str:
    names = ("image", "verdict", "by", "free", "nodes", "leaves")
    rows = [",".join(str(getattr(truth, name)) for name in names) for truth in truths]
    return "\n".join([",".join(names), *rows]) + "\n"


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
    _solver[:] = [ExactAnswers.of(store, described)]


def _solve(asked: tuple[int, int]) -> ImageTruth:
    return _solver[0].solve(*asked)


def _budgets(text: str) -> list[int]:
    try:
        budgets = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--nodes {text!r} is no list of numbers; write such as 3,12,80,600.") from None
    if min(budgets) < 1:
        raise UsageError(f"--nodes {text!r}: a budget is at least one box.")
    return sorted(budgets)


def _whole_lines(path: Path) -> Iterator[Any]:
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:  # what follows the last newline was cut short
        yield json.loads(line)


def _call() -> str:
    return "python -m bench_qusecnets.truth " + shlex.join(sys.argv[1:])


def main() -> int:
    """Run the command; a user's mistake is one line."""
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BenchError as error:
        click.echo(f"truth: {error}", err=True)
        return 2
    except click.exceptions.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
