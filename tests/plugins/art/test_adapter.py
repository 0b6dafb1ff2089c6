from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.analysis.gates.convergence import convergence
from bench.attack import Batch, Surface, Threat
from bench.attack.path import Path as FollowedPath
from bench.attack.surrogate import as_it_is
from bench.deployment import Classify, Deployment, Draws, Signal
from bench.errors import BadParameter, Unavailable, UnknownName
from bench_art import adapter
from bench_art.adapter import ArtAttack
from bench_art.door import Nearest
from bench_art.procedures import Craft
from bench_art.row import Row
from bench_art.table import BY_NAME, ROWS

from .conftest import EPSILONS, MakeSurface, Shape, Tiny, draws_for, images

BatchOn = Callable[[nn.Module, Tensor], Batch]
GREY: Shape = (1, 28, 28)
# Below the quick budget where its size proves nothing more here.
CUT = {
    "max_iter": 3, "binary_search_steps": 2, "square_iter": 3, "num_rotations": 2, "num_translations": 2, "k": 4,
    "num_trial": 4, "init_eval": 10, "beta": 0.1, "query_limit": 200,
}  # fmt: skip


def _attack(row: Row, **parameters: float | str) -> ArtAttack:
    chosen = {**dict(row.quick.parameters)}
    chosen |= {p.name: CUT[p.name] for p in row.parameters if p.name in CUT}
    if row.name == "sign-opt":  # a line search takes hundreds of queries, one by one
        chosen["max_iter"] = 1
    return ArtAttack(row, **{**chosen, **parameters})


def _threat(row: Row) -> Threat:
    return Threat(norm=row.norm, epsilon=EPSILONS[row.norm])


@pytest.mark.parametrize("shape", [GREY, (3, 32, 32)], ids=["grey", "colour"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_attack_returns_images_and_leaves_the_world_as_it_was(
    row: Row,
    shape: Shape,
    surface_of: MakeSurface,
    batch_on: BatchOn,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "multiprocess" in row.requires:
        pytest.importorskip("multiprocess", reason="ART's AutoAttack needs the package multiprocess")
    monkeypatch.chdir(tmp_path)
    network = Tiny(shape)
    batch = batch_on(network, images(shape, 3))
    before = batch.x.clone()
    found = []
    for scramble in (1, 2):
        torch.manual_seed(scramble)
        np.random.seed(scramble)
        random.seed(scramble)
        states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
        surface = surface_of(network, shape, row.access)
        found.append(_attack(row).run(surface, batch, _threat(row)).x_adv)
        assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
        assert surface.queries.forward > 0
        assert (surface.queries.gradient > 0) == (row.access == "gradient")
    x_adv = found[0]
    assert x_adv.shape == batch.x.shape
    assert x_adv.dtype == torch.float32
    assert torch.isfinite(x_adv).all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert torch.equal(batch.x, before), "the clean images were written to"
    assert torch.equal(found[0], found[1]), "a repetition differs"
    assert row.minimum_norm or _threat(row).contains(batch.x, x_adv).all()
    assert not list(tmp_path.iterdir()), "files were left in the working directory"
    output = capfd.readouterr()
    assert output.out == ""
    assert "%|" not in output.err, "a progress bar was drawn"


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.separable])
def test_separable_attacks_treat_an_image_alone_as_in_a_batch(
    name: str, surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    row, network = BY_NAME[name], Tiny(GREY)
    batch = batch_on(network, images(GREY, 4))
    together = _attack(row).run(surface_of(network, GREY, row.access), batch, _threat(row)).x_adv
    alone = Batch(batch.x[2:3], batch.y[2:3], batch.draws[2:3], batch.seed + 5)
    found = _attack(row).run(surface_of(network, GREY, row.access), alone, _threat(row)).x_adv
    torch.testing.assert_close(found, together[2:3], rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["hopskipjump-l2", "hopskipjump-linf", "boundary"])
def test_decision_attacks_run_under_numpy_2_and_repeat_to_the_bit(
    name: str, surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    row, network = BY_NAME[name], Tiny(GREY)
    batch = batch_on(network, images(GREY, 3))
    runs = [_attack(row, max_iter=6).run(surface_of(network, GREY, "decision"), batch, _threat(row)) for _ in range(2)]
    assert torch.equal(runs[0].x_adv, runs[1].x_adv)
    assert (network(runs[0].x_adv).argmax(1) != batch.y).any(), "it never left the clean image"
    other = Batch(batch.x, batch.y, Draws.of("craft", 9, [b"a", b"b", b"c"]), batch.seed)
    moved = _attack(row, max_iter=6).run(surface_of(network, GREY, "decision"), other, _threat(row)).x_adv
    assert not torch.equal(moved, runs[0].x_adv), "the seed is not used"


class Suspicious(Classify):
    """Answers 1 where an image is brighter than .3, and withholds that answer up to .45."""

    def __init__(self) -> None:
        super().__init__(nn.Identity())

    def forward(self, signal: Signal) -> Signal:
        bright = signal.x.flatten(1).mean(1)
        score = torch.where(bright > 0.3, 0.45 - bright, -1.0)
        return signal.replace(torch.stack([0.3 - bright, bright - 0.3], 1), score=score, rejected=score > 0)


@pytest.mark.parametrize("name", ["hopskipjump-l2", "hopskipjump-linf", "boundary"])
def test_a_refusal_is_no_success_of_an_attack_that_sees_answers_alone(name: str) -> None:
    deployment = Deployment.chain(Suspicious())
    surface = Surface(
        deployment, knowledge="black-box", access="decision", shape=GREY, classes=2, backward=None, block=b"test"
    )
    x = images(GREY, 2) * 0.2
    found = _attack(BY_NAME[name], max_iter=6).run(
        surface, Batch(x, torch.zeros(2, dtype=torch.int64), draws_for(x), 0), _threat(BY_NAME[name])
    )
    moved = (found.x_adv != x).flatten(1).any(1)
    said = deployment(Signal(found.x_adv, draws_for(x)))
    assert (said.x.argmax(1)[moved] == 1).all()
    assert not said.side["rejected"].any()
    assert moved.any(), "it never left the clean image"


@pytest.mark.parametrize("target", ["random", "next"])
def test_jsma_changes_the_image(target: str, surface_of: MakeSurface, batch_on: BatchOn) -> None:
    network = Tiny(GREY)
    batch = batch_on(network, images(GREY, 6))
    found = (
        _attack(BY_NAME["jsma"], target=target).run(surface_of(network, GREY), batch, _threat(BY_NAME["jsma"])).x_adv
    )
    assert (Threat(norm="l0", epsilon=1).distance(batch.x, found) > 0).all()


def test_jsma_aims_at_every_wrong_class_and_never_at_the_true_one(
    surface_of: MakeSurface, monkeypatch: pytest.MonkeyPatch
) -> None:
    aims: list[np.ndarray] = []

    def record(self: Craft, attack: object, rows: object, labels: np.ndarray, number: int) -> np.ndarray:
        aims.append(labels)
        return self.x

    monkeypatch.setattr(Craft, "attempt", record)
    x = images(GREY, 100)
    y = torch.arange(100) % 10
    for target in ("random", "next"):
        attack = _attack(BY_NAME["jsma"], target=target)
        attack.run(surface_of(Tiny(GREY), GREY), Batch(x, y, draws_for(x), 0), _threat(BY_NAME["jsma"]))
    assert all((labels != y.numpy()).all() for labels in aims)
    assert set((aims[0] - y.numpy()) % 10) == set(range(1, 10))
    scores = Tiny(GREY)(x).detach().numpy()
    scores[np.arange(100), y] = -np.inf
    assert np.array_equal(aims[1], scores.argmax(1))


def test_simba_is_given_probabilities(surface_of: MakeSurface, batch_on: BatchOn) -> None:
    """With logits ART refuses; that this runs shows the softmax, and that it lowers the true class shows its use."""
    network = Tiny(GREY)
    batch, row = batch_on(network, images(GREY, 2)), BY_NAME["simba-px"]
    found = _attack(row, max_iter=60).run(surface_of(network, GREY, "score"), batch, _threat(row)).x_adv
    clean, after = (network(x).softmax(1).gather(1, batch.y[:, None]) for x in (batch.x, found))
    assert (after < clean).all()


def test_steps_are_in_proportion_to_epsilon(surface_of: MakeSurface, batch_on: BatchOn) -> None:
    network = Tiny(GREY)
    batch = batch_on(network, images(GREY).clamp(0.2, 0.8))
    for name, step in (("bim", 1 / 6), ("mim", 0.2)):
        threat = Threat(norm="linf", epsilon=0.06)
        found = ArtAttack(BY_NAME[name], max_iter=1).run(surface_of(network, GREY), batch, threat).x_adv
        assert threat.distance(batch.x, found).numpy() == pytest.approx(0.06 * step, rel=1e-3)


def test_the_patch_spends_no_more_values_than_epsilon_allows(surface_of: MakeSurface, batch_on: BatchOn) -> None:
    shape = (3, 32, 32)
    network = Tiny(shape)
    batch = batch_on(network, images(shape, 2))
    for epsilon, most in ((2.0, 0), (27.0, 27), (80.0, 75)):
        threat = Threat(norm="l0", epsilon=epsilon)
        found = _attack(BY_NAME["patch"]).run(surface_of(network, shape), batch, threat).x_adv
        distance = threat.distance(batch.x, found)
        assert (distance <= most).all()
        assert (distance >= 0.9 * most).all()


def test_restarts_go_on_with_the_images_that_still_stand(surface_of: MakeSurface, batch_on: BatchOn) -> None:
    network = Tiny(GREY)
    batch = batch_on(network, images(GREY, 12))
    threat = Threat(norm="linf", epsilon=0.004)
    wrong = []
    for restarts in (1, 4):
        attack = ArtAttack(BY_NAME["apgd-ce"], max_iter=3, restarts=restarts)
        found = attack.run(surface_of(network, GREY), batch, threat).x_adv
        wrong.append(network(found).argmax(1) != batch.y)
    assert (wrong[1] | ~wrong[0]).all(), "a restart undid a success"


class _Sloping(nn.Module):
    """The first class leads by what the image lacks of white: ever less with each step, and never by nothing."""

    def forward(self, x: Tensor) -> Tensor:
        lead = 1.0 - x.flatten(1).mean(1)
        return torch.stack([lead, -lead], 1)


@pytest.mark.parametrize("starts", [1, 3])
def test_what_is_stopped_in_the_middle_is_seen_however_often_it_starts(starts: int) -> None:
    """Of starts that count as one search, the best is found at the end of the first."""
    x, y = images(GREY, 4) * 0.2, torch.zeros(4, dtype=torch.int64)
    threat = Threat(norm="linf", epsilon=0.3)
    path = FollowedPath(x, y, threat)
    surface = Surface(
        Deployment.chain(Classify(_Sloping())), knowledge="adaptive", access="gradient", shape=GREY, classes=2,
        backward=as_it_is, settled=True, path=path,
    )  # fmt: skip
    attack = adapter.pgd_linf(num_random_init=starts, max_iter=8, step=0.05)
    attack.run(surface, Batch(x, y, draws_for(x), 0), threat)
    found = path.evidence(None)
    assert (found["longest"], found["steps"]) == (8, starts * 8 * 4)
    assert convergence(found, "adaptive").outcome == "fail"


class _BetweenTheSteps(nn.Module):
    """Far on the wrong side for values between two steps of a camera's grid, else by the mean of the image."""

    def forward(self, x: Tensor) -> Tensor:
        off = (255.0 * x - torch.round(255.0 * x)).abs().flatten(1).mean(1)
        z = x.flatten(1).mean(1) - 102.5 / 255.0 + 100.0 * (off > 0.25)
        return torch.stack([-z, z], 1)


def test_an_image_leaves_when_it_is_broken_as_it_will_be_judged() -> None:
    surface = Surface(
        Deployment.chain(Classify(_BetweenTheSteps())), knowledge="white-box", access="gradient", shape=GREY, classes=2,
        backward=as_it_is, settled=True,
    )  # fmt: skip
    x, y = torch.full((3, *GREY), 100.0 / 255.0), np.zeros(3, np.int64)
    threat = Threat(norm="linf", epsilon=4.0 / 255.0)
    craft = Craft(BY_NAME["apgd-ce"], {}, surface, threat, None, x.numpy(), y, draws_for(x))
    found = x + torch.tensor([0.5, 3.0, 5.0])[:, None, None, None] / 255.0  # the last one outside the ball
    assert craft.standing(found.numpy()).tolist() == [0, 2]


class _CoinFlip(nn.Module):
    """Answers at random whatever it is asked: a search for a boundary never ends."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.zeros(len(x), dtype=torch.int64), 10).float()


class _NeverAgain(Deployment):
    """Wrong once for every start, right ever after."""

    asked = 0
    wrong: ClassVar[list[Tensor]] = []

    def forward(self, signal: Signal) -> Signal:
        type(self).asked += 1
        label = 1 if type(self).asked in (3, 4) else 0
        if label:
            self.wrong.append(signal.x)
        return signal.replace(nn.functional.one_hot(torch.full((len(signal),), label), 10).float())


def test_a_search_without_end_is_given_up(surface_of: MakeSurface) -> None:
    surface: Surface = surface_of(_CoinFlip(), GREY, "decision")
    surface._deployment = _NeverAgain.chain(Classify(_CoinFlip()))
    assert surface.fast
    _NeverAgain.asked = 0  # the copy was tried
    _NeverAgain.wrong.clear()
    x = images(GREY, 1)
    batch = Batch(x, torch.zeros(1, dtype=torch.int64), draws_for(x), 0)
    row = BY_NAME["hopskipjump-l2"]
    result = _attack(row, queries=1200).run(surface, batch, _threat(row))
    assert any(torch.equal(result.x_adv, asked) for asked in _NeverAgain.wrong), "what it had found"
    assert result.notes["given_up"].tolist() == [True]
    assert surface.queries.forward <= 1200


@pytest.mark.parametrize("name", ["hopskipjump-l2", "boundary"])
def test_what_was_found_before_the_queries_ran_out_is_given_back(
    name: str, surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    row, network = BY_NAME[name], Tiny(GREY)
    batch = batch_on(network, images(GREY, 2))
    far = []
    for queries in (150, 600):
        result = _attack(row, max_iter=20, queries=queries).run(
            surface_of(network, GREY, "decision"), batch, _threat(row)
        )
        assert result.notes["given_up"].all()
        assert (network(result.x_adv).argmax(1) != batch.y).all()
        far.append(_threat(row).distance(batch.x, result.x_adv))
    assert (far[1] < far[0]).all(), "what it finds later is nearer"


def test_the_image_itself_is_the_nearest_only_where_one_answer_settles_it() -> None:
    x, wrong = torch.full((1, 1, 2, 2), 0.5), torch.tensor([[0.0, 1.0]]).expand(3, -1)
    asked = x + torch.tensor([0.0, 0.3, -0.2])[:, None, None, None]
    for settled, distance in ((True, 0.0), (False, 0.2)):
        nearest = Nearest(x, 0, Threat(norm="linf", epsilon=0.1), itself=settled)
        nearest.note(asked, wrong)
        nearest.note(asked[:2], wrong[:2])
        assert float((nearest.x_adv - x).abs().max()) == pytest.approx(distance, abs=1e-6)


def test_mistakes_are_named(surface_of: MakeSurface, batch_on: BatchOn) -> None:
    with pytest.raises(UnknownName, match="max_iter"):
        adapter.pgd_linf(max_iters=3)
    with pytest.raises(BadParameter, match="integer >= 1"):
        adapter.pgd_linf(max_iter=0)
    with pytest.raises(AttributeError, match="no attribute 'pgd_l7'"):
        adapter.pgd_l7  # noqa: B018
    network = Tiny(GREY, classes=2)
    batch, surface = batch_on(network, images(GREY)), surface_of(network, GREY, classes=2)
    with pytest.raises(Unavailable, match="at least 3 classes; there are 2"):
        adapter.apgd_dlr().run(surface, batch, Threat(norm="linf", epsilon=0.1))
    with pytest.raises(Unavailable, match="untargeted only"):
        adapter.fgsm().run(surface, batch, Threat(norm="linf", epsilon=0.1, targeted=True))


class _Unlucky(nn.Module):
    """Answers as a network does, but wrongly the first time that it is asked about clean images."""

    clean: Tensor | None = None  # of the class: a surface works on a copy

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.network(x)
        if self.clean is None or not torch.equal(x[: len(self.clean)], self.clean):
            return answer
        _Unlucky.clean = None
        return answer.roll(1, 1)


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-targeted", "pgd-linf"])
def test_an_image_that_one_draw_answers_wrongly_is_attacked_all_the_same(
    name: str, surface_of: MakeSurface, batch_on: BatchOn
) -> None:
    network = Tiny(GREY)
    batch = batch_on(network, images(GREY, 12))
    surface = surface_of(_Unlucky(network), GREY)
    _Unlucky.clean = batch.x
    starts = {"num_random_init": 3} if name == "pgd-linf" else {}
    attack = ArtAttack(BY_NAME[name], max_iter=5, **starts)
    found = attack.run(surface, batch, Threat(norm="linf", epsilon=0.05)).x_adv
    assert _Unlucky.clean is None
    assert int((network(found).argmax(1) != batch.y).sum()) > 6
