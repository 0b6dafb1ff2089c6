"""Write trained weights with their card: what they reach, and how they are made again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from bench.data.cards import HALF_TOLERANCE, Card, file_sha256, write_card
from bench.data.weights import load_into
from bench.plugins.parameters import Value
from bench.training.evaluation import accuracy
from bench.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Training:
    """What was trained, on what, and at which cost; the fields are those of ``bench.data.cards.Card``."""

    model: str
    parameters: Mapping[str, Value]
    dataset: str
    images: str = ""
    split_seed: int
    held_out_share: float
    training_seed: int
    recipe: Recipe
    seconds: float
    threads: int
    command: str


def ship(network: nn.Module, x: Tensor, y: Tensor, training: Training, path: Path) -> Card:
    """Write the network's weights to ``path`` and the card beside them.

    The weights are stored as float16 where that moves the accuracy by less than .05 point, else as float32; the
    network is left with the weights as stored, and their accuracy is the card's.

    Parameters
    ----------
    x, y : the official test set, uint8 (N, C, H, W) and int64 (N,)
    path : of the .safetensors file
    """
    exact = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
    halves = {name: value.half() if value.is_floating_point() else value for name, value in exact.items()}
    reached = accuracy(network, x, y)
    load_into(network, {n: v.float() if v.is_floating_point() else v for n, v in halves.items()})
    reached_half = accuracy(network, x, y)
    is_half = abs(reached_half - reached) < HALF_TOLERANCE
    if not is_half:
        load_into(network, exact)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(save(halves if is_half else exact))  # save_file would make it readable to its owner only
    temporary.replace(path)
    card = Card(
        model=training.model,
        parameters=dict(training.parameters),
        dataset=training.dataset,
        images=training.images,
        split_seed=training.split_seed,
        held_out_share=training.held_out_share,
        training_seed=training.training_seed,
        recipe=vars(training.recipe),
        clean_accuracy=reached_half if is_half else reached,
        test_images=len(x),
        training_seconds=round(training.seconds, 1),
        threads=training.threads,
        command=training.command,
        dtype="float16" if is_half else "float32",
        sha256=file_sha256(path),
        versions={name: version(name) for name in ("torch", "numpy")},
        weights_path=path,
    )
    write_card(card)
    return card


class Clock:
    """Seconds of a training, counted on over interruptions in a small file beside the checkpoint."""

    def __init__(self, checkpoint: Path) -> None:
        self.path = checkpoint.with_suffix(".seconds")
        self.before = float(self.path.read_text()) if checkpoint.exists() and self.path.exists() else 0.0
        self.began = time.perf_counter()

    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.began

    def note(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(f"{self.seconds():.3f}")
