"""Who compiles the loops gets what everybody gets who loads them."""

from __future__ import annotations

ANSWERS = """
import hashlib, torch
from torch import nn
from bench.deployment import Draws, FitResult, Signal
from bench_superiot.defense import SuperIoT

x = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
x = (255 * nn.functional.avg_pool2d(x, 5, 1, 2)).round() / 255
draws = Draws.of("probe", 0, [b"%d" % image for image in range(4)])
for gradient in ("textbook", "release"):
    deployment = SuperIoT(gradient=gradient).deploy(nn.Flatten(), FitResult(), (1, 32, 32))
    print(hashlib.sha256(deployment.answer(Signal(x, draws)).x.numpy().tobytes()).hexdigest())
"""


def test_a_process_that_compiles_answers_as_one_that_loads_what_was_compiled(cold_and_warm) -> None:
    cold, warm = cold_and_warm(ANSWERS)
    assert cold == warm
