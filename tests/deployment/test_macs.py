import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.deployment import INPUT, Capture, Classify, Deployment, Draws, Node, Signal, Stage
from bench.deployment.macs import count_macs


def signal(*shape):
    return Signal(torch.rand(1, *shape), Draws.of("profile", 0, [b"0"]))


class Functional(Stage):
    """Functional calls only: a convolution, an FFT, a matrix product."""

    def transform(self, x):
        features = torch.fft.fft2(F.conv2d(x, torch.ones(8, 3, 3, 3), padding=1)).abs().flatten(2)[0]
        return features @ torch.ones(1024, 8)


class Declared(Functional):
    macs_declared = 1000


class Fourier(Stage):
    placement = "device"

    def transform(self, x):
        return torch.fft.fft2(x).abs().clamp(0, 1)


def small():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 64, 10),
    )  # fmt: skip


def test_a_small_network_counted_by_hand():
    macs = count_macs(Deployment.chain(Capture(), Classify(small())), signal(3, 32, 32))
    assert macs.total("server") == 32 * 32 * 32 * 27 + 16 * 16 * 64 * 288 + 4096 * 10 == 5_644_288
    assert macs.total("device") == 0
    assert macs.total() == 5_644_288


def test_functional_calls_are_counted_and_declared_ones_added():
    assert count_macs(Deployment.chain(Functional()), signal(3, 32, 32)).total() == 286_720
    assert count_macs(Deployment.chain(Declared()), signal(3, 32, 32)).total() == 287_720


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [("mobilenet_v2", 300_774_272, 3_504_872), ("resnet18", 1_814_073_344, 11_689_512)],
)
def test_published_networks(name, macs, parameters):
    models = pytest.importorskip("torchvision.models")
    network = getattr(models, name)(weights=None)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert count_macs(Deployment.chain(Classify(network)), signal(3, 224, 224)).total() == macs


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_count_is_that_of_torchs_own_counter(mode):
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, groups=1), nn.ConvTranspose2d(8, 4, 2), nn.Flatten(2), nn.Linear(49, 16),
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Flatten(),
    ).eval()  # fmt: skip

    class Quiet(Classify):
        def transform(self, x):
            with mode():
                return self.network(x).clone()

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 3, 8, 8))
    assert counter.get_total_flops() > 0
    assert count_macs(Deployment.chain(Quiet(network)), signal(3, 8, 8)).total() == counter.get_total_flops() // 2


def test_counting_does_not_import_the_compiler():
    code = """if True:
        import sys, torch
        from bench.deployment import Classify, Deployment, Draws, Signal
        from bench.deployment.macs import count_macs
        signal = Signal(torch.rand(1, 4), Draws.of("profile", 0, [b"0"]))
        assert count_macs(Deployment.chain(Classify(torch.nn.Linear(4, 3))), signal).total() == 12
        assert "torch._dynamo" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_counter_cannot_see_is_unknown_and_never_zero():
    macs = count_macs(Deployment.chain(Fourier(), Classify(small())), signal(3, 32, 32))
    assert macs.nodes == {"0-fourier": None, "1-classify": 5_644_288}
    assert macs.total("device") is None
    assert macs.total() is None
    assert macs.total("server") == 5_644_288
    assert macs.unknown() == ("0-fourier",)
    assert macs.unknown("server") == ()


def test_a_stage_that_runs_twice_counts_twice():
    shared = Classify(nn.Conv2d(3, 3, 3, padding=1))
    macs = count_macs(Deployment([Node("a", shared, (INPUT,)), Node("b", shared, ("a",))]), signal(3, 8, 8))
    assert macs.total() == 2 * 8 * 8 * 3 * 27
