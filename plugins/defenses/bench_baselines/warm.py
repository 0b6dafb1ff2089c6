"""Imported once, before workers are forked: loads the compiled loops, which every fork would else load for itself."""

from __future__ import annotations

import torch

from bench_baselines.tv_solver import STEP_UNKNOWN, Problem, minimise

_image = torch.full((1, 1, 8, 8), 0.5, requires_grad=True)
_known = torch.ones(_image.shape, dtype=torch.bool)
torch.autograd.grad(minimise(_image, _known, Problem(0.03, 2, STEP_UNKNOWN)).sum(), _image)
