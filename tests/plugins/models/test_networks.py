from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import UsageError
from bench_models.plugin import bench_models

ENTRIES = {entry.name: entry for entry in bench_models()}
GREY, COLOUR = (1, 28, 28), (3, 32, 32)
# By hand: the stem, three times six convolutions of 3x3 on 32x32, 16x16 and 8x8, the linear layer.
_RESNET = (
    32 * 32 * 16 * 27 + 32 * 32 * 16 * 6 * 144 + 16 * 16 * 32 * (144 + 5 * 288) + 8 * 8 * 64 * (288 + 5 * 576) + 640
)


def _architecture(name: str, **parameters):
    module, _, factory = ENTRIES[name].factory.partition(":")
    return getattr(import_module(module), factory)(**parameters)


def _count(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _macs(network, shape) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("name", "parameters", "shape", "expected"),
    [
        ("cleverhans-cnn", {}, GREY, 710_218),  # QuSecNets' network: 4,160 + 295,040 + 409,728 + 1,290
        ("cleverhans-cnn", {}, COLOUR, 722_250),  # 12,352 + 295,040 + 409,728 + 5,130
        ("lenet5", {}, GREY, 44_426),  # Defed's released classifier
        ("lenet5", {"padding": 2}, GREY, 61_706),  # EdgePro's
        ("vgg-thin", {}, COLOUR, 579_786),  # Defed's released classifier for SVHN
        ("resnet20", {}, COLOUR, 269_722),  # He et al. 2016, table 6: 0.27 M
    ],
)
def test_the_number_of_parameters_is_the_papers(name, parameters, shape, expected):
    assert _count(_architecture(name, **parameters).build(shape, 10)) == expected


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("cleverhans-cnn", GREY, 802_816 + 7_372_800 + 409_600 + 1_280),
        ("cleverhans-cnn", COLOUR, 3_145_728 + 10_616_832 + 1_638_400 + 5_120),
        ("lenet5", GREY, 24 * 24 * 6 * 25 + 8 * 8 * 16 * 150 + 256 * 120 + 120 * 84 + 840),  # by hand
        ("resnet20", COLOUR, _RESNET),
    ],
)
def test_the_number_of_multiply_accumulates_is_the_papers(name, shape, expected):
    assert _macs(_architecture(name).build(shape, 10), shape) == expected


@pytest.mark.parametrize("name", sorted(ENTRIES))
@pytest.mark.parametrize("shape", [COLOUR, (1, 32, 32)])
def test_every_network_gives_finite_logits_and_gradients(name, shape):
    torch.manual_seed(0)
    network = _architecture(name).build(shape, 7).eval()
    x = torch.rand(2, *shape, requires_grad=True)
    logits = network(x)
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_seed_decides_the_initialisation(name):
    built = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        built.append(torch.cat([p.detach().flatten() for p in _architecture(name).build(COLOUR, 10).parameters()]))
    assert torch.equal(built[0], built[1])
    assert not torch.equal(built[0], built[2])


def test_digits_and_signs_are_not_mirrored_in_training():
    for name in ENTRIES:
        for dataset in ("digits", "mnist", "svhn", "gtsrb", "imagefolder"):
            assert not _architecture(name).recipe(dataset).flip, (name, dataset)
    assert _architecture("resnet20").recipe("cifar10").flip
    assert _architecture("mobilenet-v2").recipe("cifar10").flip


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("vgg-thin", GREY, "at least 32x32; got 28x28"),
        ("cleverhans-cnn", (1, 16, 16), "at least 28x28"),
        ("lenet5", (1, 15, 15), "at least 16x16"),
        ("resnet20", (4, 32, 32), "1 or 3 channels; got 4"),
    ],
)
def test_images_that_a_network_cannot_take_are_a_plain_error(name, shape, says):
    with pytest.raises(UsageError, match=says):
        _architecture(name).build(shape, 10)


@pytest.mark.parametrize(
    ("name", "parameters", "smallest"),
    [("cleverhans-cnn", {}, 28), ("lenet5", {}, 16), ("lenet5", {"padding": 2}, 12), ("vgg-thin", {}, 32)],
)
def test_the_smallest_images_that_a_network_says_it_takes_do_work(name, parameters, smallest):
    shape = (1, smallest, smallest)
    assert _architecture(name, **parameters).build(shape, 3).eval()(torch.zeros(1, *shape)).shape == (1, 3)
    with pytest.raises(UsageError):
        _architecture(name, **parameters).build((1, smallest - 1, smallest - 1), 3)
