"""Defed's deployment: modes, gradients, and training that leaves the classifier alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.deployment import Capture, Classify, Deployment, Draws, FitResult, Node, Pool, Signal
from bench.deployment.macs import count_macs
from bench.errors import UsageError
from bench_defed.defense import Denoising
from bench_defed.network import BaseNet, Defed
from bench_defed.stages import Decide, Denoise
from bench_defed.training import RECIPE, train_denoiser
from bench_models.networks import LeNet5

THRESHOLDS = torch.tensor([0.5, 0.8])


def classifier(classes: int = 4) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, classes)).eval()


def deployment(mode: str, thresholds: torch.Tensor = THRESHOLDS) -> Deployment:
    classify, nodes, inputs = Classify(classifier(), "device"), [], ["capture", "answer"]
    torch.manual_seed(5)
    for place in range(2):
        denoise = Denoise(Defed(1, "laplacian").eval(), "device")
        nodes += [Node(f"d{place}", denoise, ("capture",)), Node(f"v{place}", classify, (f"d{place}",))]
        inputs += [f"d{place}", f"v{place}"]
    head = Decide(thresholds, 1.0, mode, "device")
    first = [Node("capture", Capture()), Node("answer", classify, ("capture",))]
    return Deployment([*first, *nodes, Node("decide", head, tuple(inputs))])


def signal(x: torch.Tensor) -> Signal:
    return Signal(x, Draws.of("score", 0, [bytes([i]) * 16 for i in range(len(x))]))


def images(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_where_nothing_can_be_flagged_the_label_is_the_classifiers():
    x = images()
    never = torch.full((2,), torch.inf)
    torch.testing.assert_close(deployment("correct", never)(signal(x)).x, classifier()(x))
    found = deployment("reject", never)(signal(x))
    assert not found.side["rejected"].any()


def test_rejecting_keeps_the_label_and_says_by_how_much_the_worst_score_is_over():
    x = images()
    always = torch.full((2,), -1.0)
    found = deployment("reject", always)(signal(x))
    torch.testing.assert_close(found.x, classifier()(x))
    assert found.side["rejected"].all()
    assert (found.side["score"] > 1.0).all()  # scores are not negative
    assert found.side["score"].shape == (6,)


def test_a_score_at_the_threshold_is_not_flagged():
    x = images(1)
    at = deployment("reject", torch.tensor([0.0, torch.inf]))(signal(x)).side["score"]
    assert not deployment("reject", torch.tensor([at.item(), torch.inf]))(signal(x)).side["rejected"].any()


@pytest.mark.parametrize("mode", ["correct", "denoise", "reject"])
def test_gradients_are_those_of_finite_differences(mode):
    net = deployment(mode, torch.full((2,), -1.0)).double()
    for node in net.nodes:
        if isinstance(node.stage, Denoise):  # keep the output inside [0, 1], away from the clamp
            with torch.no_grad():
                node.stage.network.skip1.chain[-1].weight.zero_()
                node.stage.network.tail[1].weight.zero_()
    x = (0.3 + 0.4 * images(1)).double().requires_grad_()

    def loss(image: torch.Tensor) -> torch.Tensor:
        out = net.walk(signal(image), run, lambda node, leaving: leaving)
        return out.x[:, 0].sum() + (out.side["score"].sum() if mode == "reject" else 0.0)

    (gradient,) = torch.autograd.grad(loss(x), x)
    assert gradient.abs().max() > 1e-4
    rng = np.random.default_rng(0)
    for _ in range(5):
        way = torch.from_numpy(rng.normal(size=x.shape))
        with torch.no_grad():
            slope = (loss(x + 1e-6 * way) - loss(x - 1e-6 * way)) / 2e-6
        assert float((gradient * way).sum()) == pytest.approx(float(slope), rel=1e-4, abs=1e-7)


def run(node, inputs):
    from bench.deployment.deployment import run_node

    return run_node(node, inputs)


def test_the_unclamped_surrogate_is_the_clamp_inside_the_box():
    stage = Denoise(BaseNet(1).eval(), "device")
    found = stage.surrogates["unclamped"](signal(images()), 0.0).x
    exact = stage(signal(images())).x
    inside = (found >= 0) & (found <= 1)
    torch.testing.assert_close(found[inside], exact[inside])
    assert (exact >= 0).all()
    assert (exact <= 1).all()


def learned(sigma: float = 40.0, seed: int = 0, alpha: float = 1.0, epochs: int = 5):
    judge = classifier()
    before = {k: v.clone() for k, v in judge.state_dict().items()}
    x = (torch.rand(96, 1, 8, 8, generator=torch.Generator().manual_seed(2)) * 255).to(torch.uint8)
    y = judge(x / 255.0).argmax(1)
    torch.manual_seed(1)
    said: list[str] = []
    net = train_denoiser(
        Defed(1, "laplacian"),
        judge,
        Pool(x, y),
        replace(RECIPE, epochs=epochs, batch=16),
        sigma=sigma,
        alpha=alpha,
        seed=seed,
        progress=lambda share, text: said.append(text),
    )
    for name, value in judge.state_dict().items():
        assert torch.equal(value, before[name]), name
    return net, [float(text.rpartition(" ")[2]) for text in said]


def test_thirty_steps_lower_the_loss_and_leave_the_classifier_bit_for_bit():
    _, losses = learned()
    assert losses[-1] < 0.9 * losses[0]


def test_same_seed_same_weights():
    first, second, other = (learned(seed=seed, epochs=1)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


def test_without_noise_and_cross_entropy_the_loss_is_the_plain_reconstruction():
    _, losses = learned(sigma=0.0, alpha=0.0)
    assert losses[-1] < losses[0]
    assert losses[0] < 2.0  # a mean squared error of clamped images, no cross-entropy of four classes beside it


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 86_595_704), ({"edge": "sobel"}, 87_273_080), ({"network": "basenet"}, 18_155_640)],
)
def test_a_deployment_costs_what_its_denoisers_and_its_views_cost(given, expected) -> None:
    """Section 9: M denoisers and M + 1 classifications by LeNet-5, for M = 2."""
    defense = Denoising(**given)
    public = {"benign_scores": torch.rand(50, 2), "benign_right": torch.ones(50, dtype=torch.bool)}
    for place in range(2):
        state = defense._denoiser(1, place).state_dict()
        public |= {f"denoiser{place}.{name}": tensor for name, tensor in state.items()}
    shape = (1, 28, 28)
    built = defense.deploy(LeNet5(shape, 10), FitResult(public=public), shape).eval()
    assert count_macs(built, signal(torch.rand(1, *shape))).total() == expected


def fitted(scores: torch.Tensor, right: torch.Tensor) -> FitResult:
    """Return a fit of two untrained denoisers and these scores of the calibration pool."""
    state = Defed(1, "laplacian").state_dict()
    public = {f"denoiser{place}.{name}": value for place in range(2) for name, value in state.items()}
    return FitResult(public={**public, "benign_scores": scores, "benign_right": right})


def deployed(result: FitResult, **parameters) -> Deployment:
    return Denoising(**parameters).deploy(classifier(), result, (1, 8, 8))


def test_what_detects_nothing_asks_for_no_thresholds() -> None:
    result = fitted(torch.rand(20, 2), torch.ones(20, dtype=torch.uint8))
    x = images()
    answers = deployed(result, mode="denoise", fpr=0.0001)(signal(x))
    assert torch.equal(answers.x, deployed(result, mode="denoise")(signal(x)).x)
    with pytest.raises(UsageError, match="at least 9999 calibration images; there are 20"):
        deployed(result, fpr=0.0001)


@pytest.mark.parametrize("calibration", ["joint-quantile", "quantile", "mean-std"])
def test_thresholds_of_no_image_are_refused(calibration: str) -> None:
    result = fitted(torch.rand(20, 2), torch.zeros(20, dtype=torch.uint8))
    with pytest.raises(UsageError, match=r"none of the 20 calibration images right\..*without filtered"):
        deployed(result, calibration=calibration, filtered=True)
    deployed(result, calibration=calibration, fpr=0.5)
