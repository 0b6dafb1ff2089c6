"""ART's attacks that are known here but not offered, each with the reason, from runs on ART 1.20.1 under NumPy 2."""

from __future__ import annotations

from bench.plugins.entries import NotOffered

# Runs, but a ranking must not rest on it.
_WEAK = {
    "acg": "at Linf AutoConjugateGradient applies the raw direction and stays at its start. At L2 it equals APGD.",
    "racg": "at Linf RescalingAutoConjugateGradient has the fault of acg. At L2 it equals APGD.",
    "pgd-l1": "moves the single pixel of the largest gradient until it meets the box, then nothing. Use ead.",
    "fgsm-l1": "moves a single pixel. Use ead.",
    "apgd-l1": "takes dense steps where L1 wants sparse ones: no success where ead has. Use ead.",
    "square-l1": "ran without a success. Use ead.",
    "cw-l0": "needs budgets beyond any run of this suite. Use jsma.",
    "newtonfool": "never crossed the boundary (0 of 12 images in 100 iterations).",
    "vat": "needs 3 900 to 15 000 queries an image, and its default finite difference vanishes in float32.",
    "wasserstein": "its ball is none of the suite's; 2 to 8 s an image, and no change at small budgets.",
    "shadow": "leaves every norm ball by design (colour and total variation), one image a call.",
    "tuap": "one perturbation towards one class: weaker than uap by construction.",
    "caa": "semantic changes bound by no ball, for three channels only; one of its parts did not return.",
    "zoo": "no success at budgets of 5 656 queries an image. Use square-l2.",
    "pixel": "3 300 queries an image for one pixel; its second search needs cma.",
    "threshold": "up to 9 200 queries and 9 s an image. Use square-linf.",
    "geoda-l2": "uses np.mat, which NumPy 2 removed; writes and reads cache files in the working directory.",
    "geoda-linf": "uses np.mat, which NumPy 2 removed; writes and reads cache files in the working directory.",
    "brendel-bethge": "compiles for 28 to 120 s for each norm, and its start is unseeded.",
}

# Cannot be used here.
_UNUSABLE = {
    "frame-saliency": "made for video.",
    "feature-adv": "needs a bare nn.Sequential and guide images; a deployment is neither.",
    "feature-adv-np": "took over 90 s for 6 images.",
    "patch-np": "AdversarialPatchNumpy fails under NumPy 2 (no attribute 'patch'). Use patch.",
    "graphite-w": "needs opencv and tables of viewpoints; ran without a success.",
    "graphite-b": "needs opencv and tables of viewpoints; took over 90 s an image.",
    "lowprofool": "for tables: wants a vector of feature importances.",
    "flicker": "for video: wants five dimensions.",
    "laser": "does not take images with channels first.",
    "overload": "for object detectors.",
    "snal": "for object detectors.",
    "dpatch": "for object detectors.",
    "robust-dpatch": "for object detectors.",
    "texture": "for object trackers.",
    "asr-carlini": "for speech.",
    "asr-imperceptible": "for speech.",
    "asr-imperceptible-pytorch": "for speech.",
    "decision-tree": "for decision trees.",
    "hclu": "for Gaussian processes.",
    "malware": "for executable files.",
}

WITHHELD: tuple[NotOffered, ...] = tuple(
    NotOffered(name=name, summary=f"Not offered: {reason}", source="adversarial-robustness-toolbox 1.20.1")
    for name, reason in {**_WEAK, **_UNUSABLE}.items()
)
