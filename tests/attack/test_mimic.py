"""Networks that an attacker teaches: what they buy against defenses that declare what is not so."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.attack import mimic, ways
from bench.deployment import Capture, Classify, Deployment, Draws, Join, Node, Signal, Stage
from bench.deployment.passage import trace

EPSILON = 0.1


class Sides(nn.Module):
    """Two logits: how bright the left half is, and the right half, of maps of any size."""

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.mean((1, 2)).tensor_split(2, dim=1)
        return 20.0 * torch.stack([left.mean(1), right.mean(1)], 1)


def images(count: int, channels: int = 1, side: int = 8) -> Tensor:
    """Return grey images whose left half is brighter by 10 levels, on the 8-bit grid."""
    grey = torch.randint(40, 200, (count, 1, 1, 1), generator=torch.Generator().manual_seed(0))
    x = grey.expand(count, channels, side, side).clone()
    x[..., : side // 2] += 10
    return x.float() / 255.0


def pool(channels: int = 1, side: int = 8) -> Tensor:
    return (images(512, channels, side) * 255.0).round().to(torch.uint8)


def signal(x: Tensor) -> Signal:
    return Signal(x, Draws.of("craft", 0, [b"%d" % i for i in range(len(x))]))


def offered(deployment: Deployment, x: Tensor) -> tuple[str, ...]:
    seen = signal(ways.around(x, EPSILON))
    return ways.ways(deployment, trace(deployment, seen)[0], seen)


def gradient(deployment: Deployment, way: str, x: Tensor, mimics: dict[str, nn.Module]) -> Tensor:
    """Return the gradient of the right half's lead."""
    x = x.clone().requires_grad_(True)
    backward = ways.backward(way, mimics)
    assert backward is not None
    logits = backward(deployment, signal(x), 1.0).x
    (found,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), x)
    return found


def broken(deployment: Deployment, way: str, x: Tensor, mimics: dict[str, nn.Module]) -> float:
    """Return the share of images that signed gradient steps turn to the right."""
    found = x.clone()
    for _ in range(10):
        found = found + EPSILON / 4 * gradient(deployment, way, found, mimics).sign()
        found = x + (found - x).clamp(-EPSILON, EPSILON)
    return float((deployment.answer(signal(found)).x.argmax(1) == 1).float().mean())


class Suspicious(Stage):
    """Blurs what is rough and leaves clean images as they are; its derivative, that it calls true, points backward."""

    differentiable = True

    def transform(self, x: Tensor) -> Tensor:
        seen = x.detach()
        padded = functional.pad(seen, (1, 1, 1, 1), mode="replicate")
        blurred = functional.avg_pool2d(padded, 3, stride=1)
        rough = (seen - blurred).abs().mean((1, 2, 3), keepdim=True) > 0.006
        return torch.where(rough, blurred, seen) - (x - seen)


def test_a_purifier_that_acts_on_noisy_images_only_is_gone_around() -> None:
    deployment, x = Deployment.chain(Capture(), Suspicious(), Classify(Sides())), images(8)
    assert torch.equal(deployment.answer(signal(x)).x, Sides()(x))  # nothing is seen on clean images
    assert offered(deployment, x) == ("as-it-is", "identity", "learned")
    mimics, fidelity = mimic.learn(deployment, pool(), epsilon=EPSILON, seed=0)
    assert fidelity["1-suspicious"] > 0.3
    assert broken(deployment, "as-it-is", x, mimics) == 0.0
    assert broken(deployment, "identity", x, mimics) == 1.0
    assert broken(deployment, "learned", x, mimics) == 1.0


def test_a_stage_that_left_a_batch_alone_is_taken_for_the_identity_all_the_same() -> None:
    deployment, x = Deployment.chain(Capture(), Suspicious(), Classify(Sides())), images(4)
    found, plain = (
        gradient(deployment, "identity", x, {}),
        gradient(Deployment.chain(Classify(Sides())), "as-it-is", x, {}),
    )
    torch.testing.assert_close(found, plain)


class Reshapes(Stage):
    """Another shape, without a derivative; the one surrogate that it offers points backward, or nowhere."""

    differentiable = False
    slope = -1.0

    @property
    def surrogates(self):
        return {"decoy": lambda given, progress: given.replace(self.slope * self.work(given.x))}

    def transform(self, x: Tensor) -> Tensor:
        return torch.round(self.work(x.detach()) * 255.0) / 255.0


class Half(Reshapes):
    def work(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2)


class Blind(Half):
    slope = 0.0


class Grey(Reshapes):
    def work(self, x: Tensor) -> Tensor:
        return (x * torch.tensor([0.6, 0.3, 0.1])[:, None, None]).sum(1, keepdim=True)


class Crop(Reshapes):
    def work(self, x: Tensor) -> Tensor:
        return x[..., 1:-1, 1:-1]


class Double(Reshapes):
    def work(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2.0)


@pytest.mark.parametrize(
    ("stage", "channels", "side", "least"),
    [(Half, 1, 8, 0.8), (Blind, 1, 8, 0.8), (Grey, 3, 8, 0.8), (Crop, 1, 16, 0.5), (Double, 1, 8, 0.5)],
)
def test_a_stage_that_changes_the_shape_is_learned_whatever_it_offers(stage, channels, side, least) -> None:
    deployment, x = Deployment.chain(Capture(), stage(), Classify(Sides())), images(8, channels, side)
    assert offered(deployment, x) == ("straight-through", "surrogate:decoy", "learned")
    mimics, fidelity = mimic.learn(deployment, pool(channels, side), epsilon=EPSILON, seed=0)
    assert list(fidelity.values()) == [pytest.approx(1.0, abs=1.0 - least)]
    assert broken(deployment, "straight-through", x, mimics) == 0.0
    assert broken(deployment, "learned", x, mimics) == 1.0


def test_stages_that_change_the_shape_one_after_the_other_are_learned_one_by_one() -> None:
    deployment, x = Deployment.chain(Capture(), Grey(), Half(), Classify(Sides())), images(8, 3)
    mimics, _ = mimic.learn(deployment, pool(3), epsilon=EPSILON, seed=0)
    assert list(mimics) == ["1-grey", "2-half"]
    assert mimics["2-half"](torch.zeros(2, 1, 8, 8)).shape == (2, 1, 4, 4)
    assert broken(deployment, "learned", x, mimics) == 1.0


def test_a_stage_that_claims_a_true_derivative_for_another_shape_is_learned_too() -> None:
    class Liar(Half):
        differentiable = True

        @property
        def surrogates(self):
            return {}

        def transform(self, x: Tensor) -> Tensor:
            given = self.work(x)
            return 2.0 * given.detach() - given

    deployment, x = Deployment.chain(Capture(), Liar(), Classify(Sides())), images(8)
    assert offered(deployment, x) == ("as-it-is", "learned")
    mimics, _ = mimic.learn(deployment, pool(), epsilon=EPSILON, seed=0)
    assert broken(deployment, "as-it-is", x, mimics) == 0.0
    assert broken(deployment, "learned", x, mimics) == 1.0


def test_a_network_for_another_shape_can_be_stored() -> None:
    deployment = Deployment.chain(Capture(), Half(), Classify(Sides()))
    taught = mimic.learn(deployment, pool()[:128], epsilon=EPSILON, seed=0)[0]["1-half"]
    (loaded,) = mimic.load({f"1-half/{name}": t for name, t in taught.state_dict().items()}).values()
    torch.testing.assert_close(loaded(images(2)), taught(images(2)), rtol=0, atol=0)


class Both(Join):
    def combine(self, *signals: Signal) -> Signal:
        return signals[0].replace(signals[0].x + signals[1].x)


class Negative(Stage):
    def transform(self, x: Tensor) -> Tensor:
        return 1.0 - x


def test_what_is_learned_of_an_image_of_the_same_shape_does_not_depend_on_reshaped_ones_beside_it() -> None:
    classify = Classify(Sides())
    nodes = [Node("negative", Negative()), Node("view", classify, ("negative",))]
    more = [
        Node("half", Half()),
        *nodes,
        Node("other view", classify, ("half",)),
        Node("both", Both(), ("view", "other view")),
    ]
    alone, beside = (mimic.learn(Deployment(n), pool()[:128], epsilon=EPSILON, seed=0)[0] for n in (nodes, more))
    assert list(beside) == ["negative", "half"]
    found = beside["negative"].state_dict()
    assert all(torch.equal(found[name], t) for name, t in alone["negative"].state_dict().items())


def test_noisy_images_for_a_probe_lie_on_the_grid_and_in_the_ball() -> None:
    x = images(4)
    found = ways.around(x, EPSILON)
    assert torch.equal(found[:4], x)
    assert torch.equal(torch.round(found * 255.0) / 255.0, found)
    steps = ((found - x.repeat(3, 1, 1, 1)).abs() * 255.0).round().flatten(1).unique(dim=1)
    assert sorted({int(step) for step in steps.flatten()}) == [0, 13, 25]  # of .1 * 255 = 25.5
    assert offered(Deployment.chain(Capture(), Classify(Sides())), x) == ("as-it-is",)


def test_networks_see_new_draws_at_each_step_and_are_judged_on_images_that_they_did_not_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws, shown = [], {}
    signal, noisy, fidelity = mimic._signal, mimic._noisy, mimic._fidelity
    monkeypatch.setattr(mimic, "_signal", lambda x, seed, draw: draws.append(draw) or signal(x, seed, draw))
    monkeypatch.setattr(mimic, "_noisy", lambda x, *more: shown.update(taught=x) or noisy(x, *more))
    monkeypatch.setattr(mimic, "_fidelity", lambda d, m, x, *more: shown.update(judged=x) or fidelity(d, m, x, *more))
    x = torch.randint(0, 256, (256, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    mimic.learn(Deployment.chain(Capture(), Negative(), Classify(Sides())), x, epsilon=EPSILON, seed=0)
    assert draws == [0, *range(1, 8 * 3 + 1), 0, 0]  # eight times 192 images, 64 at once
    taught, judged = shown["taught"].flatten(1), (shown["judged"] * 255).round().to(torch.uint8).flatten(1)
    assert (len(taught), len(judged)) == (192, 64)
    assert not (taught[:, None] == judged[None]).all(2).any()


def test_a_network_that_foretells_the_opposite_has_a_negative_fidelity() -> None:
    deployment = Deployment.chain(Capture(), Negative(), Classify(Sides()))
    assert mimic._fidelity(deployment, {"1-negative": nn.Identity()}, images(4), EPSILON, 0) == {
        "1-negative": pytest.approx(-1.0, abs=1e-3)  # the camera rounds
    }
