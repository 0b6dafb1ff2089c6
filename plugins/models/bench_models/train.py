"""Train a classifier by its recipe and write its weights with a card: ``python -m bench_models.train --help``.

An interrupted training goes on where it was when the same command is given again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs
import torch

from bench.data import Source, divide, fingerprint
from bench.data.cards import images_named
from bench.data.weights import load_into, load_weights
from bench.errors import BenchError, ExitCode, UsageError
from bench.plugins.entries import Dataset, Entry
from bench.plugins.loading import loaded
from bench.plugins.parameters import Value, resolve
from bench.plugins.registry import discover
from bench.training import Architecture, train
from bench_models.shipping import Clock, Training, ship

WEIGHTS_FOLDER = Path(__file__).parent / "weights"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        _run(options, _say)
    except UsageError as error:
        _say(f"Error: {error}")
        return ExitCode.USAGE
    except BenchError as error:
        _say(f"Error: {error}")
        return ExitCode.CELLS_FAILED
    except KeyboardInterrupt:
        _say("Interrupted; the same command goes on from the last whole epoch.")
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


def _run(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    registry = discover()
    entry = registry.find("dataset", options.dataset).entry
    assert isinstance(entry, Dataset)
    source: Source = loaded(entry.factory)(**_settings(f"dataset {entry.name!r}", entry, options.dataset_parameter))
    model = registry.find("model", options.model).entry
    parameters = _settings(f"model {model.name!r}", model, options.parameter)
    architecture: Architecture = loaded(model.factory)(**parameters)

    if not options.data_dir and not entry.embedded:
        raise UsageError(f"Data set {entry.name!r} needs --data-dir (or BENCH_DATA_DIR): the folder that holds it.")
    root = Path(options.data_dir or ".")
    if options.download:
        source.download(root)
    source.files(root)
    tested = source.load(root, "test")
    shape, classes = tested.x.shape[1:], len(source.class_names())
    torch.manual_seed(options.training_seed)
    network = architecture.build((shape[0], shape[1], shape[2]), classes)
    training = source.load(root, "train")
    images = images_named(entry, fingerprint(training))
    dataset = "-".join(filter(None, (entry.name, images[:8])))
    name = _file_name(model, parameters, dataset, options.split_seed, options.training_seed)
    checkpoint = options.checkpoint or platformdirs.user_cache_path("edge-defense-bench") / "training" / name

    if options.from_file:
        load_into(network, load_weights(options.from_file), origin=str(options.from_file))
        seconds = options.seconds
    else:
        clock = Clock(checkpoint)
        chosen = divide(training.x, tested.x, split_seed=options.split_seed, held_out_share=entry.held_out_share)[
            "train"
        ]
        say(f"{model.name} on {len(chosen)} training images of {entry.name}; checkpoint {checkpoint}")

        def report(share: float, text: str) -> None:
            clock.note()
            say(f"{100 * share:3.0f} % {text} ({clock.seconds():.0f} s)")

        x, y = torch.from_numpy(training.x[chosen]), torch.from_numpy(training.y[chosen])
        recipe = architecture.recipe(entry.name)
        network = train(network, x, y, recipe, seed=options.training_seed, checkpoint=checkpoint, progress=report)
        seconds = clock.seconds()

    facts = Training(
        model=model.name,
        parameters=parameters,
        dataset=entry.name,
        images=images,
        split_seed=options.split_seed,
        held_out_share=entry.held_out_share,
        training_seed=options.training_seed,
        recipe=architecture.recipe(entry.name),
        seconds=seconds,
        threads=options.threads or torch.get_num_threads(),
        command=_command(options, entry),
    )
    card = ship(network, torch.from_numpy(tested.x), torch.from_numpy(tested.y), facts, options.out / name)
    if not options.from_file:
        for left in (checkpoint, clock.path):
            left.unlink(missing_ok=True)
    say(f"{100 * card.clean_accuracy:.2f} % of {card.test_images} test images; {card.dtype}; {card.weights_path}")


def _settings(owner: str, entry: Entry, given: Sequence[str]) -> dict[str, Value]:
    pairs = dict(text.partition("=")[::2] for text in given)
    return dict(resolve(owner, entry.parameters, pairs))


def _file_name(model: Entry, parameters: dict[str, Value], dataset: str, split_seed: int, training_seed: int) -> str:
    defaults = {p.name: p.default for p in model.parameters}
    marks = "".join(f"-{name}{value}" for name, value in parameters.items() if value != defaults[name])
    return f"{model.name}{marks}-{dataset}-split{split_seed}-seed{training_seed}.safetensors"


def _command(options: argparse.Namespace, dataset: Dataset) -> str:
    """Return the command that makes the weights again, without this machine's folders."""
    words = ["python -m bench_models.train", f"--model {options.model}"]
    words += [f"--parameter {text}" for text in options.parameter]
    words += [f"--dataset {options.dataset}"]
    words += [f"--dataset-parameter {text}" for text in options.dataset_parameter]
    words += [] if dataset.embedded else ["--data-dir DIR"]
    return " ".join([*words, f"--split-seed {options.split_seed} --training-seed {options.training_seed}"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench_models.train", description=__doc__)
    add = parser.add_argument
    add("--model", required=True, help="such as resnet20")
    add("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the model, such as padding=2")
    add("--dataset", required=True, help="such as cifar10")
    add("--dataset-parameter", action="append", default=[], metavar="NAME=VALUE", help="such as path=photos")
    add("--data-dir", default=os.environ.get("BENCH_DATA_DIR", ""), help="default: BENCH_DATA_DIR")
    add("--download", action="store_true", help="fetch the data set into --data-dir first")
    add("--split-seed", type=int, default=0, help="names the pools (default 0)")
    add("--training-seed", type=int, default=0, help="of initialisation, order and augmentation (default 0)")
    add("--out", type=Path, default=WEIGHTS_FOLDER, help="folder for weights and card (default: the plugin's own)")
    add("--checkpoint", type=Path, default=None, help="default: a file in the user's cache folder")
    add("--threads", type=int, default=0, help="of torch (default: torch's own choice)")
    add(
        "--from",
        dest="from_file",
        type=Path,
        default=None,
        help="weights trained already: only test and write the card",
    )
    add("--seconds", type=float, default=0.0, help="with --from: how long that training took")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
