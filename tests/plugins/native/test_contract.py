"""What holds of every native attack."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.attack import AttackResult, Threat
from bench.errors import Unavailable
from bench.plugins.entries import Attack
from bench.plugins.parameters import resolve
from bench_native.search import Search

from .conftest import ENTRIES, EPSILONS, Linear, Victim, batch_of, make, surface_of

SHAPE = (1, 32, 32)
CUTS = {"steps": 6, "targets": 2, "queries": 30, "directions": 8, "rate": 0.5, "searches": 2, "constant": 10.0}
ALL = list(ENTRIES)


def _run(
    name: str, victim: Victim, rows: slice | list[int] = slice(None), domain: str = "float", **extra: object
) -> AttackResult:
    network, x, y = victim
    entry = ENTRIES[name]
    cut: dict[str, object] = {p.name: CUTS[p.name] for p in entry.parameters if p.name in CUTS}
    threat = Threat(norm=entry.norm, epsilon=EPSILONS[entry.norm], domain=domain)  # type: ignore[arg-type]
    surface = surface_of(network, SHAPE, entry.access)
    return make(name, **{**cut, **extra}).run(surface, batch_of(x[rows], y[rows]), threat)


@pytest.fixture
def some(digits: Victim) -> Victim:
    network, x, y = digits
    return network, x[:16], y[:16]


@pytest.mark.parametrize("name", ALL)
def test_what_is_found_for_an_image_does_not_depend_on_the_others(name: str, some: Victim) -> None:
    whole = _run(name, some).x_adv
    assert not torch.equal(whole, some[1])
    for rows in ([3], [15, 0, 7, 8, 2], list(range(16))[::-1]):
        assert torch.equal(_run(name, some, rows).x_adv, whole[rows])


@pytest.mark.parametrize("name", [name for name in ALL if any(p.name == "early" for p in ENTRIES[name].parameters)])
def test_that_images_leave_early_changes_nothing_for_the_others(name: str, some: Victim) -> None:
    whole = _run(name, some, early=True).x_adv
    for rows in ([3], [15, 0, 7, 8, 2]):
        assert torch.equal(_run(name, some, rows, early=True).x_adv, whole[rows])


@pytest.mark.parametrize("name", ["native-pgd-linf", "native-apgd-ce", "native-mim"])
def test_images_stay_for_every_step_where_another_deployment_judges(name: str, some: Victim) -> None:
    """What has just broken the stand-in lies at its boundary, and would break nothing else."""
    network, x, y = some
    threat = Threat(norm="linf", epsilon=EPSILONS["linf"])
    found = {}
    for settled in (False, True):
        for early in (False, True):
            surface = surface_of(network, SHAPE, settled=settled)
            found[settled, early] = make(name, steps=6, early=early).run(surface, batch_of(x, y), threat).x_adv
    assert torch.equal(found[False, True], found[False, False])
    assert not torch.equal(found[True, True], found[True, False])


@pytest.mark.parametrize("domain", ["float", "uint8"])
@pytest.mark.parametrize("name", [name for name in ALL if not ENTRIES[name].minimum_norm])
def test_images_lie_in_ball_and_box_exactly(name: str, domain: str, some: Victim) -> None:
    threat = Threat(norm=ENTRIES[name].norm, epsilon=EPSILONS[ENTRIES[name].norm])  # type: ignore[arg-type]
    found = _run(name, some, domain=domain).x_adv
    assert found.dtype == torch.float32
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert (threat.distance(some[1], found) <= threat.epsilon).all()


@pytest.mark.parametrize("name", [name for name in ALL if not ENTRIES[name].minimum_norm])
def test_a_ball_of_radius_zero_holds_the_image_alone(name: str, some: Victim) -> None:
    network, x, y = some
    norm = ENTRIES[name].norm
    surface = surface_of(network, SHAPE, ENTRIES[name].access)
    assert torch.equal(make(name).run(surface, batch_of(x, y), Threat(norm=norm, epsilon=0.0)).x_adv, x)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ALL)
def test_neither_images_nor_global_generators_are_touched(name: str, some: Victim) -> None:
    before, state = some[1].clone(), torch.get_rng_state()
    _run(name, some)
    assert torch.equal(some[1], before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ALL)
def test_budgets_are_within_the_declared_parameters(entry: Attack) -> None:
    for settings in (entry.quick, entry.standard):
        resolve(entry.name, entry.parameters, dict(settings.parameters))
        assert settings.timeout_s > settings.seconds
    assert not entry.standard.parameters, "standard is the entry's own defaults"
    made = make(entry.name)
    assert isinstance(made, Search)
    assert made.minimum_norm == entry.minimum_norm
    assert made.needs() == entry.classes


def test_what_is_part_of_all() -> None:
    both = ("fmn", "native-pgd", "native-square")
    aware = ("strong", "joint-margin", "evade", "alternate")
    asks = {"spsa"}  # so that one rung depends on nothing that a defense declares
    expected = (
        {f"{name}-{norm}" for name in both for norm in ("linf", "l2")} | {*aware, *(f"{n}-l2" for n in aware)} | asks
    )
    assert {name for name in ALL if ENTRIES[name].default} == expected
    assert not any("autoattack" in name for name in ALL)


def test_a_loss_of_three_logits_is_refused_on_two_classes(linear: tuple[Linear, Tensor, Tensor]) -> None:
    network, x, y = linear
    surface = surface_of(network, (1, 28, 28), classes=2)
    for attack in (make("native-apgd-dlr"), make("native-pgd-linf", loss="dlr")):
        with pytest.raises(Unavailable, match="at least 3 classes; there are 2"):
            attack.run(surface, batch_of(x, y), Threat(norm="linf", epsilon=0.1))
    with pytest.raises(Unavailable, match="untargeted only"):
        make("native-fgsm").run(surface, batch_of(x, y), Threat(norm="linf", epsilon=0.1, targeted=True))


@pytest.mark.parametrize("name", ["native-pgd-linf", "native-mim", "native-apgd-ce", "native-square-linf"])
def test_nothing_outside_the_ball_is_asked_about(name: str, digits: Victim) -> None:
    network, x, y = digits
    asked: list[Tensor] = []

    class Noting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            asked.append(images.detach())
            answer: Tensor = network(images)
            return answer

    access = "score" if "square" in name else "gradient"
    surface = surface_of(Noting(), SHAPE, access)
    assert surface.fast.deployment is not None
    asked.clear()  # what the fast copy was compared on
    make(name, steps=20).run(surface, batch_of(x[:3], y[:3]), Threat(norm="linf", epsilon=0.05, domain="float"))
    images = torch.cat(asked)
    away = torch.cdist(images.flatten(1), x[:3].flatten(1), p=torch.inf).amin(1)
    assert len(images) > 20
    assert float(away.max()) <= 0.05 + 1e-6
