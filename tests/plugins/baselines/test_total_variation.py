"""Total variation: the minimum that others find, the derivative that differences show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from bench_baselines.total_variation import TotalVariation
from bench_baselines.tv_solver import STEP_KNOWN, STEP_UNKNOWN, Problem, minimise


def solve(x, known, weight, iterations, tau):
    return minimise(x, known, Problem(weight, iterations, tau))


def objective(z, x, known, weight):
    """Return the objective of each image, (B,), straight from its definition."""
    z, x = np.asarray(z, float), np.asarray(x, float)
    down, right = np.zeros_like(z), np.zeros_like(z)
    down[..., :-1, :], right[..., :-1] = np.diff(z, axis=2), np.diff(z, axis=3)
    terms = 0.5 * np.asarray(known) * (z - x) ** 2 + weight * np.hypot(down, right)
    return terms.reshape(len(z), -1).sum(1)


def everything(x):
    return torch.ones_like(x, dtype=torch.bool)


def some(x, share=0.5, seed=0):
    return torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) >= share


@pytest.mark.parametrize("weight", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("channels", [1, 3])
def test_without_dropping_it_finds_scikit_images_minimum(photographs, weight, channels) -> None:
    restoration = pytest.importorskip("skimage.restoration")
    x = photographs[:6, :channels]
    expected = np.stack(
        [
            restoration.denoise_tv_chambolle(
                image.double().numpy(), weight=weight, eps=1e-10, max_num_iter=3000, channel_axis=0
            )
            for image in x
        ]
    )
    exact = solve(x.double(), everything(x), weight, 3000, STEP_KNOWN)
    np.testing.assert_allclose(exact.numpy(), expected, atol=5e-3)
    assert (objective(exact, x, 1, weight) < objective(expected, x, 1, weight) * (1 + 1e-6)).all()
    ours = solve(x, everything(x), weight, 100, STEP_KNOWN)
    assert np.abs(ours.numpy() - expected).max() < 4 / 255
    best = objective(expected, x, 1, weight)
    assert (objective(ours, x, 1, weight) < 1.01 * best).all()


@pytest.mark.parametrize("drop", [0.2, 0.5, 0.8])
def test_with_unknown_values_no_general_minimiser_finds_less(photographs, drop) -> None:
    """SciPy's L-BFGS on the objective with its corners rounded by 1e-4, from our result and from the image."""
    x, known, weight = photographs[:1, :1, :12, :12].double(), some(photographs[:1, :1, :12, :12], drop), 0.03

    def smoothed(flat):
        z = torch.tensor(flat).reshape(x.shape).requires_grad_(True)
        down, right = torch.zeros_like(z), torch.zeros_like(z)
        down[..., :-1, :], right[..., :-1] = z.diff(dim=2), z.diff(dim=3)
        value = (0.5 * known * (z - x) ** 2).sum() + weight * (down**2 + right**2 + 1e-8).sqrt().sum()
        (slope,) = torch.autograd.grad(value, z)
        return value.item(), slope.flatten().numpy()

    converged = solve(x, known, weight, 20000, STEP_UNKNOWN)
    for start in (converged, x):
        found = minimize(smoothed, start.flatten().numpy(), jac=True, method="L-BFGS-B", options={"maxiter": 5000})
        lowest = objective(found.x.reshape(x.shape), x, known, weight)
        assert objective(converged, x, known, weight) < lowest * (1 + 1e-4) + 1e-9
    short = solve(x, known, weight, 100, STEP_UNKNOWN)
    assert objective(short, x, known, weight) < 1.05 * objective(converged, x, known, weight)


def test_unknown_values_are_never_looked_at(photographs) -> None:
    x, known = photographs[:4], some(photographs[:4])
    other = torch.where(known, x, 1 - x)
    assert torch.equal(solve(x, known, 0.03, 30, STEP_UNKNOWN), solve(other, known, 0.03, 30, STEP_UNKNOWN))
    given = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(solve(given, known, 0.03, 30, STEP_UNKNOWN).square().sum(), given)
    assert (gradient[~known] == 0).all()
    assert (gradient[known] != 0).float().mean() > 0.99


def test_half_of_a_photograph_is_filled_in_far_better_than_by_zeros(photographs) -> None:
    known = some(photographs)
    restored = solve(photographs, known, 0.03, 100, STEP_UNKNOWN)
    error = (restored - photographs).square().mean().sqrt()
    assert error < 0.06
    assert error < (photographs * known - photographs).square().mean().sqrt() / 4


def test_values_are_the_same_where_gradients_are_recorded(photographs) -> None:
    x, known = photographs[:5], some(photographs[:5])
    with_gradient = solve(x.clone().requires_grad_(True), known, 0.03, 25, STEP_UNKNOWN)
    assert torch.equal(with_gradient.detach(), solve(x, known, 0.03, 25, STEP_UNKNOWN))


@pytest.mark.parametrize("iterations", [1, 2, 30])
@pytest.mark.parametrize("tau", [STEP_KNOWN, STEP_UNKNOWN])
def test_the_steps_backwards_are_the_jacobian_of_the_steps(iterations, tau) -> None:
    x = torch.rand(2, 2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_(True)
    for known in (everything(x), some(x, 0.4)):
        assert torch.autograd.gradcheck(lambda z, m=known: solve(z, m, 0.05, iterations, tau), x, eps=1e-8, atol=1e-5)


def test_an_image_and_its_derivative_do_not_depend_on_the_batch(photographs) -> None:
    x, known = photographs[:5].clone().requires_grad_(True), some(photographs[:5])
    together = solve(x, known, 0.03, 20, STEP_UNKNOWN)
    (whole,) = torch.autograd.grad(together.square().sum(), x)
    for i in range(5):
        one = x[i : i + 1].detach().requires_grad_(True)
        alone = solve(one, known[i : i + 1], 0.03, 20, STEP_UNKNOWN)
        assert torch.equal(alone[0], together[i])
        assert torch.equal(torch.autograd.grad(alone.square().sum(), one)[0][0], whole[i])


def test_channels_last_images_are_read_as_they_are_meant(photographs) -> None:
    x, known = photographs[:4], some(photographs[:4])
    turned = x.to(memory_format=torch.channels_last)
    assert torch.equal(solve(turned, known, 0.03, 20, STEP_UNKNOWN), solve(x, known, 0.03, 20, STEP_UNKNOWN))


def by_definition(x, known, problem):
    """Return z after the steps, each written as the algorithm has it, on whole arrays."""
    weight, iterations, tau, sigma = problem.steps
    z = np.where(known, x, 0.0)
    pull, gain = tau * z / (1 + tau), np.where(known, 1 / (1 + tau), 1.0)
    ahead, down, right = z, np.zeros_like(z), np.zeros_like(z)
    for _ in range(iterations):
        down, right = down.copy(), right.copy()
        down[..., :-1, :] += sigma * np.diff(ahead, axis=2)
        right[..., :-1] += sigma * np.diff(ahead, axis=3)
        shorter = np.maximum(1, np.hypot(down, right) / weight)
        down, right = down / shorter, right / shorter
        divergence = np.diff(down, axis=2, prepend=0) + np.diff(right, axis=3, prepend=0)
        new = (z + tau * divergence) * gain + pull
        ahead, z = 2 * new - z, new
    return z.clip(0, 1)


@pytest.mark.parametrize("tau", [STEP_KNOWN, STEP_UNKNOWN])
@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 32, 32), (1, 2, 1, 7), (1, 1, 9, 1)])
def test_the_loops_take_the_steps_of_the_algorithm(shape, tau) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    known, problem = some(x, 0.3), Problem(0.05, 40, tau)
    expected = by_definition(x.numpy(), known.numpy(), problem)
    np.testing.assert_allclose(minimise(x, known, problem).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(minimise(x.float(), known, problem).numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_the_derivative_is_that_of_the_steps(photographs, signal, drop) -> None:
    x = photographs[:2, :, :10, :9].double() * 0.8 + 0.1
    stage = TotalVariation((3, 10, 9), weight=0.03, drop=drop, iterations=23)
    generator = torch.Generator().manual_seed(0)
    weights, direction = (torch.randn(x.shape, generator=generator, dtype=torch.float64) for _ in range(2))
    given = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad((stage(signal(given)).x * weights).sum(), given)
    ahead, behind = ((stage(signal(x + step * direction)).x * weights).sum() for step in (1e-7, -1e-7))
    assert (gradient * direction).sum().item() == pytest.approx(((ahead - behind) / 2e-7).item(), rel=1e-4)


def test_a_flat_image_has_a_finite_derivative_and_stays(signal) -> None:
    x = torch.full((2, 1, 8, 8), 0.4, requires_grad=True)
    for drop in (0.0, 0.5):
        stage = TotalVariation((1, 8, 8), weight=0.03, drop=drop, iterations=200)
        out = stage(signal(x)).x
        assert (out - 0.4).abs().max() < 0.02
        (gradient,) = torch.autograd.grad(out.sum(), x)
        assert torch.isfinite(gradient).all()


def test_values_are_forgotten_one_by_one_with_the_share_asked_for(photographs, signal) -> None:
    stage = TotalVariation((3, 32, 32), weight=0.03, drop=0.3, iterations=1)
    known = stage._known(signal(photographs))
    assert known.float().mean().item() == pytest.approx(0.7, abs=0.01)
    assert not torch.equal(known[:, 0], known[:, 1])
    assert not TotalVariation((3, 32, 32), weight=0.03, drop=0.0, iterations=1).randomised


ANSWERS = """
import hashlib, torch
from bench_baselines.tv_solver import STEP_UNKNOWN, Problem, minimise

x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
z = minimise(x, x > 0.4, Problem(0.03, 60, STEP_UNKNOWN))
for told in (z.detach(), *torch.autograd.grad(z.square().sum(), x)):
    print(hashlib.sha256(told.numpy().tobytes()).hexdigest())
"""


def test_a_process_that_compiles_answers_as_one_that_loads_what_was_compiled(cold_and_warm) -> None:
    cold, warm = cold_and_warm(ANSWERS)
    assert cold == warm
