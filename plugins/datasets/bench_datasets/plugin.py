"""Data sets: what is offered, with the threats each is judged under. Imports neither torch nor torchvision.

Sources of the radii: Linf .3 and L2 1.5 for MNIST, Linf 8/255 and L2 .5 for CIFAR-10 are the literature's; L1 10 and
12 follow Maini, Wong, Kolter, "Adversarial robustness against the union of multiple perturbation models", ICML 2020.
L0 counts values: a tenth of the image's pixels, what JSMA's usual gamma = .1 lets it change; ours. All other
radii of the sweeps are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Dataset, ThreatSpec
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter

_MNIST_THREATS = (
    ThreatSpec(norm="linf", epsilons=(0.3, 0.1, 0.2)),
    ThreatSpec(norm="l2", epsilons=(1.5, 0.5, 1.0)),
    ThreatSpec(norm="l1", epsilons=(10.0, 5.0, 20.0)),
    ThreatSpec(norm="l0", epsilons=(78.0, 25.0)),
)
# The digits are enlarged four times, so a stroke is three to four pixels wide and a change has to cover as many: the
# radii of MNIST apply, but for Linf. The enlargement blurs the strokes, whose grey slopes leave little beyond .2: at
# .3 the noise of the ball alone begins to hide the digit.
_DIGITS_THREATS = (
    ThreatSpec(norm="linf", epsilons=(0.2, 0.1, 0.3)),
    ThreatSpec(norm="l2", epsilons=(1.5, 0.5, 3.0)),
    ThreatSpec(norm="l1", epsilons=(10.0, 5.0, 20.0)),
    ThreatSpec(norm="l0", epsilons=(102.0, 32.0)),
)
_COLOUR_THREATS = (
    ThreatSpec(norm="linf", epsilons=(8 / 255, 2 / 255, 4 / 255)),
    ThreatSpec(norm="l2", epsilons=(0.5, 0.25, 1.0)),
    ThreatSpec(norm="l1", epsilons=(12.0, 6.0, 24.0)),
    ThreatSpec(norm="l0", epsilons=(102.0, 32.0)),
)
_TORCHVISION = ("torchvision",)


@hookimpl
def bench_datasets() -> Sequence[Dataset]:
    """Return the data sets."""
    return [
        Dataset(
            name="digits",
            factory="bench_datasets.digits:Digits",
            summary="Handwritten digits, 8x8 brought to 1x32x32; part of scikit-learn, nothing to download.",
            source="Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI 1998 (scikit-learn's load_digits)",
            threats=_DIGITS_THREATS,
            shape=(1, 32, 32),
            default_model="lenet5",
            embedded=True,
            held_out_share=0.1,
        ),
        Dataset(
            name="mnist",
            factory="bench_datasets.official:MNIST",
            summary="Handwritten digits, 1x28x28, 60,000 training and 10,000 test images.",
            source="LeCun, Cortes, Burges, The MNIST database of handwritten digits, 1998",
            threats=_MNIST_THREATS,
            shape=(1, 28, 28),
            default_model="cleverhans-cnn",
            requires=_TORCHVISION,
        ),
        Dataset(
            name="fashion-mnist",
            factory="bench_datasets.official:FashionMNIST",
            summary="Articles of clothing, 1x28x28, 60,000 training and 10,000 test images.",
            source="Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
            threats=_MNIST_THREATS,
            shape=(1, 28, 28),
            default_model="cleverhans-cnn",
            requires=_TORCHVISION,
        ),
        Dataset(
            name="cifar10",
            factory="bench_datasets.official:CIFAR10",
            summary="Ten classes of objects, 3x32x32, 50,000 training and 10,000 test images.",
            source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
            threats=_COLOUR_THREATS,
            shape=(3, 32, 32),
            default_model="resnet20",
            requires=_TORCHVISION,
        ),
        Dataset(
            name="svhn",
            factory="bench_datasets.official:SVHN",
            summary="House numbers, 3x32x32, 73,257 training and 26,032 test images.",
            source="Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011",
            threats=_COLOUR_THREATS,
            shape=(3, 32, 32),
            default_model="vgg-thin",
            requires=_TORCHVISION,
        ),
        Dataset(
            name="gtsrb",
            factory="bench_datasets.signs:GTSRB",
            summary="German traffic signs, 43 classes, scaled to 3x32x32, 26,640 training and 12,630 test images.",
            source="Stallkamp, Schlipsing, Salmen, Igel, Man vs. computer, Neural Networks 32, 2012",
            threats=_COLOUR_THREATS,
            shape=(3, 32, 32),
            default_model="resnet20",
            requires=_TORCHVISION,
        ),
        Dataset(
            name="imagefolder",
            factory="bench_datasets.folder:ImageFolder",
            summary="Your own images: imagefolder:PATH, with PATH/train/CLASS/* and PATH/test/CLASS/*.",
            threats=_COLOUR_THREATS,
            default_model="resnet20",
            parameters=(
                Parameter(name="path", type=str, default="", help="folder that holds train/ and test/"),
                Parameter(
                    name="size", type=int, default=32, minimum=8, maximum=512, help="side that images are scaled to"
                ),
                Parameter(name="channels", type=int, default=3, choices=(1, 3), help="1 grey, 3 colour"),
            ),
        ),
    ]
