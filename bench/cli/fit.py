"""``bench fit``: what a defense learns, as a file that its plugin can ship."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from bench.cli.options import JSON, STORE, echo_json, folder, with_options
from bench.errors import ExitCode


@click.command(
    epilog="\b\nExamples:\n"
    "  bench fit 'defed[edge=sobel]' --datasets mnist --models lenet5 --data-dir ~/data --out weights\n"
    "  bench fit adversarial-training --datasets cifar10 --data-dir ~/data --device cuda --out weights\n"
)
@click.argument("defense")
@click.option("--datasets", default="digits", show_default=True, metavar="NAME", help="The data set.")
@click.option("--models", default="", metavar="NAME", help="The classifier.  [default: the data set's]")
@click.option(
    "--weights", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="The classifier's weights."
)
@click.option("--split-seed", type=int, default=0, show_default=True, help="Names the pools.")
@click.option("--training-seed", type=int, default=0, show_default=True, help="Of initialisation, order and noise.")
@click.option(
    "--data-dir", envvar="BENCH_DATA_DIR", show_envvar=True, metavar="FOLDER", help="Where data sets lie.  [./data]"
)
@click.option("--download", is_flag=True, help="Fetch a data set that is missing into --data-dir.")
@click.option("--device", default="cpu", show_default=True, help="Where to train: cpu, cuda, cuda:1.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("weights"),
    show_default=True,
    metavar="FOLDER",
    help="Where file and card are written.",
)
@with_options(STORE, JSON)
def command(*, defense: str, device: str, out: Path, store: str | None, as_json: bool, **flags: Any) -> int:
    """Fit DEFENSE once and write what it learned, with a card that says how, into --out.

    A plugin that names the folder (Defense(weights="package:folder")) ships its fits: runs on the same data set,
    classifier, seeds and parameters then load them. An interrupted fit goes on when the same command is given again.
    """
    from bench import api

    def say(share: float, text: str) -> None:
        click.echo(f"{100 * share:3.0f} % {text}", err=True)

    card = api.fit(
        defense,
        out,
        store=folder(store),
        device=device,
        command=_again(defense, device, flags),
        progress=say,
        **flags,
    )
    if as_json:
        echo_json({name: value for name, value in vars(card).items() if name != "weights_path"})
    else:
        click.echo(f"{100 * card.clean_accuracy:.2f} % of {card.test_images} clean test images; {card.weights_path}")
    return ExitCode.DONE


def _again(defense: str, device: str, flags: dict[str, Any]) -> str:
    """Return the command that makes it again, without this machine's folders."""
    words = ["bench", "fit", defense]
    for name in ("datasets", "models", "split_seed", "training_seed"):
        if flags[name]:
            words += [f"--{name.replace('_', '-')}", str(flags[name])]
    return shlex.join([*words, "--device", device])
