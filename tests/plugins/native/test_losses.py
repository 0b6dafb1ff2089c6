from __future__ import annotations

import pytest
import torch

from bench_native.losses import LOSSES, cross_entropy, dlr, margin, targeted_dlr, targeted_margin

LOGITS = torch.tensor([[4.0, 1.0, 3.0, 0.0], [1.0, 5.0, 2.0, 2.0]])
Y = torch.tensor([0, 2])
AIMED = torch.tensor([[0, 1], [2, 0]])


def test_values_are_those_worked_out_by_hand() -> None:
    assert margin(LOGITS, Y).tolist() == [-1.0, 3.0]
    assert dlr(LOGITS, Y).tolist() == pytest.approx([-1 / 3, 3 / 3])
    assert targeted_margin(LOGITS, AIMED).tolist() == [-3.0, -1.0]
    assert targeted_dlr(LOGITS, AIMED).tolist() == pytest.approx([-3 / 3.5, -1 / 3.5])
    expected = [-torch.log_softmax(LOGITS, 1)[i, int(y)].item() for i, y in enumerate(Y)]
    assert cross_entropy(LOGITS, Y).tolist() == pytest.approx(expected)


def test_ratios_are_blind_to_scale_and_shift_and_the_others_are_not() -> None:
    for loss, labels in ((dlr, Y), (targeted_dlr, AIMED)):
        torch.testing.assert_close(loss(7 * LOGITS + 3, labels), loss(LOGITS, labels))
    assert not torch.allclose(margin(7 * LOGITS, Y), margin(LOGITS, Y))


def test_ties_of_the_first_and_third_logit_are_finite() -> None:
    tied = torch.ones(1, 4, requires_grad=True)
    for loss, labels in ((dlr, Y[:1]), (targeted_dlr, AIMED[:1])):
        value = loss(tied, labels)
        (gradient,) = torch.autograd.grad(value.sum(), tied)
        assert torch.isfinite(value).all()
        assert torch.isfinite(gradient).all()


def test_three_classes_suffice_for_ratios() -> None:
    assert targeted_dlr(LOGITS[:, :3], AIMED).tolist() == pytest.approx([-3 / (4 - 1), -1 / (5 - 1)])


@pytest.mark.parametrize("name", LOSSES)
def test_an_image_gets_its_own_gradient_whatever_stands_beside_it(name: str) -> None:
    whole = LOGITS.clone().requires_grad_(True)
    (together,) = torch.autograd.grad(LOSSES[name](whole, Y).sum(), whole)
    alone = LOGITS[1:].clone().requires_grad_(True)
    (single,) = torch.autograd.grad(LOSSES[name](alone, Y[1:]).sum(), alone)
    assert torch.equal(together[1:], single)
