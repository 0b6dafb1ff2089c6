"""Checks of a defense: fitted on a small pool, deployed around a small classifier, and looked at from all sides."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import torch
from safetensors.torch import load, save
from torch import Tensor

from bench.conformance import behaviour, workbench
from bench.conformance.construction import construct
from bench.conformance.result import Check, CheckResult, Failed, NotApplicable, S, in_words, perform
from bench.deployment import Deployment, FitContext, FitResult
from bench.errors import UsageError
from bench.plugins.entries import Defense
from bench.plugins.loading import loaded
from bench.plugins.parameters import Value

REPEATABLE: Final = "repeatable"


@dataclass(frozen=True)
class Subject:
    """A defense with its parameters, and what came of it."""

    entry: Defense
    parameters: Mapping[str, Value]

    def make(self) -> Any:
        return construct(self.entry, self.parameters, ("deploy",))

    def fit(self, shape: workbench.Shape = workbench.DIGITS) -> FitResult:
        """Return what is learned from the small pools, torch's generator seeded as in a run."""
        defense = self.make()
        if not hasattr(defense, "fit"):
            return FitResult()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            fitted = defense.fit(self.context(shape))
        if not isinstance(fitted, FitResult):
            raise Failed(f"fit gave a {type(fitted).__name__}; expected a bench.deployment.FitResult.")
        return fitted

    def context(self, shape: workbench.Shape) -> FitContext:
        return FitContext(
            network=workbench.trained_network(shape),
            new_network=lambda: workbench.new_network(shape),
            pools=workbench.pools(shape),
            recipe=workbench.RECIPE,
            shape=shape,
            classes=workbench.CLASSES,
            seed=0,
        )

    def deploy(self, result: FitResult, shape: workbench.Shape = workbench.DIGITS) -> Deployment:
        deployment = self.make().deploy(workbench.trained_network(shape), result, shape)
        if not isinstance(deployment, Deployment):
            raise Failed(f"deploy gave a {type(deployment).__name__}; return Deployment.chain(stage, ...).")
        return deployment.eval().requires_grad_(False)

    @cached_property
    def result(self) -> FitResult:
        return self.fit()

    @cached_property
    def deployment(self) -> Deployment:
        return self.deploy(self.result)


def check_defense(entry: Defense, parameters: Mapping[str, Value]) -> list[CheckResult]:
    """Return the results of all checks of a defense; where it cannot be deployed, only those that came before."""
    subject = Subject(entry, parameters)
    results = []
    for name, check in FIRST.items():
        results.append(perform(name, check, subject))
        if results[-1].outcome == "fail":
            return results
    results.append(perform(REPEATABLE, behaviour.check_repeatable, subject.deployment))
    spared = behaviour.COMPARING if results[-1].outcome == "fail" else frozenset[str]()
    results += [_unless(spared, name, check, subject) for name, check in OWN.items()]
    results += [_unless(spared, name, check, subject.deployment) for name, check in behaviour.CHECKS.items()]
    return results


def _unless(spared: Set[str], name: str, check: Check[S], subject: S) -> CheckResult:
    """Return the outcome of a check; one that is spared would only name other causes for what was found already."""
    if name in spared:
        return CheckResult(name, "n/a", f"It compares answers; {REPEATABLE!r}, which failed, comes first.")
    return perform(name, check, subject)


def check_construction(subject: Subject) -> str:
    """The factory takes the parameters and gives something that deploys."""
    return f"{subject.entry.factory} gave a {type(subject.make()).__name__}."


def check_deployment(subject: Subject) -> str:
    """It can be fitted and deployed."""
    nodes = subject.deployment.nodes
    return "; ".join(f"{node.name} on {node.placement}" for node in nodes) + "."


def check_planning(subject: Subject) -> str:
    """What is asked while a run is planned lets these parameters pass, and refuses no shape that can be deployed."""
    place = subject.entry.check
    if not place:
        raise NotApplicable("It names no check: what cannot be deployed is seen in a worker.")
    refused = []
    for shape in (None, workbench.DIGITS, *workbench.OTHER_SHAPES):
        try:
            loaded(place)(subject.parameters, shape)
        except UsageError as error:
            if shape is None or shape == workbench.DIGITS or _deploys(subject, shape):
                raise Failed(f"{place} refuses what can be deployed, for images of {shape}: {error}") from error
            refused.append(f"{shape} refused: {error}")
    return " ".join([f"{place} lets it pass.", *refused])


def _deploys(subject: Subject, shape: workbench.Shape) -> bool:
    try:
        subject.deploy(subject.fit(shape), shape)
    except UsageError:
        return False
    return True


def check_declarations(subject: Subject) -> str:
    """What every stage says of itself is of the kind that the suite reads."""
    for node in subject.deployment.nodes:
        stage = node.stage
        owner = f"Stage {node.name!r} ({type(stage).__name__})"
        if node.placement not in ("device", "server", "tee"):
            raise Failed(f"{owner}: placement is {node.placement!r}; expected device, server or tee.")
        for name in ("randomised", "differentiable"):
            if not isinstance(getattr(stage, name), bool):
                raise Failed(f"{owner}: {name} is {getattr(stage, name)!r}; expected True or False.")
        if not stage.wire_formats or not all(isinstance(name, str) for name in stage.wire_formats):
            raise Failed(f"{owner}: wire_formats is {stage.wire_formats!r}; expected names, the default first.")
        if stage.macs_declared is not None and (not isinstance(stage.macs_declared, int) or stage.macs_declared < 0):
            raise Failed(f"{owner}: macs_declared is {stage.macs_declared!r}; expected a number >= 0 or None.")
        if not all(callable(surrogate) for surrogate in stage.surrogates.values()):
            raise Failed(f"{owner}: surrogates must be functions of (signal, progress).")
    said = [n.name for n in subject.deployment.nodes if n.stage.randomised]
    hard = [n.name for n in subject.deployment.nodes if not n.stage.differentiable]
    return f"Randomised: {', '.join(said) or 'none'}; without a derivative: {', '.join(hard) or 'none'}."


def check_fit(subject: Subject) -> str:
    """Fitting gives finite tensors, the same for the same seed, and leaves the pools alone."""
    if not hasattr(subject.make(), "fit"):
        raise NotApplicable("It learns nothing.")
    for name, tensor in [*subject.result.public.items(), *subject.result.sealed.items()]:
        if not isinstance(tensor, Tensor):
            raise Failed(f"{name!r} is a {type(tensor).__name__}; expected a tensor.")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise Failed(f"{name!r} has values that are not finite.")
    context = subject.context(workbench.DIGITS)
    before = {name: pool.x.clone() for name, pool in context.pools.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        again = subject.make().fit(context)
    if any(not torch.equal(before[name], pool.x) for name, pool in context.pools.items()):
        raise Failed("fit wrote into a pool; work on a copy.")
    if again.public.keys() != subject.result.public.keys():
        raise Failed("Two fits with the same seed gave tensors of other names.")
    for name, tensor in subject.result.public.items():
        if not torch.equal(tensor, again.public[name]):
            raise Failed(f"Two fits with the same seed gave another {name!r}; draw from context.seed only.")
    size = sum(t.numel() * t.element_size() for t in subject.result.public.values())
    return f"{len(subject.result.public)} tensors, {size:,} bytes, the same when repeated."


def check_state(subject: Subject) -> str:
    """A deployment made from tensors that went through a file answers the same to the bit."""
    stored = save({name: tensor.detach().contiguous() for name, tensor in subject.result.public.items()})
    returned = subject.deploy(FitResult(public=load(stored), sealed=subject.result.sealed))
    given = workbench.signal(workbench.held_out()[0])
    if not torch.equal(subject.deployment.answer(given).x, returned.answer(given).x):
        raise Failed(
            "Deployed from tensors that went through a file, it answers otherwise; FitResult.public must hold all."
        )
    return f"{len(stored):,} bytes, the same answers."


def check_shapes(subject: Subject) -> str:
    """Logits of every image of a batch, whatever its size, and for the other shapes that the suite's data sets have."""
    for count in (1, 2, 7):
        _expect_logits(subject.deployment, workbench.held_out(count)[0])
    for value in (0.0, 1.0):
        _expect_logits(subject.deployment, torch.full((2, *workbench.DIGITS), value))
    refused = []
    for shape in workbench.OTHER_SHAPES:
        try:
            deployment = subject.deploy(subject.fit(shape), shape)
        except UsageError as error:
            refused.append(f"{shape} refused: {error}")
            continue
        except Exception as error:
            raise Failed(f"Images of {shape}: {in_words(error)}. Say what it cannot do by a UsageError.") from error
        _expect_logits(deployment, workbench.held_out(2, shape)[0])
    return " ".join([f"Logits for {workbench.DIGITS} and {', '.join(map(str, workbench.OTHER_SHAPES))}.", *refused])


def _expect_logits(deployment: Deployment, x: Tensor) -> None:
    logits = deployment.answer(workbench.signal(x)).x
    if logits.shape != (len(x), workbench.CLASSES) or logits.dtype != torch.float32:
        expected = (len(x), workbench.CLASSES)
        raise Failed(
            f"Images {tuple(x.shape)} gave {tuple(logits.shape)} {logits.dtype}; expected logits {expected} float32."
        )
    if not torch.isfinite(logits).all():
        raise Failed(f"Logits for images {tuple(x.shape)} in [{float(x.min()):g}, {float(x.max()):g}] are not finite.")


FIRST: Final[Mapping[str, Check[Subject]]] = {"construction": check_construction, "deployment": check_deployment}
OWN: Final[Mapping[str, Check[Subject]]] = {
    "planning": check_planning,
    "declarations": check_declarations,
    "fit": check_fit,
    "state": check_state,
    "shapes": check_shapes,
}
