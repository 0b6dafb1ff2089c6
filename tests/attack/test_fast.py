"""The copy that attacks meet is the same function, and what it cannot do is left as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.attack import Surface, Threat
from bench.attack.fast import fast_copy
from bench.attack.surrogate import as_it_is, straight_through
from bench.deployment import Capture, Classify, Deployment, Draws, FitResult, Signal, Stage
from bench_defed.defense import Denoising
from bench_models.networks import ResNet20
from bench_qusecnets.defense import ConstantQuantization
from bench_superiot.defense import SuperIoT

SHAPE = (3, 32, 32)


def resnet() -> nn.Module:
    torch.manual_seed(0)
    network = ResNet20(SHAPE, 10)
    generator = torch.Generator().manual_seed(1)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.copy_(0.2 * torch.randn(part.running_mean.shape, generator=generator))
            part.running_var.copy_(0.5 + torch.rand(part.running_var.shape, generator=generator))
    return network.eval()


def plain() -> Deployment:
    return Deployment.chain(Capture(), Classify(resnet()))


def superiot() -> Deployment:
    return SuperIoT().deploy(resnet(), FitResult(), SHAPE)


def quantised() -> Deployment:
    defense = ConstantQuantization(levels=4)
    public = {f"network.{name}": tensor for name, tensor in resnet().state_dict().items()}
    return defense.deploy(resnet(), FitResult(public=public), SHAPE)


def images(count: int = 2, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(3)).float() / 255.0


def signal(x: Tensor) -> Signal:
    return Signal(x, Draws.of("craft", 0, [bytes([row]) for row in range(len(x))]))


def gradient(deployment: Deployment, backward, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_(True)
    loss = F.cross_entropy(backward(deployment, signal(x)).x, torch.arange(len(x)), reduction="sum")
    return torch.autograd.grad(loss, x)[0]


@pytest.mark.parametrize("make", [plain, superiot, quantised])
@pytest.mark.parametrize("backward", [as_it_is, straight_through])
def test_a_fast_copy_answers_as_the_deployment_does_and_has_its_gradient(make, backward) -> None:
    deployment, x = make(), images()
    fast = fast_copy(deployment, SHAPE, backward=backward)
    assert fast.folded == 19
    with torch.no_grad():
        wanted, got = deployment(signal(x)).x, fast.deployment(signal(x)).x
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5 * max(1.0, float(wanted.abs().max())))
    slope, found = (gradient(either, backward, x) for either in (deployment, fast.deployment))
    # To the last digit only in float64 (tests/deployment/test_folding.py): in float32 some ReLU ends on its other side.
    torch.testing.assert_close(found, slope, rtol=0, atol=0.01 * float(slope.abs().max()))


def test_frozen_weights_get_no_gradient() -> None:
    deployment = plain()
    assert any(part.requires_grad for part in deployment.parameters())
    surface = Surface(deployment, knowledge="white-box", access="gradient", shape=SHAPE, classes=10, backward=as_it_is)
    x = images().requires_grad_(True)
    surface.logits(x).sum().backward()
    assert x.grad is not None
    fast = surface.fast.deployment
    assert all(not part.requires_grad and part.grad is None for part in fast.parameters())
    assert all(part.grad is None for part in deployment.parameters())


def test_the_deployment_itself_is_as_it_was() -> None:
    deployment, x = plain(), images()
    with torch.no_grad():
        before = deployment(signal(x)).x
        fast_copy(deployment, SHAPE, backward=as_it_is, precision="bf16").deployment(signal(x))
        assert torch.equal(deployment(signal(x)).x, before)
    assert any(isinstance(part, nn.BatchNorm2d) for part in deployment.modules())


class Leaky(nn.Module):
    """Uses what its layer gives before the normalisation as well."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 30 * 30, 10)
        self.norm.running_var.fill_(9.0)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x)
        return self.head((out + self.norm(out)).flatten(1))


def test_a_network_that_folding_would_change_is_left_as_it_is() -> None:
    deployment, x = Deployment.chain(Capture(), Classify(Leaky())), images()
    fast = fast_copy(deployment, SHAPE, backward=as_it_is)
    assert fast.folded == 0
    with torch.no_grad():
        assert torch.equal(fast.deployment(signal(x)).x, deployment(signal(x)).x)


def test_a_normalisation_in_training_mode_is_left_and_the_rest_is_folded() -> None:
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
    )
    deployment = Deployment.chain(Capture(), Classify(network))
    network[1].train()
    network[1].momentum = 0.0  # or its statistics would move under the comparison
    fast = fast_copy(deployment, SHAPE, backward=as_it_is)
    assert fast.folded == 1
    left = [part for part in fast.deployment.modules() if isinstance(part, nn.BatchNorm2d)]
    assert [part.training for part in left] == [True]


def test_a_deployment_that_cannot_be_copied_is_met_itself() -> None:
    class Unique(Classify):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one of me")

    deployment = Deployment.chain(Capture(), Unique(resnet()))
    assert fast_copy(deployment, SHAPE, backward=as_it_is).deployment is deployment


def test_wide_convolutions_take_channels_last_and_narrow_networks_stay() -> None:
    def layouts(network: nn.Module) -> set[bool]:
        fast = fast_copy(Deployment.chain(Capture(), Classify(network)), SHAPE, backward=as_it_is)
        return {
            part.weight.is_contiguous(memory_format=torch.channels_last)
            for part in fast.deployment.modules()
            if isinstance(part, nn.Conv2d)
        }

    narrow = nn.Sequential(nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.Flatten())
    assert layouts(resnet()) == {True}
    assert layouts(narrow) == {False}


class Viewing(nn.Module):
    """Takes ``view`` of a map, as much code does, which nothing that is channels last allows."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 3, padding=1))
        self.head = nn.Linear(16 * 32 * 32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x).view(len(x), -1))


def test_a_network_that_views_its_maps_keeps_their_layout_and_is_folded() -> None:
    network = Viewing().eval()
    deployment, x = Deployment.chain(Capture(), Classify(network)), images()
    fast = fast_copy(deployment, SHAPE, backward=as_it_is)
    assert fast.folded == 1
    assert fast_copy(deployment, SHAPE, backward=as_it_is, precision="bf16").precision == "bf16"
    assert torch.allclose(gradient(fast.deployment, as_it_is, x), gradient(deployment, as_it_is, x), atol=1e-6)


class ClippedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.view(len(gradient), -1).clamp(-1, 1).view(gradient.shape)


def test_a_network_that_views_its_gradients_keeps_its_layout() -> None:
    class Clipping(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(ClippedGradient.apply(x))

    network = Clipping(nn.Conv2d(8, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    whole = nn.Sequential(nn.Conv2d(3, 8, 3), network)
    deployment = Deployment.chain(Capture(), Classify(whole.eval()))
    fast = fast_copy(deployment, SHAPE, backward=as_it_is)
    assert torch.allclose(
        gradient(fast.deployment, as_it_is, images()), gradient(deployment, as_it_is, images()), atol=1e-6
    )


def test_no_step_of_a_resnets_gradient_mixes_two_layouts() -> None:
    class Layouts(TorchDispatchMode):
        """Notes operations on maps of several channels that are not all channels last."""

        def __init__(self) -> None:
            super().__init__()
            self.mixed: list[str] = []

        def __torch_dispatch__(self, operation, types, given=(), named=None):
            said = operation(*given, **(named or {}))
            maps = [t for t in (*given, said) if isinstance(t, Tensor) and t.dim() == 4 and min(t.shape[1:]) > 3]
            if any(not t.is_contiguous(memory_format=torch.channels_last) for t in maps):
                self.mixed.append(str(operation))
            return said

    fast = fast_copy(plain(), SHAPE, backward=as_it_is)
    with Layouts() as seen:
        gradient(fast.deployment, as_it_is, images())
    # The mean over pixels has a gradient that is one number a channel.
    assert set(seen.mixed) <= {"aten.expand.default", "aten.div.Scalar", "aten.threshold_backward.default"}
    assert seen.mixed.count("aten.threshold_backward.default") <= 1


def test_bfloat16_changes_the_gradient_a_little_and_no_answer() -> None:
    deployment, x = plain(), images(3)
    exact, lowered = (fast_copy(deployment, SHAPE, backward=as_it_is, precision=p) for p in ("fp32", "bf16"))
    assert (exact.precision, lowered.precision) == ("fp32", "bf16")
    with torch.no_grad():
        assert torch.equal(lowered.deployment(signal(x)).x, exact.deployment(signal(x)).x)
    fine, coarse = (gradient(fast.deployment, as_it_is, x).flatten(1) for fast in (exact, lowered))
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, fine)
    assert float(F.cosine_similarity(fine, coarse).min()) > 0.95


def test_a_copy_that_is_first_asked_without_a_gradient_is_as_fast_as_any() -> None:
    with torch.no_grad():
        assert fast_copy(plain(), SHAPE, backward=as_it_is, precision="bf16").precision == "bf16"


def test_what_a_stage_computes_itself_stays_in_float32() -> None:
    class Product(Stage):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("matrix", torch.eye(32) * (1 + 2**-12))  # 1 in bfloat16

        def transform(self, x: Tensor) -> Tensor:
            return x @ self.matrix

    deployment, x = Deployment.chain(Product(), Classify(nn.Flatten())), images()
    lowered = fast_copy(deployment, SHAPE, backward=as_it_is, precision="bf16")
    assert lowered.precision == "bf16"
    found = as_it_is(lowered.deployment, signal(x.clone().requires_grad_(True))).x.detach()
    torch.testing.assert_close(found, as_it_is(deployment, signal(x)).x, rtol=1e-6, atol=1e-7)
    assert not torch.equal(found, x.flatten(1))


def test_convolutions_in_groups_stay_in_float32() -> None:
    grouped = nn.Conv2d(8, 8, 3, groups=8)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), grouped, nn.Flatten())
    lowered = fast_copy(Deployment.chain(Classify(network)), SHAPE, backward=as_it_is, precision="bf16")
    seen = []
    for part in lowered.deployment.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda part, _, out: seen.append((part.groups, out.dtype)))
    gradient(lowered.deployment, as_it_is, images())
    assert seen == [(1, torch.bfloat16), (8, torch.float32)]


def test_a_network_that_bfloat16_breaks_keeps_float32() -> None:
    class ByNumPy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 8, 3)

        def forward(self, x: Tensor) -> Tensor:
            out = self.layer(x)
            scale = np.abs(out.detach().numpy()).max()  # NumPy has no bfloat16
            return (out / float(scale)).mean((2, 3))

    fast = fast_copy(Deployment.chain(Capture(), Classify(ByNumPy())), SHAPE, backward=as_it_is, precision="bf16")
    assert fast.precision == "fp32"
    assert torch.isfinite(gradient(fast.deployment, as_it_is, images())).all()


class Brightness(nn.Module):
    """Class 1 for images brighter than .5, and by how much."""

    def forward(self, x: Tensor) -> Tensor:
        level = x.flatten(1).mean(1)
        return torch.stack([0.5 - level, level - 0.5], 1)


def surface(*stages: Stage, **options) -> Surface:
    chain = Deployment.chain(*(stages or (Capture(), Classify(Brightness()))))
    given = {"knowledge": "white-box", "access": "gradient", "backward": as_it_is, "settled": True, **options}
    return Surface(chain, shape=(1, 4, 4), classes=2, **given)


def grey(*levels: float) -> Tensor:
    return torch.tensor(levels)[:, None, None, None].expand(-1, 1, 4, 4).clone()


def test_an_image_is_broken_when_what_a_camera_would_deliver_is_answered_wrongly_inside_the_ball() -> None:
    threat, subject = Threat(norm="linf", epsilon=8 / 255), surface(Classify(Brightness()))
    x, y = grey(*[127 / 255] * 5), torch.zeros(5, dtype=torch.int64)
    found = grey(128 / 255, 127 / 255, 127.4 / 255, 127.6 / 255, 128 / 255)
    found[2, 0, 0] = 128 / 255  # brighter than .5 in the mean, 127.25 as it is delivered
    found[3, 0, 0] = 126.9 / 255  # darker in the mean, 127.75 as it is delivered
    found[4, 0, 0, 0] = 0.9  # outside
    assert subject.broken(x, found, y, threat).tolist() == [True, False, False, True, False]
    assert subject.queries.forward == 5
    as_found = Threat(norm="linf", epsilon=8 / 255, domain="float")
    assert subject.broken(x, found, y, as_found).tolist() == [True, False, True, False, False]


def test_a_tie_breaks_nothing() -> None:
    threat = Threat(norm="linf", epsilon=8 / 255, domain="float")
    x, y = grey(0.49), torch.zeros(1, dtype=torch.int64)
    subject = surface(Classify(Brightness()))  # without a border, which would round
    assert subject.broken(x, grey(0.5 + 1e-7), y, threat).tolist() == [False]
    assert subject.broken(x, grey(0.5 + 1e-4), y, threat).tolist() == [True]


def test_the_deployment_itself_decides_not_the_copy() -> None:
    subject = surface()
    other = subject.fast.deployment.stages[-1].network
    other.forward = lambda x: torch.tensor([[1.0, 0.0]]).expand(len(x), -1)
    x, found = grey(0.49), grey(130 / 255)
    assert subject.predict(found).tolist() == [0], "the copy was replaced"
    assert subject.broken(x, found, torch.tensor([0]), Threat(norm="linf", epsilon=0.1)).tolist() == [True]


def test_a_withheld_answer_breaks_nothing() -> None:
    class Suspicious(Classify):
        def forward(self, signal: Signal) -> Signal:
            score = signal.x.flatten(1).amax(1) - 0.52
            return signal.replace(self.network(signal.x), score=score, rejected=score > 0)

    subject = surface(Capture(), Suspicious(Brightness()))
    x, found, y = grey(0.49, 0.49), grey(130 / 255, 140 / 255), torch.tensor([0, 0])
    assert subject.broken(x, found, y, Threat(norm="linf", epsilon=0.1)).tolist() == [True, False]


def test_nothing_is_broken_for_good_where_another_draw_or_deployment_judges() -> None:
    subject = surface(settled=False)
    assert subject.broken(grey(0.49), grey(0.9), torch.tensor([0]), Threat(norm="linf", epsilon=1.0)).tolist() == [
        False
    ]
    assert subject.queries.forward == 0


def test_defed_is_folded_where_its_denoisers_and_classifier_have_normalisations() -> None:
    defense = Denoising()
    public = {}
    for place in range(len(defense._sigmas(3))):
        denoiser = defense._denoiser(3, place)
        public |= {f"denoiser{place}.{name}": tensor for name, tensor in denoiser.state_dict().items()}
    views = len(defense._sigmas(3))
    public |= {"benign_scores": torch.rand(50, views), "benign_right": torch.ones(50, dtype=torch.bool)}
    deployment, x = defense.deploy(resnet(), FitResult(public=public), (3, 8, 8)), images(2, (3, 8, 8))
    fast = fast_copy(deployment, (3, 8, 8), backward=as_it_is)
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in deployment.modules())
    assert fast.folded == norms > 19
    assert not any(isinstance(part, (nn.BatchNorm2d, nn.PReLU)) for part in fast.deployment.modules())
    with torch.no_grad():
        wanted, got = deployment(signal(x)).x, fast.deployment(signal(x)).x
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5 * max(1.0, float(wanted.abs().max())))
