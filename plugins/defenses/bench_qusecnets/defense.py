"""The two defenses: where thresholds come from, how the classifier is trained, what is deployed."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, FitContext, FitResult
from bench.training import Recipe, train
from bench_qusecnets.check import refuse_thresholds
from bench_qusecnets.quantiser import (
    effective_levels,
    hard_thresholds,
    rounding_thresholds,
    soft_values,
    uniform_thresholds,
)
from bench_qusecnets.stages import Quantise, SoftQuantise
from bench_qusecnets.training import (
    Behind,
    ThresholdSteps,
    TrainableThresholds,
    accuracy_behind,
    adapted_recipe,
    hard,
    train_on_codes,
    train_thresholds,
)

_WEIGHTS = "network."


class _Quantization:
    """What both share: the deployment, and the classifier that training starts from.

    Parameters
    ----------
    levels : grey levels per channel
    form : "reference" is the authors' soft quantiser: ``levels`` thresholds, the last at 1, and a clip
    deploy : "hard" sends codes; "soft" puts the authors' layer in front of the classifier, which is trained behind it
    coding : of the codes on the wire, one of ``wire.CODINGS``
    start : "scratch" trains a new classifier; "pretrained" goes on from the trained one (ours)
    epochs : of training; 0 for those of the classifier's recipe
    """

    def __init__(self, *, levels: int, form: str, deploy: str, coding: str, start: str, epochs: int) -> None:
        self.levels = levels
        self.is_reference = form == "reference"
        self.is_soft = deploy == "soft"
        self.coding = coding
        self.is_pretrained = start == "pretrained"
        self.epochs = epochs

    def start_of_training(self, context: FitContext) -> tuple[nn.Module, Recipe]:
        """Return the classifier that is trained, and how."""
        network = context.network if self.is_pretrained else context.new_network()
        network.requires_grad_(True)
        return network, adapted_recipe(context.recipe, epochs=self.epochs, pretrained=self.is_pretrained)

    def soft(self, thresholds: Tensor, hardness: float) -> Callable[[Tensor], Tensor]:
        """Return x -> sum of sigmoids."""
        return lambda x: soft_values(x, thresholds, hardness, self.levels)

    def deployment(self, network: nn.Module, result: FitResult, thresholds: Tensor, hardness: float) -> Deployment:
        """Return the quantiser with the classifier that was trained behind it."""
        weights = {k.removeprefix(_WEIGHTS): v for k, v in result.public.items() if k.startswith(_WEIGHTS)}
        network.load_state_dict(weights)
        classify = Classify(network.eval())
        if self.is_soft:
            return Deployment.chain(Capture(), SoftQuantise(thresholds, self.levels, hardness), classify)
        return Deployment.chain(Quantise(hard_thresholds(thresholds, self.levels), self.levels, self.coding), classify)


class ConstantQuantization(_Quantization):
    """CQ: fixed thresholds, the classifier trained behind them from the first step.

    Parameters
    ----------
    thresholds : "uniform" at i/levels; "rounding" for bit-depth squeezing, the nearest of the output values
    hardness : of the sigmoids where ``deploy`` is "soft"
    """

    def __init__(
        self,
        *,
        levels: int = 4,
        thresholds: str = "uniform",
        form: str = "default",
        deploy: str = "hard",
        hardness: float = 500.0,
        coding: str = "packed",
        start: str = "scratch",
        epochs: int = 0,
    ) -> None:
        super().__init__(levels=levels, form=form, deploy=deploy, coding=coding, start=start, epochs=epochs)
        refuse_thresholds(thresholds, form)
        self.hardness = hardness
        self.thresholds = (
            rounding_thresholds(levels)
            if thresholds == "rounding"
            else uniform_thresholds(levels, reference=self.is_reference)
        )

    def fit(self, context: FitContext) -> FitResult:
        """Return the classifier trained behind the quantiser as it is deployed."""
        network, recipe = self.start_of_training(context)
        pool = context.pools["train"]
        thresholds = self.thresholds.to(pool.x.device)
        codes_of = hard(hard_thresholds(thresholds, self.levels), self.levels)
        softened = self.soft(thresholds, self.hardness)
        quantise = softened if self.is_soft else codes_of
        train(Behind(quantise, network), pool.x, pool.y, recipe, seed=context.seed, progress=context.progress)
        development = context.pools["development"]
        return FitResult(
            public=_state(network),
            notes={
                "thresholds": _listed(self.thresholds),
                "effective_levels": effective_levels(self.thresholds, self.levels),
                "development_accuracy_hard": accuracy_behind(codes_of, network, development),
                "development_accuracy_soft": accuracy_behind(softened, network, development),
            },
        )

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        return self.deployment(network, result, self.thresholds, self.hardness)


class TrainableQuantization(_Quantization):
    """TQ: thresholds learned together with the classifier.

    Parameters
    ----------
    h0, h1 : hardness of the sigmoids, growing geometrically from the first step to the end of training
    hardness : one constant hardness in place of both; 0 for none
    schedule : "joint", or "alternate" for epochs of weights and epochs of thresholds in turn
    freeze_epochs : of the weights alone on hard codes at the end; none where ``deploy`` is "soft"
    per_channel : thresholds of their own for each channel

    Notes
    -----
    Thresholds start at i/levels and are kept in [0, 1]; those of the reference form are free, as in the authors' code.
    They are sorted once, on export: sorting live would misalign Adam's moments.
    """

    def __init__(
        self,
        *,
        levels: int = 4,
        h0: float = 5.0,
        h1: float = 80.0,
        hardness: float = 0.0,
        schedule: str = "joint",
        freeze_epochs: int = 1,
        per_channel: bool = False,
        form: str = "default",
        deploy: str = "hard",
        coding: str = "packed",
        start: str = "scratch",
        epochs: int = 0,
    ) -> None:
        super().__init__(levels=levels, form=form, deploy=deploy, coding=coding, start=start, epochs=epochs)
        self.h0, self.h1 = (hardness, hardness) if hardness else (h0, h1)
        self.alternates = schedule == "alternate"
        self.freeze_epochs = 0 if self.is_soft else freeze_epochs
        self.per_channel = per_channel

    def fit(self, context: FitContext) -> FitResult:
        """Return thresholds and the classifier trained with them."""
        network, recipe = self.start_of_training(context)
        initial = uniform_thresholds(self.levels, reference=self.is_reference)
        if self.per_channel:
            initial = initial.repeat(context.shape[0], 1)
        initial = initial.to(context.pools["train"].x.device)
        layer = TrainableThresholds(initial, self.levels, self.h0)
        steps = ThresholdSteps(
            layer,
            network,
            h0=self.h0,
            h1=self.h1,
            bounded=not self.is_reference,
            alternate_epochs=recipe.epochs if self.alternates else 0,
        )
        total = recipe.epochs + self.freeze_epochs
        train_thresholds(layer, network, steps, context, recipe, context.part(0.0, recipe.epochs / total))
        thresholds = layer.thresholds.detach().sort(-1).values

        development = context.pools["development"]
        codes_of = hard(hard_thresholds(thresholds, self.levels), self.levels)
        notes: dict[str, object] = {
            "thresholds": _listed(thresholds),
            "threshold_shift": float((thresholds - initial).abs().max()),
            "effective_levels": effective_levels(thresholds, self.levels),
            "development_accuracy_soft": accuracy_behind(self.soft(thresholds, self.h1), network, development),
            "development_accuracy_before_freeze": accuracy_behind(codes_of, network, development),
        }
        if self.freeze_epochs:
            progress = context.part(recipe.epochs / total, 1.0)
            train_on_codes(network, codes_of, context, recipe, self.freeze_epochs, progress)
        notes["development_accuracy_after_freeze"] = accuracy_behind(codes_of, network, development)
        return FitResult(public={"thresholds": thresholds.contiguous(), **_state(network)}, notes=notes)

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        return self.deployment(network, result, result.public["thresholds"], self.h1)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {_WEIGHTS + k: v.detach().clone().contiguous() for k, v in network.state_dict().items()}


def _listed(thresholds: Tensor) -> object:
    return (thresholds.double() * 1e6).round().div(1e6).tolist()
