"""Attacks, models and data sets: the suite's own pass, planted faults do not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.attack import AttackResult
from bench.conformance import check_selection, run_checks
from bench.conformance.workbench import signal
from bench.data import Images
from bench.errors import MissingData, UnknownName, UsageError
from bench.hardware import Measurement
from bench.plugins.entries import Attack, Dataset, Hardware, Model, ThreatSpec
from bench.plugins.registry import Found, discover
from bench.training import Recipe

SUBJECT: list[object] = []


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)(__name__)
    module.make_subject, module.only_grey, module.refuses = (lambda: SUBJECT[-1]), only_grey, refuses
    monkeypatch.setitem(sys.modules, __name__, module)


def check(subject: object, kind: type, **entry):
    SUBJECT.append(subject)
    described = kind(name="subject", factory=f"{__name__}:make_subject", summary="", **entry)
    return {result.name: result for result in run_checks(Found(described))}


class Sign:
    """FGSM, as it should be."""

    def run(self, surface, batch, threat) -> AttackResult:
        step = threat.epsilon * surface.loss_gradient(batch.x, batch.y).sign()
        return AttackResult((batch.x + step).clamp(0, 1))


class LeavesTheBall(Sign):
    def run(self, surface, batch, threat) -> AttackResult:
        return AttackResult((batch.x + 2 * threat.epsilon).clamp(0, 1))


class LeavesTheBox(Sign):
    def run(self, surface, batch, threat) -> AttackResult:
        return AttackResult(batch.x + threat.epsilon)


class NotANumber(Sign):
    def run(self, surface, batch, threat) -> AttackResult:
        return AttackResult(batch.x * torch.nan)


class DrawsGlobally(Sign):
    def run(self, surface, batch, threat) -> AttackResult:
        surface.loss_gradient(batch.x, batch.y)
        return AttackResult((batch.x + threat.epsilon * (torch.rand_like(batch.x) - 0.5)).clamp(0, 1))


class WritesInput(Sign):
    def run(self, surface, batch, threat) -> AttackResult:
        batch.x.mul_(0.99)
        return super().run(surface, batch, threat)


class DoesNothing(Sign):
    def run(self, surface, batch, threat) -> AttackResult:
        surface.loss_gradient(batch.x, batch.y)
        return AttackResult(batch.x.clone())


def test_an_attack_that_keeps_the_contract_passes_and_works() -> None:
    results = check(Sign(), Attack, norm="linf", access="gradient")
    assert {name for name, r in results.items() if r.outcome == "n/a"} == {"planning"}
    assert {r.outcome for r in results.values()} == {"pass", "n/a"}


def test_parameters_that_planning_would_refuse_end_the_check_of_an_attack() -> None:
    asked = {"norm": "linf", "access": "gradient", "check": f"{__name__}:only_grey"}
    assert check(Sign(), Attack, **asked)["planning"].outcome == "pass"
    results = check(Sign(), Attack, **asked | {"check": f"{__name__}:refuses"})
    assert "refuses these parameters: no such thing" in results["planning"].evidence
    assert "ball" not in results


@pytest.mark.parametrize(
    ("attack", "name", "outcome", "evidence"),
    [
        (LeavesTheBall(), "ball", "fail", "Project onto the ball"),
        (LeavesTheBox(), "shape and box", "fail", "Clip it"),
        (NotANumber(), "shape and box", "fail", "not finite"),
        (DrawsGlobally(), "repeatable", "fail", "batch.draws"),
        (WritesInput(), "leaves its inputs alone", "fail", "batch.x"),
        (DoesNothing(), "effect", "warn", "None of 4 images"),
        (object(), "construction", "fail", "without run"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_fault_of_an_attack_is_caught(attack, name, outcome, evidence) -> None:
    result = check(attack, Attack, norm="linf", access="gradient")[name]
    assert result.outcome == outcome, result
    assert evidence in result.evidence


def test_an_attack_that_asks_for_more_than_it_declares_is_caught() -> None:
    for access in ("decision", "score"):
        result = check(Sign(), Attack, norm="linf", access=access)["runs within its access"]
        assert result.outcome == "fail"
        assert "asks for more" in result.evidence


class Flat:
    def build(self, shape, classes) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes))

    def recipe(self, dataset: str) -> Recipe:
        return Recipe()


def only_grey(parameters, shape) -> None:
    if shape is not None and shape[0] != 1:
        raise UsageError("grey only")


def refuses(parameters, shape) -> None:
    raise UsageError("no such thing")


def test_a_model_that_keeps_the_contract_passes() -> None:
    results = check(Flat(), Model, check="bench_models.sizes:resnet20")
    assert {r.outcome for r in results.values()} == {"pass"}


def test_a_model_that_planning_would_refuse_is_caught() -> None:
    assert check(Flat(), Model)["planning"].outcome == "n/a"
    result = check(Flat(), Model, check=f"{__name__}:only_grey")["planning"]
    assert result.outcome == "fail"
    assert "refuses images of (3, " in result.evidence


def test_a_model_whose_images_mix_in_evaluation_is_caught() -> None:
    class Mixing(Flat):
        def build(self, shape, classes) -> nn.Module:
            class Centre(nn.Module):
                def forward(self, x):
                    return x - x.mean()

            return nn.Sequential(Centre(), super().build(shape, classes))

    assert check(Mixing(), Model)["batch"].outcome == "fail"


def test_a_model_of_one_shape_only_is_caught() -> None:
    class Fixed(Flat):
        def build(self, shape, classes) -> nn.Module:
            return super().build((1, 32, 32), classes)

    assert check(Fixed(), Model)["shapes"].outcome == "fail"


class Pictures:
    """64 random images, 4 classes."""

    test_shift = 0

    def files(self, root: Path):
        return []

    def load(self, root: Path, split: str) -> Images:
        rng = np.random.default_rng(len(split))
        return Images(rng.integers(0, 256, (64, 1, 8, 8), dtype=np.uint8), rng.integers(0, 4, 64))

    def download(self, root: Path) -> None:
        raise NotImplementedError

    def class_names(self):
        return ("a", "b", "c", "d")


THREATS = {"threats": (ThreatSpec(norm="linf", epsilons=(0.1,)),), "default_model": "lenet5", "held_out_share": 0.2}


def test_a_data_set_that_keeps_the_contract_passes() -> None:
    assert {r.outcome for r in check(Pictures(), Dataset, embedded=True, **THREATS).values()} == {"pass"}


def test_a_data_set_in_another_order_each_time_is_caught() -> None:
    class Shuffled(Pictures):
        def load(self, root: Path, split: str) -> Images:
            images = super().load(root, split)
            order = np.random.default_rng().permutation(64)
            return Images(images.x[order], images.y[order])

    assert check(Shuffled(), Dataset, **THREATS)["repeatable"].outcome == "fail"


def test_labels_beyond_the_class_names_are_caught() -> None:
    class Few(Pictures):
        def class_names(self):
            return ("a", "b")

    assert check(Few(), Dataset, **THREATS)["images"].outcome == "fail"


def test_images_of_another_shape_than_declared_are_caught() -> None:
    assert check(Pictures(), Dataset, shape=(1, 8, 8), **THREATS)["images"].outcome == "pass"
    result = check(Pictures(), Dataset, shape=(1, 9, 8), **THREATS)["images"]
    assert (result.outcome, "(1, 8, 8); the entry says shape=(1, 9, 8)" in result.evidence) == ("fail", True)


def test_radii_in_grey_levels_are_caught() -> None:
    given = {**THREATS, "threats": (ThreatSpec(norm="linf", epsilons=(8.0,)),)}
    result = check(Pictures(), Dataset, **given)["threats"]
    assert "Divide by 255" in result.evidence


def test_a_data_set_that_is_not_here_is_not_failed() -> None:
    class Absent(Pictures):
        def files(self, root: Path):
            raise MissingData("Looked in data/.")

    results = check(Absent(), Dataset, **THREATS)
    assert results["files"].outcome == "n/a"
    assert "images" not in results


@pytest.mark.parametrize("name", ["null", "noise", "fgsm", "square-linf", "lenet5", "cleverhans-cnn", "digits"])
def test_the_suites_own_plugins_pass(name: str) -> None:
    failed = [r for r in check_selection(name) if r.outcome == "fail"]
    assert not failed


def test_a_selection_checks_every_plugin_that_it_names() -> None:
    results = check_selection("null,noise", discover())
    assert {r.name.split(":")[0] for r in results} == {"null", "noise"}


def test_an_unknown_name_proposes_one_of_any_kind() -> None:
    with pytest.raises(UnknownName, match="digits"):
        check_selection("digit")


def test_hardware_that_measures_passes_and_figures_that_cannot_be_are_told() -> None:
    class Stopwatch:
        def __init__(self, **changes) -> None:
            self.changes = changes

        def machine(self):
            return {"model": "stopwatch"}

        def measure(self, workload, preset):
            workload.deployment.answer(signal(workload.images[:1]))
            ratio = {
                "quantity": "latency_ratio",
                "statistic": "median",
                "placement": "total",
                "value": 1.0,
                "unit": "1",
            }
            return [Measurement(**{**ratio, "provenance": "measured", "source": "a stopwatch", **self.changes})]

    def outcomes(**changes):
        return {name: result.outcome for name, result in check(Stopwatch(**changes), Hardware).items()}

    assert set(outcomes().values()) == {"pass"}
    assert outcomes(value=float("nan"))["figures"] == "fail"
    assert outcomes(low=1.2, high=1.4)["figures"] == "fail"
    assert outcomes(value=None)["figures"] == "fail"
    assert outcomes(placement="cloud")["figures"] == "fail"
    assert outcomes(provenance="guessed")["figures"] == "fail"
    assert outcomes(value=3.0)["ratio"] == "fail"
    assert outcomes(quantity="latency_ms")["ratio"] == "fail"


def test_the_suites_own_hardware_passes() -> None:
    results = check_selection("cpu")
    assert {result.name for result in results} == {
        "parameters",
        "construction",
        "machine",
        "measurement",
        "figures",
        "ratio",
    }
    assert not [result for result in results if result.outcome != "pass"]
