"""What the entries' factories give: a network of the asked shape, and its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from bench.training.recipe import Recipe
from bench_models import sizes
from bench_models.networks import CleverHansCNN, LeNet5, MobileNetV2, ResNet20, Shape, ThinVGG
from bench_models.recipes import recipe_for


class _Family:
    """A network of the images' shape, the number of classes and its entry's parameters.

    Attributes
    ----------
    name : the entry's
    refuse : raises UsageError on images that the network does not take, see ``sizes``
    """

    name: ClassVar[str]
    network: ClassVar[type[nn.Module]]
    refuse: ClassVar[staticmethod[[Mapping[str, Any], Shape | None], None]]

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def build(self, shape: Shape, classes: int) -> nn.Module:
        self.refuse(self.parameters, shape)
        return self.network(shape, classes, **self.parameters)

    def recipe(self, dataset: str) -> Recipe:
        return recipe_for(self.name, dataset)


class CleverHans(_Family):
    """CleverHans' basic network."""

    name = "cleverhans-cnn"
    network = CleverHansCNN
    refuse = staticmethod(sizes.cleverhans_cnn)


class LeNet(_Family):
    """LeNet-5.

    Parameters
    ----------
    padding : of the first convolution, 0 or 2
    """

    name = "lenet5"
    network = LeNet5
    refuse = staticmethod(sizes.lenet5)

    def __init__(self, *, padding: int = 0) -> None:
        super().__init__(padding=padding)


class ResNet(_Family):
    """ResNet-20."""

    name = "resnet20"
    network = ResNet20
    refuse = staticmethod(sizes.resnet20)


class VGG(_Family):
    """Defed's thin VGG."""

    name = "vgg-thin"
    network = ThinVGG
    refuse = staticmethod(sizes.vgg_thin)


class MobileNet(_Family):
    """torchvision's MobileNetV2."""

    name = "mobilenet-v2"
    network = MobileNetV2
    refuse = staticmethod(sizes.mobilenet_v2)
