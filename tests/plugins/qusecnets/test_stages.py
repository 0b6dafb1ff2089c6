"""The quantiser in a deployment: borders, gradients, export."""

from __future__ import annotations

import io

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from bench.attack.surrogate import as_it_is, straight_through, substitute
from bench.deployment import Classify, Deployment, Draws, Signal
from bench_qusecnets.quantiser import rounding_thresholds, uniform_thresholds
from bench_qusecnets.stages import Quantise, SoftQuantise
from bench_qusecnets.wire import CODINGS

SHAPE = (3, 7, 5)


def _signal(count: int = 4, shape: tuple[int, int, int] = SHAPE) -> Signal:
    greys = torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(3))
    return Signal(greys.float() / 255.0, Draws.of("probe", 0, [bytes([i]) for i in range(count)]))


def _linear(shape: tuple[int, int, int] = SHAPE) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 10))


def _per_channel() -> torch.Tensor:
    return torch.rand(3, 3, generator=torch.Generator().manual_seed(5)).sort(-1).values


STAGES = {
    "L2": lambda: Quantise(uniform_thresholds(2), 2),
    "L3": lambda: Quantise(uniform_thresholds(3), 3, "radix"),
    "L4": lambda: Quantise(uniform_thresholds(4), 4, "deflate"),
    "L256": lambda: Quantise(uniform_thresholds(256), 256),
    "rounding": lambda: Quantise(rounding_thresholds(6), 6),
    "per-channel": lambda: Quantise(_per_channel(), 4),
}


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("coding", [None, *CODINGS])
def test_what_crosses_as_a_tensor_is_what_the_bytes_say(name, coding) -> None:
    stage, signal = STAGES[name](), _signal()
    leaving = stage(signal)
    arrived = stage.decode(stage.encode(leaving, coding), leaving, coding)
    assert torch.equal(arrived.x, stage.cross(leaving).x)
    assert torch.equal(arrived.x, leaving.x)
    assert arrived.x.dtype == torch.float32
    assert not arrived.side


@pytest.mark.parametrize("name", STAGES)
def test_logits_from_the_wire_equal_those_in_process(name) -> None:
    deployment = Deployment.chain(STAGES[name](), Classify(_linear()))
    signal = _signal()
    assert torch.equal(deployment.answer(signal).x, deployment(signal).x)


def test_the_chosen_coding_is_the_default_of_the_wire() -> None:
    signal = _signal()
    stage = Quantise(uniform_thresholds(3), 3, "radix")
    assert stage.wire_formats[0] == "radix"
    assert set(stage.wire_formats) == set(CODINGS)
    assert len(stage.encode(stage(signal))[0]) == 21  # 105 codes of log2(3) bits
    assert len(stage.encode(stage(signal), "packed")[0]) == 27


def test_images_do_not_depend_on_their_batch() -> None:
    deployment = Deployment.chain(STAGES["per-channel"]())
    signal = _signal(9)
    whole = deployment(signal).x
    for start in range(0, 9, 2):
        part = Signal(signal.x[start : start + 2], signal.draws[start : start + 2])
        assert torch.equal(deployment(part).x, whole[start : start + 2])


def test_the_hard_stage_has_gradient_zero_as_it_is_and_one_under_the_identity() -> None:
    deployment = Deployment.chain(STAGES["L4"](), Classify(_linear()))
    weights = deployment.stages[1].network[1].weight
    for backward, expected in ((as_it_is, torch.zeros_like(weights[0])), (straight_through, weights[0])):
        signal = _signal()
        x = signal.x.requires_grad_()
        out = backward(deployment, Signal(x, signal.draws)).x
        (gradient,) = torch.autograd.grad(out[:, 0].sum(), x)
        torch.testing.assert_close(gradient, expected.reshape(SHAPE).expand_as(x))
        torch.testing.assert_close(out, deployment(signal).x)


def test_what_a_surrogate_leaves_of_the_values_is_put_right_at_the_border() -> None:
    stage, signal = STAGES["L256"](), _signal()
    exact = stage(signal)
    noisy = exact.replace(substitute(exact.x, signal.x.clone().requires_grad_() * 0.37 + 0.1))
    assert torch.equal(stage.cross(noisy).x, exact.x)


@pytest.mark.parametrize("name", ["soft-4", "soft-10", "soft-25", "annealed"])
def test_surrogates_have_finite_gradients_and_anneal_with_progress(name) -> None:
    stage = STAGES["L4"]()
    assert set(stage.surrogates) == {"soft-4", "soft-10", "soft-25", "annealed"}
    slopes = []
    for progress in (0.0, 1.0):
        signal = _signal()
        x = signal.x.requires_grad_()
        out = stage.surrogates[name](Signal(x, signal.draws), progress)
        (gradient,) = torch.autograd.grad(out.x.sum(), x)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0
        slopes.append(float(gradient.max()))
    assert (slopes[1] > 2 * slopes[0]) == (name == "annealed")


def test_a_steep_soft_stage_declares_no_derivative_so_that_the_identity_is_tried() -> None:
    gentle, steep = (SoftQuantise(uniform_thresholds(4), 4, h) for h in (5.0, 500.0))
    assert gentle.differentiable
    assert not steep.differentiable
    assert gentle.placement == steep.placement == "server"


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.filterwarnings("ignore")
def test_the_device_stage_exports_to_onnx_and_agrees_to_the_bit(name) -> None:
    class AsNetwork(nn.Module):
        def __init__(self, stage: Quantise) -> None:
            super().__init__()
            self.stage = stage

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.stage.transform(x)

    stage, signal = STAGES[name](), _signal(1)
    ramp = torch.linspace(0, 1, int(np.prod(SHAPE))).reshape(1, *SHAPE)
    file = io.BytesIO()
    torch.onnx.export(AsNetwork(stage), (signal.x,), file, input_names=["x"], opset_version=17, dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for x in (signal.x, ramp):
        (out,) = session.run(None, {"x": x.numpy()})
        np.testing.assert_array_equal(out, stage.transform(x).numpy())
