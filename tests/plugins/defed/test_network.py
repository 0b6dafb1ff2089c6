"""Defed's networks against the specification: counts (section 2) and vectors (section 7)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from torch import nn

from bench.inference import session
from bench_defed.network import EDGES, BaseNet, Defed, SkipBlock
from bench_defed.operators import Blur, Laplacian, Sobel

BLUR = np.outer(*[[0.274068619061197, 0.451862761877606, 0.274068619061197]] * 2)
NEIGHBOURS = np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]])
ROW, COLUMN = np.ogrid[:4, :5]
MAP = ((3 * ROW * ROW + 5 * COLUMN + ROW * COLUMN) % 11).astype(np.float64)
REFERENCE = {
    Blur: lambda m: ndimage.correlate(m, BLUR, mode="mirror"),
    Laplacian: lambda m: ndimage.correlate(m, NEIGHBOURS, mode="mirror"),
    Sobel: lambda m: np.sqrt(
        ndimage.sobel(m, axis=1, mode="nearest") ** 2 + ndimage.sobel(m, axis=0, mode="nearest") ** 2 + 1e-6
    ),
}
VECTORS = {
    Blur: ([4.68555234, 5.54004958, 7.00142051, 6.99857949, 7.07130918], 109.4706614019),
    Laplacian: ([52, 2, -25, 25, -14], 29),
    Sobel: ([24.69817809, 31.40063695, 2.82842730, 2.82842730, 11.66190383], 269.8882613084),
}


def applied(operator: type[nn.Module], maps: np.ndarray) -> np.ndarray:
    """Apply an operator in float64 to maps, (H, W) or (C, H, W)."""
    x = torch.from_numpy(maps.astype(np.float64)).reshape(1, -1, *maps.shape[-2:])
    return operator(x.shape[1]).double()(x).numpy().reshape(maps.shape)


@pytest.mark.parametrize("operator", VECTORS)
def test_operators_meet_the_vectors(operator):
    first, total = VECTORS[operator]
    found = applied(operator, MAP)
    np.testing.assert_allclose(found[0], first, rtol=1e-6)
    assert found.sum() == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("operator", REFERENCE)
@given(
    maps=arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9)),
        elements=st.floats(-8, 8, allow_subnormal=False),
    )
)
@settings(max_examples=50, deadline=None)
def test_operators_are_scipys_on_each_channel(operator, maps):
    expected = np.stack([REFERENCE[operator](m) for m in maps])
    np.testing.assert_allclose(applied(operator, maps), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("operator", VECTORS)
def test_what_is_exported_has_the_same_borders(operator, tmp_path):
    """The exporter loses the shape at torch's padding, and what needs it behind that cannot be exported."""
    filters, path = nn.Sequential(operator(3).float(), nn.AdaptiveAvgPool2d(2)), tmp_path / "filters.onnx"
    torch.onnx.export(filters, (torch.rand(1, 3, 4, 6),), str(path), input_names=["x"], dynamo=False)
    x = torch.rand(1, 3, 4, 6)
    (found,) = session(path).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(found, filters(x).numpy(), rtol=1e-5, atol=1e-5)


def test_the_wrong_borders_are_far_off():
    found = applied(Laplacian, MAP)
    assert np.abs(found - ndimage.correlate(MAP, NEIGHBOURS, mode="reflect")).max() == 27
    assert np.abs(found - ndimage.laplace(MAP, mode="mirror")).max() > 10


@pytest.mark.parametrize(("operator", "value"), [(Blur, 1.0), (Laplacian, 0.0), (Sobel, 1e-3)])
def test_on_a_flat_map_value_and_gradient_are_finite(operator, value):
    x = torch.ones(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    found = operator(x.shape[1]).double()(x)
    np.testing.assert_allclose(found.detach(), value, atol=1e-12)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.isfinite().all()


COUNTS = {
    ("laplacian", 1): 122_982,
    ("sobel", 1): 122_982,
    ("laplacian", 3): 124_142,
    ("sobel", 3): 124_142,
    ("none", 1): 99_650,  # ours: 23,332 fewer, the layers behind the edges
    ("none", 3): 100_810,
    ("base", 1): 36_301,
    ("base", 3): 36_883,
}
LEAVES = {"base": 30, "none": 58}


def network(kind: str, channels: int) -> nn.Module:
    return BaseNet(channels) if kind == "base" else Defed(channels, kind)


def leaves(net: nn.Module) -> list[nn.Module]:
    return [m for m in net.modules() if not list(m.children()) and list(m.parameters())]


@pytest.mark.parametrize(("which", "count"), COUNTS.items())
def test_parameter_counts_are_exact(which, count):
    net = network(*which)
    assert sum(p.numel() for p in net.parameters()) == count
    assert len(leaves(net)) == LEAVES.get(which[0], 70)
    if which[0] in EDGES:
        running = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
        assert running == {1: 834, 3: 838}[which[1]]


def filled(kind: str, channels: int) -> nn.Module:
    """The network of the vectors: each number a sine of its leaf and its place (section 7)."""
    net = network(kind, channels).double().eval()
    for number, leaf in enumerate(leaves(net)):

        def wave(like: torch.Tensor, offset: float, number: int = number) -> torch.Tensor:
            return torch.sin(0.7 * torch.arange(like.numel(), dtype=torch.float64) + number + offset).reshape(
                like.shape
            )

        with torch.no_grad():
            if isinstance(leaf, nn.PReLU):
                leaf.weight.fill_(0.25)
            elif isinstance(leaf, nn.BatchNorm2d):
                leaf.weight.copy_(1 + 0.1 * wave(leaf.weight, 0.0))
                leaf.bias.copy_(0.05 * wave(leaf.bias, 0.5))
                leaf.running_mean.copy_(0.1 * wave(leaf.running_mean, 1.0))
                leaf.running_var.copy_(1 + 0.5 * wave(leaf.running_var, 1.5) ** 2)
            else:
                leaf.weight.copy_(wave(leaf.weight, 0.0) / math.sqrt(leaf.weight.numel() / leaf.weight.shape[0]))
                leaf.bias.copy_(0.05 * wave(leaf.bias, 0.5))
    return net


def picture(channels: int, size: int) -> torch.Tensor:
    c, i, j = np.ogrid[:channels, :size, :size]
    return torch.from_numpy(((7 * i + 11 * j + 5 * c) % 17) / 16.0)[None]


OUTPUTS = {
    ("laplacian", 1): (3628.514344, 7026.590539, (-3.942857, -4.070631, -1.937842, 1.925334), 4.451485, 457.577934),
    ("sobel", 1): (3610.209922, 7013.538805, (-3.956109, -4.092571, -1.946414, 1.921955), 4.510595, 456.618060),
    ("laplacian", 3): (5170.853927, 11558.680799, (-4.640544, -4.939333, -4.948640, -3.980708), 3.843437, 1576.985165),
    ("sobel", 3): (5175.598536, 11577.317543, (-4.630927, -4.920519, -4.920222, -3.947813), 3.899256, 1580.173272),
    ("base", 1): (60.002485, 63.001127, (-0.022051, -0.056449, -0.055673, -0.055368), 0.182003, 61.501806),
    ("base", 3): (129.654646, 138.194960, (-0.012093, -0.030154, -0.030071, -0.029965), 0.079386, 133.924803),
}


@pytest.mark.parametrize(("which", "expected"), OUTPUTS.items())
def test_networks_meet_the_vectors(which, expected):
    kind, channels = which
    net, x = filled(kind, channels), picture(channels, 28 if channels == 1 else 32)
    total, absolute, first, last, clamped = expected
    with torch.no_grad():
        found = net(x)
        single = net.float()(x.float())
    assert found.shape == x.shape
    assert found.sum().item() == pytest.approx(total, rel=1e-6)
    assert found.abs().sum().item() == pytest.approx(absolute, rel=1e-6)
    assert found.flatten()[:4].tolist() == pytest.approx(first, abs=1e-6)
    assert found.flatten()[-1].item() == pytest.approx(last, abs=1e-6)
    assert found.clamp(0, 1).sum().item() == pytest.approx(clamped, rel=1e-6)
    assert (single - found).abs().max() <= 2e-5


STEPS = {
    "skip1": 337.105762, "head": 805.092359, "skip2": 1120.890737, "encoder1": -658.930315, "down1": 577.049247,
    "skip3": 550.177300, "encoder2": 12.478212, "down2": 845.364016, "up2": 2437.869645, "decoder2": -26.224325,
    "up1": 1373.108118, "decoder1": -189.410498, "tail": 3291.408582,
}  # fmt: skip


def test_each_step_on_the_way_meets_its_sum():
    net, sums = filled("laplacian", 1), {}
    for name in STEPS:
        getattr(net, name).register_forward_hook(
            lambda module, given, out, name=name: sums.update({name: out.sum().item()})
        )
    with torch.no_grad():
        net(picture(1, 28))
    assert sums == pytest.approx(STEPS, rel=1e-6)


@pytest.mark.parametrize("kind", ["laplacian", "sobel", "none", "base"])
def test_five_images_at_once_are_five_images(kind):
    net = network(kind, 3).eval()
    x = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(net(x), torch.cat([net(one[None]) for one in x]), rtol=1e-4, atol=1e-5)


def test_other_sizes_are_padded_to_the_right_and_below_and_cropped():
    net = network("sobel", 1).double().eval()
    x = torch.rand(2, 1, 30, 29, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wide = nn.functional.pad(x, (0, 3, 0, 2), mode="replicate")
    assert wide.shape[-2:] == (32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(x), net.restored(wide)[..., :30, :29])


def test_a_skip_block_is_affine():
    block = SkipBlock(3, 16, 2).double()
    x, y = torch.rand(2, 1, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(block(x) + block(y) - block(torch.zeros_like(x)), block(x + y))


def test_the_operator_matters():
    x = picture(1, 28)
    with torch.no_grad():
        assert (filled("laplacian", 1)(x) - filled("sobel", 1)(x)).abs().max() > 1e-2
