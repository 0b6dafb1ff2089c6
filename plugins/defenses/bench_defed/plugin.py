"""Defed: denoisers beside the classifier, and a detector that compares their answers with its own."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plugins.entries import Defense, Gate
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter


@hookimpl
def bench_gates() -> Sequence[Gate]:
    """Return the check of how well the denoisers were trained."""
    return [
        Gate(
            name="denoised",
            factory="bench_defed.gates:denoised",
            summary="Defed's denoisers cost a point of clean accuracy at most.",
            scope="row",
        )
    ]


@hookimpl
def bench_defenses() -> Sequence[Defense]:
    """Return Defed; its authors' ablation is ``network=basenet``."""
    return [
        Defense(
            name="defed",
            factory="bench_defed.defense:Denoising",
            summary="Edge feature-enhanced denoisers; views whose answer differs from the classifier's flag an image.",
            source=(
                "Xiao, Yan, Lyu, Pei, Liu, Zhang, Dong, 'Defed: An Edge Feature-Enhanced Image Denoised Network "
                "Against Adversarial Attacks for Secure Internet of Things', IEEE Internet of Things Journal 10(8), "
                "2023, pp. 6836-6848; code: github.com/lyu-shuo/Defed"
            ),
            weights="bench_defed:weights",
            check="bench_defed.noises:check",
            checked_with=(("epochs", 1), ("images", 128)),
            parameters=(
                Parameter(
                    name="network",
                    type=str,
                    default="defed",
                    choices=("defed", "basenet"),
                    help="the denoisers; basenet is the authors' ablation, without edges, blur and skips",
                ),
                Parameter(
                    name="edge",
                    type=str,
                    default="laplacian",
                    choices=("laplacian", "sobel", "none"),
                    help="operator on the feature maps (authors' code: laplacian); none is an ablation of ours",
                ),
                Parameter(
                    name="sigmas",
                    type=str,
                    default="",
                    help="training noise of each denoiser, 0 to 255, as 40+100; empty for 40+100 on one channel, 20+60 "
                    "on three (ours; the authors' pair could not be read)",
                ),
                Parameter(
                    name="alpha",
                    type=float,
                    default=1.0,
                    minimum=0.0,
                    help="weight of the cross-entropy, in training and in a score (authors' code: 1)",
                ),
                Parameter(
                    name="mode",
                    type=str,
                    default="correct",
                    choices=("correct", "reject", "denoise"),
                    help="flagged views vote on the label, or the image is rejected, or all views vote and nothing is "
                    "detected",
                    fits=False,
                ),
                Parameter(
                    name="calibration",
                    type=str,
                    default="joint-quantile",
                    choices=("joint-quantile", "quantile", "mean-std"),
                    help="of the thresholds; mean-std is the authors' code, the quantiles are ours",
                    fits=False,
                ),
                Parameter(
                    name="fpr",
                    type=float,
                    default=0.05,
                    minimum=1e-4,
                    maximum=0.5,
                    help="share of benign images that may be flagged, for the quantiles (ours)",
                    fits=False,
                ),
                Parameter(
                    name="deviations",
                    type=float,
                    default=3.0,
                    minimum=0.0,
                    help="standard deviations above the mean, for mean-std (authors' code: 2 or 3)",
                    fits=False,
                ),
                Parameter(
                    name="strict",
                    type=bool,
                    default=False,
                    help="one rank more, which makes the joint quantile exact for any number M of denoisers; needs "
                    "(M + 1) / fpr - 1 calibration images (ours)",
                    fits=False,
                ),
                Parameter(
                    name="filtered",
                    type=bool,
                    default=False,
                    help="calibrate only on what the classifier gets right (authors' code)",
                    fits=False,
                ),
                Parameter(
                    name="epochs",
                    type=int,
                    default=10,
                    minimum=1,
                    help="of training (the authors' example; the paper's number could not be read)",
                ),
                Parameter(
                    name="images",
                    type=int,
                    default=0,
                    minimum=0,
                    help="of the train pool that denoisers learn from; 0 for all (ours)",
                ),
                Parameter(
                    name="placement",
                    type=str,
                    default="device",
                    choices=("device", "server"),
                    help="of all but the camera (authors' code: one machine)",
                    fits=False,
                ),
            ),
        )
    ]
