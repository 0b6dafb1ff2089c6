"""What inspection sees of a deployment."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, Signal, Stage
from bench.tasks import learning


class Sums(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[..., 0].sum((1, 2)), x[..., 1].sum((1, 2))], 1)


class Wary(Stage):
    """Leaves an image alone unless neighbours in it differ by more than a tenth; then gives black."""

    def transform(self, x: Tensor) -> Tensor:
        rough = x.diff(dim=-1).abs().amax((1, 2, 3), keepdim=True) > 0.1
        return torch.where(rough, 0.0 * x, x)


def test_ways_are_found_for_what_acts_on_noisy_images_only(monkeypatch) -> None:
    levels = torch.arange(40, 48).mul(3).to(torch.uint8)
    x = levels[:, None, None, None].expand(8, 1, 4, 4).contiguous().numpy()
    store = SimpleNamespace(read=lambda key: SimpleNamespace(tensors={"x": x}))
    spec = {"deployment": {"network": {"classes": 2}}, "images": "", "radius": 0.1}
    seen = []
    for stages in ((Capture(), Wary()), (Capture(),)):
        deployment = Deployment.chain(*stages, Classify(Sums()))
        monkeypatch.setattr(learning, "deployment_of", lambda store, described, made=deployment: made)
        seen.append(dict(learning.inspect_deployment(spec, store).meta))
    assert seen[0]["ways"] == ["as-it-is", "identity", "learned"]
    assert seen[1]["ways"] == ["as-it-is"]


class Seldom(Stage):
    """Brightens one image of fifty, by a draw that it does not declare."""

    def forward(self, signal: Signal) -> Signal:
        drawn = torch.from_numpy(signal.draws.uniform("coin", 1, 1, 1)).float()
        return signal.replace(signal.x + 0.1 * (drawn < 0.02))


class Flat(Stage):
    """One row an image, which are no logits."""

    differentiable = False

    def transform(self, x: Tensor) -> Tensor:
        return x.detach().flatten(1)


class Pairs(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 8, 2).sum(1)


def test_a_draw_that_falls_seldom_is_seen_and_derivatives_are_those_that_are_declared(monkeypatch) -> None:
    x = torch.full((8, 1, 4, 4), 128, dtype=torch.uint8).numpy()
    store = SimpleNamespace(read=lambda key: SimpleNamespace(tensors={"x": x}))
    spec = {"deployment": {"network": {"classes": 2}}, "images": "", "radius": 0.1}
    made = Deployment.chain(Seldom(), Flat(), Classify(Pairs()))
    monkeypatch.setattr(learning, "deployment_of", lambda store, described: made)
    seen = learning.inspect_deployment(spec, store).meta
    assert seen["randomised"] is False
    assert round(seen["difference"], 4) == 0.8
    assert [name.split("-")[1] for name in seen["derivatives"]] == ["seldom", "classify"]
    assert seen["views"] == 1


class Gain(Stage):
    """Multiplies each pixel by 1 + n, with n standard normal: half of a draw's squared gradient is the mean's."""

    randomised = True

    def forward(self, signal: Signal) -> Signal:
        drawn = torch.from_numpy(signal.draws.normal("gain", *signal.x.shape[1:])).float()
        return signal.replace(signal.x * (1.0 + drawn))


def test_each_way_averages_the_draws_that_its_own_gradients_ask_for(monkeypatch) -> None:
    x = torch.full((8, 1, 16, 16), 128, dtype=torch.uint8).numpy()
    store = SimpleNamespace(read=lambda key: SimpleNamespace(tensors={"x": x}))
    spec = {"deployment": {"network": {"classes": 2}}, "images": "", "radius": 0.1}
    made = Deployment.chain(Gain(), Classify(Sums()))
    monkeypatch.setattr(learning, "deployment_of", lambda store, described: made)
    seen = learning.inspect_deployment(spec, store).meta
    assert seen["ways"] == ["as-it-is", "identity", "learned"]
    assert seen["noise"]["draws"] == 16
    assert seen["noise"]["ways"] == {"as-it-is": 16, "identity": 1}
