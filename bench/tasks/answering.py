"""How a deployment is asked: over the wire, on draws named by what is judged, in an order that it cannot know."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.attack import Threat
from bench.deployment import Deployment, Draws, Signal
from bench.deployment.calls import calls
from bench.errors import ContractViolation, PluginFault
from bench.tasks.outcome import REJECTED


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


@dataclass(frozen=True)
class Answer:
    """What a deployment says of images on one draw.

    Attributes
    ----------
    logits : float32, (B, K)
    score : float32, (B,), of its detector, which detects above 0; None where it has none
    rejected : bool, (B,), images that it refuses to answer; None where it answers all
    """

    logits: Tensor
    score: Tensor | None = None
    rejected: Tensor | None = None


def answers(
    deployment: Deployment,
    x: Tensor,
    digests: Sequence[bytes],
    domain: Literal["select", "score"],
    seed: int,
    draws: int,
) -> Iterator[Answer]:
    """Yield what a deployment says on each draw, of images in an order that a plugin cannot know.

    Raises
    ------
    ContractViolation : logits or scores that are not finite or of another form
    """
    names = blake2b(b"".join(digests) + str(seed).encode(), digest_size=16).digest()
    order = np.random.Generator(np.random.Philox(key=int.from_bytes(names, "little"))).permutation(len(x))
    back = torch.from_numpy(np.argsort(order))
    shuffled, shuffled_digests = x[torch.from_numpy(order)], [digests[i] for i in order]
    tensors: dict[int, Tensor] = {id(tensor): tensor for tensor in deployment.parameters()}
    for draw in range(draws):
        drawn = streams(domain, seed, shuffled_digests, shuffled, draw)
        fresh = _copied(deployment, tensors)
        parts: dict[str, list[Tensor]] = {}
        for rows, counting in calls(len(x)):
            said = fresh.answer(Signal(shuffled[rows], drawn[rows]))
            for name, tensor in {"logits": said.x, **detected(said)}.items():
                parts.setdefault(name, []).append(tensor[:counting])
        whole = {name: torch.cat(pieces)[back] for name, pieces in parts.items()}
        if not bool(torch.isfinite(whole["logits"]).all()):
            raise ContractViolation("The deployment answered with logits that are not finite.")
        yield Answer(**whole)


def _copied(deployment: Deployment, shared: dict[int, Tensor]) -> Deployment:
    """Return a copy with nothing that a stage kept of an earlier draw; weights are shared."""
    try:
        return copy.deepcopy(deployment, dict(shared))
    except Exception as error:  # a stage's code: anything may be raised
        raise PluginFault(
            f"The deployment cannot be copied: {type(error).__name__}: {error}. Each draw is judged by a copy of its "
            "own: keep locks, sessions and handles out of stages, or give them a __deepcopy__."
        ) from error


def detected(said: Signal) -> dict[str, Tensor]:
    """Return what a detecting deployment says beside its logits, ``score`` and ``rejected``, each where it is there.

    Raises
    ------
    ContractViolation : a score that is no finite number an image, or a rejection that is no bool an image or has no
        score
    """
    found = {name: said.side[name] for name in ("score", "rejected") if name in said.side}
    score, rejected = found.get("score"), found.get("rejected")
    if score is not None and (score.shape != (len(said),) or not bool(torch.isfinite(score).all())):
        raise ContractViolation(f"The side tensor score is {tuple(score.shape)}; expected a finite number an image.")
    if rejected is not None and (rejected.shape != (len(said),) or rejected.dtype != torch.bool or score is None):
        raise ContractViolation(
            f"The side tensor rejected is {rejected.dtype} {tuple(rejected.shape)}; expected a bool an image, and a "
            "score beside it."
        )
    return found


def labels(each: Iterable[Answer]) -> NDArray[np.int16]:
    """Return the labels of answers, int16, (draws, B); ``REJECTED`` where an image was refused."""
    rows = []
    for answer in each:
        label = answer.logits.argmax(1)
        rows.append(label if answer.rejected is None else label.masked_fill(answer.rejected, REJECTED))
    return torch.stack(rows).numpy().astype(np.int16)
