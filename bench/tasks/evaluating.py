"""Ask the deployment itself, on fresh draws; labels are not here."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attack import Threat
from bench.deployment import Deployment, Draws, Node, Signal
from bench.deployment.deployment import run_node
from bench.errors import ContractViolation
from bench.store import Store
from bench.tasks.building import deployment_of, images_of
from bench.tasks.outcome import Outcome

ROWS = 16  # every call has this many rows: floating point depends on the shape
PICTURES = 4


def evaluate(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the labels that the deployment answers with, and how far each image is from its clean one.

    Tensors
    -------
    select, score : int16, (draws, B); answers on two disjoint domains of draws, the same one where nothing is random
    score_float : the same for x' before it is brought to the 8-bit grid, int16, (1, B); only where nothing is random
    anywhere : the same for x' at the distance found, int16, (draws, B); only of minimum-norm attacks
    distance : float64, (B,), of x' on its grid; inside : uint8, (B,), whether x' counts at this epsilon
    defended : float32, (4, C, H, W); the first images as the last stage sees them, where they still are images
    """
    deployment = deployment_of(store, spec["deployment"])
    first, last = spec["block"]
    x, digests = images_of(store, spec["images"], first, last)
    tensors: dict[str, NDArray[np.generic]] = {}
    judged = x
    if "craft" in spec:
        threat = Threat(**spec["threat"])
        found = torch.from_numpy(store.read(spec["craft"]).tensors["x_adv"])
        judged = threat.realise(x, found)
        realised, inside = judged, threat.contains(x, judged)
        tensors["distance"] = threat.distance(x, judged).numpy()
        tensors["inside"] = inside.numpy().astype(np.uint8)
        judged = torch.where(inside[:, None, None, None], judged, x)
    seed, draws = spec["seed"], spec["draws"]
    if draws["score"] == 1:
        tensors["score"] = tensors["select"] = answers(deployment, judged, digests, "score", seed, 1)
        if "craft" in spec:
            free = torch.where(threat.contains(x, found)[:, None, None, None], found, x)
            tensors["score_float"] = answers(deployment, free, digests, "score", seed, 1)
    else:
        tensors["select"] = answers(deployment, judged, digests, "select", seed, draws["select"])
        tensors["score"] = answers(deployment, judged, digests, "score", seed, draws["score"])
    if spec.get("minimum_norm"):
        # Whether it fools this deployment at the distance found, be that in this ball or not.
        tensors["anywhere"] = answers(deployment, realised, digests, "select", seed, draws["select"])
    if first == 0:
        tensors["defended"] = _before_last(deployment, judged[:PICTURES], digests[:PICTURES], seed)
        tensors["judged"] = judged[:PICTURES].numpy()
    return Outcome(tensors=tensors)


def answers(
    deployment: Deployment, x: Tensor, digests: list[bytes], domain: Literal["select", "score"], seed: int, draws: int
) -> NDArray[np.int16]:
    """Return the answered labels, int16, (draws, B), images in an order that a plugin cannot know."""
    # Named by the image that is judged too: equal draws would tell a plugin that it has seen this image before.
    streams_of = [
        digest + blake2b(image.numpy().tobytes(), digest_size=16).digest()
        for digest, image in zip(digests, x, strict=True)
    ]
    names = blake2b(b"".join(digests) + str(seed).encode(), digest_size=16).digest()
    order = np.random.Generator(np.random.Philox(key=int.from_bytes(names, "little"))).permutation(len(x))
    shuffled, shuffled_names = x[torch.from_numpy(order)], [streams_of[i] for i in order]
    tensors = {id(tensor): tensor for tensor in (*deployment.parameters(), *deployment.buffers())}
    given = np.empty((draws, len(x)), dtype=np.int16)
    for draw in range(draws):
        streams = Draws.of(domain, seed, shuffled_names, draw)
        fresh = copy.deepcopy(
            deployment, dict(tensors)
        )  # nothing that a stage kept of an earlier draw; weights are shared
        for start in range(0, len(x), ROWS):
            part = shuffled[start : start + ROWS]
            padded = torch.cat([part, part[-1:].expand(ROWS - len(part), -1, -1, -1)]) if len(part) < ROWS else part
            keys = [*range(start, start + len(part)), *[start + len(part) - 1] * (ROWS - len(part))]
            logits = fresh.answer(Signal(padded, streams[keys])).x[: len(part)]
            if not bool(torch.isfinite(logits).all()):
                raise ContractViolation("The deployment answered with logits that are not finite.")
            given[draw, order[start : start + ROWS]] = logits.argmax(1).numpy().astype(np.int16)
    return given


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
