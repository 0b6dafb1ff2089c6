"""Imported once, before workers are forked: loads the compiled loops, which every fork would else load for itself."""

from __future__ import annotations

import torch
from torch import nn

from bench.deployment import Draws, FitResult, Signal
from bench_superiot.defense import SuperIoT

for _channels in (1, 3):
    _shape = (_channels, 16, 16)
    _images = torch.full((1, *_shape), 0.5)
    _deployment = SuperIoT().deploy(nn.Sequential(nn.Flatten(), nn.Linear(_channels * 256, 2)), FitResult(), _shape)
    _deployment.answer(Signal(_images, Draws.of("probe", 0, [b""])))
