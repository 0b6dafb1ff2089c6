"""Does a surrogate move as its stage does? The cosine between the two changes, for small changes of the input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attack.surrogate import stand_in_for
from bench.deployment import Join, Signal
from bench.deployment.deployment import run_node
from bench.deployment.passage import Passage


@torch.no_grad()
def fidelity(passage: Passage, radius: float) -> dict[str, float | None]:
    """Return how well each surrogate of a node predicts its change, name -> mean cosine; empty where it has none.

    Parameters
    ----------
    passage : a node with its inputs, x float32, (B, C, H, W)
    radius : of the box from which changes are drawn, uniformly; in pixels

    Returns
    -------
    dict : "identity" stands for the input itself, where straight-through gradients take it. None where the stage did
        not move for any image

    Notes
    -----
    For each image cos(stage(x + u) - stage(x), surrogate(x + u) - surrogate(x)), on equal draws; images that the stage
    does not see move are left out, and a surrogate that does not move where the stage does has a cosine of 0.
    """
    stage, given = passage.node.stage, passage.inputs[0]
    if isinstance(stage, Join):
        return {}
    noise = torch.rand(given.x.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    moved = given.replace((given.x + radius * noise).clamp(0, 1))
    stand_ins: dict[str, Callable[[Signal], Tensor]] = {
        name: lambda signal, surrogate=surrogate: surrogate(signal, 0.0).x  # type: ignore[misc]
        for name, surrogate in stage.surrogates.items()
    }
    if stand_in_for(stage, passage.output, given) == "identity":
        stand_ins["identity"] = lambda signal: signal.x
    if not stand_ins:
        return {}
    true = _change(run_node(passage.node, (moved,)).x, passage.output.x)
    return {name: _cosine(true, _change(work(moved), work(given))) for name, work in stand_ins.items()}


def _change(after: Tensor, before: Tensor) -> Tensor:
    return (after.double() - before.double()).flatten(1)


def _cosine(true: Tensor, predicted: Tensor) -> float | None:
    moves = true.abs().amax(1) > 0
    if not bool(moves.any()):
        return None
    cosines = torch.nn.functional.cosine_similarity(true[moves], predicted[moves], dim=1)
    return float(torch.nan_to_num(cosines).mean())
