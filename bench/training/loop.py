"""Train a classifier by a recipe; an interrupted training goes on from its last whole epoch with the same numbers."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.errors import PluginFault, UsageError
from bench.training.recipe import Recipe

Progress = Callable[[float, str], None]
Loss = Callable[[nn.Module, Tensor, Tensor, np.random.Generator], Tensor]


def train(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    *,
    seed: int,
    loss: Loss | None = None,
    checkpoint: Path | None = None,
    progress: Progress = lambda share, text: None,
    rates: Mapping[str, float] = MappingProxyType({}),
    before_step: Callable[[float], None] = lambda share: None,
    after_step: Callable[[], None] = lambda: None,
) -> nn.Module:
    """Train ``network`` in place and return it in evaluation mode.

    Parameters
    ----------
    x : uint8, (N, C, H, W), on the device of the network
    y : int64, (N,)
    seed : of order of images, augmentation and dropout, not of initialisation; epoch e depends on (seed, e) only
    loss : (network in training mode, images float32 in [0, 1], labels, the epoch's generator) -> what is minimised; the
        cross-entropy with the recipe's smoothing where it is None
    checkpoint : file that holds the state after each epoch; read at the start where it exists, removed by nobody here;
        one that is damaged is passed over with a line of progress, and training starts anew
    progress : called with the share done, in [0, 1], and one line of text
    rates : parameter name -> a learning rate of its own, as a share of the recipe's; these parameters are never decayed
    before_step : called with the share of steps done, in [0, 1), before each step: an annealed constant
    after_step : called after each step: a projection of parameters

    Raises
    ------
    UsageError : the checkpoint is of another training
    PluginFault : the loss is not finite any more
    """
    run = _Run(network, recipe, loss or _classification(recipe), rates, before_step, after_step, x, seed)
    first_epoch = 0
    if checkpoint and checkpoint.exists():
        try:
            first_epoch = run.load(checkpoint)
        except (SafetensorError, OSError) as error:
            progress(0.0, f"checkpoint {checkpoint} cannot be read ({error}); training starts anew")
    for epoch in range(first_epoch, recipe.epochs):
        with torch.random.fork_rng(devices=[]):  # dropout draws from torch's generator: an epoch's own stream
            torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]))
            mean = run.epoch(x, y, epoch, np.random.Generator(np.random.Philox(key=[seed, epoch])))
        if not math.isfinite(mean):
            raise PluginFault(f"Training diverged in epoch {epoch + 1}: the loss is {mean}. Lower the recipe's rate.")
        if checkpoint:
            run.save(checkpoint, epoch + 1)
        progress((epoch + 1) / recipe.epochs, f"epoch {epoch + 1} of {recipe.epochs}, loss {mean:.4f}")
    return run.finish()


class _Run:
    """The mutable state of one training: weights, optimiser, average, step."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        loss: Loss,
        rates: Mapping[str, float],
        before_step: Callable[[float], None],
        after_step: Callable[[], None],
        x: Tensor,
        seed: int,
    ) -> None:
        self.recipe, self.loss = recipe, loss
        self.before_step, self.after_step = before_step, after_step
        self.layout = _layout(network, x)
        self.network: nn.Module = network.to(memory_format=self.layout)  # type: ignore[call-overload]
        named = dict(network.named_parameters())
        general = {name: p for name, p in named.items() if name not in rates}
        groups = [
            {"params": [p for p in general.values() if p.ndim > 1], "weight_decay": recipe.weight_decay, "share": 1.0},
            {"params": [p for p in general.values() if p.ndim <= 1], "weight_decay": 0.0, "share": 1.0},
            *({"params": [named[name]], "weight_decay": 0.0, "share": share} for name, share in rates.items()),
        ]
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.Adam(groups, lr=recipe.rate)
            if recipe.optimiser == "adam"
            else torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, nesterov=True)
        )
        images = len(x)
        self.total_steps = images // min(recipe.batch, images) * recipe.epochs
        self.identity = json.dumps({"recipe": asdict(recipe), "seed": seed, "images": images, "rates": dict(rates)})
        self.step = 0
        self.average = {k: v.detach().clone() for k, v in network.state_dict().items()} if recipe.average else None

    def rate(self) -> float:
        """Return the learning rate of this step: a linear rise over the first quarter, then linear to zero."""
        if not self.recipe.one_cycle:
            return self.recipe.rate
        share = self.step / self.total_steps
        return self.recipe.rate * (0.05 + 0.95 * share / 0.25 if share < 0.25 else (1.0 - share) / 0.75)

    def epoch(self, x: Tensor, y: Tensor, epoch: int, rng: np.random.Generator) -> float:
        recipe = self.recipe
        self.network.train()
        batch = min(recipe.batch, len(x))
        order = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        total = 0.0
        count = len(x) // batch
        for index in range(count):
            chosen = order[index * batch : (index + 1) * batch]
            images = augment(x[chosen].float().div_(255.0), recipe, rng)
            if epoch < recipe.small_epochs:
                images = F.interpolate(
                    images, size=(recipe.small_side,) * 2, mode="bilinear", antialias=True, align_corners=False
                )
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate() * group["share"]
            self.before_step(self.step / self.total_steps)
            self.optimiser.zero_grad(set_to_none=True)
            loss = self.loss(self.network, images.contiguous(memory_format=self.layout), y[chosen], rng)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            self.after_step()
            self.step += 1
            self._update_average()
            total += float(loss.detach())
        return total / count

    def _update_average(self) -> None:
        if self.average is None:
            return
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1.0 - decay)
            else:
                self.average[name].copy_(value)

    def finish(self) -> nn.Module:
        if self.average is not None:
            self.network.load_state_dict(self.average)
        self.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.network.eval()  # whose value is that of a train() which a network may have of its own
        return self.network

    def save(self, path: Path, epochs_done: int) -> None:
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in (self.average or {}).items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": torch.as_tensor(v) for k, v in state.items() if v is not None}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        save_file(
            {k: v.contiguous() for k, v in tensors.items()},
            temporary,
            metadata={"progress": json.dumps({"epochs": epochs_done, "step": self.step}), "training": self.identity},
        )
        temporary.replace(path)

    def load(self, path: Path) -> int:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("training") != self.identity:
                raise UsageError(
                    f"Checkpoint {path} is of another training (recipe, seed or number of images). "
                    "Remove it to start anew."
                )
            done = json.loads(metadata["progress"])
            device = next(self.network.parameters()).device
            tensors = {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118 - not a dict
        self.network.load_state_dict(_below(tensors, "network."))
        if self.average is not None:
            self.average = _below(tensors, "average.")
        state = self.optimiser.state_dict()
        for name, value in _below(tensors, "optimiser.").items():
            index, key = name.split(".", 1)
            state["state"].setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict(state)
        self.step = done["step"]
        return int(done["epochs"])


def _classification(recipe: Recipe) -> Loss:
    def loss(network: nn.Module, x: Tensor, y: Tensor, rng: np.random.Generator) -> Tensor:
        return F.cross_entropy(network(x), y, label_smoothing=recipe.smoothing)

    return loss


def augment(images: Tensor, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """Return the images, each flipped with probability one half and shifted, as the recipe says.

    Parameters
    ----------
    images : float32, (B, C, H, W); shifted-in pixels are 0
    """
    count, _, height, width = images.shape
    device = images.device
    if recipe.flip:
        flipped = torch.from_numpy(rng.random(count) < 0.5).to(device)
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    if recipe.shift:
        offsets: NDArray[np.int64] = rng.integers(0, 2 * recipe.shift + 1, size=(2, count))
        padded = F.pad(images, (recipe.shift,) * 4)
        rows = torch.from_numpy(offsets[0])[:, None].to(device) + torch.arange(height, device=device)
        columns = torch.from_numpy(offsets[1])[:, None].to(device) + torch.arange(width, device=device)
        images = padded[
            torch.arange(count, device=device)[:, None, None], :, rows[:, :, None], columns[:, None, :]
        ].permute(0, 3, 1, 2)
    return images


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _layout(network: nn.Module, x: Tensor) -> torch.memory_format:
    """Return channels last; the usual layout where the network does not take that, as one that views its maps."""
    images = x[:2].float().div(255.0)
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            trial = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            trial.train()
            said = trial(images.contiguous(memory_format=torch.channels_last))
            if isinstance(said, Tensor):
                said.sum().backward()  # type: ignore[no-untyped-call]
    except Exception:  # the network's code: anything may be raised, and what is wrong with it shows in training
        return torch.contiguous_format
    return torch.channels_last
