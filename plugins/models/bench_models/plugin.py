"""Classifiers: what is offered. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Model
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter

WEIGHTS = "bench_models:weights"


@hookimpl
def bench_models() -> Sequence[Model]:
    """Return the classifiers."""
    return [
        Model(
            name="cleverhans-cnn",
            factory="bench_models.architectures:CleverHans",
            summary="CleverHans' basic network, tried here with QuSecNets: three convolutions, one linear layer.",
            source="cleverhans v2.1.0, utils_keras.cnn_model",
            weights=WEIGHTS,
            check="bench_models.sizes:cleverhans_cnn",
        ),
        Model(
            name="lenet5",
            factory="bench_models.architectures:LeNet",
            summary="LeNet-5 with ReLU and max pooling.",
            source="LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86(11), 1998",
            parameters=(
                Parameter(
                    name="padding",
                    type=int,
                    default=0,
                    choices=(0, 2),
                    help="of the first convolution; at 1x28x28: 0 gives 44,426 weights (Defed), 2 61,706 (EdgePro)",
                ),
            ),
            weights=WEIGHTS,
            check="bench_models.sizes:lenet5",
        ),
        Model(
            name="resnet20",
            factory="bench_models.architectures:ResNet",
            summary="ResNet-20 for 32x32 images: 269,722 weights.",
            source="He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2",
            weights=WEIGHTS,
            check="bench_models.sizes:resnet20",
        ),
        Model(
            name="vgg-thin",
            factory="bench_models.architectures:VGG",
            summary="Defed's thin VGG for 32x32 images: 579,786 weights.",
            source="Defed's released classifier for SVHN",
            weights=WEIGHTS,
            check="bench_models.sizes:vgg_thin",
        ),
        Model(
            name="mobilenet-v2",
            factory="bench_models.architectures:MobileNet",
            summary="torchvision's MobileNetV2, its first stride 1 below 96 pixels.",
            source="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018",
            requires=("torchvision",),
            weights=WEIGHTS,
            check="bench_models.sizes:mobilenet_v2",
        ),
    ]
