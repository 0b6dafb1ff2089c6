"""Statements that hold for ART 1.20.1 under NumPy 2, each seen in a run of the bare library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attack import Batch, Surface, Threat
from bench_art import adapter
from bench_art.door import Door, View
from bench_art.isolation import replaced, seeded

from .conftest import MakeSurface, Tiny, draws_for, images

SHAPE = (1, 28, 28)
BatchOn = Callable[[nn.Module, Tensor], Batch]


def _run(name: str, surface: Surface, batch: Batch, threat: Threat, **parameters: float) -> Tensor:
    return getattr(adapter, name.replace("-", "_"))(**parameters).run(surface, batch, threat).x_adv


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_is_one_step_of_pgd_to_the_bit(norm: str, surface_of: MakeSurface, batch_on: BatchOn) -> None:
    network, threat = Tiny(SHAPE), Threat(norm=norm, epsilon=0.1)  # type: ignore[arg-type]
    batch = batch_on(network, images(SHAPE, 16))
    single = _run("fgsm" if norm == "linf" else "fgsm-l2", surface_of(network, SHAPE), batch, threat)
    step = _run(f"pgd-{norm}", surface_of(network, SHAPE), batch, threat, max_iter=1, step=1.0, num_random_init=0)
    assert not torch.equal(single, batch.x)
    if norm == "linf":
        assert torch.equal(single, step)
    else:  # FGSM divides in NumPy, PGD in torch
        torch.testing.assert_close(single, step, rtol=0, atol=1e-6)


def test_pgd_is_a_plain_loop_to_the_bit(surface_of: MakeSurface, batch_on: BatchOn) -> None:
    network = Tiny(SHAPE)
    batch = batch_on(network, images(SHAPE, 32))
    x = batch.x.clone()
    for _ in range(10):
        x.requires_grad_(True)
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(x), batch.y, reduction="sum"), x)
        moved = (x.detach() + 0.02 * gradient.sign()).clamp(0, 1)
        x = batch.x + (moved - batch.x).clamp(-0.1, 0.1)
    threat = Threat(norm="linf", epsilon=0.1)
    found = _run("pgd-linf", surface_of(network, SHAPE), batch, threat, max_iter=10, step=0.2, num_random_init=0)
    assert torch.equal(found, x)


@pytest.mark.parametrize("name", ["fgsm", "pgd-linf", "mim", "apgd-ce", "apgd-dlr", "square-linf", "uap-fgsm"])
def test_a_ball_of_radius_zero_holds_the_image_alone(name: str, surface_of: MakeSurface, batch_on: BatchOn) -> None:
    network = Tiny(SHAPE)
    batch = batch_on(network, images(SHAPE))
    found = _run(name, surface_of(network, SHAPE), batch, Threat(norm="linf", epsilon=0.0))
    assert torch.equal(found, batch.x)


class Linear(nn.Module):
    """z = w.x + b; logits (-z/2, z/2)."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.w = torch.randn(784, generator=generator)
        self.b = -0.5 * self.w.sum()

    def z(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.w + self.b

    def forward(self, x: Tensor) -> Tensor:
        z = self.z(x)
        return torch.stack([-z / 2, z / 2], 1)


@pytest.fixture
def linear() -> tuple[Linear, Tensor]:
    """The model and 40 images within .05 of .5 whose |z| lie on both sides of .01 ||w||_1."""
    network = Linear()
    generator = torch.Generator().manual_seed(6)
    noise = 0.02 * (2 * torch.rand(40, 784, generator=generator) - 1)
    along = network.w.sign() * torch.linspace(-0.02, 0.02, 40)[:, None]
    return network, (0.5 + noise + along).reshape(-1, *SHAPE)


def test_pgd_is_exact_on_a_linear_model(linear: tuple[Linear, Tensor], surface_of: MakeSurface) -> None:
    network, x = linear
    batch = Batch(x, network(x).argmax(1), draws_for(x), 1)
    surface = surface_of(network, SHAPE, classes=2)
    found = _run("pgd-linf", surface, batch, Threat(norm="linf", epsilon=0.01), max_iter=20, step=0.25)
    reachable = network.z(x).abs() < 0.01 * network.w.abs().sum()
    assert 10 <= int(reachable.sum()) <= 30
    assert torch.equal(network(found).argmax(1) != batch.y, reachable)


@pytest.mark.parametrize(("overshoot", "low", "high"), [(1e-6, 0.99999, 1.00003), (0.02, 1.01995, 1.02005)])
def test_deepfool_is_exact_on_a_linear_model(
    linear: tuple[Linear, Tensor], surface_of: MakeSurface, overshoot: float, low: float, high: float
) -> None:
    network, x = linear
    batch = Batch(x, network(x).argmax(1), draws_for(x), 1)
    threat = Threat(norm="l2", epsilon=1.0)
    found = _run("deepfool", surface_of(network, SHAPE, classes=2), batch, threat, epsilon=overshoot)
    ratio = threat.distance(x, found) / (network.z(x).abs().double() / network.w.double().norm())
    assert ((ratio > low) & (ratio < high)).all(), ratio
    crossed = int((network(found).argmax(1) != batch.y).sum())
    assert crossed == 40 if overshoot > 0.01 else crossed < 40


def test_the_default_overshoot_crosses_the_boundary(linear: tuple[Linear, Tensor], surface_of: MakeSurface) -> None:
    network, x = linear
    batch = Batch(x, network(x).argmax(1), draws_for(x), 1)
    found = _run("deepfool", surface_of(network, SHAPE, classes=2), batch, Threat(norm="l2", epsilon=1.0))
    assert (network(found).argmax(1) != batch.y).all()


def test_pgd_at_l1_changes_one_pixel_and_is_therefore_withheld(
    linear: tuple[Linear, Tensor], surface_of: MakeSurface
) -> None:
    from art.attacks.evasion import ProjectedGradientDescent

    network, x = linear
    view = View(Door(surface_of(network, SHAPE, classes=2), softmax=False), SHAPE, 2)
    attack = ProjectedGradientDescent(view, norm=1, eps=200.0, eps_step=20.0, max_iter=100, verbose=False)
    found = torch.from_numpy(attack.generate(x[:16].numpy(), y=network(x[:16]).argmax(1).numpy()))
    changed = Threat(norm="l0", epsilon=1).distance(x[:16], found)
    assert torch.equal(changed, torch.ones(16, dtype=torch.float64))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_geoda_at_l1_equals_l2_and_is_therefore_withheld(
    surface_of: MakeSurface, batch_on: BatchOn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from art.attacks.evasion import geometric_decision_based_attack as module

    class OldNumpy:
        mat = staticmethod(np.asmatrix)  # removed in NumPy 2

        def __getattr__(self, name: str) -> object:
            return getattr(np, name)

    monkeypatch.chdir(tmp_path)
    network = Tiny(SHAPE)
    batch = batch_on(network, images(SHAPE, 1))
    found = []
    for norm in (1, 2):
        view = View(Door(surface_of(network, SHAPE), softmax=False), SHAPE, 10)
        with replaced(module, "np", OldNumpy()), seeded(0):
            attack = module.GeoDA(view, norm=norm, max_iter=500, bin_search_tol=0.1, sub_dim=5, verbose=False)
            found.append(attack.generate(batch.x.numpy(), y=batch.y.numpy()))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], batch.x.numpy())


class Quantised(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(torch.round(4 * x) / 4)


def test_a_quantised_model_gives_dead_gradients_and_the_surface_says_so(
    surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    network = Quantised(Tiny(SHAPE))
    batch, surface = batch_on(network, images(SHAPE)), surface_of(network, SHAPE)
    threat = Threat(norm="linf", epsilon=0.1)
    found = _run("pgd-linf", surface, batch, threat, max_iter=5, num_random_init=0)
    assert torch.equal(found, batch.x)
    assert surface.gradients.dead_images == surface.gradients.images == 5 * 4
