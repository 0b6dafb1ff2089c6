"""What a deployment may say beside its logits."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm

from bench.attack import Threat
from bench.deployment import Classify, Deployment, Draws, Signal, Stage
from bench.errors import ContractViolation, PluginFault
from bench.tasks import building
from bench.tasks.answering import Answer, answers, detected, judged_images, labels, streams
from bench.tasks.outcome import REJECTED


def said(**side: torch.Tensor) -> Signal:
    return Signal(torch.zeros(3, 4), Draws.of("score", 0, [bytes([i]) for i in range(3)]), side)


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ({"score": torch.zeros(3, 1)}, r"score is \(3, 1\)"),
        ({"score": torch.tensor([0.0, torch.nan, 1.0])}, "finite number"),
        ({"rejected": torch.zeros(3, dtype=torch.bool)}, "a score beside it"),
        ({"score": torch.zeros(3), "rejected": torch.zeros(3)}, "expected a bool"),
        ({"score": torch.zeros(3), "rejected": torch.zeros(2, dtype=torch.bool)}, "expected a bool"),
    ],
)
def test_another_form_is_refused(side: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ContractViolation, match=message):
        detected(said(**side))


def test_side_tensors_that_are_no_detectors_are_left_alone() -> None:
    assert detected(said(mask=torch.zeros(3))) == {}


def asked(deployment: Deployment, draws: int = 4) -> list[Answer]:
    x = torch.full((3, 1, 4, 4), 0.5)
    return list(answers(deployment.requires_grad_(False), x, [bytes([i]) for i in range(3)], "score", 0, draws))


class Noise(Stage):
    """Writes its noise into what it gets."""

    placement, randomised = "device", True

    def forward(self, signal: Signal) -> Signal:
        signal.x.add_(torch.from_numpy(signal.draws.uniform("noise", *signal.x.shape[1:])).float())
        return signal


def test_a_stage_that_writes_into_its_input_spoils_no_later_draw() -> None:
    means = [
        float(answer.logits.mean()) for answer in asked(Deployment.chain(Noise(), Classify(nn.Flatten(), "device")))
    ]
    assert len(set(means)) == 4
    assert all(0.8 < mean < 1.2 for mean in means)


def test_what_cannot_be_copied_is_a_fault_that_says_so() -> None:
    network = nn.Flatten()
    network.lock = threading.Lock()
    with pytest.raises(PluginFault, match="cannot be copied: TypeError"):
        asked(Deployment.chain(Classify(network)))


def test_a_network_with_a_norm_of_its_weights_in_the_old_style_is_answered() -> None:
    deployment = Deployment.chain(Classify(nn.Sequential(nn.Flatten(), weight_norm(nn.Linear(16, 3)))))
    deployment.requires_grad_(False)
    building._detach(deployment)
    assert asked(deployment, 1)[0].logits.shape == (3, 3)


def test_a_network_that_answers_in_another_precision_gives_float32_and_one_that_gives_more_is_refused() -> None:
    class Doubled(nn.Flatten):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).double()

    class Two(nn.Flatten):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return super().forward(x), x

    assert asked(Deployment.chain(Classify(Doubled())))[0].logits.dtype == torch.float32
    with pytest.raises(ContractViolation, match="Two gives tuple; expected logits alone"):
        asked(Deployment.chain(Classify(Two())))


def test_what_is_refused_has_no_label() -> None:
    logits = torch.eye(3)
    some = Answer(logits, score=torch.tensor([-1.0, 2.0, -3.0]), rejected=torch.tensor([False, True, False]))
    assert labels([Answer(logits), some]).tolist() == [[0, 1, 2], [0, REJECTED, 2]]


class Counting(Stage):
    """Answers by how often it was asked, which it keeps in a buffer."""

    placement, randomised = "device", True

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("asked", torch.zeros(1))

    def forward(self, signal: Signal) -> Signal:
        self.asked += 1
        return signal.replace(signal.x * 0 + self.asked)


def test_what_a_stage_keeps_in_a_buffer_reaches_no_later_draw() -> None:
    found = asked(Deployment.chain(Counting(), Classify(nn.Flatten(), "device")))
    assert {float(answer.logits.max()) for answer in found} == {1.0}


def test_images_are_shown_in_an_order_of_their_own_and_answered_in_that_of_the_caller() -> None:
    shown = []

    class Noting(Stage):
        def transform(self, x: torch.Tensor) -> torch.Tensor:
            shown.extend(x.flatten(1)[:, 0].tolist())
            return x

    x = torch.arange(20.0)[:, None, None, None].expand(20, 1, 1, 2) / 20
    deployment = Deployment.chain(Noting(), Classify(nn.Flatten())).requires_grad_(False)
    (found,) = answers(deployment, x, [bytes([i]) for i in range(20)], "score", 0, 1)
    assert torch.equal(found.logits, x.flatten(1))
    assert shown[:20] != sorted(shown[:20])


def test_draws_differ_by_what_they_are_for_by_seed_image_and_number() -> None:
    x = torch.zeros(1, 1, 2, 2)
    asked = [
        streams("score", 0, [b"a"], x, 0),
        streams("select", 0, [b"a"], x, 0),
        streams("score", 1, [b"a"], x, 0),
        streams("score", 0, [b"b"], x, 0),
        streams("score", 0, [b"a"], x + 1 / 255, 0),
        streams("score", 0, [b"a"], x, 1),
    ]
    drawn = [float(draws.uniform("any", 1)[0, 0]) for draws in asked]
    assert len(set(drawn)) == len(drawn)
    assert drawn[0] == float(streams("score", 0, [b"a"], x.clone(), 0).uniform("any", 1)[0, 0])


def test_logits_that_are_not_finite_are_refused() -> None:
    class Broken(nn.Flatten):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) / 0.0

    with pytest.raises(ContractViolation, match="not finite"):
        asked(Deployment.chain(Classify(Broken())))


def test_what_a_camera_brings_back_into_the_ball_counts() -> None:
    x = torch.full((2, 1, 2, 2), 100.0 / 255.0)
    moved = x + torch.tensor([26.3, 26.7])[:, None, None, None] / 255.0
    realised, inside = judged_images(Threat(norm="linf", epsilon=26.0 / 255.0), x, moved)
    assert inside.tolist() == [True, False]
    assert float(realised[0].mean() * 255) == pytest.approx(126.0)
