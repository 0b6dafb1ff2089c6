"""The control of a defense that multiplies the compute: a larger classifier, trained on attacked images."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, FitContext, FitResult
from bench.hardware.processor import multiplies_in_bfloat16
from bench_baselines.adversarial_training import COLOUR, Inner, trained_on_attacks
from bench_baselines.widths import macs_of, widest
from bench_models.networks import ResNet20

_LAST = "classifier.weight"
_RATE = 0.1  # peak of the one cycle (Wong et al., section 4.1)
# Steps and their size on one channel; ours. With the one step of three channels it overfits to that step: at .3 on
# MNIST 98 % of images stood one step after three epochs, 23 % stood twenty.
_GREY = (4, 0.5)


class EqualCompute:
    """ResNet-20 in the classifier's place, as wide as the compute allows, trained on attacked images.

    Parameters
    ----------
    macs : millions of multiply-accumulates of one inference; the widest network that does not exceed them is taken
    epochs : of training; Wong et al. take 15

    Notes
    -----
    The attack inside the training is FGSM from a random start, of 1.25 epsilon (Wong et al. 2020), on three channels;
    on one, where that fails, four steps of half of epsilon.
    """

    def __init__(self, *, macs: float = 40.0, epochs: int = 10) -> None:
        self.macs, self.epochs = macs, epochs

    def fit(self, context: FitContext) -> FitResult:
        """Return the trained network; in bfloat16 where that is faster, as the notes say."""
        width = widest(self.macs * 1e6, context.shape, context.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            network = ResNet20(context.shape, context.classes, width=width)
        device = context.pools["train"].x.device
        network.to(device)
        reduced = device.type != "cpu" or multiplies_in_bfloat16()
        inner = Inner(context.radius, *(COLOUR if context.shape[0] == 3 else _GREY))
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
        trained_on_attacks(_Reduced(network) if reduced else network, inner, recipe, context)
        return FitResult(
            public=dict(network.state_dict()),
            notes={
                "radius": inner.epsilon,
                "inner_steps": inner.steps,
                "width": width,
                "macs": macs_of(width, context.shape, context.classes),
                "precision": "bf16" if reduced else "fp32",
            },
        )

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        classes, last = result.public[_LAST].shape
        own = ResNet20(shape, classes, width=last // 4)
        own.load_state_dict(dict(result.public))
        return Deployment.chain(Capture(), Classify(own.eval()))


class _Reduced(nn.Module):
    """A network computed in bfloat16 while it is trained, as Wong et al. train in float16.

    Parameters
    ----------
    exact : the network, whose parameters stay float32
    """

    def __init__(self, exact: nn.Module) -> None:
        super().__init__()
        self.exact = exact

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            logits: Tensor = self.exact(x)
        return logits.float()
