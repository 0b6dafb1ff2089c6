"""How each kind of ART class is driven."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from bench.attack import Surface, Threat
from bench.deployment import Draws
from bench.plugins.loading import loaded
from bench.plugins.parameters import Value
from bench_art.door import MOST
from bench_art.isolation import own_starts
from bench_art.row import OURS, Procedure, Row

FloatImages = NDArray[np.float32]
Labels = NDArray[np.int64]
Rows = NDArray[np.int64]

LOOKS = 4  # answers averaged where one settles nothing
_NORMS: Mapping[str, float | int] = {"linf": np.inf, "l2": 2, "l1": 1}


@dataclass(frozen=True)
class Craft:
    """One call's material.

    Attributes
    ----------
    x : float32, (B, C, H, W), in [0, 1]
    y : int64, (B,), true labels
    """

    row: Row
    parameters: Mapping[str, Value]
    surface: Surface
    threat: Threat
    estimator: Any
    x: FloatImages
    y: Labels
    draws: Draws

    @property
    def epsilon(self) -> float:
        return float(self.threat.epsilon)

    def count(self, name: str) -> int:
        """Return a parameter that is an integer."""
        return int(self.parameters[name])

    def build(self, **overrides: object) -> Any:
        """Return ART's attack, every argument that matters set: the row's, the user's, then ``overrides``."""
        return self.build_class(loaded(self.row.art), {**self._arguments(), **overrides})

    def build_class(self, art: Any, arguments: Mapping[str, object]) -> Any:
        """Return an attack of class ``art``; norm, batch size and silence are set where it has them."""
        known = inspect.signature(art.__init__).parameters
        common: dict[str, object] = {
            "norm": _NORMS.get(self.threat.norm, 2),
            "batch_size": MOST,
            "verbose": False,
            "targeted": False,
        }
        return art(self.estimator, **{**{name: v for name, v in common.items() if name in known}, **arguments})

    def _arguments(self) -> dict[str, object]:
        given: dict[str, object] = dict(self.row.arguments)
        given |= {name: value for name, value in self.parameters.items() if name not in OURS}
        for argument, factor in self.row.relative:
            share = float(self.parameters[factor]) if isinstance(factor, str) else factor
            given[argument] = self.epsilon * share
        return given

    def one_hot(self, labels: Labels) -> FloatImages:
        """Return labels as ART takes them everywhere, float32, (B, K)."""
        return np.eye(self.surface.classes, dtype=np.float32)[labels]

    def standing(self, x: FloatImages) -> Rows:
        """Return which images are not broken for good as they will be judged.

        All of them where one answer settles nothing: it was drawn, or is a stand-in's.
        """
        broken = self.surface.broken(
            torch.from_numpy(self.x), torch.from_numpy(x), torch.from_numpy(self.y), self.threat
        )
        return np.flatnonzero(~broken.numpy())

    def keep(self, best: FloatImages, rows: Rows, found: FloatImages) -> None:
        """Put what a further attempt found in the place of what is there: where one answer settles nothing, the better.

        Parameters
        ----------
        best : changed; of all images
        found : of those in ``rows``
        """
        if not self.surface.settled:
            better = self._lead(found, rows) < self._lead(best[rows], rows)
            rows, found = rows[better], found[better]
        best[rows] = found

    def _lead(self, x: FloatImages, rows: Rows) -> FloatImages:
        """Return how far the true class leads in the mean of several answers to what is judged, float32, (n,)."""
        delivered = self.threat.realise(torch.from_numpy(self.x[rows]), torch.from_numpy(x))
        with torch.no_grad():
            answers = [self.surface.logits(delivered).numpy() for _ in range(LOOKS)]
        scores = np.mean(answers, axis=0)
        true = scores[np.arange(len(rows)), self.y[rows]]
        scores[np.arange(len(rows)), self.y[rows]] = -np.inf
        return cast(FloatImages, true - scores.max(1))

    def scores(self) -> FloatImages:
        """Return the clean images' logits, float32, (B, K)."""
        with torch.no_grad():
            return cast(FloatImages, self.surface.logits(torch.from_numpy(self.x)).numpy())

    def likely_wrong(self) -> Labels:
        """Return the wrong classes of each image, most likely first, int64, (B, K - 1)."""
        scores = self.scores().astype(np.float64)
        scores[np.arange(len(scores)), self.y] = np.inf
        return np.argsort(-scores, axis=1, kind="stable")[:, 1:]

    def attempt(self, attack: Any, rows: Rows, labels: Labels, round_number: int) -> FloatImages:
        """Return ART's answer for some of the images, found by a search of its own; ``labels`` are theirs."""
        self.surface.begin()
        with own_starts(self.draws[rows].spawn(f"round {round_number}")):
            found = attack.generate(self.x[rows].copy(), y=self.one_hot(labels))
        return cast(FloatImages, found)


def _generate(craft: Craft) -> FloatImages:
    return craft.attempt(craft.build(), np.arange(len(craft.x)), craft.y, 0)


def _restarts(craft: Craft) -> FloatImages:
    """Start APGD anew: ART's own restarts begin at the last start, not at the image."""
    return _anew(craft, craft.count("restarts"))


def _starts(craft: Craft) -> FloatImages:
    """Start PGD anew: ART's own starts look like one long search."""
    starts = craft.count("num_random_init")
    return _generate(craft) if starts <= 1 else _anew(craft, starts, num_random_init=1)


def _anew(craft: Craft, times: int, **overrides: object) -> FloatImages:
    """Start anew on the images that still stand."""
    best = craft.x.copy()
    rows = craft.standing(best)
    for attempt in range(times):
        if not len(rows):
            break
        craft.keep(best, rows, craft.attempt(craft.build(**overrides), rows, craft.y[rows], attempt))
        rows = craft.standing(best)
    return best


def _targets(craft: Craft) -> FloatImages:
    """Aim at each of the most likely wrong classes in turn, on the images that still stand."""
    best = craft.x.copy()
    rows = craft.standing(best)
    wrong = craft.likely_wrong()
    for rank in range(min(craft.count("targets"), wrong.shape[1])):
        if not len(rows):
            break
        craft.keep(best, rows, craft.attempt(craft.build(), rows, wrong[rows, rank], rank))
        rows = craft.standing(best)
    return best


def _saliency(craft: Craft) -> FloatImages:
    """Give wrong classes: with the true ones ART finds nothing to do."""
    if craft.parameters["target"] == "next":
        aims = craft.likely_wrong()[:, 0]
    else:
        steps = (craft.draws.uniform("target", 1)[:, 0] * (craft.surface.classes - 1)).astype(np.int64)
        aims = (craft.y + 1 + steps) % craft.surface.classes
    return craft.attempt(craft.build(), np.arange(len(craft.x)), aims, 0)


def _universal(craft: Craft) -> FloatImages:
    if "inner_iter" in craft.parameters:
        inner: dict[str, object] = {"max_iter": craft.count("inner_iter"), "epsilon": 0.02, "verbose": False}
    else:
        size = craft.epsilon * float(craft.parameters["inner_step"])
        inner = {"eps": size, "eps_step": size, "norm": _NORMS[craft.threat.norm]}
    attack = craft.build(attacker_params={**inner, "batch_size": 1})
    return craft.attempt(attack, np.arange(len(craft.x)), craft.y, 0)


def _patch(craft: Craft) -> FloatImages:
    """Fit and apply a square of at most epsilon values; the image where not one pixel is allowed."""
    channels, height, width = craft.surface.shape
    side = min(int(np.sqrt(craft.epsilon / channels)), height, width)
    if side < 1:
        return craft.x.copy()
    attack = craft.build(patch_shape=(channels, side, side), patch_location=((width - side) // 2, (height - side) // 2))
    attack.generate(craft.x.copy(), y=craft.one_hot(craft.y))
    return cast(FloatImages, attack.apply_patch(craft.x.copy(), scale=side / min(height, width)))


def _ensemble(craft: Craft) -> FloatImages:
    """Inject a bounded list: one image that survives ART's own takes minutes."""
    from art.attacks.evasion import AutoProjectedGradientDescent, DeepFool, SquareAttack

    sizes = {"eps": craft.epsilon, "eps_step": 2.0 * craft.epsilon}
    gradient = {**sizes, "max_iter": craft.count("max_iter"), "nb_random_init": craft.count("restarts")}
    attacks = [
        craft.build_class(AutoProjectedGradientDescent, {**gradient, "loss_type": loss})
        for loss in ("cross_entropy", "difference_logits_ratio")
    ]
    attacks.append(craft.build_class(DeepFool, {"max_iter": 50, "epsilon": 0.02, "nb_grads": 10}))
    attacks.append(craft.build_class(SquareAttack, {"eps": craft.epsilon, "max_iter": craft.count("square_iter")}))
    attack = craft.build_class(loaded(craft.row.art), {**sizes, "attacks": attacks})
    return craft.attempt(attack, np.arange(len(craft.x)), craft.y, 0)


PROCEDURES: Mapping[Procedure, Callable[[Craft], FloatImages]] = {
    "generate": _generate,
    "restarts": _restarts,
    "starts": _starts,
    "targets": _targets,
    "saliency": _saliency,
    "universal": _universal,
    "patch": _patch,
    "ensemble": _ensemble,
}
