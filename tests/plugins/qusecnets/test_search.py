"""Branch and bound against enumeration of every reachable input of tiny images."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from bench.attack import Threat
from bench.deployment import Draws
from bench_qusecnets.bounds import Bounds
from bench_qusecnets.codeattack import Asked, CodeSpaceAttack
from bench_qusecnets.codespace import CodeSpace
from bench_qusecnets.quantiser import uniform_thresholds
from bench_qusecnets.search import BranchAndBound, Solved
from bench_qusecnets.stages import Quantise

SHAPE = (1, 4, 4)
NEARER = 0.7


class Case:
    """A small random network behind a quantiser, and one image of which some pixels can change their code."""

    def __init__(self, seed: int, levels: int, epsilon: float) -> None:
        torch.manual_seed(seed)
        self.network = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 2, 2), nn.ReLU(), nn.Flatten(),
            nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3),
        ).eval().requires_grad_(False)  # fmt: skip
        self.space = CodeSpace.of(Quantise(uniform_thresholds(levels), levels), 1)
        self.threat = Threat(norm="linf", epsilon=epsilon)
        self.x = torch.randint(0, 256, (1, *SHAPE)).float() / 255
        self.low, self.high = self.space.reach(self.x, self.threat)
        # Near the border, so that there is something to decide.
        logits = self.network(self.space.shown(self.space.ranks_of(self.x)))[0]
        self.label = int(logits.argmax())
        margin = logits[self.label] - logits.topk(2).values[1]
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        last.bias[self.label] -= NEARER * margin
        self.judged = 0

    def judge(self, ranks: Tensor) -> Tensor:
        self.judged += len(ranks)
        return self.network(self.space.shown(ranks)).argmax(1) == self.label

    @property
    def inputs(self) -> int:
        return int((self.high - self.low + 1).double().prod())

    def every(self) -> Tensor:
        pairs = zip(self.low.flatten().tolist(), self.high.flatten().tolist(), strict=True)
        return torch.tensor(list(product(*(range(a, b + 1) for a, b in pairs)))).reshape(-1, *SHAPE)

    def solve(self, **budget: int) -> Solved:
        bounds = Bounds(self.network, SHAPE, torch.float32)
        return BranchAndBound(self.space, bounds, 3, **budget).solve(self.low[0], self.high[0], self.label, self.judge)


@pytest.mark.parametrize(("levels", "epsilon"), [(2, 0.2), (3, 0.1)])
def test_the_verdict_is_that_of_enumeration(levels: int, epsilon: float) -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(40):
        case = Case(seed, levels, epsilon)
        if case.inputs > 5_000:
            continue
        robust = bool(case.judge(case.every()).all())
        found = case.solve(leaf=4)
        assert found.verdict == ("robust" if robust else "broken"), seed
        if found.ranks is not None:
            assert bool(((found.ranks >= case.low[0]) & (found.ranks <= case.high[0])).all())
            assert not bool(case.judge(found.ranks[None])[0])
        verdicts[found.verdict] += 1
    assert min(verdicts["robust"], verdicts["broken"]) >= 3, verdicts


def test_bounds_spare_most_of_the_enumeration() -> None:
    spared = 0
    for seed in range(40):
        case = Case(seed, 2, 0.25)
        found = case.solve(leaf=4)
        spared += found.verdict == "robust" and case.inputs >= 256 and case.judged < case.inputs / 4
    assert spared >= 3


def test_a_budget_that_is_used_up_leaves_the_image_open() -> None:
    found = [Case(seed, 2, 0.35).solve(nodes=1, leaf=1) for seed in range(12)]
    assert "open" in {one.verdict for one in found}
    assert all(one.nodes <= 1 for one in found)


def test_the_attack_never_breaks_what_is_robust_and_finds_nearly_all_of_the_rest() -> None:
    broken = caught = 0
    for seed in range(40):
        case = Case(seed, 2, 0.2)
        if case.inputs > 5_000:
            continue
        label = torch.tensor([case.label])
        draws = Draws.of("craft", 0, [b"image"])
        ranks, lowest = CodeSpaceAttack().search(case.space, Asked(case.network), case.x, label, case.threat, draws)
        robust = bool(case.judge(case.every()).all())
        assert bool(((ranks >= case.low) & (ranks <= case.high)).all())
        assert not (robust and float(lowest) <= 0)
        broken += not robust
        caught += not robust and float(lowest) <= 0
    assert broken >= 5
    assert caught >= broken - 1


def overflowing() -> nn.Module:
    """Return a network of finite answers whose magnitudes are beyond float32: four products of 1.5e38 cancel.

    Class 0 leads unless more than half of the pixels are bright.
    """
    made = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 2), nn.ReLU(), nn.Linear(2, 3)
    ).eval().requires_grad_(False)  # fmt: skip
    first, second, last = made[1], made[3], made[5]
    for layer in (first, second, last):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    first.weight[:4] = 1e20 / 16
    first.weight[4] = 1.0
    second.weight[0, :4] = torch.tensor([1.5e18, -1.5e18, 1.5e18, -1.5e18])
    second.weight[1, 4] = 1.0
    last.weight[0, 0] = last.weight[1, 1] = 1.0
    last.bias[0], last.bias[2] = 8.5, -1.0
    return made


def test_a_bound_that_is_no_number_proves_nothing() -> None:
    network = overflowing()
    space = CodeSpace.of(Quantise(uniform_thresholds(2), 2), 1)
    low, high = torch.zeros(SHAPE, dtype=torch.int64), torch.ones(SHAPE, dtype=torch.int64)
    low[0, 0, 0] = high[0, 0, 0] = 1  # a fixed pixel in front: none to be split at
    asked: list[Tensor] = []

    def judge(ranks: Tensor) -> Tensor:
        asked.append(ranks)
        logits = network(space.shown(ranks))
        assert bool(logits.isfinite().all())
        return logits.argmax(1) == 0

    assert not bool(judge(high[None])[0])
    found = BranchAndBound(space, Bounds(network, SHAPE, torch.float32), 3, leaf=4).solve(low, high, 0, judge)
    assert found.verdict != "robust"
    assert all(bool(((ranks >= low) & (ranks <= high)).all()) for ranks in asked), "every input asked for is reachable"
