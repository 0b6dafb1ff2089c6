"""The certificate is never above the truth, and says so where it has nothing to say."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.attack import UNCERTIFIED, Threat
from bench.deployment import Capture, Classify, Deployment
from bench.errors import Unavailable
from bench_models.networks import ResNet20
from bench_qusecnets.certificate import certify
from bench_qusecnets.codespace import CodeSpace
from bench_qusecnets.quantiser import uniform_thresholds
from bench_qusecnets.stages import Quantise, SoftQuantise


def deployed(seed: int, levels: int, *, soft: bool = False) -> tuple[Deployment, nn.Module, CodeSpace]:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)
    ).eval().requires_grad_(False)  # fmt: skip
    t = uniform_thresholds(levels)
    stage = SoftQuantise(t, levels, 40.0) if soft else Quantise(t, levels)
    return Deployment.chain(stage, Classify(network)), network, CodeSpace.of(stage, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 3]), st.sampled_from([0.0, 0.05, 0.2]))
def test_what_is_certified_is_the_answer_to_every_reachable_input(seed: int, levels: int, epsilon: float) -> None:
    deployment, network, space = deployed(seed, levels)
    x = torch.randint(0, 256, (4, 1, 3, 3)).float() / 255
    threat = Threat(norm="linf", epsilon=epsilon)
    labels = certify(deployment, x, threat)
    low, high = space.reach(x, threat)
    for row, label in enumerate(labels.tolist()):
        if label == UNCERTIFIED:
            continue
        choices = [range(int(a), int(b) + 1) for a, b in zip(low[row].flatten(), high[row].flatten(), strict=True)]
        every = torch.tensor(list(product(*choices))).reshape(-1, 1, 3, 3)
        assert set(network(space.shown(every)).argmax(1).tolist()) == {label}


def test_with_nothing_reachable_every_answer_is_certified() -> None:
    for soft in (False, True):
        deployment, network, space = deployed(1, 4, soft=soft)
        x = torch.randint(0, 256, (20, 1, 3, 3)).float() / 255
        labels = certify(deployment, x, Threat(norm="linf", epsilon=0.0))
        assert torch.equal(labels, network(space.shown(space.ranks_of(x))).argmax(1))


def test_some_images_are_certified_and_some_are_not() -> None:
    found = []
    for seed in range(6):
        deployment, _, _ = deployed(seed, 2)
        x = torch.randint(0, 256, (30, 1, 3, 3)).float() / 255
        found.append(certify(deployment, x, Threat(norm="linf", epsilon=0.1)) != UNCERTIFIED)
    share = float(torch.cat(found).double().mean())
    assert 0.2 < share < 1.0


def test_another_threat_network_or_defense_has_no_certificate() -> None:
    deployment, _, _ = deployed(0, 2)
    x = torch.zeros(2, 1, 3, 3)
    with pytest.raises(Unavailable, match="not l2"):
        certify(deployment, x, Threat(norm="l2", epsilon=0.1))
    residual = Deployment.chain(Quantise(uniform_thresholds(2), 2), Classify(ResNet20((3, 32, 32), 10).eval()))
    with pytest.raises(Unavailable, match="no bounds of this classifier"):
        certify(residual, torch.zeros(1, 3, 32, 32), Threat(norm="linf", epsilon=0.1))
    deep = Deployment.chain(Quantise(uniform_thresholds(2), 2), Classify(nn.Sequential(nn.Linear(3, 2), nn.Flatten())))
    with pytest.raises(Unavailable, match="no bounds of this classifier: Linear of values of 3 dimensions"):
        certify(deep, x, Threat(norm="linf", epsilon=0.1))
    with pytest.raises(Unavailable, match="no quantiser"):
        certify(Deployment.chain(Capture(), Classify(nn.Flatten())), x, Threat(norm="linf", epsilon=0.1))
