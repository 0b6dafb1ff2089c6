"""Attacks that use gradients.

Budgets of "standard" are the literature's; each parameter's help names its source: CH is CleverHans (v2.1.0 = v3.1.0;
its defaults stand at epsilon .3, and steps are kept in proportion to epsilon), AA is AutoAttack (Croce and Hein 2020).
"""

from __future__ import annotations

from bench.plugins.declared import integer, number, quick, standard, suffixed
from bench.plugins.entries import Norm
from bench.plugins.parameters import Parameter
from bench_art.apgd_rows import CROCE, auto_projected, auto_targeted
from bench_art.row import Row

_EVASION = "art.attacks.evasion:"
_MADRY = "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, arXiv 1706.06083"
_GOODFELLOW = "Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015, arXiv 1412.6572"
_UNIVERSAL = "Moosavi-Dezfooli et al., Universal Adversarial Perturbations, CVPR 2017, arXiv 1610.08401"

_STEP = "step size as a share of epsilon"


def _fast_gradient(norm: Norm) -> Row:
    return Row(
        name=suffixed("fgsm", norm),
        art=_EVASION + "FastGradientMethod",
        norm=norm,
        access="gradient",
        summary="One step of epsilon along the loss gradient.",
        source=_GOODFELLOW,
        core="fgsm",
        relative=(("eps", 1.0), ("eps_step", 1.0)),
        evaluations="1",
        quick=quick(0.1),
        standard=standard(0.1),
    )


def _projected(norm: Norm) -> Row:
    share = 1 / 30 if norm == "linf" else 0.0625
    said = "CH MadryEtAl .01/.3" if norm == "linf" else "2.5/iterations, Madry et al. 2018"
    return Row(
        name=f"pgd-{norm}",
        family="pgd",
        art=_EVASION + "ProjectedGradientDescent",
        norm=norm,
        access="gradient",
        summary="Projected gradient ascent on the cross-entropy from a random start.",
        source=_MADRY,
        procedure="starts",
        core="pgd-ce",
        relative=(("eps", 1.0), ("eps_step", "step")),
        parameters=(
            integer("max_iter", 40, "steps (40: CH MadryEtAl nb_iter)"),
            number("step", share, f"{_STEP} ({said})", minimum=1e-4),
            integer("num_random_init", 1, "random starts, on what stands; 0 is the image (1: CH rand_init)", minimum=0),
        ),
        evaluations="starts x (iterations + 2)",
        quick=quick(0.7, max_iter=20, step=0.1),
        standard=standard(0.5),
    )


def _momentum(norm: Norm) -> Row:
    return Row(
        name=suffixed("mim", norm),
        art=_EVASION + "MomentumIterativeMethod",
        norm=norm,
        access="gradient",
        summary="Iterated gradient steps with momentum, without random start.",
        source="Dong et al., Boosting Adversarial Attacks with Momentum, CVPR 2018, arXiv 1710.06081",
        relative=(("eps", 1.0), ("eps_step", "step")),
        parameters=(
            integer("max_iter", 10, "steps (10: CH nb_iter)"),
            number("step", 0.2, f"{_STEP} (CH .06/.3)", minimum=1e-4),
            number("decay", 1.0, "momentum (1: CH decay_factor; Dong et al., section 4.1)"),
        ),
        evaluations="iterations + 2",
        quick=quick(0.2, block=32, samples=32),
        standard=standard(0.4),
    )


def _universal(norm: Norm, inner: str) -> Row:
    deepfool = inner == "deepfool"
    own: tuple[Parameter, ...] = (
        (integer("inner_iter", 50, "steps of DeepFool for one image (50: CH max_iter)"),)
        if deepfool
        else (number("inner_step", 0.25, "size of FGSM's step as a share of epsilon (ours)", minimum=1e-3),)
    )
    return Row(
        name=suffixed("uap" if deepfool else "uap-fgsm", norm),
        art=_EVASION + "UniversalPerturbation",
        norm=norm,
        access="gradient",
        summary=f"One perturbation for all images of a block, built with {'DeepFool' if deepfool else 'FGSM'}, "
        "fitted on the attacked images themselves, which only helps the attacker.",
        source=_UNIVERSAL,
        procedure="universal",
        whole=True,
        separable=False,
        arguments=(("attacker", inner),),
        relative=(("eps", 1.0),),
        parameters=(
            integer("max_iter", 10, "passes over the images (10: Moosavi-Dezfooli et al., released code)"),
            number("delta", 0.2, "share of images that may resist (.2: same code)", maximum=0.99),
            *own,
        ),
        evaluations="20-230 (2-5 passes)",
        quick=(
            quick(0.5, block=8, samples=8, max_iter=1, inner_iter=5)
            if deepfool
            else quick(0.2, block=16, samples=16, max_iter=2)
        ),
        standard=standard(60.0),
    )


_BASIC = Row(
    name="bim",
    art=_EVASION + "BasicIterativeMethod",
    norm="linf",
    access="gradient",
    summary="Iterated FGSM without random start.",
    source="Kurakin et al., Adversarial Examples in the Physical World, 2017, arXiv 1607.02533",
    relative=(("eps", 1.0), ("eps_step", "step")),
    parameters=(
        integer("max_iter", 10, "steps (10: CH nb_iter)"),
        number("step", 1 / 6, f"{_STEP} (CH .05/.3)", minimum=1e-4),
    ),
    evaluations="iterations + 2",
    quick=quick(0.2, block=32, samples=32),
    standard=standard(0.4),
)

_CARLINI_L2 = Row(
    name="cw-l2",
    art=_EVASION + "CarliniL2Method",
    norm="l2",
    access="gradient",
    summary="Smallest L2 perturbation by optimisation in tanh space.",
    source="Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, S&P 2017, arXiv 1608.04644",
    minimum_norm=True,
    parameters=(
        integer("max_iter", 1000, "steps a search (1000: CH max_iterations)"),
        integer("binary_search_steps", 5, "searches for the constant (5: CH)"),
        number("learning_rate", 5e-3, "first step of the line search (5e-3: CH)", minimum=1e-6),
        number("initial_const", 0.01, "first constant (.01: CH)", minimum=1e-9),
        number("confidence", 0.0, "margin of the wrong class in logits (0: CH)"),
    ),
    evaluations="340-350 at 3 x 20; the line search dominates",
    quick=quick(0.7, block=8, samples=8, max_iter=10, binary_search_steps=3, learning_rate=0.05, initial_const=1.0),
    standard=standard(400.0, timeout_s=7200.0),
)

_CARLINI_LINF = Row(
    name="cw-linf",
    art=_EVASION + "CarliniLInfMethod",
    norm="linf",
    access="gradient",
    summary="Smallest Linf perturbation by optimisation under a shrinking bound, one image at a time.",
    source="Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, S&P 2017, arXiv 1608.04644",
    minimum_norm=True,
    alone=True,
    repeats=True,
    parameters=(
        integer("max_iter", 100, "steps for each constant (ours; 1000 in the authors' code)"),
        number("learning_rate", 5e-3, "Adam's step (5e-3: authors' code l0_attack/li_attack)", minimum=1e-6),
        number("decrease_factor", 0.9, "by which the bound shrinks (.9: same)", minimum=0.01, maximum=0.99),
        number("initial_const", 1e-5, "first constant (1e-5: same)", minimum=1e-9),
        number("largest_const", 20.0, "last constant (20: same)", minimum=1e-9),
        number("const_factor", 2.0, "between constants (2: same)", minimum=1.01),
    ),
    evaluations="26-28 at 10 iterations",
    defects=(
        (
            "1.20.1",
            "its gradient leaves the constant out, so that every constant takes the same steps; the adapter answers "
            "from memory what is asked again.",
        ),
    ),
    quick=quick(
        0.8,
        block=16,
        samples=16,
        max_iter=10,
        learning_rate=0.05,
        decrease_factor=0.5,
        initial_const=0.1,
        const_factor=20.0,
    ),
    standard=standard(15.0, block=16, timeout_s=7200.0),
)

_ELASTIC = Row(
    name="ead",
    art=_EVASION + "ElasticNet",
    norm="l1",
    access="gradient",
    summary="Smallest elastic-net perturbation; the suite's attack for L1.",
    source=(
        "Chen et al., EAD: Elastic-Net Attacks to Deep Neural Networks via Adversarial Examples, "
        "AAAI 2018, arXiv 1709.04114"
    ),
    minimum_norm=True,
    parameters=(
        integer("max_iter", 1000, "steps a search (1000: Chen et al., section 5.1)"),
        integer("binary_search_steps", 9, "searches for the constant (9: same)"),
        number("learning_rate", 0.01, "step (.01: same)", minimum=1e-6),
        number("beta", 1e-3, "weight of the L1 term (1e-3: same)"),
        number("initial_const", 1e-3, "first constant (1e-3: same)", minimum=1e-9),
        Parameter(
            name="decision_rule",
            type=str,
            default="L1",
            choices=("EN", "L1", "L2"),
            help="distance by which the best is kept (L1: that of the threat; same section)",
        ),
    ),
    evaluations="about 4 x iterations x searches",
    quick=quick(0.4, block=8, samples=8, max_iter=20, binary_search_steps=2, initial_const=1.0, learning_rate=0.05),
    standard=standard(600.0, timeout_s=7200.0),
)

_DEEPFOOL = Row(
    name="deepfool",
    art=_EVASION + "DeepFool",
    norm="l2",
    access="gradient",
    summary="Smallest L2 perturbation by linearising the class boundaries.",
    source=(
        "Moosavi-Dezfooli et al., DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks, "
        "CVPR 2016, arXiv 1511.04599"
    ),
    minimum_norm=True,
    parameters=(
        integer("max_iter", 50, "steps (50: CH max_iter)"),
        number("epsilon", 0.02, "overshoot (.02: CH; ART's 1e-6 stops on the boundary in float32)"),
        integer("nb_grads", 10, "classes looked at (10: CH nb_candidate)"),
    ),
    evaluations="4-42, each with a gradient for every class",
    quick=quick(0.4, block=16, samples=16, max_iter=8),
    standard=standard(5.0),
)

_SALIENCY = Row(
    name="jsma",
    art=_EVASION + "SaliencyMapMethod",
    norm="l0",
    access="gradient",
    summary="Raises two values at a time towards a wrong class; the distance is the number of changed values.",
    source="Papernot et al., The Limitations of Deep Learning in Adversarial Settings, EuroS&P 2016, arXiv 1511.07528",
    procedure="saliency",
    minimum_norm=True,
    parameters=(
        number("theta", 1.0, "change of a value (1: CH theta)", minimum=-1.0, maximum=1.0),
        number("gamma", 0.1, "largest share of changed values (.1: CH tutorial)", minimum=1e-4, maximum=1.0),
        Parameter(
            name="target",
            type=str,
            default="random",
            choices=("random", "next"),
            help="wrong class aimed at: a random one (CH without y_target) or the next most likely",
        ),
    ),
    evaluations="190-560",
    defects=(("1.20.1", "given true labels it returns its input; the adapter gives wrong classes."),),
    quick=quick(0.3, block=8, samples=8),
    standard=standard(10.0),
)

_PATCH = Row(
    name="patch",
    art="art.attacks.evasion.adversarial_patch.adversarial_patch_pytorch:AdversarialPatchPyTorch",
    norm="l0",
    access="gradient",
    summary="One square patch in the middle of all images of a block, with no more values than epsilon allows.",
    source="Brown et al., Adversarial Patch, 2017, arXiv 1712.09665",
    procedure="patch",
    whole=True,
    separable=False,
    arguments=(("patch_type", "square"), ("rotation_max", 0.0), ("optimizer", "Adam")),
    parameters=(
        integer("max_iter", 500, "steps (500: ART)"),
        number("learning_rate", 0.05, "Adam's step (ours; ART's 5 is for pixels in [0, 255])", minimum=1e-6),
    ),
    evaluations="iterations",
    quick=quick(0.5, block=8, samples=8, max_iter=10, learning_rate=0.3),
    standard=standard(60.0),
)


def _ensemble(norm: Norm) -> Row:
    return Row(
        name=suffixed("autoattack-art", norm),
        art=_EVASION + "AutoAttack",
        norm=norm,
        access="gradient",
        summary="ART's ensemble of APGD-CE, APGD-DLR, DeepFool and a bounded Square; not the literature's AutoAttack, "
        "which has targeted APGD and FAB.",
        source=CROCE,
        procedure="ensemble",
        classes=3,
        separable=False,
        requires=("multiprocess",),
        relative=(("eps", 1.0), ("eps_step", 2.0)),
        parameters=(
            integer("max_iter", 100, "steps of APGD (100: AA)"),
            integer("restarts", 5, "random starts of APGD (5: ART)"),
            integer("square_iter", 1000, "steps of Square (ours; ART's 5 x 5000 take minutes an image)"),
        ),
        evaluations="up to 75 000 with ART's own list",
        quick=quick(0.3, block=8, samples=8, max_iter=10, restarts=1, square_iter=30),
        standard=standard(120.0, timeout_s=7200.0),
    )


ROWS: tuple[Row, ...] = (
    _fast_gradient("linf"),
    _fast_gradient("l2"),
    _BASIC,
    _momentum("linf"),
    _momentum("l2"),
    _projected("linf"),
    _projected("l2"),
    auto_projected("linf", "ce"),
    auto_projected("l2", "ce"),
    auto_projected("linf", "dlr"),
    auto_projected("l2", "dlr"),
    auto_targeted("linf"),
    auto_targeted("l2"),
    _ensemble("linf"),
    _ensemble("l2"),
    _CARLINI_L2,
    _CARLINI_LINF,
    _ELASTIC,
    _DEEPFOOL,
    _SALIENCY,
    _universal("linf", "deepfool"),
    _universal("l2", "deepfool"),
    _universal("linf", "fgsm"),
    _universal("l2", "fgsm"),
    _PATCH,
)
