"""Entries of the input transformations: the image is changed before an unchanged classifier sees it."""

from __future__ import annotations

from typing import Any, Final

from bench.plugins.entries import Claim, Defense, Norm
from bench.plugins.parameters import Parameter

_FAMILY: Final = "transformations"
_GUO: Final = (
    "Guo, Rana, Cisse, van der Maaten, 'Countering Adversarial Images using Input Transformations', ICLR 2018; "
    "repository facebookarchive/adversarial_image_defenses"
)
_XU: Final = "Xu, Evans, Qi, 'Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks', NDSS 2018"
_PD: Final = "repository iamaaditya/pixel-deflection"
_SUPERIOT: Final = "SUPER-IOT's experiments.ipynb"
# SUPER-IOT's authors' comparison, not pixel deflection's own paper; one draw an attack.
_FIGURES: Final[tuple[tuple[str, float, Norm, float | None, str], ...]] = (
    ("fgsm", 0.71, "linf", 0.005, ""),
    ("bim", 0.70, "linf", 0.005, ""),
    ("mim", 0.68, "linf", 0.005, ""),
    ("pgd", 0.56, "linf", 0.01, ""),
    ("deepfool", 0.90, "l2", None, ""),
    ("cw", 0.85, "l2", None, ""),
    ("lbfgs", 0.86, "l2", None, "random targets, "),
)


def _deflected(value: float, remark: str = "", **more: Any) -> Claim:
    return Claim(
        text=f"{100 * value:.0f} %",
        value=value,
        dataset="cifar10",
        model="ResNet-v2-29",
        parameters=(("ratio", 0.1), ("window", 8)),
        conditions=f"{remark}100 images, {_SUPERIOT}",
        **more,
    )


JPEG: Final = Defense(
    name="jpeg",
    factory="bench_baselines.jpeg:Jpeg",
    summary="The device sends a JPEG file instead of the image.",
    source="Dziugaite, Ghahramani, Roy, 'A study of the effect of JPG compression on adversarial images', 2016; "
    + _GUO,
    family=_FAMILY,
    parameters=(
        Parameter(
            name="quality", type=int, default=75, minimum=1, maximum=100, help="of the IJG's codec (75: Guo et al.)"
        ),
        Parameter(
            name="subsampling",
            type=str,
            default="4:2:0",
            choices=("4:2:0", "4:4:4"),
            help="chroma at half resolution both ways, Pillow's default for RGB, or at full; grey images have none",
        ),
        Parameter(
            name="wire",
            type=str,
            default="file",
            choices=("file", "scan"),
            help="the whole file, or without what is the same for all images of this shape and quality (ours)",
        ),
    ),
    check="bench_baselines.sizes:check_channels",
)
BIT_DEPTH: Final = Defense(
    name="bit-depth",
    factory="bench_baselines.bit_depth:BitDepthReduction",
    summary="The device rounds every value to few bits and sends those.",
    source=_XU,
    family=_FAMILY,
    parameters=(
        Parameter(
            name="bits",
            type=int,
            default=4,
            minimum=1,
            maximum=8,
            help="of every value; 8 changes nothing; the default is ours",
        ),
    ),
)
MEDIAN: Final = Defense(
    name="median-smoothing",
    factory="bench_baselines.median:MedianSmoothing",
    check="bench_baselines.sizes:check_window",
    summary="The server replaces every value by the median of its neighbourhood.",
    source=_XU,
    family=_FAMILY,
    parameters=(
        Parameter(
            name="window",
            type=int,
            default=3,
            minimum=2,
            maximum=15,
            help="side in pixels (3: ART's SpatialSmoothing)",
        ),
    ),
)
TOTAL_VARIATION: Final = Defense(
    name="total-variation",
    preload=("bench_baselines.warm",),
    factory="bench_baselines.total_variation:TotalVariationMinimisation",
    summary="The server forgets half of the values at random and fills in the smoothest image near the rest.",
    source=_GUO,
    family=_FAMILY,
    parameters=(
        Parameter(
            name="weight",
            type=float,
            default=0.03,
            minimum=1e-4,
            maximum=10.0,
            help="of the total variation against half the squared distance (Guo et al.)",
        ),
        Parameter(
            name="drop",
            type=float,
            default=0.5,
            minimum=0.0,
            maximum=0.99,
            help="share of values forgotten at random; 0 only denoises (Guo et al.)",
        ),
        Parameter(
            name="iterations",
            type=int,
            default=100,
            minimum=1,
            maximum=10000,
            help="of the solver, always as many (ours; Guo et al. stop by a tolerance)",
        ),
    ),
)
PIXEL_DEFLECTION: Final = Defense(
    name="pixel-deflection",
    preload=("bench_wavelet.warm",),
    factory="bench_baselines.deflection:PixelDeflection",
    check="bench_baselines.sizes:check_deflections",
    summary="The server copies random neighbours over random values, then denoises by wavelets.",
    source=(
        "Prakash, Moran, Garber, DiLillo, Storer, 'Deflecting Adversarial Attacks with Pixel Deflection', CVPR 2018; "
        f"{_PD}; without robust activation maps"
    ),
    family=_FAMILY,
    published=(
        _deflected(0.94, quantity="clean accuracy"),
        *(
            _deflected(value, remark, attack=attack, norm=norm, epsilon=epsilon, knowledge="oblivious")
            for attack, value, norm, epsilon, remark in _FIGURES
        ),
    ),
    parameters=(
        Parameter(
            name="ratio",
            type=float,
            default=0.1,
            minimum=0.0,
            maximum=10.0,
            help=f"deflections as a share of the pixels ({_SUPERIOT}: .05 to .5; {_PD}: 200 an image)",
        ),
        Parameter(
            name="window",
            type=int,
            default=8,
            minimum=1,
            maximum=64,
            help=f"how far a neighbour may be, in pixels (8: {_SUPERIOT}; 10: {_PD})",
        ),
        Parameter(
            name="per_channel",
            type=bool,
            default=True,
            help=f"deflect values of single channels as {_PD} does, or whole pixels as the paper's algorithm 1",
        ),
        Parameter(
            name="denoise",
            type=bool,
            default=True,
            help="soft BayesShrink on Haar wavelets afterwards, the noise estimated as in SUPER-IOT",
        ),
        Parameter(
            name="sigma_zeros",
            type=str,
            default="auto",
            choices=("auto", "skip", "keep"),
            help="exact zeros in the noise estimate: skipped as scikit-image does; auto keeps them for one channel "
            "(ours)",
        ),
    ),
)
RESIZE_PAD: Final = Defense(
    name="resize-pad",
    factory="bench_baselines.resize_pad:RandomResizePad",
    check="bench_baselines.sizes:check_heights",
    summary="The server shrinks the image to a random size and puts it at a random place on black.",
    source=(
        "Xie, Wang, Zhang, Ren, Yuille, 'Mitigating Adversarial Effects Through Randomization', ICLR 2018; "
        "repository cihangxie/NIPS2017_adv_challenge_defense"
    ),
    family=_FAMILY,
    parameters=(
        Parameter(
            name="smallest",
            type=float,
            default=0.9,
            minimum=0.1,
            maximum=1.0,
            help="least share of its sides that an image keeps (Xie et al.: 299 of 331 pixels)",
        ),
        Parameter(
            name="interpolation",
            type=str,
            default="nearest",
            choices=("nearest", "bilinear"),
            help="nearest as in the authors' code",
        ),
    ),
)
TRANSFORMATIONS: Final = (JPEG, BIT_DEPTH, MEDIAN, TOTAL_VARIATION, PIXEL_DEFLECTION, RESIZE_PAD)
