"""Which images a network takes; imported while a run is planned."""

from __future__ import annotations

from collections.abc import Mapping

from bench.errors import UsageError
from bench.plugins.entries import Shape
from bench.plugins.parameters import Value


def cleverhans_cnn(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse images of which the third convolution would see less than 5x5."""
    _refuse_smaller("cleverhans-cnn", 28, shape)


def lenet5(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse images of which the second pooling would see less than 2x2."""
    _refuse_smaller("lenet5", 16 - 2 * int(parameters["padding"]), shape)


def resnet20(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse images that are neither grey nor of three colours."""
    _refuse_other_channels("resnet20", shape)


def vgg_thin(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse images too small for five poolings."""
    _refuse_smaller("vgg-thin", 32, shape)


def mobilenet_v2(parameters: Mapping[str, Value], shape: Shape | None) -> None:
    """Refuse images that are neither grey nor of three colours."""
    _refuse_other_channels("mobilenet-v2", shape)


def _refuse_smaller(model: str, smallest: int, shape: Shape | None) -> None:
    if shape is not None and min(shape[1:]) < smallest:
        raise UsageError(
            f"{model} needs images of at least {smallest}x{smallest}; got {shape[1]}x{shape[2]}. "
            "Choose another model or larger images."
        )


def _refuse_other_channels(model: str, shape: Shape | None) -> None:
    if shape is not None and shape[0] not in (1, 3):
        raise UsageError(f"{model} needs images of 1 or 3 channels; got {shape[0]}. Choose another model.")
