"""The control of equal compute: as large as it was asked to be, and trained as it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.deployment import Draws, FitContext, FitResult, Pool, Signal
from bench.deployment.macs import count_macs
from bench.errors import BadParameter, UsageError
from bench.hardware.processor import multiplies_in_bfloat16
from bench.training import Recipe
from bench_baselines import equal_compute
from bench_baselines.equal_compute import EqualCompute
from bench_baselines.plugin import bench_defenses
from bench_baselines.widths import check, macs_of, widest
from bench_models.networks import ResNet20


def context(shape: tuple[int, int, int], **more: object) -> FitContext:
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(96) % 3
    x = torch.randint(0, 64, (96, *shape), generator=generator) + 60 * y[:, None, None, None]
    pool = Pool(x.to(torch.uint8), y)
    return FitContext(
        network=nn.Identity(),
        new_network=nn.Identity,
        pools={"train": pool, "development": pool, "calibration": pool},
        recipe=Recipe(batch=32, small_epochs=2, small_side=4, average=0.9),
        shape=shape,
        classes=3,
        seed=0,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 9, 15)])
def test_it_is_as_large_as_the_counter_of_a_deployment_says(shape) -> None:
    network = ResNet20(shape, 10, width=6).eval()
    deployment = EqualCompute().deploy(nn.Identity(), _result(network), shape)
    counted = count_macs(deployment, Signal(torch.rand(1, *shape), Draws.of("score", 0, [b"a"])))
    assert counted.total() == macs_of(6, shape, 10)


@pytest.mark.parametrize("millions", [1.0, 40.0, 236.0])
def test_the_widest_network_below_the_count_is_taken(millions) -> None:
    width = widest(millions * 1e6, (3, 32, 32), 10)
    assert macs_of(width, (3, 32, 32), 10) <= millions * 1e6 < macs_of(width + 2, (3, 32, 32), 10)


def test_more_compute_than_any_classifier_here_could_use_is_refused() -> None:
    entry = next(entry for entry in bench_defenses() if entry.name == "equal-compute")
    declared = next(parameter for parameter in entry.parameters if parameter.name == "macs")
    for given in ("inf", "1e30"):
        with pytest.raises(BadParameter, match=r"in \[0.1, 10000\]"):
            declared.parse("defense 'equal-compute'", given)
    assert widest(1e6 * declared.maximum, (3, 32, 32), 10) > 100, "and what is not refused is soon found"


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_a_number_that_no_network_meets_is_refused_and_the_least_that_is_named_is_not(shape) -> None:
    with pytest.raises(UsageError, match="Choose macs of at least") as refused:
        check({"macs": 0.1}, shape)
    with pytest.raises(UsageError, match="allows no network"):
        widest(1e5, shape, 10)
    named = float(str(refused.value).split()[-1].rstrip("."))
    check({"macs": named}, shape)
    assert macs_of(widest(named * 1e6, shape, 10), shape, 10) <= named * 1e6
    check({"macs": 0.1}, None)


def test_it_learns_by_its_own_recipe_and_is_deployed_as_it_was_trained() -> None:
    said: list[str] = []
    shape = (1, 8, 8)
    learning = context(shape, radius=0.05, progress=lambda share, text: said.append(text))
    defense = EqualCompute(macs=0.5, epochs=12)
    result = defense.fit(learning)
    assert said[-1].startswith("epoch 12 of 12")
    told = {"radius": 0.05, "inner_steps": 4, "width": 6, "macs": macs_of(6, shape, 3)}
    assert result.notes == told | {"precision": "bf16" if multiplies_in_bfloat16() else "fp32"}
    deployment = defense.deploy(nn.Identity(), result, shape).eval()
    pool = learning.pools["train"]
    x = pool.x.float() / 255
    answers = deployment(Signal(x, Draws.of("score", 0, [b"%d" % i for i in range(len(x))]))).x.argmax(1)
    assert float((answers == pool.y).float().mean()) > 0.95


@pytest.mark.parametrize("fast", [True, False])
def test_it_is_trained_in_bfloat16_where_the_processor_multiplies_in_it(monkeypatch, fast: bool) -> None:
    monkeypatch.setattr(equal_compute, "multiplies_in_bfloat16", lambda: fast)
    result = EqualCompute(macs=0.1, epochs=1).fit(context((1, 8, 8), radius=0.1))
    assert result.notes["precision"] == ("bf16" if fast else "fp32")
    assert {value.dtype for value in result.public.values()} == {torch.float32, torch.int64}
    assert "stem.0.weight" in result.public


@pytest.mark.parametrize(("channels", "steps"), [(1, 4), (3, 1)])
def test_one_step_suffices_for_colour_alone(channels: int, steps: int) -> None:
    result = EqualCompute(macs=0.3, epochs=1).fit(context((channels, 8, 8), radius=0.1))
    assert result.notes["inner_steps"] == steps


def test_same_seed_same_weights_another_seed_others() -> None:
    def learned(seed: int) -> dict[str, torch.Tensor]:
        known = context((1, 8, 8), radius=0.1)
        known = FitContext(**{**vars(known), "seed": seed})
        return dict(EqualCompute(macs=0.1, epochs=1).fit(known).public)

    first, again, other = learned(0), learned(0), learned(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.0.weight"], other["stem.0.weight"])


def _result(network: nn.Module) -> FitResult:
    return FitResult(public=dict(network.state_dict()))
