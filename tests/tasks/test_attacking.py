"""Which images an attack is given."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.analysis.records import decode_array
from bench.attack import AttackResult, Threat
from bench.deployment import Classify, Deployment
from bench.errors import ContractViolation
from bench.tasks import attacking
from bench.tasks.attacking import _check, _noted, _plain, _worth_trying


def test_all_images_where_the_attacker_cannot_know_which_stand_else_those_right_when_clean(command_line):
    # A network that answers class 0 whatever it sees is right for every fourth image.
    save_file({"1.weight": torch.zeros(4, 64), "1.bias": torch.zeros(4)}, command_line.folder / "zero.safetensors")
    command_line(
        *("run", "--datasets", "toy", "--models", "toy-net", "--weights", "zero.safetensors", "--samples", "128"),
        *("--defenses", "toy-round,toy-noise", "--attacks", "toy-step", "--norm", "linf", "--hardware", "none"),
        *("--no-html", "--out", "out"),
    )
    attacked = {
        (r["defense"]["name"], r["knowledge"]): decode_array(r["outcomes"]["attacked"]).mean()
        for r in command_line.records("out")
        if r["kind"] == "attack" and r["status"] == "ok"
    }
    assert attacked["none", "white-box"] == attacked["toy-round", "adaptive"] == 0.25
    assert attacked["toy-noise", "white-box"] == 1.0  # what one draw gets wrong, another may get right
    assert attacked["toy-round", "oblivious"] == attacked["toy-noise", "oblivious"] == 1.0
    fooling = {
        decode_array(r["outcomes"]["fooling"]).sum()
        for r in command_line.records("out")
        if r["kind"] == "attack" and r["knowledge"] == "oblivious"
    }
    assert fooling == {0}, "what it gets wrong without any attack is nobody's success"


def test_a_note_that_is_no_number_does_not_cost_the_attack() -> None:
    """The median distance of an attack that found nothing, say: JSON has no word for it."""
    told = _plain({"found": 3, "median": math.inf, "mean": math.nan, "share": 0.5})
    assert json.dumps(told, allow_nan=False)
    assert told == {"found": 3, "median": "inf", "mean": "nan", "share": 0.5}


def test_a_note_of_images_is_kept_for_each_image_of_the_block() -> None:
    told = _noted({"broken": torch.tensor([True, False, True]), "steps": 3}, torch.tensor([0, 2, 3]), 5)
    assert {name: flags.tolist() for name, flags in told.items()} == {"note: broken": [1, 0, 0, 1, 0]}


@pytest.mark.parametrize("flags", [torch.ones(2, dtype=torch.bool), torch.ones(3), torch.ones(3, 1, dtype=torch.bool)])
def test_a_note_that_is_not_one_an_image_is_a_fault_of_the_attack(flags: torch.Tensor) -> None:
    with pytest.raises(ContractViolation, match=r"note 'broken' is .* expected a figure, or bool, \(3,\)"):
        _noted({"broken": flags}, torch.arange(3), 5)


THREAT = Threat(norm="linf", epsilon=0.1)
X = torch.full((3, 1, 2, 2), 0.5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"not finite for test images \[8\]"),
        (1.001, r"left the box \[0, 1\] for test images \[8\]"),
        (-0.001, r"left the box \[0, 1\] for test images \[8\]"),
        (0.61, r"left the linf ball of radius 0.1 for test images \[8\]"),
    ],
)
def test_images_that_break_the_rules_are_named(value: float, message: str) -> None:
    found = X.clone()
    found[1, 0, 1, 0] = value
    with pytest.raises(ContractViolation, match=message):
        _check(found, X, THREAT, [7, 8, 9], minimum_norm=False)


def test_an_attack_without_a_ball_may_leave_it_but_not_the_box_and_none_its_shape() -> None:
    found = X.clone()
    found[0] = 1.0
    _check(found, X, THREAT, [7, 8, 9], minimum_norm=True)
    found[2, 0, 0, 0] = 1.1
    with pytest.raises(ContractViolation, match="box"):
        _check(found, X, THREAT, [7, 8, 9], minimum_norm=True)
    with pytest.raises(ContractViolation, match="expected images"):
        _check(X[:2], X, THREAT, [7, 8, 9], minimum_norm=True)


def test_standing_images_are_those_of_the_block_in_answers_that_begin_before_it() -> None:
    answers = SimpleNamespace(tensors={"score": np.array([[9, 9, 0, 9, 2]], np.int16)})
    spec = {"standing": {"key": "clean", "first": 128}, "block": (130, 133)}
    tried = _worth_trying(spec, SimpleNamespace(read=lambda key: answers), torch.tensor([0, 1, 2]))
    assert tried.tolist() == [True, False, True]
    assert _worth_trying(spec | {"standing": None}, None, torch.tensor([0, 1, 2])).all()


class Bright(nn.Module):
    """Two classes: dark, and brighter than 127.3 levels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lead = x.mean((1, 2, 3)) * 255.0 - 127.3
        return torch.stack([-lead, lead], 1)


def crafted(monkeypatch: pytest.MonkeyPatch, run: Any, **more: Any) -> Any:
    """Return the outcome of an attack on four dark images, the last of which is called bright."""
    x = torch.full((4, 1, 2, 2), 127.0 / 255.0)
    deployment = Deployment.chain(Classify(Bright())).eval().requires_grad_(False)
    monkeypatch.setattr(attacking, "deployment_of", lambda store, described: deployment)
    monkeypatch.setattr(attacking, "images_of", lambda store, key, first, last: (x, [b"%d" % i for i in range(4)]))
    monkeypatch.setattr(attacking, "labels_of", lambda store, key, first, last: torch.tensor([0, 0, 0, 1]))
    monkeypatch.setattr(attacking, "implementation", lambda described: SimpleNamespace(run=run))
    surface = {"knowledge": "white-box", "access": "gradient", "backward": "as-it-is"}
    spec = {
        "attack": {"name": "moves"}, "surface": surface | {"expectation": 1, "precision": "fp32"}, "mimic": "",
        "deployment": {"network": {"shape": (1, 2, 2), "classes": 2}}, "images": "", "labels": "", "block": (0, 4),
        "threat": {"norm": "linf", "epsilon": 0.1, "domain": "uint8", "targeted": False}, "seed": 0, "answers": 0,
        "standing": None, "start": "", "minimum_norm": False, "repeat": 0, **more,
    }  # fmt: skip
    return attacking.craft(spec, SimpleNamespace(read=None))


def test_fooled_is_what_is_right_when_clean_and_wrong_as_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = torch.tensor([20.0, 0.4, 77.0, 0.0])[:, None, None, None] / 255.0  # 0.4: no camera delivers it

    def run(surface: Any, batch: Any, threat: Any) -> AttackResult:
        return AttackResult((batch.x + steps).clamp(0, 1))

    found = crafted(monkeypatch, run, minimum_norm=True)
    assert found.tensors["fooling"].tolist() == [1, 0, 0, 0]  # the third left the ball, the last was wrong anyway
    seen = torch.tensor([147.0, 127.0, 127.0, 127.0]) - 127.3
    assert found.tensors["under_attack"][:, 1] == pytest.approx(seen.numpy(), abs=1e-3)


def test_what_is_broken_as_a_camera_delivers_it_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dark in the mean as it is returned, bright on the grid; the others come back from a success."""
    steps = torch.tensor([0.6, 0.6, -0.4, -0.4]).reshape(2, 2) / 255.0

    def run(surface: Any, batch: Any, threat: Any) -> AttackResult:
        surface.predict(batch.x + 1.0 / 255.0)
        moved = batch.x.clone()
        moved[0] += steps
        return AttackResult(moved)

    path = crafted(monkeypatch, run).meta["path"]
    assert (path["compared"], path["lost"]) == (4, 2)


def test_an_attack_that_finds_otherwise_the_next_time_is_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(9))

    def run(surface: Any, batch: Any, threat: Any) -> AttackResult:
        moved = batch.x.clone()
        moved[0] += 0.01 * next(calls)
        return AttackResult(moved)

    assert crafted(monkeypatch, run, repeat=3).meta["repeated"] == {"images": 3, "differ": 1}
