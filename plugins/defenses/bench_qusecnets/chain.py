"""A classifier as a chain of affine, rectifying and pooling steps, as bounds need it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.grad import conv2d_input

from bench.errors import Unavailable

Shape: TypeAlias = tuple[int, ...]
_SILENT = (nn.Identity, nn.Dropout)  # nothing in evaluation


class NotAChainError(Unavailable):
    """The network is of a form for which there are no bounds here; its argument says which part."""

    def __str__(self) -> str:
        return f"There are no bounds of this classifier: {self.args[0]}."


@dataclass(frozen=True)
class Affine:
    """z = W h + b: a convolution, a linear layer, or a scale and a shift for each channel.

    Attributes
    ----------
    module : the layer, frozen, of the type in which bounds are computed
    before, after : shapes of one image's values, without the batch
    sums, transposed_sums : most products and constants that are summed into one value of W h + b, and of g W
    """

    module: nn.Conv2d | nn.Linear | _Scale
    before: Shape
    after: Shape
    sums: int
    transposed_sums: int

    def __call__(self, h: Tensor) -> Tensor:
        """Return W h + b, (B, *after)."""
        out: Tensor = self.module(h)
        return out

    def linear(self, h: Tensor) -> Tensor:
        """Return W h."""
        return self._apply(h, self.module.weight, None)

    def spread(self, h: Tensor) -> Tensor:
        """Return |W| h."""
        return self._apply(h, self.module.weight.abs(), None)

    def magnitude(self, h: Tensor) -> Tensor:
        """Return |W| h + |b|, for h >= 0."""
        shift = self.offset
        if isinstance(self.module, _Scale):
            shift = self.module.weight.abs() * self.module.mean.abs() + self.module.bias.abs()
        shape = (-1, 1, 1) if len(self.after) == 3 else (-1,)
        return self.spread(h) + shift.abs().reshape(shape)

    @property
    def offset(self) -> Tensor:
        """The constant b, a value for each channel or output."""
        if isinstance(self.module, _Scale):
            return self.module.bias - self.module.weight * self.module.mean
        if self.module.bias is None:
            return torch.zeros(self.after[0], dtype=self.module.weight.dtype)
        return self.module.bias

    def transposed(self, g: Tensor) -> Tensor:
        """Return g W, (N, *before), for g (N, *after)."""
        weight = self.module.weight
        if isinstance(self.module, nn.Linear):
            return g @ weight
        if isinstance(self.module, _Scale):
            return g * self.module.shaped(weight)
        conv = self.module
        found: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
            (len(g), *self.before), weight, g, conv.stride, conv.padding, conv.dilation, conv.groups
        )
        return found

    def against_offset(self, g: Tensor) -> Tensor:
        """Return g b, float64, (B, S), for g (B, S, *after)."""
        per_channel = g.flatten(3).sum(3) if g.ndim > 3 else g
        return per_channel.double() @ self.offset.double()

    def _apply(self, h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if isinstance(self.module, nn.Linear):
            return F.linear(h, weight, bias)
        if isinstance(self.module, _Scale):
            return h * self.module.shaped(weight)
        conv = self.module
        return F.conv2d(h, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


class Rectify:
    """h = max(z, 0)."""


@dataclass(frozen=True)
class Reshape:
    """The same values in another shape."""

    before: Shape
    after: Shape


@dataclass(frozen=True)
class Pool:
    """The largest value of each window."""

    module: nn.MaxPool2d
    before: Shape
    after: Shape

    def __call__(self, h: Tensor) -> Tensor:
        """Return the largest of each window, (B, *after)."""
        out: Tensor = self.module(h)
        return out


Step: TypeAlias = Affine | Rectify | Reshape | Pool


class _Scale(nn.Module):
    """Batch normalisation as it is evaluated: (x - mean) weight + bias.

    Attributes
    ----------
    places : dimensions of one image's values behind the channel's, none behind a linear layer
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.places = 2 if isinstance(norm, nn.BatchNorm2d) else 0
        if norm.running_mean is None or norm.running_var is None:
            raise NotAChainError("a batch normalisation without running statistics")
        deviation = (norm.running_var.double() + norm.eps).sqrt()
        weight = torch.ones_like(deviation) if norm.weight is None else norm.weight.detach().double()
        self.register_buffer("weight", weight / deviation)
        bias = torch.zeros_like(deviation) if norm.bias is None else norm.bias.detach().double()
        self.register_buffer("bias", bias)
        self.register_buffer("mean", norm.running_mean.double())

    def shaped(self, values: Tensor) -> Tensor:
        return values.reshape(-1, *[1] * self.places)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shaped(self.mean)) * self.shaped(self.weight) + self.shaped(self.bias)


@torch.no_grad()
def chain_of(network: nn.Module, shape: Shape, dtype: torch.dtype) -> list[Step]:
    """Return the steps of a network whose layers follow one another, with weights of their own of type ``dtype``.

    Parameters
    ----------
    shape : of one image, (C, H, W)

    Raises
    ------
    NotAChainError : a layer of another kind, or one that does not follow the one before
    """
    h = torch.zeros(1, *shape, dtype=dtype)
    steps: list[Step] = []
    for module in _layers(network):
        before = tuple(h.shape[1:])
        own = _copy(module).to(dtype)
        _refuse_shape(own, before)
        h = own(h)
        after = tuple(h.shape[1:])
        if isinstance(own, nn.ReLU):
            steps.append(Rectify())
        elif isinstance(own, nn.Flatten):
            steps.append(Reshape(before, after))
        elif isinstance(own, nn.MaxPool2d):
            steps.append(Pool(own, before, after))
        else:
            assert isinstance(own, nn.Conv2d | nn.Linear | _Scale)
            steps.append(Affine(own, before, after, *_sums(own)))
    return steps


def _layers(network: nn.Module) -> Iterator[nn.Module]:
    try:
        graph = fx.symbolic_trace(network).graph
    except Exception as error:  # whatever a strange forward raises while it is traced
        raise NotAChainError(f"it cannot be traced ({type(error).__name__}: {error})") from None
    modules, last = dict(network.named_modules()), None
    for node in graph.nodes:
        if node.op == "call_module" and list(node.args) == [last] and not node.kwargs:
            module = modules[str(node.target)]
            if not isinstance(module, _SILENT):
                yield _known(module)
        elif node.op == "placeholder" and last is None:
            pass
        elif not (node.op == "output" and list(node.args) == [last]):
            raise NotAChainError(f"{node.op} {node.name!r} is no layer that follows the one before")
        last = node


def _known(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return _Scale(module)
    if isinstance(module, nn.MaxPool2d) and (
        module.padding or module.dilation != 1 or module.ceil_mode or module.kernel_size != module.stride
    ):
        raise NotAChainError("a pooling that pads, dilates, rounds up or whose windows overlap")
    if isinstance(module, nn.Flatten) and module.start_dim < 1:
        raise NotAChainError("a Flatten that may take the images of a batch for one")
    if isinstance(module, nn.Conv2d) and (isinstance(module.padding, str) or module.padding_mode != "zeros"):
        raise NotAChainError("a convolution that does not pad with zeros")
    if not isinstance(module, nn.Conv2d | nn.Linear | nn.ReLU | nn.Flatten | nn.MaxPool2d):
        raise NotAChainError(f"there are no bounds for {type(module).__name__}")
    return module


def _refuse_shape(module: nn.Module, before: Shape) -> None:
    """Raise NotAChainError where a layer, which may take values of several ranks, gets such as its bounds do not."""
    taken = {nn.Linear: 1, nn.Conv2d: 3, nn.MaxPool2d: 3, _Scale: 1 + getattr(module, "places", 0)}
    rank = taken.get(type(module), len(before))
    if len(before) != rank:
        name = "batch normalisation" if isinstance(module, _Scale) else type(module).__name__
        raise NotAChainError(f"{name} of values of {len(before)} dimensions, not {rank}")


def _copy(module: nn.Module) -> nn.Module:
    own = copy.deepcopy(module)
    if isinstance(own, nn.ReLU):
        own.inplace = False
    return own.eval().requires_grad_(False)


def _sums(module: nn.Conv2d | nn.Linear | _Scale) -> tuple[int, int]:
    if isinstance(module, _Scale):
        return 8, 1  # a few operations one after the other, in any order
    if isinstance(module, nn.Linear):
        return module.in_features + 1, module.out_features
    windows = 1  # of the outputs, those that one input value enters
    for kernel, stride in zip(module.kernel_size, module.stride, strict=True):
        windows *= -(-kernel // stride)
    return module.weight[0].numel() + 1, module.out_channels // module.groups * windows
