"""The control of a defense that multiplies the compute: a larger classifier, trained on attacked images."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, FitContext, FitResult
from bench_baselines.adversarial_training import COLOUR, Inner, trained_on_attacks

_BLOCKS = 3  # in each of three groups: twenty layers in all
_LAST = "classifier.weight"
_RATE = 0.1  # peak of the one cycle (Wong et al., section 4.1)


class EqualCompute:
    """A residual network in the classifier's place, as wide as the compute allows, trained on attacked images.

    Parameters
    ----------
    macs : millions of multiply-accumulates of one inference; the widest network that stays below is taken
    epochs : of training
    """

    def __init__(self, *, macs: float = 40.0, epochs: int = 15) -> None:
        self.macs, self.epochs = macs, epochs

    def fit(self, context: FitContext) -> FitResult:
        """Return the trained network: one step of FGSM from a random start, of 1.25 epsilon (Wong et al. 2020)."""
        width = widest(self.macs * 1e6, context.shape, context.classes)
        generator = torch.Generator().manual_seed(context.seed)
        network = WideResidual(context.shape, context.classes, width)
        network.initialise(generator)
        network.to(context.pools["train"].x.device)
        inner = Inner(context.radius, *COLOUR)
        recipe = replace(
            context.recipe,  # flips and shifts are the data set's
            optimiser="sgd",
            rate=_RATE,
            epochs=self.epochs,
            weight_decay=5e-4,
            smoothing=0.0,
            one_cycle=True,
            small_epochs=0,
            average=0.0,
        )
        trained = trained_on_attacks(network, inner, recipe, context)
        return FitResult(
            public=dict(trained.state_dict()),
            notes={"radius": inner.epsilon, "width": width, "macs": macs_of(width, context.shape, context.classes)},
        )

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        classes, last = result.public[_LAST].shape
        own = WideResidual(shape, classes, last // 4)
        own.load_state_dict(dict(result.public))
        return Deployment.chain(Capture(), Classify(own.eval()))


class WideResidual(nn.Module):
    """A residual network of twenty layers: three groups of three blocks, each group twice as wide as the one before.

    Parameters
    ----------
    shape : (C, H, W)
    width : channels of the first group; 16 is He et al.'s

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, shortcut option A.
    Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016: wider rather than deeper.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(shape[0], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        groups = ((width, 1), (2 * width, 2), (4 * width, 2))
        narrow = width
        blocks: list[nn.Module] = []
        for wide, stride in groups:
            blocks.append(_Block(narrow, wide, stride))
            blocks += [_Block(wide, wide, 1) for _ in range(_BLOCKS - 1)]
            narrow = wide
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(narrow, classes)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights: He et al.'s normal for convolutions, small and normal for the last layer."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        nn.init.normal_(self.classifier.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.blocks(F.relu(self.stem(x))).mean((2, 3)))
        return out


class _Block(nn.Module):
    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.stride, self.pad = stride, (wide - narrow) // 2
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)


def macs_of(width: int, shape: tuple[int, int, int], classes: int) -> int:
    """Return the multiply-accumulates of one image in a ``WideResidual``."""
    channels, height, columns = shape
    narrow, wide = width, width
    count = 9 * channels * width * height * columns
    for group in range(3):
        if group:
            height, columns, wide = -(-height // 2), -(-columns // 2), 2 * narrow
        count += 9 * wide * height * columns * (narrow + (2 * _BLOCKS - 1) * wide)
        narrow = wide
    return count + narrow * classes


def widest(macs: float, shape: tuple[int, int, int], classes: int) -> int:
    """Return the largest even width whose network stays below ``macs``; 2 where none does."""
    width = 2
    while macs_of(width + 2, shape, classes) <= macs:
        width += 2
    return width
