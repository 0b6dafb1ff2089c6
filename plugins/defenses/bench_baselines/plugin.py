"""Baselines."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Defense
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter
from bench_baselines.transformations import TRANSFORMATIONS


@hookimpl
def bench_defenses() -> Sequence[Defense]:
    """Return the undefended model, and what anyone would try first."""
    return [
        Defense(
            name="none",
            factory="bench_baselines.undefended:Undefended",
            summary="The undefended model: the image goes to the server over the same 8-bit wire as everybody's.",
            baseline=True,
        ),
        Defense(
            name="adversarial-training",
            factory="bench_baselines.adversarial_training:AdversarialTraining",
            summary="The classifier trained on attacked images: PGD on one channel, FGSM from a random start on three.",
            source=(
                "Madry, Makelov, Schmidt, Tsipras, Vladu, 'Towards Deep Learning Models Resistant to Adversarial "
                "Attacks', ICLR 2018; Wong, Rice, Kolter, 'Fast is better than free: Revisiting adversarial training', "
                "ICLR 2020"
            ),
            trains=True,
            transfers=True,
            weights="bench_baselines:weights",
            checked_with=(("epochs", 1), ("steps", 2)),
            parameters=(
                Parameter(
                    name="epsilon",
                    type=float,
                    default=0.0,
                    minimum=0.0,
                    maximum=1.0,
                    help="Linf radius inside the training; 0 for the data set's headline",
                ),
                Parameter(
                    name="steps",
                    type=int,
                    default=0,
                    minimum=0,
                    help="of the attack inside the training; 0 for 40 on one channel (Madry) and 1 on three (Wong)",
                ),
                Parameter(
                    name="step",
                    type=float,
                    default=0.0,
                    minimum=0.0,
                    help="of one, as a share of epsilon; 0 for what makes 4/3 of all together on one channel (Madry), "
                    "1.25 on three (Wong)",
                ),
                Parameter(
                    name="epochs",
                    type=int,
                    default=0,
                    minimum=0,
                    help="0 for 30 where one step is taken, else 10, or as many as make 1,000 steps (ours)",
                ),
            ),
        ),
        Defense(
            name="equal-compute",
            factory="bench_baselines.equal_compute:EqualCompute",
            summary="A larger classifier trained on attacked images: the control of what multiplies the compute.",
            source=(
                "Wong, Rice, Kolter, 'Fast is better than free: Revisiting adversarial training', ICLR 2020; "
                "architecture: He, Zhang, Ren, Sun, 'Deep Residual Learning for Image Recognition', CVPR 2016; "
                "the control is ours"
            ),
            trains=True,
            weights="bench_baselines:weights",
            checked_with=(("epochs", 1), ("macs", 1.0)),
            check="bench_baselines.widths:check",
            parameters=(
                Parameter(
                    name="macs",
                    type=float,
                    default=40.0,
                    minimum=0.1,
                    maximum=1e4,
                    help="millions of multiply-accumulates of one inference, not to be exceeded",
                ),
                Parameter(name="epochs", type=int, default=10, minimum=1, help="of training; Wong et al. take 15"),
            ),
        ),
        *TRANSFORMATIONS,
    ]
