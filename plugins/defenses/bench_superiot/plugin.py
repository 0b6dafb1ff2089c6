"""SUPER-IOT: pixel drop on the device, sparse recovery and wavelet denoising on the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.plugins.entries import Attack, Claim, Defense, Norm, Settings
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter

_CODE = "authors' repository Stanislas0/SUPER-IOT"
# From the authors' repository, whose recovery is the "release" one; the paper's own tables could not be read.
_NOTEBOOK = "authors' experiments.ipynb"
_ONE_MASK = f"100 images, one mask each, {_NOTEBOOK}"
_FIGURES: tuple[tuple[str, float, Norm, float | None, str], ...] = (
    ("fgsm", 0.60, "linf", 0.005, ""),
    ("bim", 0.45, "linf", 0.005, ""),
    ("mim", 0.48, "linf", 0.005, ""),
    ("pgd", 0.30, "linf", 0.01, ""),
    ("deepfool", 0.99, "l2", None, ""),
    ("cw", 0.98, "l2", None, ""),
    ("lbfgs", 0.95, "l2", None, "random targets, "),
)


def _claim(value: float, ratio: float, conditions: str = _ONE_MASK, **more: Any) -> Claim:
    return Claim(
        text=f"{100 * value:.0f} %",
        value=value,
        dataset="cifar10",
        model="ResNet-v2-29",
        parameters=(("ratio", ratio), ("gradient", "release")),
        conditions=conditions,
        **more,
    )


_PUBLISHED = (
    _claim(1.0, 0.01, quantity="clean accuracy"),
    *(
        _claim(value, 0.01, remark + _ONE_MASK, attack=attack, norm=norm, epsilon=epsilon, knowledge="oblivious")
        for attack, value, norm, epsilon, remark in _FIGURES
    ),
    _claim(0.65, 0.1, f"one attack that the notebook does not name, {_NOTEBOOK}", knowledge="oblivious"),
)


def _fixed_mask(norm: Norm) -> Attack:
    return Attack(
        name="superiot-fixed-mask" if norm == "linf" else f"superiot-fixed-mask-{norm}",
        factory="bench_superiot.maskattack:FixedMaskAttack",
        summary="Gradient ascent of one who knows which pixels will be dropped; judged on masks that nobody knew.",
        source="ours; the gradient of the recovery is that of a stand-in with the same mask",
        norm=norm,
        access="gradient",
        parameters=(
            Parameter(name="steps", type=int, default=100, minimum=1, help="gradients of each start (ours)"),
            Parameter(name="starts", type=int, default=2, minimum=1, help="the image, then points of the ball (ours)"),
            Parameter(
                name="surrogate",
                type=str,
                default="linear",
                choices=("linear", "unrolled", "identity"),
                help="in the recovery's place on the way back (ours)",
            ),
        ),
        quick=Settings(parameters=(("steps", 20), ("starts", 1)), block=64, seconds=2.0),
        standard=Settings(samples=256, seconds=30.0),
    )


@hookimpl
def bench_defenses() -> Sequence[Defense]:
    """Return SUPER-IOT."""
    return [
        Defense(
            name="superiot",
            preload=("bench_superiot.warm",),
            factory="bench_superiot.defense:SuperIoT",
            summary="The device sends part of the pixels; the server recovers the rest by sparsity and denoises.",
            source=(
                "Qiu, Zheng, Zhang, Qiu, Memmi, Lu, 'Toward Secure and Efficient Deep Learning Inference in Dependable "
                f"IoT Systems', IEEE IoT Journal 8(5):3180-3188, 2021; {_CODE} (MIT)"
            ),
            published=_PUBLISHED,
            check="bench_superiot.forms:check",
            adaptive_attacks=(_fixed_mask("linf"), _fixed_mask("l2")),
            parameters=(
                Parameter(
                    name="ratio",
                    type=float,
                    default=0.1,
                    minimum=0.0,
                    maximum=0.99,
                    help=f"share of a window's pixels dropped, rounded to whole pixels; 0 drops none ({_CODE})",
                ),
                Parameter(
                    name="ws",
                    type=int,
                    default=0,
                    minimum=0,
                    maximum=64,
                    help=f"side of a window in pixels; 0 takes 8, 6 or 4 as divides the image (8: {_CODE})",
                ),
                Parameter(
                    name="gradient",
                    type=str,
                    default="textbook",
                    choices=("textbook", "release", "notebook", "subgradient"),
                    help="of the l1 norm: central difference (Stankovic & Dakovic 2016), as the authors' code, "
                    "as their notebook, or the limit (ours)",
                ),
                Parameter(
                    name="denoise",
                    type=bool,
                    default=True,
                    help="wavelet denoising after the recovery (authors' experiments.ipynb has both)",
                ),
                Parameter(
                    name="sigma_zeros",
                    type=str,
                    default="auto",
                    choices=("auto", "skip", "keep"),
                    help="exact zeros in the noise estimate: skipped as scikit-image does; auto keeps them for one "
                    "channel (ours)",
                ),
                Parameter(
                    name="delta0",
                    type=float,
                    default=0.03,
                    minimum=1e-6,
                    maximum=1.0,
                    help=f"first perturbation, pixels in [0, 1] ({_CODE})",
                ),
                Parameter(
                    name="mu0",
                    type=float,
                    default=0.02,
                    minimum=1e-6,
                    maximum=1.0,
                    help=f"first step, pixels in [0, 1] ({_CODE})",
                ),
                Parameter(
                    name="gamma",
                    type=float,
                    default=0.01,
                    minimum=0.0,
                    maximum=1.0,
                    help=f"steps shrink tenfold once the mean square step is below this share of its largest ({_CODE})",
                ),
                Parameter(
                    name="eps",
                    type=float,
                    default=1e-5,
                    minimum=0.0,
                    help=f"mean squared step below which a shrinking recovery ends ({_CODE})",
                ),
                Parameter(
                    name="max_iters",
                    type=int,
                    default=100,
                    minimum=1,
                    help=f"iterations of the recovery at most ({_CODE})",
                ),
                Parameter(
                    name="pattern",
                    type=str,
                    default="random",
                    choices=("random", "regular"),
                    help=f"random pixels for every image ({_CODE}), or a fixed lattice (ours)",
                ),
                Parameter(
                    name="wire",
                    type=str,
                    default="seed",
                    choices=("seed", "raw", "bitmask", "combi", "coded"),
                    help="kept pixels with seed, bit mask or ranked mask; coded deflates; raw saves nothing (ours)",
                ),
            ),
        )
    ]
