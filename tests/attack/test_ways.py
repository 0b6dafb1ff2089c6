"""The ways in which an adaptive attacker gets gradients, the learned one among them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.attack import Surface, mimic, ways
from bench.deployment import Capture, Classify, Deployment, Draws, Join, Node, Signal, Stage
from bench.deployment.passage import trace


class Sum(nn.Module):
    """Two logits: the sum of the first image row, and of the second."""

    def forward(self, x):
        return torch.stack([x[:, 0, 0].sum(1), x[:, 0, 1].sum(1)], 1)


class Shattered(Stage):
    """Doubles an image, with a derivative of zero that it calls true; offers one of three."""

    differentiable = True

    @property
    def surrogates(self):
        return {"triple": lambda signal, progress: signal.replace(3.0 * progress * signal.x)}

    def transform(self, x):
        return 2.0 * x.detach() + 0.0 * x


class Views(Join):
    """The mean of its inputs' logits, and as a score how far they are apart."""

    def combine(self, *signals):
        first, second = signals[0].x, signals[1].x
        return signals[0].replace((first + second) / 2, score=(first - second).abs().sum(1) - 1.0)


def images(count: int = 2, side: int = 4) -> torch.Tensor:
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0)).mul(255).round() / 255


def signal(x: torch.Tensor) -> Signal:
    return Signal(x, Draws.of("craft", 0, [b"%d" % i for i in range(len(x))]))


def gradient(deployment: Deployment, way: str, progress: float = 1.0, **more) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits and the first logit's gradient in the first row of the first image."""
    x = images().requires_grad_(True)
    backward = ways.backward(way, **more)
    assert backward is not None
    logits = backward(deployment, signal(x), progress).x
    (slope,) = torch.autograd.grad(logits[:, 0].sum(), x)
    return logits.detach(), slope[0, 0, 0]


@pytest.mark.parametrize(
    ("way", "progress", "slope"),
    [
        ("as-it-is", 1.0, 0.0),
        ("straight-through", 1.0, 0.0),  # it believes the stage
        ("identity", 1.0, 1.0),
        ("surrogate:triple", 1.0, 3.0),
        ("surrogate:triple", 0.5, 1.5),
        ("surrogate:of another stage", 1.0, 0.0),
    ],
)
def test_each_way_answers_exactly_and_has_its_own_derivative(way, progress, slope) -> None:
    deployment = Deployment.chain(Capture(), Shattered(), Classify(Sum()))
    logits, found = gradient(deployment, way, progress)
    torch.testing.assert_close(logits, deployment(signal(images())).x)
    torch.testing.assert_close(found, torch.full((4,), slope))


class Rounded(Stage):
    """Rounds, and says that it has no derivative."""

    differentiable = False

    def transform(self, x):
        return torch.round(x.detach() * 3) / 3


class Offering(Rounded):
    @property
    def surrogates(self):
        return {"identity": lambda signal, progress: signal, "soft": lambda signal, progress: signal}


class Drawn(Rounded):
    """Has a derivative, whatever it says, which draws hide."""

    randomised = True

    def transform(self, x):
        return x * 0.5


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ((Capture(),), ("as-it-is",)),  # nothing to stand in for
        ((Drawn(),), ("straight-through", "as-it-is", "learned")),
        ((Shattered(),), ("as-it-is", "surrogate:triple", "identity", "learned")),
        ((Rounded(),), ("straight-through", "learned")),  # usual is the identity already
        ((Offering(),), ("straight-through", "surrogate:soft", "learned")),
        ((Shattered(), Rounded()), ("straight-through", "surrogate:triple", "identity", "learned")),
    ],
)
def test_the_ways_that_differ(stages, expected) -> None:
    deployment, x = Deployment.chain(*stages, Classify(Sum())), signal(images())
    assert ways.ways(deployment, trace(deployment, x)[0], x) == expected


class Shrunk(Stage):
    """Halves the sides, without a derivative or anything in its place."""

    differentiable = False

    def transform(self, x):
        return nn.functional.avg_pool2d(x.detach(), 2)


@pytest.mark.parametrize("way", ["as-it-is", "straight-through", "identity", "surrogate:soft", "learned"])
def test_where_nothing_has_a_derivative_the_gradient_is_zero_and_no_error(way) -> None:
    deployment = Deployment.chain(Capture(), Shrunk(), Classify(Sum()))
    logits, found = gradient(deployment, way)
    torch.testing.assert_close(logits, deployment(signal(images())).x)
    torch.testing.assert_close(found, torch.zeros(4))
    backward = ways.backward(way)
    seen = Surface(deployment, knowledge="adaptive", access="gradient", shape=(1, 4, 4), classes=2, backward=backward)
    x = images().requires_grad_(True)
    (slope,) = torch.autograd.grad(seen.examine(x).views.sum(), x)
    assert not slope.any()


def test_every_surrogate_is_a_way_where_what_comes_out_is_no_image() -> None:
    class Tokens(Shattered):
        def transform(self, x):
            return x.flatten(2).detach()

    deployment, x = Deployment.chain(Capture(), Tokens(), Classify(nn.Flatten())), signal(images())
    assert ways.ways(deployment, trace(deployment, x)[0], x) == ("as-it-is", "surrogate:triple")


def graph() -> Deployment:
    classify = Classify(Sum())
    return Deployment(
        [
            Node("capture", Capture()),
            Node("doubled", Shattered(), ("capture",)),
            Node("plain", classify, ("capture",)),
            Node("view", classify, ("doubled",)),
            Node("decide", Views(), ("plain", "view")),
        ]
    )


def test_what_changes_an_image_is_what_is_learned() -> None:
    x = signal(images())
    assert ways.transforming(trace(graph(), x)[0], x) == ("doubled",)
    plain = Deployment.chain(Capture(), Classify(Sum()))
    assert ways.transforming(trace(plain, x)[0], x) == ()
    assert mimic.learn(plain, torch.zeros(8, 1, 4, 4, dtype=torch.uint8), epsilon=0.1, seed=0) == ({}, {})


def pool(count: int = 512) -> torch.Tensor:
    return (images(count, 8) * 255).round().to(torch.uint8)


def test_a_network_learns_what_a_stage_does_and_gives_the_derivative_that_it_hides() -> None:
    mimics, fidelity = mimic.learn(graph(), pool(), epsilon=0.1, seed=0)
    assert list(mimics) == ["doubled"]
    assert fidelity["doubled"] > 0.95
    x = images(4, 8)
    assert float((mimics["doubled"](x) - 2 * x).abs().mean()) < 0.5 * float(x.mean())
    logits, slope = gradient(graph(), "learned", mimics=mimics)
    torch.testing.assert_close(logits, graph()(signal(images())).x)
    # Half of the mean of the plain view's 1 and the doubled view's 2.
    assert float(slope.mean()) == pytest.approx(1.5, abs=0.25)


def test_the_same_seed_teaches_the_same_network_and_it_can_be_stored() -> None:
    first, second, other = (mimic.learn(graph(), pool(128), epsilon=0.1, seed=s)[0]["doubled"] for s in (0, 0, 1))
    state = first.state_dict()
    assert all(torch.equal(state[n], t) for n, t in second.state_dict().items())
    assert any(not torch.equal(state[n], t) for n, t in other.state_dict().items())
    loaded = mimic.load({f"doubled/{n}": t for n, t in state.items()} | {"_empty": torch.zeros(1)})
    torch.testing.assert_close(loaded["doubled"](images(2, 8)), first(images(2, 8)), rtol=0, atol=0)


def test_a_stage_that_draws_is_learned_in_the_mean() -> None:
    class Noise(Stage):
        randomised = True

        def forward(self, given):
            noise = torch.from_numpy(given.draws.normal("noise", *given.x.shape[1:])).float()
            return given.replace(given.x + 0.3 * noise)

    deployment = Deployment.chain(Noise(), Classify(Sum()))
    mimics, fidelity = mimic.learn(deployment, pool(), epsilon=0.1, seed=0)
    (only,) = mimics.values()
    x = images(4, 8)
    assert float((only(x) - x).abs().mean()) < 0.1
    assert next(iter(fidelity.values())) > 0.9


def test_an_adaptive_attacker_examines_every_view_and_the_score() -> None:
    seen = Surface(
        graph(), knowledge="adaptive", access="gradient", shape=(1, 4, 4), classes=2, backward=ways.backward("identity")
    )
    x = images().requires_grad_(True)
    found = seen.examine(x)
    plain, doubled = Sum()(x), Sum()(2 * x)
    torch.testing.assert_close(found.views, torch.stack([plain, doubled, (plain + doubled) / 2]))
    torch.testing.assert_close(found.logits, (plain + doubled) / 2)
    assert found.score is not None
    torch.testing.assert_close(found.score, (plain - doubled).abs().sum(1) - 1)
    assert not found.refuses
    (slope,) = torch.autograd.grad(found.views[1].sum(), x)
    torch.testing.assert_close(slope[:, :, :2], torch.ones(2, 1, 2, 4))
    assert seen.queries.forward == 2
    assert seen.queries.gradient == 2


def test_an_attacker_who_knows_nothing_of_the_defense_may_not_look_inside() -> None:
    outside = Surface(
        graph(),
        knowledge="white-box",
        access="gradient",
        shape=(1, 4, 4),
        classes=2,
        backward=ways.backward("as-it-is"),
    )
    with pytest.raises(PermissionError, match="answers only"):
        outside.examine(images())
