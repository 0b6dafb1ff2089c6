"""Entries of the attacks that look for the smallest perturbation, or ask for scores only."""

from __future__ import annotations

from bench.plugins.declared import integer, number, quick, standard, suffixed
from bench.plugins.entries import Attack, Norm
from bench_native.declared import loss


def _fmn(norm: Norm) -> Attack:
    return Attack(
        name=f"fmn-{norm}",
        family="fmn",
        factory="bench_native.fmn:Fmn",
        summary="Smallest perturbation, by a ball that shrinks where the image is broken and grows where it is not.",
        source=(
            "Pintor et al., Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints, "
            "NeurIPS 2021, arXiv 2102.12827"
        ),
        parameters=(
            integer("steps", 100, "gradients an image (100: Pintor et al., released code)"),
            number("step", 1.0, "L2 length of the first step (1: same)", minimum=1e-6),
            number("gamma", 0.05, "first relative change of the radius (.05: same)", minimum=1e-3, maximum=0.99),
            number("confidence", 0.0, "margin of the wrong class in logits; above 0 for random deployments (0: same)"),
        ),
        norm=norm,
        access="gradient",
        minimum_norm=True,
        quick=quick(0.8, steps=30),
        standard=standard(3.5),
    )


def _carlini() -> Attack:
    return Attack(
        name="native-cw-l2",
        family="native",
        factory="bench_native.carlini:CarliniL2",
        summary="Smallest L2 perturbation by Adam in tanh space, with a search for each image's constant.",
        source="Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, S&P 2017, arXiv 1608.04644",
        parameters=(
            integer("steps", 1000, "steps a search (1000: CH max_iterations)"),
            number("rate", 5e-3, "Adam's step (5e-3: CH learning_rate)", minimum=1e-6),
            integer("searches", 5, "constants tried (5: CH binary_search_steps)"),
            number("constant", 0.01, "first constant (.01: CH initial_const)", minimum=1e-9),
            number("confidence", 0.0, "margin of the wrong class in logits; above 0 for random deployments (0: CH)"),
        ),
        norm="l2",
        access="gradient",
        minimum_norm=True,
        default=False,
        quick=quick(2.0, block=16, samples=16, steps=40, rate=0.1, searches=4, constant=1.0),
        standard=standard(180.0, timeout_s=7200.0),
    )


def _square(norm: Norm) -> Attack:
    return Attack(
        name=f"native-square-{norm}",
        family="native",
        factory="bench_native.square:Square",
        summary="Random search with square patches of shrinking size, every image with its own; one query a step.",
        source=(
            "Andriushchenko et al., Square Attack: A Query-Efficient Black-Box Adversarial Attack via Random Search, "
            "ECCV 2020, arXiv 1912.00049"
        ),
        parameters=(
            integer("steps", 5000, "queries at most, twice as many where answers are random (5000: AutoAttack)"),
            number("share", 0.8, "share of values changed at first (.8: AutoAttack)", minimum=0.01, maximum=0.99),
            loss("margin", "ce", source="margin: AutoAttack"),
        ),
        norm=norm,
        access="score",
        core="square",
        quick=quick(0.5, steps=100),
        standard=standard(50.0),
    )


def _spsa(norm: Norm) -> Attack:
    return Attack(
        name=suffixed("spsa", norm),
        factory="bench_native.spsa:Spsa",
        summary="Adam on gradients estimated from scores along random directions.",
        source=(
            "Uesato et al., Adversarial Risk and the Dangers of Evaluating Against Weak Attacks, "
            "ICML 2018, arXiv 1802.05666"
        ),
        parameters=(
            integer("steps", 30, "steps (ours; 100: CleverHans nb_iter)"),
            number("step", 0.1, "Adam's rate as a share of epsilon (ours)", minimum=1e-4),
            integer("directions", 128, "random directions a step (128: CleverHans spsa_samples)"),
            number("width", 0.01, "how far along a direction, pixels in [0, 1] (.01: Uesato et al.)", minimum=1e-5),
            loss("margin", "ce", source="margin: Uesato et al., section 3.2"),
        ),
        norm=norm,
        access="score",
        default=norm == "linf",  # a rung that no declaration of a defense's author can mislead
        quick=quick(2.0, block=16, samples=16, steps=15, directions=64, step=0.25),
        standard=standard(12.0, block=16, samples=32, timeout_s=7200.0),
    )


_NORMS: tuple[Norm, ...] = ("linf", "l2")
ENTRIES: tuple[Attack, ...] = (
    *(_fmn(norm) for norm in _NORMS),
    _carlini(),
    *(_square(norm) for norm in _NORMS),
    *(_spsa(norm) for norm in _NORMS),
)
