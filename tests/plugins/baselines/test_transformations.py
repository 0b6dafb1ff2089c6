"""What all transformations share: entries, draws, batches, wires, gradients."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest
import torch

from bench.attack.surrogate import as_it_is, straight_through
from bench.errors import BadParameter, UsageError
from bench.plugins.parameters import resolve
from bench_baselines.plugin import bench_defenses
from bench_baselines.transformations import TRANSFORMATIONS

NAMES = [entry.name for entry in TRANSFORMATIONS]
RANDOMISED = {"total-variation", "pixel-deflection", "resize-pad"}
STAIRCASES = {"jpeg", "bit-depth"}
SHAPES = [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 29, 31), (3, 48, 40)]


def images(shape, count=5, seed=0):
    greys = torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(seed))
    return greys.float() / 255.0


def changing(deployment):
    """Return the stages between the sensor and the classifier."""
    return [stage for stage in deployment.stages if type(stage).__name__ not in ("Capture", "Classify")]


def test_the_plugin_offers_the_undefended_model_and_six_transformations_of_one_family() -> None:
    entries = {entry.name: entry for entry in bench_defenses()}
    assert entries["none"].baseline
    assert NAMES == ["jpeg", "bit-depth", "median-smoothing", "total-variation", "pixel-deflection", "resize-pad"]
    for name in NAMES:
        assert entries[name].family == "transformations"
        assert entries[name].track == "evasion"
        assert entries[name].source
        assert not entries[name].trains
        assert all(parameter.help for parameter in entries[name].parameters)
    assert [name for name in NAMES if entries[name].published] == ["pixel-deflection"]


@pytest.mark.parametrize("entry", TRANSFORMATIONS, ids=NAMES)
def test_the_declared_defaults_are_those_of_the_implementation(entry) -> None:
    module, _, factory = entry.factory.partition(":")
    make = getattr(importlib.import_module(module), factory)
    assert vars(make()) == vars(make(**resolve(entry.name, entry.parameters, {})))


def test_listing_the_plugin_imports_neither_torch_nor_numba_nor_pillow() -> None:
    listing = "import sys, bench_baselines.plugin as p; p.bench_defenses()"
    code = f"{listing}; print({{'torch', 'numba', 'PIL'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("jpeg", "quality", 0),
        ("jpeg", "subsampling", "4:1:1"),
        ("bit-depth", "bits", 9),
        ("median-smoothing", "window", 1),
        ("total-variation", "drop", 1.0),
        ("pixel-deflection", "window", 0),
        ("resize-pad", "interpolation", "cubic"),
    ],
)
def test_values_outside_the_schema_are_refused(deploy, name, parameter, value) -> None:
    with pytest.raises(BadParameter, match=parameter):
        deploy(name, **{parameter: value})


@pytest.mark.parametrize(
    ("name", "shape", "parameters", "message"),
    [
        ("jpeg", (4, 16, 16), {}, "1 or 3 channels"),
        ("median-smoothing", (1, 8, 8), {"window": 9}, "at most 8"),
        ("pixel-deflection", (1, 8, 8), {"ratio": 0.001}, "deflect none of 64"),
        ("resize-pad", (1, 8, 8), {"smallest": 0.99}, "at most 0.87"),
    ],
)
def test_parameters_that_do_not_fit_the_images_are_refused_with_the_way_out(
    deploy, name, shape, parameters, message
) -> None:
    with pytest.raises(UsageError, match=message):
        deploy(name, shape, **parameters)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_shape_stay_in_their_box_and_the_bytes_say_it_all(deploy, signal, name, shape) -> None:
    given = signal(images(shape))
    deployment = deploy(name, shape)
    with torch.no_grad():
        assert torch.equal(deployment(given).x, deployment.answer(given).x)
        passed = given
        for stage in changing(deployment):
            passed = stage(passed)
    assert passed.x.shape == given.x.shape
    assert passed.x.dtype == torch.float32
    assert passed.x.min() >= 0
    assert passed.x.max() <= 1
    assert not torch.equal(passed.x, given.x)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_does_not_see_its_batch_nor_its_place_in_it(deploy, signal, photographs, name) -> None:
    given, deployment = signal(photographs[:6]), deploy(name)
    whole = given
    for stage in changing(deployment):
        whole = stage(whole)
    for row in range(6):
        alone = signal(photographs[row : row + 1], names=range(row, row + 1))
        for stage in changing(deployment):
            alone = stage(alone)
        assert torch.equal(alone.x[0], whole.x[row])


@pytest.mark.parametrize("name", NAMES)
def test_randomness_comes_from_the_draws_alone(deploy, signal, photographs, name) -> None:
    deployment = deploy(name)
    assert deployment.randomised == (name in RANDOMISED)
    torch.manual_seed(1)
    first = deployment.answer(signal(photographs[:3])).x
    torch.manual_seed(2)
    assert torch.equal(first, deployment.answer(signal(photographs[:3])).x)
    other = deployment.answer(signal(photographs[:3], draw=1)).x
    assert torch.equal(first, other) == (name not in RANDOMISED)
    same_image = photographs[:1].repeat(2, 1, 1, 1)
    both = deployment.answer(signal(same_image)).x
    assert torch.equal(both[0], both[1]) == (name not in RANDOMISED)


@pytest.mark.parametrize("name", NAMES)
def test_a_white_box_attacker_gets_the_derivative_there_is_and_an_adaptive_one_a_useful_one(
    deploy, signal, photographs, name
) -> None:
    deployment = deploy(name)
    assert deployment.differentiable == (name not in STAIRCASES | {"pixel-deflection"})  # its wavelets are not
    exact = deployment(signal(photographs[:3])).x
    for backward in (as_it_is, straight_through):
        x = photographs[:3].clone().requires_grad_(True)
        out = backward(deployment, signal(x)).x
        torch.testing.assert_close(out, exact, rtol=0, atol=1e-4)
        (gradient,) = torch.autograd.grad(out.square().sum(), x)
        assert torch.isfinite(gradient).all()
        alive = bool((gradient.flatten(1).abs().amax(1) > 0).all())
        assert alive == (name not in STAIRCASES or backward is straight_through)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 29, 31)])
def test_surrogates_keep_the_shape_and_have_a_finite_derivative_all_along(deploy, signal, name, shape) -> None:
    x = images(shape, 3)
    for stage in changing(deploy(name, shape)):
        names = set(stage.surrogates)
        assert "identity" in names or type(stage).__name__ in ("ResizePad", "WaveletDenoise")
        for surrogate in stage.surrogates.values():
            for progress in (0.0, 0.5, 1.0):
                given = signal(x.clone().requires_grad_(True))
                out = surrogate(given, progress).x
                assert out.shape == x.shape
                (gradient,) = torch.autograd.grad(out.square().sum(), given.x)
                assert torch.isfinite(gradient).all()
                assert (gradient.flatten(1).abs().amax(1) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_cost_of_every_stage_is_declared_and_what_rounds_runs_on_the_device(deploy, name) -> None:
    stages = changing(deploy(name))
    assert all(stage.macs_declared is not None for stage in stages)
    assert {stage.placement for stage in stages} == ({"device"} if name in STAIRCASES else {"server"})
