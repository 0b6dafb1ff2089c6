"""The copy of a deployment that gradients come from: the same function, computed faster."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from bench.attack.surrogate import Backward
from bench.deployment import Deployment, Draws, Signal
from bench.deployment.folding import fix_slopes, fold_batch_norms, has_batch_norm

Precision = Literal["fp32", "bf16"]
TOLERANCE: Final = 1e-5  # of max(1, max|logit|): what folding or layout may change
_PROBES: Final = 2


@dataclass(frozen=True)
class Fast:
    """What stands in for a deployment where it is differentiated.

    Attributes
    ----------
    deployment : a copy whose weights take no gradient; the deployment itself where that cannot be copied
    precision : in which its networks multiply while autograd watches; float32 otherwise
    folded : normalisations that went into the layers before them
    """

    deployment: Deployment
    precision: Precision = "fp32"
    folded: int = 0


def fast_copy(
    deployment: Deployment, shape: tuple[int, int, int], *, precision: Precision = "fp32", backward: Backward | None
) -> Fast:
    """Return a fast copy of a deployment: layers folded, slopes fixed, and laid out as the processor likes them.

    Parameters
    ----------
    shape : of an image, (C, H, W)
    precision : "bf16" lets the networks inside the stages compute in bfloat16 on the way to a gradient, and falls back
        to "fp32" where that gives none
    backward : how it will be differentiated; None where it will not be

    Notes
    -----
    Folding, slopes and layout are each undone unless the logits of a few random images stay within ``TOLERANCE``, and
    where a stage's code does not take them there or back, as ``view`` takes nothing that is channels last. The images
    are the same in every process: what an attack meets does not depend on the block that it works on.
    """
    probe = _probe(shape)
    try:
        plain = copy.deepcopy(deployment)
        with torch.no_grad():
            wanted = plain(probe).x
    except Exception:  # a stage's code: anything may be raised, and what is wrong with it shows where it is attacked
        return Fast(deployment)
    plain.requires_grad_(False)
    fast, folded = _kept_if_alike(_fold, plain, probe, wanted)
    fast, _ = _kept_if_alike(_fix_slopes, fast, probe, wanted)
    laid_out, _ = _kept_if_alike(_lay_out, fast, probe, wanted)
    if backward is None or _as_well(laid_out, fast, probe, backward):
        fast = laid_out
    if precision == "bf16" and backward is not None:
        lowered = copy.deepcopy(fast)
        for stage in lowered.stages:
            _lower(stage)
        if _has_gradient(lowered, probe, backward):
            return Fast(lowered, "bf16", folded)
    return Fast(fast, folded=folded)


def _probe(shape: tuple[int, int, int]) -> Signal:
    x = torch.rand((_PROBES, *shape), generator=torch.Generator().manual_seed(0))
    return Signal(x, Draws.of("probe", 0, [str(row).encode() for row in range(_PROBES)]))


def _kept_if_alike(
    change: Callable[[Deployment, Signal], int], deployment: Deployment, probe: Signal, wanted: Tensor
) -> tuple[Deployment, int]:
    """Return a changed copy, and in how many places, or the deployment itself where that is not the same function."""
    changed = copy.deepcopy(deployment)
    try:
        with torch.no_grad():
            count = change(changed, probe)
            alike = count > 0 and not _differs(changed(probe).x, wanted)
    except Exception:  # as above
        alike = False
    return (changed, count) if alike else (deployment, 0)


def _differs(got: Tensor, wanted: Tensor) -> bool:
    allowed = TOLERANCE * max(1.0, float(wanted.abs().max()))
    return got.shape != wanted.shape or not float((got - wanted).abs().max()) <= allowed


def _fold(deployment: Deployment, probe: Signal) -> int:
    return fold_batch_norms(deployment, lambda: deployment(probe)) if has_batch_norm(deployment) else 0


def _fix_slopes(deployment: Deployment, probe: Signal) -> int:
    return fix_slopes(deployment)


def _lay_out(deployment: Deployment, probe: Signal) -> int:
    """Give convolutions channels last where most of a stage's weights fill whole vectors; narrow ones lose by it."""
    laid_out = 0
    for stage in deployment.stages:
        convolutions = [part for part in stage.modules() if type(part) is nn.Conv2d]
        wide = [part for part in convolutions if part.in_channels % 8 == part.out_channels % 8 == 0]
        if 2 * sum(part.weight.numel() for part in wide) > sum(part.weight.numel() for part in convolutions):
            laid_out += len(convolutions)
            for part in convolutions:
                part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return laid_out


def _lower(stage: nn.Module) -> None:
    """Let the networks inside a stage compute in bfloat16 while autograd watches, and give float32.

    What a stage itself computes, a transform or a decision, stays float32; so do convolutions in groups, which
    bfloat16 made slower where it was measured (decision 0021).
    """
    for child in stage.children():
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)):
            _lower(child)
        else:
            child.forward = _lowered(child.forward)
            for part in child.modules():
                if isinstance(part, nn.Conv2d) and part.groups > 1:
                    part.forward = _kept(part.forward)  # type: ignore[method-assign]


def _lowered(forward: Any) -> Any:
    @wraps(forward)
    def run(*inputs: Any, **named: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=torch.is_grad_enabled()):
            out = forward(*inputs, **named)
        return out.float() if isinstance(out, Tensor) and out.dtype == torch.bfloat16 else out

    return run


def _kept(forward: Any) -> Any:
    @wraps(forward)
    def run(x: Tensor) -> Any:
        with torch.autocast("cpu", enabled=False):
            return forward(x.float())

    return run


def _as_well(changed: Deployment, deployment: Deployment, probe: Signal, backward: Backward) -> bool:
    """Return whether a changed copy has a gradient wherever the deployment has one.

    Copies are asked: what a stage keeps of a gradient cannot be copied any more.
    """
    return _has_gradient(copy.deepcopy(changed), probe, backward) or not _has_gradient(
        copy.deepcopy(deployment), probe, backward
    )


def _has_gradient(deployment: Deployment, probe: Signal, backward: Backward) -> bool:
    x = probe.x.clone().requires_grad_(True)
    try:
        with torch.enable_grad():
            logits = backward(deployment, probe.replace(x), 1.0).x
            (gradient,) = torch.autograd.grad(logits.sum(), x)
    except Exception:  # as above
        return False
    return bool(torch.isfinite(logits).all() and torch.isfinite(gradient).all())
