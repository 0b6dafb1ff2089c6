"""What inspection sees of a deployment."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from bench.deployment import Capture, Classify, Deployment, Stage
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
