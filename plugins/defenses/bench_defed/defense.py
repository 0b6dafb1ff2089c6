"""Defed: how its denoisers and thresholds are learned, and what is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, FitContext, FitResult, Node, Placement, Pool
from bench.errors import UsageError
from bench_defed.calibration import joint_quantile, mean_deviations, quantile
from bench_defed.detector import scores
from bench_defed.network import BaseNet, Defed, Denoiser
from bench_defed.noises import noises
from bench_defed.stages import Decide, Denoise, Mode
from bench_defed.training import RECIPE, train_denoiser

SIGMAS = {1: (40.0, 100.0), 3: (20.0, 60.0)}  # ours; the paper's pair could not be read
_BATCH = 256


class Denoising:
    """Denoisers trained on benign images, and a detector that compares each view's answer with the classifier's.

    Parameters
    ----------
    network : "defed" or "basenet", the authors' ablation
    edge : "laplacian", "sobel" or "none" (ours); of no use to basenet
    sigmas : noise of each denoiser in grey levels of 255, separated by "+"; empty for 40+100 on one channel, 20+60 on
        three
    mode : "correct", "reject" or "denoise"
    calibration : "joint-quantile" (ours), "quantile" (ours) or "mean-std" (the released code)
    fpr : share of benign images that may be flagged, for the quantiles
    deviations : for mean-std
    strict : one rank more, see ``calibration.joint_quantile``
    filtered : calibrate only on what the classifier gets right, as the released code does
    """

    def __init__(
        self,
        *,
        network: str = "defed",
        edge: str = "laplacian",
        sigmas: str = "",
        alpha: float = 1.0,
        mode: Mode = "correct",
        calibration: str = "joint-quantile",
        fpr: float = 0.05,
        deviations: float = 3.0,
        strict: bool = False,
        filtered: bool = False,
        epochs: int = 10,
        images: int = 0,
        placement: Placement = "device",
    ) -> None:
        self.is_basenet = network == "basenet"
        self.edge, self.alpha, self.mode, self.placement = edge, alpha, mode, placement
        self.sigmas = noises(sigmas)
        self.calibration, self.fpr, self.deviations = calibration, fpr, deviations
        self.strict, self.filtered = strict, filtered
        self.recipe, self.images = replace(RECIPE, epochs=epochs), images

    def fit(self, context: FitContext) -> FitResult:
        """Return the trained denoisers and the thresholds of the calibration pool."""
        sigmas = self._sigmas(context.shape[0])
        pool, classifier = context.pools["train"], context.network.eval()
        if self.images:
            pool = Pool(pool.x[: self.images], pool.y[: self.images])
        public: dict[str, Tensor] = {}
        denoisers = []
        for place, sigma in enumerate(sigmas):
            trained = train_denoiser(
                self._denoiser(context.shape[0], context.seed + place).to(pool.x.device),
                classifier,
                pool,
                self.recipe,
                sigma=sigma,
                alpha=self.alpha,
                seed=context.seed,
                checkpoint=context.checkpoint(f"denoiser{place}"),
                progress=context.part(place / len(sigmas), (place + 1) / len(sigmas)),
            )
            denoisers.append(trained)
            public |= {f"denoiser{place}.{name}": value for name, value in trained.state_dict().items()}
        pool = context.pools["calibration"]
        public["benign_scores"], public["benign_right"] = benign_scores(denoisers, classifier, pool, self.alpha)
        return FitResult(public=public, notes={"sigmas": list(sigmas), "calibration_images": len(pool.x)})

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        classify = Classify(network.eval(), self.placement)
        nodes = [Node("capture", Capture()), Node("answer", classify, ("capture",))]
        inputs = ["capture", "answer"]
        for place in range(len(self._sigmas(shape[0]))):
            prefix = f"denoiser{place}."
            denoiser = self._denoiser(shape[0], 0)
            denoiser.load_state_dict(
                {k.removeprefix(prefix): v for k, v in result.public.items() if k.startswith(prefix)}
            )
            nodes += [
                Node(f"denoised{place}", Denoise(denoiser.eval(), self.placement), ("capture",)),
                Node(f"view{place}", classify, (f"denoised{place}",)),
            ]
            inputs += [f"denoised{place}", f"view{place}"]
        head = Decide(self._thresholds(result), self.alpha, self.mode, self.placement)
        return Deployment([*nodes, Node("decide", head, tuple(inputs))])

    def _sigmas(self, channels: int) -> tuple[float, ...]:
        return self.sigmas or SIGMAS.get(channels, SIGMAS[3])

    def _denoiser(self, channels: int, seed: int) -> Denoiser:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return BaseNet(channels) if self.is_basenet else Defed(channels, self.edge)

    def _thresholds(self, result: FitResult) -> Tensor:
        every = result.public["benign_scores"]
        if self.mode == "denoise":  # nothing is compared with them
            return torch.zeros(every.shape[1])
        benign = every[result.public["benign_right"] == 1] if self.filtered else every
        if not len(benign):
            raise UsageError(
                f"The classifier answers none of the {len(every)} calibration images right. Ask without filtered."
            )
        if self.calibration == "mean-std":
            return mean_deviations(benign, self.deviations)
        if self.calibration == "quantile":
            return quantile(benign, self.fpr)
        return joint_quantile(benign, self.fpr, strict=self.strict)


@torch.no_grad()
def benign_scores(
    denoisers: Sequence[nn.Module], classifier: nn.Module, pool: Pool, alpha: float
) -> tuple[Tensor, Tensor]:
    """Return the scores, (n, M), of images that nothing was fitted on, and whether each is answered rightly, (n,)."""
    found, right = [], []
    for start in range(0, len(pool.x), _BATCH):
        image, y = pool.x[start : start + _BATCH].float() / 255.0, pool.y[start : start + _BATCH]
        restored = [denoiser(image).clamp(0, 1) for denoiser in denoisers]
        logits, views = classifier(image), torch.stack([classifier(r) for r in restored], dim=1)
        changes = torch.stack([(image - r).square().flatten(1).mean(1) for r in restored], dim=1)
        found.append(scores(logits, views, changes, alpha))
        right.append((logits.argmax(1) == y).to(torch.uint8))
    return torch.cat(found), torch.cat(right)
