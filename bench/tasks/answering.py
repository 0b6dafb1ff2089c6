"""How a deployment is asked: over the wire, on draws named by what is judged, in an order that it cannot know."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attack import Threat
from bench.deployment import Deployment, Draws, Signal
from bench.errors import ContractViolation

ROWS = 16  # every call has this many rows: floating point depends on the shape


def judged_images(threat: Threat, x: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Return what an attack found as a camera would deliver it, (B, C, H, W), and whether it counts, bool, (B,)."""
    realised = threat.realise(x, found)
    return realised, threat.contains(x, realised)


def streams(domain: Literal["select", "score"], seed: int, digests: Sequence[bytes], x: Tensor, draw: int) -> Draws:
    """Return the draws on which images are judged.

    Notes
    -----
    They are named by the judged image too: equal draws would tell a plugin that it has seen this image before.
    """
    names = [
        digest + blake2b(image.numpy().tobytes(), digest_size=16).digest()
        for digest, image in zip(digests, x, strict=True)
    ]
    return Draws.of(domain, seed, names, draw)


def logits(
    deployment: Deployment,
    x: Tensor,
    digests: Sequence[bytes],
    domain: Literal["select", "score"],
    seed: int,
    draws: int,
) -> Iterator[Tensor]:
    """Yield what each draw answers, (B, K), from images in an order that a plugin cannot know.

    Raises
    ------
    ContractViolation : logits that are not finite, or a deployment that rejects images
    """
    names = blake2b(b"".join(digests) + str(seed).encode(), digest_size=16).digest()
    order = np.random.Generator(np.random.Philox(key=int.from_bytes(names, "little"))).permutation(len(x))
    shuffled, shuffled_digests = x[torch.from_numpy(order)], [digests[i] for i in order]
    tensors = {id(tensor): tensor for tensor in (*deployment.parameters(), *deployment.buffers())}
    for draw in range(draws):
        drawn = streams(domain, seed, shuffled_digests, shuffled, draw)
        # Nothing that a stage kept of an earlier draw; weights are shared.
        fresh = copy.deepcopy(deployment, dict(tensors))
        parts = []
        for start in range(0, len(x), ROWS):
            part = shuffled[start : start + ROWS]
            padded = torch.cat([part, part[-1:].expand(ROWS - len(part), -1, -1, -1)]) if len(part) < ROWS else part
            keys = [*range(start, start + len(part)), *[start + len(part) - 1] * (ROWS - len(part))]
            answer = fresh.answer(Signal(padded, drawn[keys]))
            if "rejected" in answer.side:
                raise ContractViolation(
                    "The deployment rejects images; how to score that is not settled yet, and to ignore it would be "
                    "wrong. Let it answer every image."
                )
            parts.append(answer.x[: len(part)])
        answered = torch.cat(parts)
        if not bool(torch.isfinite(answered).all()):
            raise ContractViolation("The deployment answered with logits that are not finite.")
        yield answered[torch.from_numpy(np.argsort(order))]


def labels(each: Iterator[Tensor]) -> NDArray[np.int16]:
    """Return the answered labels of logits, int16, (draws, B)."""
    return np.stack([one.argmax(1).numpy().astype(np.int16) for one in each])
