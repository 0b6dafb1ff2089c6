"""Checks of a classifier's architecture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import nn

from bench.conformance import workbench
from bench.conformance.construction import construct
from bench.conformance.result import CheckResult, Failed, NotApplicable, perform
from bench.errors import UsageError
from bench.plugins.entries import Model
from bench.plugins.loading import loaded
from bench.plugins.parameters import Value
from bench.training import Recipe

SHAPES = (workbench.DIGITS, *workbench.OTHER_SHAPES)


def check_model(entry: Model, parameters: Mapping[str, Value]) -> list[CheckResult]:
    """Return the results of all checks of a model."""
    results = []
    made: list[Any] = []

    def constructs(subject: Model) -> str:
        made.append(construct(subject, parameters, ("build", "recipe")))
        return f"{subject.factory} gave a {type(made[0]).__name__}."

    results.append(perform("construction", constructs, entry))
    if made:
        build = partial(_build, made[0])
        results += [
            perform("planning", partial(_check_planning, entry.check), parameters),
            perform("shapes", _check_shapes, build),
            perform("initialisation", _check_initialisation, build),
            perform("gradient", _check_gradient, build),
            perform("state", _check_state, build),
            perform("batch", _check_batch, build),
            perform("recipe", _check_recipe, made[0]),
        ]
    return results


def _build(architecture: Any, shape: workbench.Shape = workbench.DIGITS, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = architecture.build(shape, workbench.CLASSES)
    return network.eval()


def _check_planning(place: str, parameters: Mapping[str, Value]) -> str:
    if not place:
        raise NotApplicable("It names no check: what cannot be built is seen in a worker.")
    for shape in (None, *SHAPES):
        try:
            loaded(place)(parameters, shape)
        except UsageError as error:
            raise Failed(f"{place} refuses images of {shape}, which every model takes: {error}") from error
    return f"{place} lets it pass."


def _check_shapes(build: partial[nn.Module]) -> str:
    for shape in SHAPES:
        x, _ = workbench.held_out(3, shape)
        with torch.no_grad():
            logits = build(shape)(x)
        if logits.shape != (3, workbench.CLASSES) or logits.dtype != torch.float32:
            raise Failed(
                f"{shape} gave {tuple(logits.shape)} {logits.dtype}; expected (3, {workbench.CLASSES}) float32."
            )
        if not torch.isfinite(logits).all():
            raise Failed(f"Logits for {shape} are not finite.")
    return f"Logits (B, {workbench.CLASSES}) for {', '.join(map(str, SHAPES))}."


def _check_initialisation(build: partial[nn.Module]) -> str:
    first, again, other = (build(seed=seed).state_dict() for seed in (0, 0, 1))
    different = [name for name, value in first.items() if not torch.equal(value, again[name])]
    if different:
        raise Failed(f"The same seed gave another {different[0]!r}; draw from torch's generator only.")
    if all(torch.equal(value, other[name]) for name, value in first.items()):
        raise Failed("Another seed gave the same weights; draw them from torch's generator.")
    return "Set by torch's seed alone."


def _check_gradient(build: partial[nn.Module]) -> str:
    x, y = workbench.held_out(4)
    network = build()
    x.requires_grad_(True)
    loss = F.cross_entropy(network.train()(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    if x.grad is None or not torch.isfinite(x.grad).all() or not x.grad.any():
        raise Failed("The gradient at the image is missing, not finite or zero.")
    still = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    if still:
        raise Failed(f"Parameter {still[0]!r} got no gradient.")
    return "Finite at the image and at every parameter."


def _check_state(build: partial[nn.Module]) -> str:
    network, x = build(), workbench.held_out(2)[0]
    stored = save({name: value.contiguous() for name, value in network.state_dict().items()})
    other = build(seed=1)
    other.load_state_dict(load(stored))
    with torch.no_grad():
        if not torch.equal(network(x), other(x)):
            raise Failed(
                "Weights that went through a file give other answers; keep all state in parameters and buffers."
            )
    return f"{sum(p.numel() for p in network.parameters()):,} parameters, {len(stored):,} bytes, the same answers."


def _check_batch(build: partial[nn.Module]) -> str:
    network, x = build(), workbench.held_out(6)[0]
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(row[None]) for row in x])
    worst = float((together - alone).abs().max())
    if worst > 1e-4 * max(1.0, float(together.abs().max())):
        raise Failed(f"Answers alone and in a batch differ by {worst:.2g}; in evaluation mode images must not mix.")
    return f"Alone and in a batch within {worst:.1g}."


def _check_recipe(architecture: Any) -> str:
    recipe = architecture.recipe("digits")
    if not isinstance(recipe, Recipe):
        raise Failed(f"recipe gave a {type(recipe).__name__}; expected a bench.training.Recipe.")
    return f"{recipe.optimiser}, rate {recipe.rate:g}, {recipe.epochs} epochs on a data set it may not know."
