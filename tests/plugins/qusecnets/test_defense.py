"""Fitting and deploying CQ and TQ: toys whose outcome is known, determinism, options."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.api import plan
from bench.deployment import Deployment, Draws, FitContext, Pool, Signal
from bench.errors import BadParameter
from bench.plugins.parameters import resolve
from bench.training import Recipe
from bench_qusecnets.defense import ConstantQuantization, TrainableQuantization
from bench_qusecnets.plugin import bench_defenses
from bench_qusecnets.quantiser import uniform_thresholds
from bench_qusecnets.stages import Quantise, SoftQuantise
from bench_qusecnets.training import ThresholdSteps, TrainableThresholds

CQ, TQ = bench_defenses()


def _network(shape: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))


def _two_greys(seed: int = 0, *, epochs: int) -> FitContext:
    """256 images of 16 equal pixels, grey 26 (about .1, class 0) or 77 (about .3, class 1); one step an epoch."""
    y = torch.randint(0, 2, (256,), generator=torch.Generator().manual_seed(seed))
    x = torch.where(y == 1, 77, 26).to(torch.uint8)[:, None, None, None].expand(256, 1, 4, 4).contiguous()
    pool = Pool(x, y)
    return FitContext(
        network=_network((1, 4, 4), 2, seed),
        new_network=lambda: _network((1, 4, 4), 2, seed),
        pools={"train": pool, "development": pool},
        recipe=Recipe(epochs=epochs, batch=256, smoothing=0.0),
        shape=(1, 4, 4),
        classes=2,
        seed=seed,
    )


def _stripes(seed: int = 0, **recipe: object) -> FitContext:
    """Colour images whose class is a channel that is brighter than the others; three steps an epoch."""
    generator = torch.Generator().manual_seed(7)
    y = torch.randint(0, 3, (192,), generator=generator)
    x = torch.randint(0, 120, (192, 3, 6, 6), generator=generator)
    x[torch.arange(192), y] += 100
    pool = Pool(x.to(torch.uint8), y)
    return FitContext(
        network=_network((3, 6, 6), 3, 100 + seed),
        new_network=lambda: _network((3, 6, 6), 3, seed),
        pools={"train": pool, "development": pool},
        recipe=Recipe(**{"epochs": 4, "batch": 64, **recipe}),
        shape=(3, 6, 6),
        classes=3,
        seed=seed,
    )


def _answers(deployment: Deployment, x: torch.Tensor) -> torch.Tensor:
    return deployment.answer(Signal(x.float() / 255.0, Draws.of("score", 0, [b"%d" % i for i in range(len(x))]))).x


@pytest.mark.parametrize(
    ("seed", "epochs"), [(0, 500), *(pytest.param(seed, 1500, marks=pytest.mark.slow) for seed in (0, 1, 2))]
)
def test_thresholds_of_tq_move_between_the_classes(seed, epochs) -> None:
    context = _two_greys(seed, epochs=epochs)
    defense = TrainableQuantization(levels=2)
    result = defense.fit(context)
    (threshold,) = result.public["thresholds"].tolist()
    assert 0.2 < threshold < 0.3
    assert result.notes["thresholds"] == pytest.approx([threshold], abs=1e-6)
    assert result.notes["threshold_shift"] == pytest.approx(0.5 - threshold, abs=1e-6)
    deployment = defense.deploy(context.new_network(), result, context.shape)
    pool = context.pools["train"]
    assert torch.equal(_answers(deployment, pool.x).argmax(1), pool.y)


def test_thresholds_at_constant_hardness_500_are_dead_and_stay() -> None:
    context = _two_greys(epochs=100)
    result = TrainableQuantization(levels=2, hardness=500.0).fit(context)
    assert result.public["thresholds"].tolist() == [0.5]
    majority = max(float((context.pools["train"].y == k).double().mean()) for k in (0, 1))
    assert result.notes["development_accuracy_after_freeze"] <= majority  # all images have the same codes


def test_cq_learns_behind_its_codes_and_keeps_its_thresholds() -> None:
    context = _stripes(epochs=20)
    defense = ConstantQuantization(levels=4)
    result = defense.fit(context)
    assert result.notes["thresholds"] == [0.25, 0.5, 0.75]
    assert result.notes["effective_levels"] == 4
    assert set(result.public) == {"network.1.weight", "network.1.bias"}
    deployment = defense.deploy(context.network, result, context.shape)
    pool = context.pools["train"]
    right = float((_answers(deployment, pool.x).argmax(1) == pool.y).double().mean())
    assert right > 0.9
    assert right == pytest.approx(result.notes["development_accuracy_hard"])


@pytest.mark.parametrize("make", [ConstantQuantization, TrainableQuantization])
def test_fitting_repeats_to_the_bit_and_depends_on_the_seed(make) -> None:
    first, again, other = (make(levels=3).fit(_stripes(seed)) for seed in (0, 0, 1))
    assert first.public.keys() == again.public.keys()
    assert all(torch.equal(first.public[name], again.public[name]) for name in first.public)
    assert first.notes == again.notes
    assert not torch.equal(first.public["network.1.weight"], other.public["network.1.weight"])


@pytest.mark.parametrize("make", [ConstantQuantization, TrainableQuantization])
def test_how_codes_travel_changes_nothing_of_what_is_learned(make) -> None:
    packed, deflated = (make(levels=3, coding=coding).fit(_stripes()) for coding in ("packed", "deflate"))
    assert all(torch.equal(packed.public[name], deflated.public[name]) for name in packed.public)
    assert packed.notes == deflated.notes


@pytest.mark.parametrize("name", ["qusec-cq", "qusec-tq"])
def test_codings_share_one_fit_and_levels_do_not(name, tmp_path) -> None:
    def fits(variants: str) -> int:
        planned = plan(
            store=tmp_path,
            defenses=f"{name}[{variants}]",
            datasets="digits",
            attacks="fgsm",
            hardware="none",
        )
        return sum(task.kind == "fit" and name in task.label for task in planned.tasks.values())

    assert fits("coding=packed|radix|deflate") == 1
    assert fits("levels=2|3") == 2


def test_answers_do_not_depend_on_how_images_are_batched() -> None:
    context = _stripes()
    defense = TrainableQuantization(levels=4)
    stage = defense.deploy(context.network, defense.fit(context), context.shape).stages[0]
    x = context.pools["train"].x.float() / 255
    split = torch.cat([stage.transform(part) for part in (x[:1], x[1:8], x[8:])])
    assert torch.equal(split, stage.transform(x))


@pytest.mark.parametrize(
    "options",
    [
        {"per_channel": True},
        {"schedule": "alternate"},
        {"form": "reference"},
        {"deploy": "soft", "hardness": 5.0},
        {"deploy": "soft", "form": "reference", "hardness": 5.0},
        {"start": "pretrained", "epochs": 2},
        {"freeze_epochs": 0},
        {"per_channel": True, "form": "reference", "coding": "radix"},
    ],
)
def test_every_option_of_tq_fits_and_deploys_what_it_fitted(options) -> None:
    context = _stripes(epochs=6)
    defense = TrainableQuantization(levels=3, **options)
    result = defense.fit(context)
    thresholds = result.public["thresholds"]
    count = 3 if options.get("form") == "reference" else 2
    assert thresholds.shape == ((3, count) if options.get("per_channel") else (count,))
    assert (thresholds.diff() >= 0).all()
    assert result.notes["threshold_shift"] > 0
    deployment = defense.deploy(context.new_network(), result, context.shape)
    pool = context.pools["train"]
    right = float((_answers(deployment, pool.x).argmax(1) == pool.y).double().mean())
    noted = "development_accuracy_soft" if options.get("deploy") == "soft" else "development_accuracy_after_freeze"
    assert right == pytest.approx(result.notes[noted])
    assert right > 0.5 or "start" in options  # the toy's trained classifier knows nothing either
    first = deployment.stages[1] if options.get("deploy") == "soft" else deployment.stages[0]
    assert isinstance(first, SoftQuantise if options.get("deploy") == "soft" else Quantise)


def test_alternation_trains_weights_in_even_epochs_and_thresholds_in_odd_ones() -> None:
    """One epoch moves weights alone; the second moves thresholds alone."""
    context = _stripes(epochs=1)
    defense = TrainableQuantization(levels=3, schedule="alternate", freeze_epochs=0)
    one = defense.fit(context)
    assert torch.equal(one.public["thresholds"], uniform_thresholds(3))
    assert not torch.equal(one.public["network.1.weight"], context.new_network()[1].weight)
    constant = TrainableQuantization(levels=3, schedule="alternate", freeze_epochs=0, hardness=5.0)
    short, longer = (constant.fit(_stripes(epochs=epochs)) for epochs in (1, 2))
    assert torch.equal(short.public["network.1.weight"], longer.public["network.1.weight"])
    assert not torch.equal(short.public["thresholds"], longer.public["thresholds"])


@pytest.mark.parametrize(("bounded", "expected"), [(True, [0.0, 1.0]), (False, [-0.001, 1.001])])
def test_thresholds_are_kept_inside_the_box_unless_they_are_the_reference_forms(bounded, expected) -> None:
    layer = TrainableThresholds(torch.tensor([0.0, 1.0]), 3, 5.0)
    steps = ThresholdSteps(layer, nn.Identity(), h0=5.0, h1=80.0, bounded=bounded)
    layer.thresholds.grad = torch.tensor([1.0, -1.0])
    steps.after_step()
    assert layer.thresholds.tolist() == pytest.approx(expected, abs=1e-6)


def test_hardness_grows_geometrically_with_the_share_of_steps() -> None:
    layer = TrainableThresholds(uniform_thresholds(2), 2, 1.0)
    steps = ThresholdSteps(layer, nn.Identity(), h0=5.0, h1=80.0, bounded=True)
    seen = []
    for share in (0.0, 0.25, 0.5, 0.75):
        steps.before_step(share)
        seen.append(layer.hardness)
    steps.finish()
    assert [*seen, layer.hardness] == pytest.approx([5, 10, 20, 40, 80])


def test_the_frozen_epoch_leaves_thresholds_and_moves_weights() -> None:
    without, with_one = (TrainableQuantization(levels=3, freeze_epochs=n).fit(_stripes()) for n in (0, 1))
    assert torch.equal(without.public["thresholds"], with_one.public["thresholds"])
    assert not torch.equal(without.public["network.1.weight"], with_one.public["network.1.weight"])
    assert without.notes["development_accuracy_before_freeze"] == with_one.notes["development_accuracy_before_freeze"]


def test_tq_equals_one_adam_over_weights_and_thresholds_where_the_recipe_is_that_adam() -> None:
    """The authors' code has one optimiser at 1e-3 for all; an independent loop over the soft formula agrees."""
    context = _stripes(epochs=1, batch=192, smoothing=0.0)
    result = TrainableQuantization(levels=3, hardness=5.0, freeze_epochs=0).fit(context)
    network, pool = context.new_network(), context.pools["train"]
    thresholds = uniform_thresholds(3).requires_grad_()
    optimiser = torch.optim.Adam([*network.parameters(), thresholds], lr=1e-3)
    x = pool.x.float() / 255
    soft = sum(torch.sigmoid(5.0 * (x - t)) for t in thresholds) / 2
    nn.functional.cross_entropy(network(soft), pool.y).backward()
    optimiser.step()
    torch.testing.assert_close(result.public["thresholds"], thresholds.detach(), atol=1e-6, rtol=0)
    torch.testing.assert_close(result.public["network.1.weight"], network[1].weight.detach(), atol=1e-5, rtol=0)


def test_an_sgd_recipe_made_for_weights_does_not_throw_the_thresholds_about() -> None:
    context = _stripes(optimiser="sgd", rate=0.2, one_cycle=True, average=0.9, weight_decay=5e-4, flip=True, shift=1)
    result = TrainableQuantization(levels=4).fit(context)
    steps = 4 * 3
    assert 0 < result.notes["threshold_shift"] <= 1.01e-3 * steps * 2
    assert result.notes["effective_levels"] == 4


def test_a_pretrained_start_goes_on_from_the_trained_classifier() -> None:
    context = _stripes()
    trained = context.network[1].weight.detach().clone()
    defense = ConstantQuantization(levels=4, start="pretrained", epochs=1)
    moved = defense.fit(context).public["network.1.weight"]
    assert 0 < float((moved - trained).abs().max()) < 1e-3


def test_bit_depth_squeezing_is_a_choice_of_thresholds() -> None:
    assert ConstantQuantization(levels=3, thresholds="rounding").thresholds.tolist() == [0.25, 0.75]
    with pytest.raises(BadParameter, match="uniform where form=reference"):
        ConstantQuantization(levels=3, thresholds="rounding", form="reference")


def test_a_soft_cq_is_trained_and_deployed_with_the_same_layer() -> None:
    context = _stripes()
    defense = ConstantQuantization(levels=2, deploy="soft", hardness=5.0, form="reference")
    result = defense.fit(context)
    deployment = defense.deploy(context.network, result, context.shape)
    pool = context.pools["train"]
    right = float((_answers(deployment, pool.x).argmax(1) == pool.y).double().mean())
    assert right == pytest.approx(result.notes["development_accuracy_soft"])
    on_codes = ConstantQuantization(levels=2).fit(_stripes())
    assert not torch.equal(on_codes.public["network.1.weight"], result.public["network.1.weight"])


@pytest.mark.parametrize(("entry", "make"), [(CQ, ConstantQuantization), (TQ, TrainableQuantization)])
def test_entries_declare_what_the_classes_take_with_the_same_defaults(entry, make) -> None:
    given = resolve(f"defense '{entry.name}'", entry.parameters, {})
    assert vars(make(**given)).keys() == vars(make()).keys()
    for name, value in vars(make()).items():
        other = vars(make(**given))[name]
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
    assert entry.family == "qusec"
    assert entry.trains


@pytest.mark.parametrize("levels", [1, 257, "many", 2.5])
def test_levels_outside_2_to_256_are_refused(levels) -> None:
    with pytest.raises(BadParameter, match=r"'levels' of defense 'qusec-cq' must be an integer in \[2, 256\]"):
        resolve("defense 'qusec-cq'", CQ.parameters, {"levels": levels})
