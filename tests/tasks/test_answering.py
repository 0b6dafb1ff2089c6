"""What a deployment may say beside its logits."""

from __future__ import annotations

import pytest
import torch

from bench.deployment import Draws, Signal
from bench.errors import ContractViolation
from bench.tasks.answering import Answer, detected, labels
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


def test_what_is_refused_has_no_label() -> None:
    logits = torch.eye(3)
    some = Answer(logits, score=torch.tensor([-1.0, 2.0, -3.0]), rejected=torch.tensor([False, True, False]))
    assert labels([Answer(logits), some]).tolist() == [[0, 1, 2], [0, REJECTED, 2]]
