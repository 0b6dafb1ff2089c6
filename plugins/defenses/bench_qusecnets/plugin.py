"""QuSecNets' two defenses, Constant Quantization (CQ) and Trainable Quantization (TQ)."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Attack, Claim, Defense, Settings
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter

_SOURCE = (
    "Khalid, Ali, Tariq, Hanif, Rehman, Ahmed, Shafique, 'QuSecNets: Quantization-based Defense Mechanism for Securing "
    "Deep Neural Network against Adversarial Attacks', IOLTS 2019, pp. 182-187; arXiv 1811.01437"
)
# The abstract of arXiv v2 is all that could be read of the paper; it gives ranges, and neither attacks nor radius.
_PUBLISHED = tuple(
    Claim(
        text=f"accuracy on perturbed images up by {gain} %",
        dataset=dataset,
        quantity="gain",
        conditions="abstract; unit not stated",
    )
    for dataset, gain in (("mnist", "50-96"), ("cifar10", "10-50"))
)
_LEVELS = Parameter(
    name="levels", type=int, default=4, minimum=2, maximum=256, help="grey levels per channel; the default is ours"
)
_SHARED = (
    Parameter(
        name="form",
        type=str,
        default="default",
        choices=("default", "reference"),
        help="soft quantiser with levels-1 thresholds, or with the authors' code's levels thresholds and clip",
    ),
    Parameter(
        name="deploy",
        type=str,
        default="hard",
        choices=("hard", "soft"),
        help="codes sent by the device, or the authors' code's sum of sigmoids in front of the classifier",
    ),
    Parameter(
        name="coding",
        type=str,
        default="packed",
        choices=("packed", "radix", "deflate"),
        help="how codes travel: whole bits, base-levels digits, or zlib over the packed bytes (ours)",
        fits=False,
    ),
    Parameter(
        name="start",
        type=str,
        default="scratch",
        choices=("scratch", "pretrained"),
        help="train a new classifier behind the quantiser, or fine-tune the trained one at a tenth of its rate (ours)",
    ),
    Parameter(name="epochs", type=int, default=0, minimum=0, help="of training; 0 for the classifier's own recipe"),
)
_OWN = (
    Attack(
        name="qusec-codespace",
        factory="bench_qusecnets.codeattack:CodeSpaceAttack",
        summary="Gradient descent over exactly the codes that can be reached, then flips of single codes.",
        source="ours; the reach is exact since the quantiser acts on each pixel by itself",
        norm="linf",
        access="gradient",
        parameters=(
            Parameter(name="steps", type=int, default=30, minimum=0, help="of gradient descent from each start"),
            Parameter(name="starts", type=int, default=2, minimum=1, help="the clean codes, then drawn ones"),
            Parameter(name="flips", type=int, default=12, minimum=0, help="rounds of single codes"),
            Parameter(name="tried", type=int, default=16, minimum=1, help="codes tried an image in each round"),
        ),
        quick=Settings(parameters=(("steps", 10),), seconds=10.0),
        standard=Settings(seconds=30.0),
    ),
)


@hookimpl
def bench_defenses() -> Sequence[Defense]:
    """Return CQ and TQ."""
    return [
        Defense(
            name="qusec-cq",
            factory="bench_qusecnets.defense:ConstantQuantization",
            summary="Constant Quantization: the device sends grey levels, the classifier is trained on them.",
            source=_SOURCE,
            family="qusec",
            weights="bench_qusecnets:weights",
            trains=True,
            published=_PUBLISHED,
            adaptive_attacks=_OWN,
            certificate="bench_qusecnets.certificate:certify",
            check="bench_qusecnets.check:check",
            parameters=(
                _LEVELS,
                Parameter(
                    name="thresholds",
                    type=str,
                    default="uniform",
                    choices=("uniform", "rounding"),
                    help="at i/levels, or half-way between the output values (bit-depth squeezing)",
                ),
                *_SHARED,
                Parameter(
                    name="hardness",
                    type=float,
                    default=500.0,
                    minimum=1e-3,
                    help="slope of the sigmoids where deploy=soft; 500 stands in the authors' sibling layer",
                ),
            ),
        ),
        Defense(
            name="qusec-tq",
            factory="bench_qusecnets.defense:TrainableQuantization",
            summary="Trainable Quantization: as Constant Quantization, the thresholds learned with the classifier.",
            source=_SOURCE,
            family="qusec",
            weights="bench_qusecnets:weights",
            trains=True,
            published=_PUBLISHED,
            adaptive_attacks=_OWN,
            certificate="bench_qusecnets.certificate:certify",
            parameters=(
                _LEVELS,
                Parameter(
                    name="h0", type=float, default=5.0, minimum=1e-3, help="hardness at the start: authors' notebook, 5"
                ),
                Parameter(
                    name="h1", type=float, default=80.0, minimum=1e-3, help="hardness at the end of training (ours)"
                ),
                Parameter(
                    name="hardness",
                    type=float,
                    default=0.0,
                    minimum=0.0,
                    help="one hardness throughout; 0 for h0 to h1",
                ),
                Parameter(
                    name="schedule",
                    type=str,
                    default="joint",
                    choices=("joint", "alternate"),
                    help="thresholds and weights at once (authors' code), or epochs of each in turn",
                ),
                Parameter(
                    name="freeze_epochs",
                    type=int,
                    default=1,
                    minimum=0,
                    help="of the weights alone, on the hard codes, at the end (ours); none where deploy=soft",
                ),
                Parameter(
                    name="per_channel", type=bool, default=False, help="thresholds of their own for each channel (ours)"
                ),
                *_SHARED,
            ),
        ),
    ]
