"""Every check of a defense passes where the contract is kept and catches the fault that it is there for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.conformance import CheckResult, behaviour, run_checks
from bench.conformance.defense import OWN, REPEATABLE, Subject
from bench.conformance.result import perform
from bench.deployment import Capture, Classify, Deployment, FitContext, FitResult, Signal, Stage
from bench.errors import BadParameter, UnknownName, UsageError
from bench.plugins.entries import Defense
from bench.plugins.parameters import Parameter
from bench.plugins.registry import Found, discover


class Identity(Stage):
    placement = "device"

    def transform(self, x: Tensor) -> Tensor:
        return x * 1.0


class Around:
    """A defense of one stage in front of the classifier."""

    stage: type[Stage] = Identity

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        return Deployment.chain(self.stage(), Classify(network))


def around(stage: type[Stage]) -> type[Around]:
    return type(f"Around{stage.__name__}", (Around,), {"stage": stage})


FACTORIES: dict[str, object] = {}


def check(factory: object, **entry) -> dict[str, CheckResult]:
    """Return the results by name of the defense that ``factory`` makes."""
    FACTORIES["subject"] = factory
    described = Defense(name="subject", factory=f"{__name__}:make_subject", summary="", **entry)
    return {result.name: result for result in run_checks(Found(described))}


def check_one(factory: object, name: str) -> CheckResult:
    """Return the result of one check, without the others."""
    FACTORIES["subject"] = factory
    subject = Subject(Defense(name="subject", factory=f"{__name__}:make_subject", summary=""), {})
    if name in behaviour.CHECKS:
        return perform(name, behaviour.CHECKS[name], subject.deployment)
    if name == REPEATABLE:
        return perform(name, behaviour.check_repeatable, subject.deployment)
    return perform(name, OWN[name], subject)


def make_subject(**parameters):
    return FACTORIES["subject"](**parameters)


def refuse_colour(parameters, shape) -> None:
    if shape is not None and shape[0] == 3:
        raise UsageError("It has colours.")


def refuse_all(parameters, shape) -> None:
    raise UsageError("It never works.")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factory is imported by name; under importlib mode this module must be told to the import system."""
    import sys

    module = type(sys)(__name__)
    module.make_subject = make_subject
    module.refuse_colour, module.refuse_all = refuse_colour, refuse_all
    monkeypatch.setitem(sys.modules, __name__, module)


def test_a_defense_that_keeps_the_contract_passes_every_check() -> None:
    results = check(Around)
    assert {name for name, r in results.items() if r.outcome not in ("pass", "n/a")} == set()
    assert {name for name, r in results.items() if r.outcome == "n/a"} == {"planning", "fit", "surrogates"}
    assert len(results) >= 15


class OfGrey(Around):
    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        refuse_colour({}, shape)
        return super().deploy(network, result, shape)


def test_what_planning_refuses_is_what_cannot_be_deployed() -> None:
    grey = f"{__name__}:refuse_colour"
    fitting = check(OfGrey, check=grey)["planning"]
    assert (fitting.outcome, "It has colours." in fitting.evidence) == ("pass", True)
    assert "refuses what can be deployed" in check(Around, check=grey)["planning"].evidence
    refused = check(Around, check=f"{__name__}:refuse_all")["planning"]
    assert (refused.outcome, "for images of None: It never works." in refused.evidence) == ("fail", True)
    assert check(Around, check="no_such_module:check")["planning"].outcome == "fail"


@pytest.mark.parametrize("name", ["none", "qusec-cq", "superiot"])
def test_the_suites_own_defenses_pass(name: str) -> None:
    failed = [r for r in run_checks(discover().find("defense", name)) if r.outcome == "fail"]
    assert not failed


class Draws(Identity):
    def forward(self, signal: Signal) -> Signal:
        return signal.replace(
            (signal.x + 0.2 * torch.from_numpy(signal.draws.uniform("d", *signal.x.shape[1:])).float()) / 1.2
        )


class IdleDraws(Identity):
    randomised = True


class GlobalDraws(Identity):
    randomised = True

    def transform(self, x: Tensor) -> Tensor:
        return (x + 0.2 * torch.rand_like(x)) / 1.2


class Staircase(Identity):
    def transform(self, x: Tensor) -> Tensor:
        return torch.round(x * 7) / 7


class WrongSlope(Identity):
    def transform(self, x: Tensor) -> Tensor:
        return x**2 + (x - x**2) * 0.0 + (x - x.detach())


class Detached(Identity):
    def transform(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.sqrt(x.detach().numpy()))


class Blind(Identity):
    differentiable = False

    @property
    def surrogates(self):
        return {"flat": lambda signal, progress: signal.replace(signal.x * 0.0 + 0.5)}


class NanSurrogate(Identity):
    differentiable = False

    @property
    def surrogates(self):
        return {"root": lambda signal, progress: signal.replace(torch.sqrt(signal.x - signal.x))}


class BatchNormalised(Identity):
    def transform(self, x: Tensor) -> Tensor:
        return (x - x.mean()).abs().clamp(0, 1)


class Remembers(Identity):
    def __init__(self) -> None:
        super().__init__()
        self.seen = 0.0

    def transform(self, x: Tensor) -> Tensor:
        shift = self.seen
        self.seen = float(x.detach().mean())
        return (x + shift) / 2


class Counts(Identity):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def transform(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x / self.calls


class WritesInput(Identity):
    def transform(self, x: Tensor) -> Tensor:
        return x.mul_(0.5)


class LeavesTheRange(Identity):
    def transform(self, x: Tensor) -> Tensor:
        return 2 * x - 1


class LossyWire(Identity):
    def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
        return [bytes(len(payload)) for payload in super().encode(signal)]


class PeeksOverTheWire(Identity):
    def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
        return [b"." for _ in range(len(signal))]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str = "raw") -> Signal:
        return self.cross(like)


class BatchWire(Identity):
    def encode(self, signal: Signal, wire_format: str = "raw") -> list[bytes]:
        return [payload + bytes([len(signal)]) for payload in super().encode(signal)]

    def decode(self, payloads: list[bytes], like: Signal, wire_format: str = "raw") -> Signal:
        return super().decode([payload[:-1] for payload in payloads], like)


class Bug(Identity):
    def transform(self, x: Tensor) -> Tensor:
        raise RuntimeError("wrong\nturn")


class NotFinite(Identity):
    placement = "server"

    def transform(self, x: Tensor) -> Tensor:
        return x / x.flatten(1).amax(1)[:, None, None, None]


FAULTS = {
    Draws: ("randomness as declared", "fail", "declare randomised = True"),
    IdleDraws: ("randomness as declared", "warn", "changed nothing"),
    GlobalDraws: ("repeatable", "fail", "draw from signal.draws"),
    Staircase: ("derivative as declared", "fail", "derivative is zero"),
    WrongSlope: ("derivative as declared", "fail", "finite differences differ"),
    Detached: ("gradients for an adaptive attacker", "fail", "zero everywhere"),
    Blind: ("surrogates", "fail", "zero everywhere"),
    NanSurrogate: ("surrogates", "fail", "NaN or infinite"),
    BatchNormalised: ("batch", "fail", "must not see the rest"),
    Remembers: ("no memory", "fail", "keeps state between calls"),
    Counts: ("repeatable", "fail", "keeps state"),
    WritesInput: ("no memory", "fail", "wrote into its input"),
    LeavesTheRange: ("range", "fail", "8-bit wire carries"),
    LossyWire: ("wire round trip", "fail", "is not cross"),
    PeeksOverTheWire: ("wire round trip", "fail", "is not cross"),
    BatchWire: ("wire round trip", "fail", "depend on the others"),
    Bug: ("state", "fail", "RuntimeError: wrong turn at test_defense.py:"),
    NotFinite: ("shapes", "fail", "not finite"),
}


@pytest.mark.parametrize("stage", FAULTS, ids=lambda stage: stage.__name__)
def test_a_fault_is_caught_by_its_check(stage: type[Stage]) -> None:
    name, outcome, evidence = FAULTS[stage]
    result = check_one(around(stage), name)
    assert result.outcome == outcome, result
    assert evidence in result.evidence


@pytest.mark.parametrize("stage", [GlobalDraws, Counts], ids=lambda stage: stage.__name__)
def test_what_answers_anew_at_each_call_is_told_so_once_and_first(stage: type[Stage]) -> None:
    results = check(around(stage))
    assert [result.name for result in results.values() if result.outcome == "fail"] == ["repeatable"]
    assert next(result.name for result in results.values() if result.outcome != "pass") == "repeatable"
    untold = [result for result in results.values() if result.outcome == "n/a" and "'repeatable'" in result.evidence]
    assert {"state", "batch", "no memory"} <= {result.name for result in untold}


def test_a_fault_that_is_no_comparison_is_told_beside_it() -> None:
    class AlsoOut(GlobalDraws):
        def transform(self, x: Tensor) -> Tensor:
            return 3 * super().transform(x) - 1

    results = check(around(AlsoOut))
    assert {name for name, result in results.items() if result.outcome == "fail"} == {"repeatable", "range"}


def test_a_stage_that_numpy_computes_is_not_exportable_and_says_so() -> None:
    class Numpy(Identity):
        differentiable = False

        def transform(self, x: Tensor) -> Tensor:
            return torch.from_numpy(np.sqrt(x.detach().numpy()))

    result = check_one(around(Numpy), "ONNX export")
    assert result.outcome == "warn"
    assert "NumPy" in result.evidence


class Learns(Around):
    """Learns one offset from the training pool."""

    def fit(self, context: FitContext) -> FitResult:
        return FitResult(public={"offset": context.pools["train"].x.float().mean()[None] / 255.0})

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        offset = float(result.public["offset"][0])

        class Shift(Identity):
            def transform(self, x: Tensor) -> Tensor:
                return (x + offset) / (1 + offset)

        return Deployment.chain(Shift(), Classify(network))


def test_what_is_learned_goes_through_a_file() -> None:
    assert check_one(Learns, "fit").outcome == "pass"
    assert check_one(Learns, "state").outcome == "pass"


class LearnsAside(Learns):
    """Keeps what it learned on itself, where no other process will find it."""

    kept = 0.0

    def fit(self, context: FitContext) -> FitResult:
        LearnsAside.kept += 0.5
        return FitResult(public={"offset": torch.zeros(1)})

    def deploy(self, network: nn.Module, result: FitResult, shape: tuple[int, int, int]) -> Deployment:
        return super().deploy(network, FitResult(public={"offset": torch.tensor([self.kept])}), shape)


def test_what_is_kept_aside_is_noticed() -> None:
    assert check(LearnsAside)["state"].outcome == "fail"


class LearnsAtRandom(Learns):
    def fit(self, context: FitContext) -> FitResult:
        return FitResult(public={"offset": torch.from_numpy(np.random.default_rng().random(1))})


class WritesIntoThePool(Learns):
    def fit(self, context: FitContext) -> FitResult:
        context.pools["train"].x.zero_()
        return super().fit(context)


class LearnsNonsense(Learns):
    def fit(self, context: FitContext) -> FitResult:
        return FitResult(public={"offset": torch.tensor([torch.nan])})


@pytest.mark.parametrize(
    ("factory", "evidence"),
    [(LearnsAtRandom, "same seed"), (WritesIntoThePool, "wrote into a pool"), (LearnsNonsense, "not finite")],
)
def test_a_fit_that_breaks_the_contract_is_caught(factory, evidence) -> None:
    result = check_one(factory, "fit")
    assert result.outcome == "fail"
    assert evidence in result.evidence


def test_a_deployment_that_is_none_ends_the_checks_with_what_to_do() -> None:
    class Wrong(Around):
        def deploy(self, network, result, shape):
            return network

    results = check(Wrong)
    assert results["deployment"].outcome == "fail"
    assert "Deployment.chain" in results["deployment"].evidence
    assert "wire round trip" not in results


def test_a_shape_may_be_refused_with_a_reason() -> None:
    class GreyOnly(Around):
        def deploy(self, network, result, shape):
            if shape[0] != 1:
                raise UsageError("grey images only")
            return super().deploy(network, result, shape)

    result = check_one(GreyOnly, "shapes")
    assert result.outcome == "pass"
    assert "refused: grey images only" in result.evidence


def test_a_default_outside_its_schema_is_caught() -> None:
    wrong = Parameter(name="level", type=int, default=9, maximum=5, help="how much")
    result = check(lambda level: Around(), parameters=(wrong,))["parameters"]
    assert result.outcome == "fail"
    assert "integer <= 5" in result.evidence


def test_parameters_are_checked_before_anything_runs() -> None:
    found = discover().find("defense", "none")
    declared = replace(
        found.entry, parameters=(Parameter(name="level", type=int, default=1, maximum=5, help="how much"),)
    )
    with pytest.raises(BadParameter):
        run_checks(replace(found, entry=declared), {"level": 7})
    with pytest.raises(UnknownName):
        run_checks(found, {"level": 7})


def test_an_unavailable_plugin_is_refused_with_its_reason() -> None:
    found = replace(discover().find("defense", "none"), unavailable="It needs cma.")
    with pytest.raises(UsageError, match="It needs cma"):
        run_checks(found)


def test_the_bare_sensor_alone_would_pass_too() -> None:
    assert all(r.outcome in ("pass", "n/a") for r in check(around(Capture)).values())
