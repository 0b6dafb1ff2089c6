"""What the entries' factories give: a network of the asked shape, and its recipe."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from bench.errors import UsageError
from bench.training.recipe import Recipe
from bench_models.networks import CleverHansCNN, LeNet5, MobileNetV2, ResNet20, Shape, ThinVGG
from bench_models.recipes import recipe_for


class _Family:
    """A network that needs nothing but the images' shape and the number of classes.

    Attributes
    ----------
    name : the entry's
    smallest : side in pixels below which a layer would have no output
    channels : numbers of channels that it takes, empty for any
    """

    name: ClassVar[str]
    network: ClassVar[type[nn.Module]]
    smallest: ClassVar[int] = 1
    channels: ClassVar[tuple[int, ...]] = ()

    def build(self, shape: Shape, classes: int) -> nn.Module:
        if min(shape[1:]) < self.smallest:
            raise UsageError(
                f"Model {self.name!r} needs images of at least {self.smallest}x{self.smallest}; "
                f"got {shape[1]}x{shape[2]}. Choose another model or larger images."
            )
        if self.channels and shape[0] not in self.channels:
            known = " or ".join(map(str, self.channels))
            raise UsageError(f"Model {self.name!r} needs images of {known} channels; got {shape[0]}.")
        return self._network(shape, classes)

    def _network(self, shape: Shape, classes: int) -> nn.Module:
        return self.network(shape, classes)

    def recipe(self, dataset: str) -> Recipe:
        return recipe_for(self.name, dataset)


class CleverHans(_Family):
    """CleverHans' basic network."""

    name = "cleverhans-cnn"
    network = CleverHansCNN
    smallest = 28  # the third convolution sees 5x5


class LeNet(_Family):
    """LeNet-5.

    Parameters
    ----------
    padding : of the first convolution, 0 or 2
    """

    name = "lenet5"
    network = LeNet5

    def __init__(self, *, padding: int = 0) -> None:
        self.padding = padding
        self.smallest = 16 - 2 * padding  # type: ignore[misc]  # the second pooling sees 2x2

    def _network(self, shape: Shape, classes: int) -> nn.Module:
        return LeNet5(shape, classes, padding=self.padding)


class ResNet(_Family):
    """ResNet-20."""

    name = "resnet20"
    network = ResNet20
    channels = (1, 3)


class VGG(_Family):
    """Defed's thin VGG."""

    name = "vgg-thin"
    network = ThinVGG
    smallest = 32  # five poolings


class MobileNet(_Family):
    """torchvision's MobileNetV2."""

    name = "mobilenet-v2"
    network = MobileNetV2
    channels = (1, 3)
