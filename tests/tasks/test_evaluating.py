"""What is asked about of what an attack found, and what is told of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.deployment import Classify, Deployment, Signal, Stage
from bench.tasks import evaluating
from bench.tasks.evaluating import evaluate

GREY = torch.tensor([115.0, 115.0, 127.0, 115.0]) / 255.0
X = GREY[:, None, None, None].expand(4, 1, 2, 2).contiguous()
# In the ball and bright; bright, but outside; bright between two steps of the grid alone; the clean image.
FOUND = X + torch.tensor([23.0, 77.0, 0.4, 0.0])[:, None, None, None] / 255.0


class Bright(nn.Module):
    """Two classes: dark, and brighter than 127.3 levels."""

    def forward(self, x: Tensor) -> Tensor:
        lead = x.mean((1, 2, 3)) * 255.0 - 127.3
        return torch.stack([-lead, lead], 1)


class Drawn(Stage):
    """Brightens or darkens by a draw."""

    placement, randomised = "device", True

    def forward(self, signal: Signal) -> Signal:
        drawn = torch.from_numpy(signal.draws.uniform("light", 1, 1, 1)).float()
        return signal.replace(signal.x + 0.2 * (drawn - 0.5))


def evaluated(monkeypatch: pytest.MonkeyPatch, *stages: Stage, **more: Any) -> Any:
    deployment = Deployment.chain(*stages, Classify(Bright())).eval().requires_grad_(False)
    monkeypatch.setattr(evaluating, "deployment_of", lambda store, described: deployment)
    monkeypatch.setattr(evaluating, "images_of", lambda store, key, first, last: (X, [b"%d" % i for i in range(4)]))
    spec = {
        "deployment": {}, "images": "", "block": (0, 4), "seed": 0, "draws": {"select": 1, "score": 1},
        "craft": "craft", "threat": {"norm": "linf", "epsilon": 0.1, "domain": "uint8", "targeted": False}, **more,
    }  # fmt: skip
    tensors = {"x_adv": FOUND.numpy(), "attacked": np.array([1, 1, 1, 0]), "under_attack": Bright()(X).numpy()}
    store: Any = SimpleNamespace(read=lambda key: SimpleNamespace(tensors=tensors))
    return evaluate(spec, store)


def test_what_lies_outside_is_judged_as_the_clean_image_and_the_rest_as_a_camera_delivers_it(monkeypatch) -> None:
    found = evaluated(monkeypatch).tensors
    assert found["score"].tolist() == found["select"].tolist() == [[1, 0, 0, 0]]
    assert found["inside"].tolist() == [1, 0, 1, 1]
    assert found["score_float"].tolist() == [[1, 0, 1, 0]]
    assert found["distance"] == pytest.approx(np.array([23, 77, 0, 0]) / 255)
    assert "anywhere" not in found


def test_an_attack_without_a_ball_is_judged_where_it_ended_too(monkeypatch) -> None:
    assert evaluated(monkeypatch, minimum_norm=True).tensors["anywhere"].tolist() == [[1, 1, 0, 0]]


def test_attacked_images_that_are_answered_otherwise_are_strangers(monkeypatch) -> None:
    # Under attack all were answered as the clean ones are: of what is judged, the first alone is another image.
    assert evaluated(monkeypatch, witnessed=True).meta["strangers"] == 1
    assert "strangers" not in evaluated(monkeypatch).meta


def test_what_is_drawn_is_selected_and_scored_on_draws_of_their_own(monkeypatch) -> None:
    found = evaluated(monkeypatch, Drawn(), draws={"select": 16, "score": 16}, minimum_norm=True).tensors
    assert found["select"].shape == found["score"].shape == found["anywhere"].shape == (16, 4)
    assert not np.array_equal(found["select"], found["score"])
    assert np.array_equal(found["select"][:, 0], found["anywhere"][:, 0])
    assert "score_float" not in found


def test_logits_of_another_process_may_differ_by_rounding_and_by_no_more() -> None:
    answers = torch.tensor([[1.0, -9.0]]).repeat(4, 1)
    moved = answers + torch.tensor([0.0, 0.009, 0.011, 5.0])[:, None]
    tried = torch.tensor([True, True, True, False])
    assert evaluating._strangers(answers, moved, tried) == 1
