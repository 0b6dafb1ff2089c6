"""A normalisation goes into the layer before it, and nothing else changes."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.deployment.folding import fix_slopes, fold_batch_norms, has_batch_norm
from bench_models.networks import CleverHansCNN, LeNet5, MobileNetV2, ResNet20, ThinVGG

SHAPES = {
    CleverHansCNN: (1, 28, 28),
    LeNet5: (1, 28, 28),
    ResNet20: (3, 32, 32),
    ThinVGG: (3, 32, 32),
    MobileNetV2: (3, 16, 16),
}


def settled(network: nn.Module) -> nn.Module:
    """Return the network in evaluation mode, its normalisations as if they had been trained."""
    generator = torch.Generator().manual_seed(1)
    for part in network.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)) and part.running_mean is not None:
            for tensor, low, high in (
                (part.weight.data, 0.5, 1.5),
                (part.bias.data, -0.2, 0.2),
                (part.running_mean, -0.2, 0.2),
                (part.running_var, 0.5, 1.5),
            ):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return network.eval().requires_grad_(False)


def network_of(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return settled(kind(SHAPES[kind], 10))


def images(shape: tuple[int, ...], count: int = 4) -> Tensor:
    return torch.rand((count, *shape), generator=torch.Generator().manual_seed(2))


def folded(network: nn.Module, x: Tensor) -> tuple[nn.Module, int]:
    other = copy.deepcopy(network)
    return other, fold_batch_norms(other, lambda: other(x))


def slope(network: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(network(x).sum(), x)[0]


def gradient(network: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_(True)
    loss = F.cross_entropy(network(x), torch.arange(len(x)), reduction="sum")
    return torch.autograd.grad(loss, x)[0]


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
def test_every_network_of_the_suite_answers_as_before_and_has_the_same_gradient(kind: type[nn.Module]) -> None:
    network, x = network_of(kind), images(SHAPES[kind], 2)
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    other, count = folded(network, x)
    assert count == norms
    assert not has_batch_norm(other)
    wanted = network(x)
    torch.testing.assert_close(other(x), wanted, rtol=0, atol=1e-5 * max(1.0, float(wanted.abs().max())))
    # In float64: in float32 the least change lets some ReLU end on its other side.
    precise, other, x = network.double(), folded(network.double(), x.double())[0], x[:1].double()
    slope = gradient(precise, x)
    torch.testing.assert_close(gradient(other, x), slope, rtol=0, atol=1e-9 * float(slope.abs().max()))


def test_the_network_that_was_copied_from_keeps_its_normalisations() -> None:
    network, x = network_of(ThinVGG), images(SHAPES[ThinVGG])
    before = network(x)
    other, _ = folded(network, x)
    for part in other.parameters():
        part.data.zero_()
    assert torch.equal(network(x), before)


def test_a_linear_layer_takes_its_normalisation_in_too() -> None:
    network = settled(nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)))
    x = images((3, 2, 2))
    other, count = folded(network, x)
    assert count == 1
    torch.testing.assert_close(other(x), network(x), rtol=0, atol=1e-6)


def test_a_transposed_convolution_takes_its_normalisation_in_too() -> None:
    network = settled(nn.Sequential(nn.ConvTranspose2d(3, 6, 2, stride=2), nn.BatchNorm2d(6), nn.ReLU()))
    x = images((3, 4, 4))
    other, count = folded(network, x)
    assert count == 1
    torch.testing.assert_close(other(x), network(x), rtol=0, atol=1e-6)


def test_a_slope_that_is_one_number_becomes_one() -> None:
    one, each, seen = nn.PReLU(init=-0.3), nn.PReLU(3), nn.PReLU()
    heard: list[Tensor] = []
    seen.register_forward_hook(lambda layer, inputs, output: heard.append(output))
    network = nn.Sequential(one, nn.Conv2d(3, 3, 1), each, seen).requires_grad_(False)
    x = images((3, 4, 4)) - 0.5
    wanted, steep = network(x), slope(network, x)
    assert fix_slopes(network) == 1
    assert [type(part) for part in network] == [nn.LeakyReLU, nn.Conv2d, nn.PReLU, nn.PReLU]
    assert torch.equal(network(x), wanted)
    assert torch.equal(slope(network, x), steep)
    assert len(heard) == 4


class Early(nn.Module):
    """Normalises before its layer (pre-activation)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layer = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(F.relu(self.norm(x))).flatten(1)


class Twice(nn.Module):
    """One layer in two places, each with a normalisation of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.layer(self.first(self.layer(x)))).flatten(1)


def without_statistics() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten())


def in_training() -> nn.Module:
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()))
    network[1].train()
    return network


def hooked() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    network[0].register_forward_hook(lambda layer, inputs, output: output * 2)
    return network


def reparametrized() -> nn.Module:
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    return nn.Sequential(layer, nn.BatchNorm2d(4), nn.Flatten())


def transposed_in_groups() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), nn.Flatten())


@pytest.mark.parametrize(
    "make", [Early, Twice, without_statistics, in_training, hooked, reparametrized, transposed_in_groups]
)
def test_what_is_no_layer_with_a_settled_normalisation_of_its_own_is_left(make) -> None:
    network = make() if make is in_training else settled(make())
    before = [type(part) for part in network.modules()]
    x = images((4 if make is transposed_in_groups else 3, 6, 6))
    wanted = copy.deepcopy(network)(x)
    assert fold_batch_norms(network, lambda: network(x)) == 0
    assert [type(part) for part in network.modules()] == before
    if make is not in_training:  # whose statistics move with every batch
        assert torch.equal(network(x), wanted)


def test_a_network_that_is_run_several_times_for_one_answer_is_folded() -> None:
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()))
    x = images((3, 6, 6))
    wanted = network(x) + network(x.flip(-1))
    assert fold_batch_norms(network, lambda: (network(x), network(x.flip(-1)))) == 1
    torch.testing.assert_close(network(x) + network(x.flip(-1)), wanted, rtol=0, atol=1e-5)
