"""Total-variation minimisation: the server forgets a random part of the image and fills it in smoothly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, FitResult, Placement, Signal, Stage, Surrogate
from bench_baselines.tv_solver import STEP_KNOWN, STEP_UNKNOWN, Problem, minimise

_SURROGATE_ITERATIONS = 20
_MULTIPLICATIONS = 10  # a value and iteration


class TotalVariation(Stage):
    """Drop values at random and replace the image by one of small total variation that is near the rest.

    Parameters
    ----------
    weight : of the total variation against half the squared distance
    drop : share of values forgotten, each channel's on its own; 0 forgets none
    iterations : of the solver

    References
    ----------
    Guo, Rana, Cisse, van der Maaten, "Countering Adversarial Images using Input Transformations", ICLR 2018; the
    squared distance and the isotropic variation are those of their code (``_tv_bregman``). The paper has the distance
    itself and row-wise norms, as has ART's ``TotalVarMin``, which sets out from the whole image, forgotten values
    included.
    """

    placement: Placement = "server"

    def __init__(self, shape: tuple[int, int, int], *, weight: float, drop: float, iterations: int) -> None:
        super().__init__()
        self.drop = drop
        self.problem = Problem(weight, iterations, STEP_UNKNOWN if drop else STEP_KNOWN)
        self.randomised = drop > 0
        self.macs_declared = _MULTIPLICATIONS * iterations * shape[0] * shape[1] * shape[2]

    @property
    def surrogates(self) -> Mapping[str, Surrogate]:
        """``identity``, of forgotten values too, for there are other draws; ``unrolled``, fewer steps of the solver."""

        def short(signal: Signal, progress: float) -> Signal:
            problem = replace(self.problem, iterations=min(self.problem.iterations, _SURROGATE_ITERATIONS))
            return signal.replace(minimise(signal.x, self._known(signal), problem))

        return {"identity": lambda signal, progress: signal, "unrolled": short}

    def forward(self, signal: Signal) -> Signal:
        return signal.replace(minimise(signal.x, self._known(signal), self.problem))

    def _known(self, signal: Signal) -> Tensor:
        if not self.drop:
            return torch.ones_like(signal.x, dtype=torch.bool)
        return torch.from_numpy(signal.draws.uniform("known", *signal.x.shape[1:]) >= self.drop).to(signal.x.device)


class TotalVariationMinimisation:
    """The image over the wire as it is; minimisation and the unchanged classifier on the server.

    Parameters
    ----------
    weight : of the total variation
    drop : share of values forgotten
    iterations : of the solver
    """

    def __init__(self, *, weight: float = 0.03, drop: float = 0.5, iterations: int = 100) -> None:
        self.weight, self.drop, self.iterations = weight, drop, iterations

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        stage = TotalVariation(shape, weight=self.weight, drop=self.drop, iterations=self.iterations)
        return Deployment.chain(Capture(), stage, Classify(network))
