"""Train the undefended classifier; fit a defense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from bench.attack.fidelity import fidelity
from bench.attack.noise import gradient_noise
from bench.attack.preference import IMAGES, furthest
from bench.attack.surrogate import Backward
from bench.attack.ways import LEARNED, around, backward, ways
from bench.data.cards import card_path, read_fit_card
from bench.data.weights import load_weights
from bench.deployment import Draws, FitContext, FitResult, Pool, Signal
from bench.deployment.passage import Passage, trace
from bench.deployment.slope import slope
from bench.errors import ContractViolation
from bench.store import Store
from bench.tasks.building import deployment_of, implementation, network_of, pools_of, untrained
from bench.tasks.outcome import Outcome
from bench.tasks.progress import report
from bench.training import Architecture, Progress, Recipe, train

DRAWS = 16  # an undeclared coin that falls otherwise once in twenty shows on 8 images with probability .998
LOOKED_AT = 4  # images on which derivatives and surrogates are compared with what the stages do


def recipe_of(described: Mapping[str, Any]) -> Recipe:
    """Return how the network of a description is trained."""
    if "file" in described["architecture"]:
        return Recipe()
    architecture: Architecture = implementation(described["architecture"])
    return architecture.recipe(described["dataset"])


def train_network(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the weights of the undefended classifier, trained on the train pool; resumes an interrupted training."""
    network = untrained(spec["network"])
    pool = pools_of(spec["data"])["train"]
    checkpoint = store.scratch(spec["key"]) / "training.safetensors"
    trained = train(
        network,
        pool.x,
        pool.y,
        recipe_of(spec["network"]),
        seed=spec["network"]["training_seed"],
        checkpoint=checkpoint,
        progress=report,
    )
    return Outcome(tensors=_arrays(trained.state_dict()), meta={"images": len(pool.x)})


def fit_defense(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return what a defense learned, or what is shipped in its place."""
    if shipped := spec["shipped"]:
        tensors = load_weights(Path(shipped["path"]), sha256=shipped["digest"])
        return Outcome(tensors=_arrays(tensors), meta={"notes": read_fit_card(card_path(Path(shipped["path"]))).notes})
    result = learned(spec, store, store.scratch(spec["key"]))
    fitted = _arrays(result.public) or _arrays({"_empty": torch.zeros(1)})
    return Outcome(tensors=fitted, meta={"notes": dict(result.notes)})


def learned(
    spec: Mapping[str, Any], store: Store, scratch: Path, *, device: str = "cpu", progress: Progress = report
) -> FitResult:
    """Return what a defense learns from the pools; an interrupted one goes on from what it kept.

    Parameters
    ----------
    scratch : where it keeps that; what was kept on another device would give other numbers

    Raises
    ------
    ContractViolation : it seals something, or gives a tensor that is not finite
    """
    defense, described = implementation(spec["defense"]), spec["network"]
    if not hasattr(defense, "fit"):
        return FitResult()
    network = network_of(store, described).to(device)
    torch.manual_seed(described["training_seed"])
    context = FitContext(
        network=network,
        new_network=lambda: untrained(described).to(device),
        pools={name: Pool(pool.x.to(device), pool.y.to(device)) for name, pool in pools_of(spec["data"]).items()},
        recipe=recipe_of(described),
        shape=tuple(described["shape"]),
        classes=described["classes"],
        seed=described["training_seed"],
        radius=spec["radius"],
        progress=progress,
        scratch=scratch,
    )
    result: FitResult = defense.fit(context)
    if result.sealed:
        raise ContractViolation(
            f"The defense seals {sorted(result.sealed)}. Nothing sealed may reach the store, and nothing else "
            "keeps it yet. Return all tensors as public."
        )
    for name, tensor in result.public.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ContractViolation(f"What the defense learned is not finite: tensor {name!r}.")
    return result


def inspect_deployment(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the traits of a fitted deployment: what it declares, and what is seen of that.

    Notes
    -----
    Runs on other draws show whether it is random; finite differences, whether its stages' derivatives are true; changes
    of ``radius``, whether its surrogates move as the stages do. ``views`` counts the nodes that give logits. For ways
    to a gradient noisy images are looked at too: what acts on those alone is to be gone around as well. ``noise`` says
    how much gradients of different draws agree in the usual way, and how many draws an attacker averages for that under
    ``--eot auto``, there and in every other way; ``furthest``, which way gets clearly further than the usual one.
    """
    deployment = deployment_of(store, spec["deployment"])
    stored = store.read(spec["images"])
    count = min(8, len(stored.tensors["x"]))
    x = torch.from_numpy(stored.tensors["x"][:count]).float() / 255.0
    names = [b"%d" % i for i in range(count)]
    answers = [deployment.answer(Signal(x, Draws.of("probe", 0, names, draw))).x for draw in range(DRAWS)]
    classes = spec["deployment"]["network"]["classes"]
    if answers[0].shape != (count, classes):
        raise ContractViolation(f"The deployment gave logits {tuple(answers[0].shape)}; expected {(count, classes)}.")
    if not bool(torch.isfinite(answers[0]).all()):
        raise ContractViolation("The deployment gave logits that are not finite on clean images.")
    probed = Signal(x[:LOOKED_AT], Draws.of("probe", 0, names[:LOOKED_AT]))
    passages, _ = trace(deployment, probed)
    near = around(x[:LOOKED_AT], spec["radius"])
    noisy = Signal(near, Draws.of("probe", 0, [b"%d" % i for i in range(len(near))]))
    found = ways(deployment, trace(deployment, noisy)[0], noisy)
    mean = torch.stack(answers).mean(0)
    noises = {w: gradient_noise(deployment, through, x, names, mean) for w in found if (through := _known(w))}
    more = torch.from_numpy(stored.tensors["x"][:IMAGES]).float() / 255.0
    return Outcome(
        meta={
            "randomised": deployment.randomised,
            "differentiable": deployment.differentiable,
            "placements": list(deployment.placements),
            "difference": max(float((answers[0] - other).abs().max()) for other in answers[1:]),
            "derivatives": {p.node.name: _derivative(p) for p in passages if p.node.stage.differentiable},
            "surrogates": {p.node.name: seen for p in passages if (seen := fidelity(p, spec["radius"]))},
            "ways": list(found),
            "furthest": furthest(deployment, more, [b"%d" % i for i in range(len(more))], found, spec["radius"]),
            "noise": {
                **asdict(noises[found[0]]),
                "draws": noises[found[0]].draws,
                "ways": {way: noise.draws for way, noise in noises.items()},
            },
            "views": sum(p.output.x.shape == (len(probed), classes) for p in passages),
            "detects": "score" in passages[-1].output.side,
            "facts": {name: value for node in deployment.nodes for name, value in node.stage.facts.items()},
        }
    )


def _known(way: str) -> Backward | None:
    """Return what makes gradients in a way; None for one that has to be learned first."""
    return None if way == LEARNED else backward(way)


def _derivative(passage: Passage) -> dict[str, Any]:
    """Return how a declared derivative compares with finite differences; figures that are none as None."""
    seen = asdict(slope(passage))
    return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in seen.items()}


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
