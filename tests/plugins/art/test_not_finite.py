"""Images that ART returns as NaN count as not found, and the record says how many there were."""

from __future__ import annotations

import numpy as np
import torch

from bench.attack import Batch, Surface, Threat
from bench.deployment import Capture, Classify, Deployment, Draws
from bench_art import adapter


def test_an_image_that_art_returns_as_nan_is_the_clean_one_and_counted(monkeypatch):
    def half_broken(craft):
        answer = craft.x + 0.01
        answer[0] = np.nan
        return answer

    attack = adapter.square_l2()
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
    x = torch.full((3, 1, 8, 8), 0.5)
    draws = Draws.of("craft", 0, [b"a", b"b", b"c"])
    result = attack.run(surface, Batch(x, torch.zeros(3, dtype=torch.int64), draws, 0), Threat(norm="l2", epsilon=0.5))
    assert torch.equal(result.x_adv[0], x[0])
    assert bool((result.x_adv[1:] > x[1:]).all())
    assert result.notes == {"not_finite": 1}
