"""SUPER-IOT: pixel drop on the device, sparse recovery and wavelet denoising on the server."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Defense
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter

_CODE = "authors' repository Stanislas0/SUPER-IOT"
_SETTING = "(ratio .01, ResNet-v2-29, 100 images, crafted on the undefended model; authors' experiments.ipynb)"

# From the authors' repository, one mask an attack; the paper's own tables could not be read.
_PUBLISHED = (
    ("cifar10", "", f"clean 100 % {_SETTING}"),
    ("cifar10", "fgsm", f"60 % at ε .005 {_SETTING}"),
    ("cifar10", "bim", f"45 % at ε .005 {_SETTING}"),
    ("cifar10", "mim", f"48 % at ε .005 {_SETTING}"),
    ("cifar10", "pgd", f"30 % at ε .01 {_SETTING}"),
    ("cifar10", "deepfool", f"99 % {_SETTING}"),
    ("cifar10", "cw-l2", f"98 % {_SETTING}"),
    ("cifar10", "lbfgs", f"95 %, random targets {_SETTING}"),
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
