import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from bench.deployment import Draws, FitResult, Signal
from bench.errors import BadParameter, UsageError
from bench.plugins.parameters import resolve
from bench_superiot.defense import SuperIoT
from bench_superiot.plugin import bench_defenses


def deploy(shape=(3, 32, 32), **parameters):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 10))
    return SuperIoT(**parameters).deploy(network, FitResult(), shape)


def signal_of(x, draw=0):
    return Signal(x, Draws.of("score", 0, [str(i).encode() for i in range(len(x))], draw=draw))


def images(tiles, count=4):
    return torch.from_numpy(np.round(tiles[:count] * 255) / 255).float()


def test_the_declared_defaults_are_those_of_the_implementation() -> None:
    (entry,) = bench_defenses()
    declared = resolve("defense 'superiot'", entry.parameters, {})
    default = SuperIoT()
    built = SuperIoT(**declared)
    assert vars(default) == vars(built)
    assert all(parameter.help for parameter in entry.parameters)
    with pytest.raises(BadParameter, match="textbook, release, notebook, subgradient"):
        resolve("defense 'superiot'", entry.parameters, {"gradient": "exact"})


def test_listing_the_plugin_imports_neither_torch_nor_numba() -> None:
    code = "import sys, bench_superiot.plugin as p; p.bench_defenses(); print({'torch', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("wire", ["seed", "raw", "bitmask", "combi", "coded"])
@pytest.mark.parametrize("gradient", ["textbook", "release"])
def test_bytes_and_tensors_give_the_same_answer_to_the_bit(tiles, wire, gradient) -> None:
    deployment = deploy(wire=wire, gradient=gradient)
    signal = signal_of(images(tiles))
    with torch.no_grad():
        assert torch.equal(deployment(signal).x, deployment.answer(signal).x)
    assert torch.equal(deployment(signal).x.detach(), deployment.answer(signal).x)  # also where gradients are recorded


def test_it_draws_anew_for_every_draw_and_alike_for_the_same(tiles) -> None:
    deployment, x = deploy(), images(tiles)
    assert deployment.randomised
    assert not deployment.differentiable
    first, same, other = (deployment.answer(signal_of(x, draw)).x for draw in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_gradient_as_it_is_reaches_the_image(tiles) -> None:
    deployment = deploy()
    x = images(tiles).requires_grad_(True)
    (gradient,) = torch.autograd.grad(deployment(signal_of(x)).x.square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 32, 32), (3, 30, 35), (4, 16, 16)])
@pytest.mark.parametrize("pattern", ["random", "regular"])
def test_any_shape_is_served(shape, pattern) -> None:
    deployment = deploy(shape, pattern=pattern)
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(deployment.answer(signal_of(x)).x).all()
    assert deployment.randomised == (pattern == "random")


def test_the_recovered_and_denoised_image_has_the_published_quality(pictures, psnr) -> None:
    # Section 5 of the specification, after wavelet and clip; here the kept pixels have crossed at 8 bit.
    for name, expected in (("astronaut32", 26.07), ("smooth", 42.49)):
        deployment = deploy()
        drop, recovery, denoise = list(deployment.stages)[:3]
        x = torch.from_numpy(pictures[name][None]).float()
        mask = torch.from_numpy(drop.wire.drawn(0))[None]
        signal = Signal(x.masked_fill(mask[:, None], 0), Draws((b"",)), {"mask": mask})
        assert psnr(denoise(recovery(signal)).x, x)[0] == pytest.approx(expected, abs=0.5)
        assert psnr(denoise(recovery(drop.cross(signal))).x, x)[0] == pytest.approx(expected, abs=0.5)


def test_denoising_can_be_left_out_and_zeros_count_for_one_channel() -> None:
    names = [type(stage).__name__ for stage in deploy(denoise=False).stages]
    assert names == ["PixelDrop", "SparseRecovery", "Classify"]
    assert deploy().stages[2].skip_zeros
    assert not deploy((1, 28, 28)).stages[2].skip_zeros
    assert deploy((1, 28, 28), sigma_zeros="skip").stages[2].skip_zeros
    assert not deploy(sigma_zeros="keep").stages[2].skip_zeros


@pytest.mark.parametrize("parameters", [{"ratio": 0.001}, {"ratio": 1.0}, {"ws": 64}, {"ws": 2}])
def test_impossible_parameters_are_refused_when_the_shape_is_known(parameters) -> None:
    with pytest.raises(UsageError, match="superiot"):
        deploy(**parameters)


def test_ratio_zero_is_the_wavelet_alone(tiles) -> None:
    deployment, x = deploy(ratio=0.0), images(tiles)
    assert not deployment.randomised
    drop, recovery = list(deployment.stages)[:2]
    recovered = recovery(drop(signal_of(x)))
    assert torch.equal(recovered.x, x)


def test_the_device_multiplies_nothing_and_every_placement_is_named() -> None:
    deployment = deploy()
    drop, recovery = list(deployment.stages)[:2]
    assert drop.macs_declared == 0
    assert recovery.macs_declared == 100 * 36_864 + 49_152
    assert deployment.placements == ("device", "server")


@pytest.mark.parametrize("pattern", ["random", "regular"])
def test_the_device_stage_exports_or_says_why_not(tmp_path, tiles, pattern) -> None:
    export = pytest.importorskip("bench.deployment.export")
    subgraph = pytest.importorskip("bench.deployment.subgraph")
    deployment = deploy(pattern=pattern)
    parts = subgraph.subgraphs(deployment)
    device = next(part for part in parts if part.placement == "device")
    examples = [{"input": signal_of(images(tiles)[i : i + 1])} for i in range(2)]
    result = export.export(device, examples, tmp_path)
    if pattern == "random":
        assert isinstance(result, export.NotExportable)
        assert "draws at random" in result.reason
    else:
        assert isinstance(result, export.Exported), result.reason
