"""The suite's classifiers; each takes x in [0, 1], float32, (B, C, H, W), and returns logits, (B, K)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, int, int]


class CleverHansCNN(nn.Module):
    """The basic network of CleverHans, on which QuSecNets is tried here: three convolutions and one linear layer.

    References
    ----------
    cleverhans v2.1.0, ``utils_keras.cnn_model``. 710,218 parameters at 1x28x28, 722,250 at 3x32x32.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        channels = shape[0]
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, 8, 2, 3),
            nn.ReLU(),
            nn.Conv2d(64, 128, 6, 2),
            nn.ReLU(),
            nn.Conv2d(128, 128, 5, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(_width_after(self.features, shape), classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x))
        return out


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and max pooling.

    Parameters
    ----------
    padding : of the first convolution; at 1x28x28, 0 gives 44,426 parameters (Defed) and 2 gives 61,706 (EdgePro)
    """

    def __init__(self, shape: Shape, classes: int, *, padding: int = 0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], 6, 5, padding=padding),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(_width_after(self.features, shape), 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x))
        return out


class Normalise(nn.Module):
    """Subtract the mean and divide by the standard deviation, per channel, inside the network.

    Attacks work on pixels in [0, 1]; a network that wants another range converts for itself.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with a parameter-free shortcut (He et al. 2016, option A)."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.pad = (width - width_in) // 2
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn2(self.conv2(F.relu_(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            # Pooling of one pixel, not a slice: the gradient of a slice is never channels last.
            x = F.pad(F.avg_pool2d(x, 1, self.stride), (0, 0, 0, 0, self.pad, self.pad))
        return F.relu_(y.add_(x))


class ResNet20(nn.Module):
    """ResNet-20 for 32x32 images: 269,722 parameters at 3 channels and 10 classes.

    Parameters
    ----------
    width : channels of the first group of blocks, 16 in the paper; each group is twice as wide as the one before

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, shortcut option A.
    """

    def __init__(self, shape: Shape, classes: int, *, width: int = 16) -> None:
        super().__init__()
        channels = shape[0]
        self.normalise = Normalise(*_STATISTICS[channels])
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        blocks: list[nn.Module] = []
        width_in = width
        for wide, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
            for position in range(3):
                blocks.append(_BasicBlock(width_in, wide, stride if position == 0 else 1))
                width_in = wide
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(width_in, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.blocks(self.stem(self.normalise(x))).mean((2, 3)))
        return out


class ThinVGG(nn.Module):
    """Defed's thin VGG: 579,786 parameters at 3x32x32.

    References
    ----------
    Defed's released classifier for SVHN: [16,M,32,M,64,64,M,128,128,M,128,128,M], 3x3 convolutions with batch norm.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width_in = shape[0]
        for width in (16, "pool", 32, "pool", 64, 64, "pool", 128, 128, "pool", 128, 128, "pool"):
            if isinstance(width, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                width_in = width
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.classifier = nn.Linear(_width_after(self.features, shape), classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x))
        return out


class MobileNetV2(nn.Module):
    """torchvision's MobileNetV2, its first stride set for small images, normalising inside."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2  # lazy: torchvision must match torch, and few runs need it

        self.normalise = Normalise(*_STATISTICS[shape[0]])
        self.network = mobilenet_v2(weights=None, num_classes=classes)
        first = self.network.features[0][0]
        stride = 2 if min(shape[1:]) >= 96 else 1
        self.network.features[0][0] = nn.Conv2d(shape[0], first.out_channels, 3, stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(self.normalise(x))
        return out


# Mean and standard deviation per channel: CIFAR-10's training images for colour, MNIST's for grey.
_STATISTICS: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    3: ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    1: ((0.1307,), (0.3081,)),
}


def _width_after(features: nn.Module, shape: Shape) -> int:
    """Return the number of values that ``features`` gives for one image of ``shape``."""
    was_training = features.training
    with torch.no_grad():
        width = features.eval()(torch.zeros(1, *shape)).shape[1]
    features.train(was_training)
    return int(width)
