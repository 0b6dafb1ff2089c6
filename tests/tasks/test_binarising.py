"""The binarisation test by itself: on deployments whose gradients are known to help, or to mislead."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.attack import AttackResult, Batch, Surface, Threat
from bench.attack.ball import inner_points
from bench.deployment import Capture, Classify, Deployment, Signal, Stage
from bench.planning.work import HIDING
from bench.tasks import binarising
from bench.tasks.binarising import binarise
from bench_native.iterated import pgd

CLASSES = 4
PGD = {
    "steps": 40,
    "step": 0.1,
    "schedule": "constant",
    "restarts": 1,
    "random_start": True,
    "loss": "ce",
    "early": True,
}


class Misleading(Stage):
    """Hands images on, and sends gradients back the other way."""

    def transform(self, x: Tensor) -> Tensor:
        return 2 * x.detach() - x


def deployment(*stages: Stage, last: nn.Module | None = None) -> Deployment:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), last or nn.Linear(32, CLASSES))
    return Deployment.chain(Capture(), *stages, Classify(network)).eval().requires_grad_(False)


def images() -> Any:
    return np.random.Generator(np.random.Philox(key=3)).integers(0, 256, size=(8, 1, 8, 8), dtype=np.uint8)


def outcome(given: Deployment, monkeypatch: pytest.MonkeyPatch, x: Any = None, stored: Any = None, **more: Any) -> Any:
    """Return what the test says of eight images, all answered rightly but the third, unless ``stored`` says others."""
    x = images() if x is None else x
    y, answered = np.zeros(8, np.int64), np.zeros((1, 8), np.int16)
    answered[0, 2] = 1
    digests = np.frombuffer(x.tobytes(), np.uint8).reshape(8, 64)[:, :16]
    objects = {
        "images": {"x": x, "digests": digests},
        "labels": {"y": y},
        "clean": {"score": answered},
        "drawn": {"score": answered.repeat(8, 0)},
        **(stored or {}),
    }
    store: Any = SimpleNamespace(read=lambda key: SimpleNamespace(tensors=objects[key]))
    monkeypatch.setattr(binarising, "deployment_of", lambda store, described: given)
    spec = {
        "attack": {"name": "pgd", "factory": "bench_native.iterated:pgd", "parameters": PGD},
        "surface": {
            "knowledge": "white-box",
            "access": "gradient",
            "backward": "as-it-is",
            "expectation": 1,
            "precision": "fp32",
        },
        "classes": 2,
        "threat": {"norm": "linf", "epsilon": 0.1, "domain": "uint8", "targeted": False},
        "block": (0, 8),
        "seed": 0,
        "answers": 0,
        "draws": {"select": 1, "score": 1},
        "clean": ["clean"],
        "images": "images",
        "labels": "labels",
        "constants": HIDING,
        "deployment": {"network": {"shape": (1, 8, 8), "classes": CLASSES}},
        **more,
    }
    return binarise(spec, store)


def test_true_gradients_find_what_gradients_that_point_away_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    healthy, misled = (outcome(deployment(*s), monkeypatch) for s in ((), (Misleading(),)))
    assert healthy.tensors["image"].tolist() == [0, 1, 3, 4, 5, 6, 7]
    told = healthy.meta["test"]
    assert (told["reason"], told["looked_at"], told["testable"], told["found"]) == ("", 7, 7, 7)
    assert told["random"] <= 3
    # The same network, the same features, the same hidden points.
    assert misled.meta["test"]["testable"] == 7
    assert misled.meta["test"]["found"] == 0


class Noisy(Stage):
    """Adds noise of about a step of the grid."""

    randomised = True

    def forward(self, signal: Signal) -> Signal:
        return signal.replace(signal.x + torch.from_numpy(signal.draws.normal("noise", 1, 8, 8)).float() / 255)


class Refuses(Stage):
    """Detects images with little on their left half."""

    def forward(self, signal: Signal) -> Signal:
        score = 0.48 - signal.x[..., :4].mean((1, 2, 3))
        return signal.replace(score=score, rejected=score > 0)


def test_a_deployment_that_draws_is_fitted_and_judged_on_its_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"draws": {"select": 4, "score": 8}, "clean": ["drawn"], "constants": HIDING | {"images": 2, "inner": 50}}
    told = outcome(deployment(Noisy()), monkeypatch, **more).meta["test"]
    assert (told["looked_at"], told["testable"], told["found"]) == (2, 2, 2)


def test_what_a_detector_refuses_is_not_hidden_and_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    told = outcome(deployment(Refuses()), monkeypatch)
    x = images()[told.tensors["image"]].astype(np.float32) / 255
    refused = x[..., :4].mean((1, 2, 3)) < 0.48
    assert refused.any()
    assert not told.tensors["testable"][refused].any()
    assert told.tensors["testable"].sum() > 1
    assert np.array_equal(told.tensors["found"], told.tensors["testable"])


def test_images_in_reach_of_each_other_are_not_both_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    close = images()
    close[4] = np.clip(close[0].astype(int) + 40, 0, 255)  # of 2 * 25.5
    told = outcome(deployment(), monkeypatch, x=close)
    assert told.tensors["image"].tolist() == [0, 1, 3, 5, 6, 7]
    assert told.meta["test"]["found"] == 6


def test_a_block_looks_at_its_own_images_that_most_draws_answer_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.arange(8) % CLASSES
    given = np.tile(y, (4, 1))
    given[:2, 4] += 1  # as often as not
    given[0, 5] += 1
    given[1:, 7] += 1
    stored = {"labels": {"y": y}, "front": {"score": given[:, :5]}, "back": {"score": given[:, 5:]}}
    part = outcome(deployment(), monkeypatch, stored=stored, clean=["front", "back"], block=(3, 8))
    assert part.tensors["image"].tolist() == [3, 5, 6]
    assert part.meta["test"]["testable"] == part.meta["test"]["found"] == 3


def test_the_same_seed_hides_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = (outcome(deployment(), monkeypatch) for _ in range(2))
    assert first.meta == again.meta
    assert all(np.array_equal(first.tensors[name], again.tensors[name]) for name in first.tensors)


@pytest.mark.parametrize(
    ("given", "more", "reason"),
    [
        (deployment(), {"classes": 3}, "The attack needs 3 classes"),
        (deployment(), {"threat": {"norm": "l1", "epsilon": 10.0}}, "under linf and l2, not l1"),
        (Deployment.chain(Capture(), Classify(nn.Flatten())), {}, "no linear layer"),
        (deployment(last=nn.Sequential(nn.Linear(32, 9), nn.AdaptiveAvgPool1d(3))), {}, "does not come from its last"),
    ],
)
def test_what_cannot_be_tested_says_why(
    given: Deployment, more: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = outcome(given, monkeypatch, **more)
    assert reason in found.meta["test"]["reason"]
    assert len(found.tensors["image"]) == 0


class Wider:
    """PGD in a ball three times as wide as it may use."""

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        return pgd(**PGD).run(surface, batch, replace(threat, epsilon=3 * threat.epsilon))  # type: ignore[arg-type]


def test_an_example_outside_the_ball_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binarising, "implementation", lambda described: Wider())
    told = outcome(deployment(), monkeypatch).meta["test"]
    assert told["testable"] == 7
    assert told["found"] < 3


class Loud(Stage):
    """Makes much of what lies between two steps of the grid."""

    def transform(self, x: Tensor) -> Tensor:
        return x + 60 * (x - torch.round(255 * x).detach() / 255)


class Between:
    """Moves every value by less than half a step of the grid."""

    def run(self, surface: Surface, batch: Batch, threat: Threat) -> AttackResult:
        return AttackResult((batch.x + 0.4 / 255 * surface.loss_gradient(batch.x, batch.y).sign()).clamp(0, 1))


def test_an_example_that_no_camera_delivers_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binarising, "implementation", lambda described: Between())
    plain = deployment()
    told = outcome(Deployment.chain(Loud(), *(node.stage for node in plain.nodes[1:])), monkeypatch).meta["test"]
    assert (told["testable"], told["found"]) == (7, 0)


def test_random_search_has_the_whole_ball_and_as_many_queries_as_the_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noting(x: Tensor, threat: Threat, draws: Any, count: int, *, share: float) -> Tensor:
        seen.append((count, share))
        return inner_points(x, threat, draws, count, share=share)

    monkeypatch.setattr(binarising, "inner_points", noting)
    whole = {"name": "pgd", "factory": "bench_native.iterated:pgd", "parameters": PGD | {"early": False}}
    told = outcome(deployment(), monkeypatch, attack=whole).meta["test"]
    assert seen == [(HIDING["inner"], HIDING["share"])] * 7 + [(told["queries"], 1.0)] * 7
    assert told["queries"] == PGD["steps"], "what fills a call is none"
