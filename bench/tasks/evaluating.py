"""Ask the deployment itself, on fresh draws; labels are not here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attack import Threat
from bench.deployment import Deployment, Draws, Node, Signal
from bench.deployment.deployment import run_node
from bench.store import Store
from bench.tasks.answering import answers, judged_images, labels
from bench.tasks.building import deployment_of, images_of
from bench.tasks.outcome import Outcome

PICTURES = 4
TOLERANCE = 1e-3  # of a logit between two batch shapes, relative; 6e-8 was seen, a plugin that cheats is far above


def evaluate(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the labels that the deployment answers with, and how far each image is from its clean one.

    Tensors
    -------
    select, score : int16, (draws, B); answers on two disjoint domains of draws, the same one where nothing is random;
        -1 where an image was rejected
    detector : float32, (draws, B), what a detector said on the score draws; only of detecting deployments
    score_float : the same for x' before it is brought to the 8-bit grid, int16, (1, B); only where nothing is random
    anywhere : the same for x' at the distance found, int16, (draws, B); only of minimum-norm attacks
    distance : float64, (B,), of x' on its grid; inside : uint8, (B,), whether x' counts at this epsilon
    defended : float32, (4, C, H, W); the first images as the last stage sees them, where they still are images

    Meta
    ----
    refuses : whether it may refuse to answer
    strangers : attacked images that were answered otherwise while they were attacked
    """
    deployment = deployment_of(store, spec["deployment"])
    first, last = spec["block"]
    x, digests = images_of(store, spec["images"], first, last)
    seed, draws = spec["seed"], spec["draws"]
    tensors: dict[str, NDArray[np.generic]] = {}
    judged = x
    if "craft" in spec:
        threat, crafted = Threat(**spec["threat"]), store.read(spec["craft"]).tensors
        found = torch.from_numpy(crafted["x_adv"])
        realised, inside = judged_images(threat, x, found)
        tensors["distance"] = threat.distance(x, realised).numpy()
        tensors["inside"] = inside.numpy().astype(np.uint8)
        judged = torch.where(inside[:, None, None, None], realised, x)
    scored = list(answers(deployment, judged, digests, "score", seed, draws["score"]))
    tensors["score"] = labels(scored)
    meta: dict[str, Any] = {"refuses": scored[0].rejected is not None}
    if scored[0].score is not None:
        tensors["detector"] = torch.stack([answer.score for answer in scored if answer.score is not None]).numpy()
    if draws["score"] == 1:
        tensors["select"] = tensors["score"]
        if "craft" in spec:
            free = torch.where(threat.contains(x, found)[:, None, None, None], found, x)
            tensors["score_float"] = labels(answers(deployment, free, digests, "score", seed, 1))
    else:
        tensors["select"] = labels(answers(deployment, judged, digests, "select", seed, draws["select"]))
    if spec.get("witnessed"):
        meta["strangers"] = _strangers(
            scored[0].logits, torch.from_numpy(crafted["under_attack"]), torch.from_numpy(crafted["attacked"]) == 1
        )
    if spec.get("minimum_norm"):
        # Whether it fools this deployment at the distance found, be that in this ball or not.
        tensors["anywhere"] = labels(answers(deployment, realised, digests, "select", seed, draws["select"]))
    if first == 0:
        tensors["defended"] = _before_last(deployment, judged[:PICTURES], digests[:PICTURES], seed)
        tensors["judged"] = judged[:PICTURES].numpy()
    return Outcome(tensors=tensors, meta=meta)


def _strangers(answered: Tensor, under_attack: Tensor, attacked: Tensor) -> int:
    """Return how many attacked images are answered otherwise here than in the process that attacked them."""
    allowed = TOLERANCE * (1.0 + answered.abs().amax(1))
    return int((((answered - under_attack).abs().amax(1) > allowed) & attacked).sum())


def _before_last(deployment: Deployment, x: Tensor, digests: list[bytes], seed: int) -> NDArray[np.float32]:
    """Return what enters the last node, for the pictures of the report; the input itself where that is no image."""
    seen: list[Tensor] = []

    def watched(node: Node, inputs: tuple[Signal, ...]) -> Signal:
        seen.append(inputs[0].x)
        return run_node(node, inputs)

    with torch.no_grad():
        deployment.walk(
            Signal(x, Draws.of("score", seed, digests)), watched, lambda node, leaving: node.stage.cross(leaving)
        )
    image = seen[-1] if seen[-1].shape == x.shape else x
    return image.numpy().astype(np.float32)
