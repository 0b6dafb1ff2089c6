"""A realised image obeys the threat: in the ball, in the box, on the grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.attack import Threat

SHAPE = (3, 1, 4, 4)
clean = arrays(np.uint8, SHAPE).map(lambda a: torch.from_numpy(a.astype(np.float32)) / 255.0)
offsets = arrays(np.float32, SHAPE, elements=st.floats(-1, 1, width=32)).map(torch.from_numpy)
norms = st.sampled_from(["linf", "l2", "l1"])
radii = {"linf": st.sampled_from([1 / 255, 8 / 255, 0.1, 0.3]), "l2": st.floats(0.05, 3), "l1": st.floats(0.5, 10)}


def inside(threat: Threat, x: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Return x plus the offset, shrunk into ball and box."""
    x_adv = (x + offset).clamp(0, 1)
    distance = threat.distance(x, x_adv).clamp_min(1e-12)
    if threat.norm == "linf":
        return (x + (x_adv - x).clamp(-threat.epsilon, threat.epsilon)).clamp(0, 1)
    share = (threat.epsilon / distance).clamp_max(1.0).float()[:, None, None, None]
    return x + share * (x_adv - x)


@given(clean, offsets, norms.flatmap(lambda n: st.tuples(st.just(n), radii[n])))
@settings(deadline=None, max_examples=150)
def test_a_realised_image_stays_in_ball_and_box_and_on_the_grid(x, offset, of) -> None:
    norm, epsilon = of
    threat = Threat(norm=norm, epsilon=epsilon)
    x_adv = inside(threat, x, offset)
    assert threat.contains(x, x_adv).all()
    realised = threat.realise(x, x_adv)
    assert threat.contains(x, realised).all()
    assert realised.min() >= 0
    assert realised.max() <= 1
    assert torch.equal(realised, torch.round(realised * 255.0) / 255.0)
    assert float((realised - x_adv).abs().max()) <= 1 / 255.0 + 1e-6


@given(clean, offsets)
@settings(deadline=None, max_examples=60)
def test_realising_twice_changes_nothing(x, offset) -> None:
    threat = Threat(norm="linf", epsilon=0.1)
    once = threat.realise(x, inside(threat, x, offset))
    assert torch.equal(threat.realise(x, once), once)


@pytest.mark.parametrize(
    ("norm", "epsilon", "shape", "kept"),
    [
        ("l2", 0.5, (3, 32, 32), 0.98),
        ("l2", 0.25, (3, 32, 32), 0.95),
        ("l2", 1.5, (1, 28, 28), 0.995),
        ("l1", 12.0, (3, 32, 32), 0.98),
    ],
)
def test_the_grid_costs_an_attack_on_the_border_little_of_its_way(norm, epsilon, shape, kept) -> None:
    # rounding every value towards the clean image keeps .83 and .65 of the first two
    generator = torch.Generator().manual_seed(0)
    threat = Threat(norm=norm, epsilon=epsilon)
    x = torch.randint(60, 195, (8, *shape), generator=generator) / 255.0
    delta = torch.randn(8, *shape, generator=generator)
    if norm == "l1":
        delta *= torch.rand(8, *shape, generator=generator) < 0.05
    delta *= (epsilon / threat.distance(x, x + delta)).float()[:, None, None, None]
    realised = threat.realise(x, x + delta)
    assert threat.contains(x, realised).all()
    along = ((realised - x) * delta).flatten(1).sum(1) / delta.square().flatten(1).sum(1)
    assert along.min() > kept


@given(clean, offsets, st.sampled_from(["l2", "l1"]).flatmap(lambda n: st.tuples(st.just(n), radii[n])))
@settings(deadline=None, max_examples=100)
def test_no_value_goes_back_that_need_not(x, offset, of) -> None:
    norm, epsilon = of
    threat = Threat(norm=norm, epsilon=epsilon)
    x_adv = inside(threat, x, offset)
    realised, nearest = threat.realise(x, x_adv), torch.round(x_adv * 255.0) / 255.0
    back = (realised - nearest).abs().flatten(1) > 0.5 / 255.0
    for image in range(len(x)):
        assert threat.contains(x[image : image + 1], nearest[image : image + 1]).item() == (not back[image].any())
        if back[image].any():  # the last step back was the one that brought it in
            prices = _prices(x[image], x_adv[image], nearest[image], norm)
            last = int(torch.where(back[image], prices, -1.0).argmax())
            again = realised[image].flatten().clone()
            again[last] = nearest[image].flatten()[last]
            length = Threat(norm=norm, epsilon=epsilon).distance(x[image : image + 1], again.reshape(1, *x.shape[1:]))
            assert length.item() > epsilon * (1 - 1e-5)


def _prices(x, x_adv, nearest, norm) -> torch.Tensor:
    steps = ((nearest - x) * 255.0).round().abs().double().flatten()
    outwards = steps - ((x_adv * 255.0) - (x * 255.0).round()).double().abs().flatten()
    return (1 - 2 * outwards) / (2 * steps - 1 if norm == "l2" else torch.ones_like(steps))


@given(clean, norms)
@settings(deadline=None, max_examples=30)
def test_the_clean_image_realises_as_itself(x, norm) -> None:
    assert torch.equal(Threat(norm=norm, epsilon=0.05).realise(x, x), x)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_an_image_outside_the_ball_is_not_smuggled_in(norm) -> None:
    threat = Threat(norm=norm, epsilon=0.1)
    x = torch.zeros(1, 1, 4, 4)
    far = torch.full_like(x, 0.5)
    assert not threat.contains(x, far).any()
    assert not threat.contains(x, threat.realise(x, far)).any()


# About 8 grey levels: well below, where the tolerance begins, at its border for single pairs of greys, and at 8.
BORDER = (8 / 255 - 1e-6) / (1 + 1e-5)
NEARLY_EIGHT = [0.0313, 7.99976 / 255, 0.0313717, 8 / 255, *(BORDER + k * 1e-9 for k in range(-40, 41, 10))]


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 2.0, *NEARLY_EIGHT])
def test_the_greys_of_a_ball_are_those_that_the_judge_accepts(epsilon: float) -> None:
    threat = Threat(norm="linf", epsilon=epsilon)
    grey = torch.arange(256, dtype=torch.float32) / 255.0
    clean, other = (side.reshape(-1, 1, 1, 1) for side in torch.meshgrid(grey, grey, indexing="ij"))
    accepted = threat.contains(clean, other).reshape(256, 256)
    darkest, brightest = threat.greys()
    assert torch.equal(accepted.int().argmax(1), darkest)
    assert torch.equal(accepted.sum(1), brightest - darkest + 1)
    # What lies in the ball is realised in it, and one who asks for its border is given it.
    border = (clean + threat.epsilon * torch.sign(other - clean)).clamp(0, 1)
    inside = threat.contains(clean, border)
    realised = threat.realise(clean, border)[inside]
    assert threat.contains(clean[inside], realised).all()
    low, high = (ends[torch.round(clean[inside] * 255).long()] for ends in (darkest, brightest))
    steps = torch.round(realised * 255).long()
    assert bool(((steps >= low) & (steps <= high)).all())


def test_the_float_domain_keeps_values_between_the_grid() -> None:
    x, x_adv = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.0123)
    assert torch.equal(Threat(norm="linf", epsilon=0.1, domain="float").realise(x, x_adv), x_adv)


def test_distances_are_those_of_the_norm() -> None:
    x, x_adv = torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.3, -0.4]]]])
    expected = {"linf": 0.4, "l2": 0.5, "l1": 0.7, "l0": 2.0}
    for norm, distance in expected.items():
        assert Threat(norm=norm, epsilon=1.0).distance(x, x_adv).item() == pytest.approx(distance, rel=1e-6)


def test_not_finite_images_lie_in_no_ball() -> None:
    x = torch.zeros(2, 1, 2, 2)
    bad = torch.tensor([torch.nan, torch.inf])[:, None, None, None].expand(2, 1, 2, 2)
    assert not Threat(norm="linf", epsilon=1.0).contains(x, bad).any()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_ball_is_as_large_as_it_says_but_for_rounding(norm) -> None:
    threat, x = Threat(norm=norm, epsilon=0.1, domain="float"), torch.zeros(3, 1, 1, 2)
    x_adv = torch.zeros_like(x)
    x_adv[:, 0, 0, 0] = torch.tensor([0.1, 0.1 + 1e-6, 0.1 + 1e-5])
    assert threat.contains(x, x_adv).tolist() == [True, True, False]
