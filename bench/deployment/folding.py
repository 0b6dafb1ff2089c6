"""Make layers of a network that is not trained any more simpler: one for two, numbers for parameters."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d)
_FUSES: Final[Mapping[type[nn.Module], Callable[[Any, Any], nn.Module]]] = {
    nn.Conv2d: fuse_conv_bn_eval,
    nn.ConvTranspose2d: partial(fuse_conv_bn_eval, transpose=True),
    nn.Linear: fuse_linear_bn_eval,
}


def has_batch_norm(module: nn.Module) -> bool:
    """Return whether there is anything to fold."""
    return any(type(part) in _NORMS for part in module.modules())


def fold_batch_norms(module: nn.Module, run: Callable[[], object]) -> int:
    """Replace, inside ``module``, each layer and the normalisation that follows it by one layer; return how many.

    Parameters
    ----------
    run : runs the module once; which layer a normalisation follows is seen in this run

    Notes
    -----
    Whatever way the network is written in, a normalisation is foldable where all that it is given is, as the same
    tensor, all that one ``Conv2d``, ``Linear``, or ``ConvTranspose2d`` without groups gives. Left as they are: one in
    training mode or without running statistics, which depends on its batch; subclasses, and layers with hooks or
    parametrizations, whose weights are made anew at each call. A layer whose output is also used before its
    normalisation is not recognised: compare the module's answers before and after.
    """
    pairs = _followed(module, run)
    fused: dict[nn.Module, nn.Module] = {}
    for layer, norm in pairs:
        fused[layer], fused[norm] = _fused(layer, norm), nn.Identity()
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if child in fused:
                setattr(parent, name, fused[child])
    return len(pairs)


def fix_slopes(module: nn.Module) -> int:
    """Replace, inside ``module``, each PReLU of one slope by a leaky ReLU of that slope; return how many.

    Notes
    -----
    The values are the same, and so are the derivatives by the input. torch's derivative of a PReLU takes five times as
    long, since it comes with that by the slope, asked for or not.
    """
    fixed = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.PReLU and child.num_parameters == 1 and _is_plain(child):
                setattr(parent, name, nn.LeakyReLU(float(child.weight)))
                fixed += 1
    return fixed


def _fused(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """Return one layer that does what the two do: W' = W g / sqrt(v + e), b' = (b - m) g / sqrt(v + e) + beta."""
    # In float64, so that each weight is rounded only once.
    one = _FUSES[type(layer)](copy.deepcopy(layer).double(), copy.deepcopy(norm).double())
    return one.to(next(layer.parameters()).dtype).requires_grad_(False)


def _followed(module: nn.Module, run: Callable[[], object]) -> list[tuple[nn.Module, nn.Module]]:
    """Return the pairs of a layer and the normalisation that it always goes into, in the order of the layers."""
    given: dict[int, tuple[Tensor, nn.Module]] = {}  # holds the tensors, so that no identity is used twice
    calls: Counter[nn.Module] = Counter()
    joint: Counter[tuple[nn.Module, nn.Module]] = Counter()

    def gave(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        calls[layer] += 1
        given[id(output)] = (output, layer)

    def takes(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls[norm] += 1
        if inputs and id(inputs[0]) in given:
            joint[given[id(inputs[0])][1], norm] += 1

    handles = []
    for part in module.modules():
        if type(part) in _FUSES and _is_plain(part) and not _is_mixed(part):
            handles.append(part.register_forward_hook(gave))
        elif type(part) in _NORMS and _is_plain(part) and _is_settled(part):
            handles.append(part.register_forward_pre_hook(takes))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair, count in joint.items() if all(calls[part] == count for part in pair)]


def _is_plain(part: nn.Module) -> bool:
    return not (part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks)


def _is_mixed(layer: nn.Module) -> bool:
    """Return whether the weights of a layer's outputs lie apart: those of a transposed convolution in groups."""
    return isinstance(layer, nn.ConvTranspose2d) and layer.groups > 1


def _is_settled(norm: Any) -> bool:
    """Return whether a normalisation is the same map for every batch."""
    return not norm.training and norm.running_mean is not None
