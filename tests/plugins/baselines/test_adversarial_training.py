"""Adversarial training, its inner attack, and what it buys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.deployment import Draws, FitContext, Pool, Signal
from bench.training import Recipe
from bench_baselines.adversarial_training import AdversarialTraining, Inner, perturbed


def generator() -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[0, 0]))


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 9, 2))


def bars(count: int) -> Pool:
    """The brighter half tells the class three times in four and stands an attack; a faint pattern tells it always."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, count)
    side = np.where(rng.random(count) < 0.75, y, 1 - y) * 2 - 1
    halves = np.where(np.arange(8) < 4, -1.0, 1.0)
    checks = np.where(np.add.outer(np.arange(8), np.arange(8)) % 2, -1.0, 1.0)
    x = 0.5 + 0.15 * side[:, None, None] * halves + 0.05 * (2 * y[:, None, None] - 1) * checks
    return Pool(torch.from_numpy((x * 255).round().astype(np.uint8))[:, None], torch.from_numpy(y))


@pytest.mark.parametrize("inner", [Inner(0.1, 1, 1.25), Inner(0.1, 10, 0.25)])
def test_the_inner_attack_stays_in_the_ball_and_the_box_and_raises_the_loss(inner) -> None:
    pool, network = bars(64), small()
    x = pool.x.float() / 255
    found = perturbed(network, x, pool.y, inner, generator())
    assert float((found - x).abs().max()) <= inner.epsilon + 1e-6
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    noise = perturbed(network, x, pool.y, Inner(inner.epsilon, 1, 0.0), generator())
    with torch.no_grad():
        assert functional.cross_entropy(network(found), pool.y) > functional.cross_entropy(network(noise), pool.y)


def context(pool: Pool, network: nn.Module, **more: object) -> FitContext:
    return FitContext(
        network=network,
        new_network=small,
        pools={"train": pool, "development": pool, "calibration": pool},
        recipe=Recipe(epochs=3, batch=32, rate=5e-3, smoothing=0.1, small_epochs=2, small_side=4),
        shape=(1, 8, 8),
        classes=2,
        seed=0,
        **more,  # type: ignore[arg-type]
    )


def test_what_is_trained_stands_where_plain_training_falls_and_leaves_the_given_network_alone() -> None:
    pool, given = bars(512), small()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    x = pool.x.float() / 255
    shares = {}
    for steps, epsilon in ((5, 0.1), (1, 1e-6)):
        defense = AdversarialTraining(epsilon=epsilon, steps=steps, step=0.5, epochs=20)
        result = defense.fit(context(pool, given))
        deployment = defense.deploy(small(), result, (1, 8, 8))
        network = deployment.nodes[-1].stage.network
        attacked = perturbed(network, x, pool.y, Inner(0.1, 20, 0.25), generator())
        names = [b"%d" % i for i in range(len(x))]
        answers = deployment(Signal(attacked, Draws.of("score", 0, names))).x.argmax(1)
        shares[epsilon] = float((answers == pool.y).float().mean())
    assert shares[0.1] > 0.65
    assert shares[1e-6] < 0.5
    assert all(torch.equal(before[name], value) for name, value in given.state_dict().items())


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"epsilon": 0.1}, 0.1), ({}, 0.2)],
)
def test_the_radius_is_the_data_sets_where_none_is_given(monkeypatch, given, expected) -> None:
    seen = []

    def noted(network, x, y, inner, rng):
        seen.append(inner)
        return x

    monkeypatch.setattr("bench_baselines.adversarial_training.perturbed", noted)
    result = AdversarialTraining(**given, steps=3).fit(context(bars(640), small(), radius=0.2))
    assert seen[-1].epsilon == expected
    assert {inner.steps for inner in seen} == {3}
    # 20 batches an epoch, and at least 1,000 steps of the optimiser where the attack has several.
    assert result.notes["epochs"] == 50
    assert len(seen) == 1000


@pytest.mark.parametrize(
    ("channels", "given", "expected"),
    [
        (1, {}, (40, 1 / 30)),  # what the shipped fits were trained with, to the bit
        (3, {}, (1, 1.25)),
        (1, {"steps": 1}, (1, 4 / 3)),
        (1, {"steps": 10}, (10, 4 / 30)),
        (3, {"steps": 7}, (7, 1.25 / 7)),
        (1, {"steps": 1, "step": 0.5}, (1, 0.5)),
        (3, {"step": 0.5}, (1, 0.5)),
    ],
)
def test_however_many_steps_are_taken_they_go_as_far_together(channels, given, expected) -> None:
    inner = AdversarialTraining(epsilon=0.1, **given).inner(channels, 0.2)
    assert (inner.epsilon, inner.steps) == (0.1, expected[0])
    assert inner.step == (expected[1] if "steps" not in given else pytest.approx(expected[1], rel=1e-12))


def test_same_seed_same_weights_and_an_interrupted_fit_goes_on(tmp_path) -> None:
    pool = bars(64)

    def learned(**more: object) -> dict[str, torch.Tensor]:
        return dict(AdversarialTraining(epsilon=0.1, steps=2, epochs=3).fit(context(pool, small(), **more)).public)

    class Stopped(Exception):
        pass

    def stop(share: float, text: str) -> None:
        if share > 0.5:
            raise Stopped

    whole = learned()
    with pytest.raises(Stopped):
        learned(scratch=tmp_path, progress=stop)
    assert (tmp_path / "training.safetensors").exists()
    resumed = learned(scratch=tmp_path)
    assert all(torch.equal(whole[name], value) for name, value in resumed.items())
