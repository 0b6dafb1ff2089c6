"""Checks of an attack, on an undefended classifier."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.attack import AttackResult, Batch, Surface, Threat
from bench.attack.surrogate import as_it_is
from bench.conformance import workbench
from bench.conformance.construction import construct
from bench.conformance.result import CheckResult, Doubtful, Failed, NotApplicable, perform
from bench.deployment import Capture, Classify, Deployment, Draws
from bench.errors import UsageError
from bench.plugins.entries import Attack, Norm
from bench.plugins.loading import loaded
from bench.plugins.parameters import Value

IMAGES = 4
# Ours: large enough for an undefended digit classifier to be fooled.
RADII: dict[Norm, float] = {"linf": 0.2, "l2": 3.0, "l1": 30.0, "l0": 60.0}


def check_attack(entry: Attack, parameters: Mapping[str, Value], *, named: frozenset[str]) -> list[CheckResult]:
    """Return the results of all checks of an attack, under its quick settings.

    Parameters
    ----------
    named : parameters that were asked for, which win over the quick settings
    """
    quick = {name: value for name, value in entry.quick.parameters if name not in named}
    subject = _Subject(entry, {**parameters, **quick})
    results = []
    first = {
        "planning": _check_planning,
        "construction": _check_construction,
        "runs within its access": _check_access,
    }
    for name, check in first.items():
        results.append(perform(name, check, subject))
        if results[-1].outcome == "fail":
            return results
    checks = [
        perform("shape and box", _check_box, subject),
        perform("ball", _check_ball, subject),
        perform("effect", _check_effect, subject),
        perform("repeatable", _check_repeatable, subject),
        perform("leaves its inputs alone", _check_untouched, subject),
    ]
    return results + checks


@dataclass(frozen=True)
class _Run:
    result: AttackResult
    surface: Surface
    batch: Batch
    given: Tensor
    weights_changed: bool


@dataclass(frozen=True)
class _Subject:
    entry: Attack
    parameters: Mapping[str, Value]

    @property
    def threat(self) -> Threat:
        norm: Norm = self.entry.norm or "linf"
        return Threat(norm=norm, epsilon=RADII[norm])

    def make(self) -> Any:
        return construct(self.entry, self.parameters, ("run",))

    def run(self, disturbance: int) -> _Run:
        """Attack the same images with the same seeds; ``disturbance`` sets every global generator."""
        network = workbench.trained_network()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        gradients = self.entry.access == "gradient"
        answers = "decision" if self.entry.access == "none" else self.entry.access
        surface = Surface(
            Deployment.chain(Capture(), Classify(network)),
            knowledge="white-box" if gradients else "black-box",
            access=answers,
            shape=workbench.DIGITS,
            classes=workbench.CLASSES,
            backward=as_it_is if gradients else None,
        )
        x, y = workbench.held_out(IMAGES)
        names = [f"image {row}".encode() for row in range(IMAGES)]
        batch = Batch(x, y, Draws.of("craft", 0, names), seed=0)
        given = x.clone()
        random.seed(disturbance)
        np.random.seed(disturbance)
        torch.manual_seed(disturbance)
        result = self.make().run(surface, batch, self.threat)
        changed = any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())
        return _Run(result, surface, batch, given, changed)

    @cached_property
    def first(self) -> _Run:
        return self.run(1)


def _check_planning(subject: _Subject) -> str:
    """What is asked while a run is planned lets these parameters pass."""
    place = subject.entry.check
    if not place:
        raise NotApplicable("It names no check: what is wrong with parameters is seen in a worker.")
    try:
        loaded(place)(subject.parameters, None)
    except UsageError as error:
        raise Failed(f"{place} refuses these parameters: {error}") from error
    return f"{place} lets them pass."


def _check_construction(subject: _Subject) -> str:
    return f"{subject.entry.factory} gave a {type(subject.make()).__name__}."


def _check_access(subject: _Subject) -> str:
    try:
        run = subject.first
    except PermissionError as error:
        raise Failed(f"It declares access={subject.entry.access!r} and asks for more: {error}.") from None
    if not isinstance(run.result, AttackResult):
        raise Failed(f"run gave a {type(run.result).__name__}; expected a bench.attack.AttackResult.")
    spent = run.surface.queries
    if subject.entry.access == "none" and spent.forward:
        raise Failed(f"It declares access='none' and sent {spent.forward} images through the deployment.")
    if subject.entry.access == "gradient" and not spent.gradient:
        raise Doubtful("It declares access='gradient' and asked for none.")
    return f"{spent.forward} images sent through, {spent.gradient} gradients for {IMAGES} images."


def _check_box(subject: _Subject) -> str:
    x_adv, x = subject.first.result.x_adv, subject.first.given
    if x_adv.shape != x.shape or x_adv.dtype != torch.float32:
        raise Failed(f"x_adv is {tuple(x_adv.shape)} {x_adv.dtype}; expected {tuple(x.shape)} float32.")
    if not torch.isfinite(x_adv).all():
        raise Failed("x_adv has values that are not finite.")
    low, high = float(x_adv.min()), float(x_adv.max())
    if low < -1e-5 or high > 1 + 1e-5:
        raise Failed(f"x_adv runs from {low:.4g} to {high:.4g}; expected [0, 1]. Clip it.")
    return f"{tuple(x_adv.shape)}, from {low:.3g} to {high:.3g}."


def _check_ball(subject: _Subject) -> str:
    if subject.entry.minimum_norm:
        raise NotApplicable("It looks for the smallest perturbation; its distance is recorded whatever it is.")
    threat, run = subject.threat, subject.first
    distances = threat.distance(run.given, run.result.x_adv)
    if not bool(threat.contains(run.given, run.result.x_adv).all()):
        raise Failed(f"Image {int(distances.argmax())} lies {float(distances.max()):.4g} away in {threat.norm}; "
                     f"expected at most {threat.epsilon:g}. Project onto the ball, then clip to the box.")  # fmt: skip
    return f"At most {float(distances.max()):.4g} of {threat.epsilon:g} in {threat.norm}."


def _check_effect(subject: _Subject) -> str:
    if subject.entry.control:
        raise NotApplicable("A control is not meant to work.")
    run = subject.first
    changed = int((run.result.x_adv != run.given).flatten(1).any(1).sum())
    network = workbench.trained_network()
    with torch.no_grad():
        clean = network(run.given).argmax(1) == run.batch.y
        fooled = int((clean & (network(run.result.x_adv).argmax(1) != run.batch.y)).sum())
    if not changed:
        raise Doubtful(f"None of {IMAGES} images was changed; an undefended classifier should be an easy victim.")
    if not fooled:
        raise Doubtful(f"{changed} of {IMAGES} images were changed, and none fools an undefended classifier.")
    return f"{changed} of {IMAGES} images changed; {fooled} of {int(clean.sum())} that were right are now wrong."


def _check_repeatable(subject: _Subject) -> str:
    again = subject.run(2)
    first = subject.first.result.x_adv
    if not torch.equal(first, again.result.x_adv):
        rows = int((first != again.result.x_adv).flatten(1).any(1).sum())
        raise Failed(f"{rows} of {IMAGES} images differ when the attack is repeated with the same seed and other "
                     "global generators; draw from batch.draws, or seed what you use with batch.seed.")  # fmt: skip
    return "Bit-equal when repeated, whatever the global generators were set to."


def _check_untouched(subject: _Subject) -> str:
    if not torch.equal(subject.first.batch.x, subject.first.given):
        raise Failed("It wrote into batch.x; work on a copy.")
    if subject.first.weights_changed:
        raise Failed("It changed the deployment's weights or buffers.")
    return "Neither the images nor the network were changed."
