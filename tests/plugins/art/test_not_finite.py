"""Images that ART returns as NaN count as not found where that is a known defect, and are passed on elsewhere."""

from __future__ import annotations

import numpy as np
import torch

from bench.attack import Batch, Surface, Threat
from bench.deployment import Capture, Classify, Deployment, Draws
from bench_art import adapter


def half_broken(craft):
    answer = craft.x + 0.01
    answer[0] = np.nan
    return answer


def result_of(monkeypatch, attack):
    monkeypatch.setitem(adapter.PROCEDURES, attack.row.procedure, half_broken)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4))
    surface = Surface(
        Deployment.chain(Capture(), Classify(net)),
        knowledge="black-box",
        access="score",
        shape=(1, 8, 8),
        classes=4,
        backward=None,
    )
    draws = Draws.of("craft", 0, [b"a", b"b", b"c"])
    batch = Batch(torch.full((3, 1, 8, 8), 0.5), torch.zeros(3, dtype=torch.int64), draws, 0)
    return batch.x, attack.run(surface, batch, Threat(norm=attack.row.norm, epsilon=0.5))


def test_an_image_that_square_at_l2_returns_as_nan_is_the_clean_one_and_counted(monkeypatch):
    x, result = result_of(monkeypatch, adapter.square_l2())
    assert torch.equal(result.x_adv[0], x[0])
    assert bool((result.x_adv[1:] > x[1:]).all())
    assert result.notes["not_finite"].tolist() == [True, False, False]


def test_what_another_attack_returns_is_passed_on_for_the_suite_to_refuse(monkeypatch):
    _, result = result_of(monkeypatch, adapter.square_linf())
    assert bool(result.x_adv[0].isnan().all())
    assert result.notes == {}
