"""Each search on models whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.attack import Threat
from bench.deployment import Draws
from bench_native.apgd import checkpoints, climb
from bench_native.carlini import CarliniL2
from bench_native.case import Case
from bench_native.iterated import shares
from bench_native.losses import margin
from bench_native.panel import Panel
from bench_native.spsa import Spsa
from bench_native.square import pair_of_bumps

from .conftest import ENTRIES, Linear, Victim, batch_of, make, surface_of, wrong

DIGITS, GREY = (1, 32, 32), (1, 28, 28)
Plane = tuple[Linear, Tensor, Tensor]


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_fmn_finds_the_distance_to_a_plane_within_one_percent(norm: str, dual: int, linear: Plane) -> None:
    network, x, y = linear
    threat = Threat(norm=norm, epsilon=0.01, domain="float")  # type: ignore[arg-type]
    surface = surface_of(network, GREY, classes=2)
    found = make(f"fmn-{norm}").run(surface, batch_of(x, y), threat).x_adv
    assert (network(found).argmax(1) != y).all()
    ratio = threat.distance(x, found) / (network.z(x).abs().double() / network.w.double().norm(p=dual))
    assert (ratio >= 1 - 1e-4).all(), "nothing is nearer than the plane; z is float32"
    assert (ratio <= 1.01).all(), ratio.max()


def test_fmn_gives_distances_of_what_a_camera_can_deliver(digits: Victim) -> None:
    network, x, y = digits
    threat = Threat(norm="l2", epsilon=0.8)
    found = make("fmn-l2").run(surface_of(network, DIGITS), batch_of(x, y), threat)
    assert torch.equal(torch.round(found.x_adv * 255) / 255, found.x_adv)
    broken = (found.x_adv != x).flatten(1).any(1)
    assert torch.equal(broken, found.notes["found"])
    assert int(broken.sum()) >= 95
    assert (network(found.x_adv).argmax(1) != y)[broken].all()


def test_carlini_and_wagners_attack_finds_the_distance_to_a_plane_within_three_percent(linear: Plane) -> None:
    network, x, y = linear
    threat = Threat(norm="l2", epsilon=0.01, domain="float")
    attack = make("native-cw-l2", steps=200, rate=0.002, searches=6, constant=0.01)
    found = attack.run(surface_of(network, GREY, classes=2), batch_of(x, y), threat)
    assert found.notes["found"].tolist() == [True] * 40
    assert (network(found.x_adv).argmax(1) != y).all()
    ratio = threat.distance(x, found.x_adv) / (network.z(x).abs().double() / network.w.double().norm())
    assert (ratio >= 1 - 1e-4).all(), "nothing is nearer than the plane; z is float32"
    assert (ratio <= 1.03).all(), "the nearest, for which the first constant is too large, are the worst"
    assert float(ratio.median()) <= 1.001


def test_the_search_for_the_constant_grows_until_it_breaks_then_goes_to_the_middle(linear: Plane) -> None:
    """One image far from the plane: from .001 ten times more each time, then halves between."""
    network, x, y = linear
    tried: list[float] = []

    class Noting(CarliniL2):
        def _descend(self, case: Case, constants: Tensor) -> tuple[Tensor, Tensor]:
            tried.append(float(constants[0]))
            breaks = constants >= 0.05
            return case.x, torch.where(breaks, 1.0, torch.inf).double()

    attack = Noting(steps=1, rate=0.1, searches=5, constant=0.001, confidence=0.0)
    attack.run(surface_of(network, GREY, classes=2), batch_of(x[:1], y[:1]), Threat(norm="l2", epsilon=1.0))
    assert tried == pytest.approx([0.001, 0.01, 0.1, 0.055, 0.0325])


def test_carlini_and_wagners_attack_and_fmn_find_nearly_the_same_distances(digits: Victim) -> None:
    network, x, y = (part[:20] if isinstance(part, Tensor) else part for part in digits)
    threat = Threat(norm="l2", epsilon=0.8, domain="float")
    carlini = make("native-cw-l2", steps=100, rate=0.05, searches=4, constant=1.0)
    found = carlini.run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv
    other = make("fmn-l2").run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv
    assert (network(found).argmax(1) != y).all()
    ratio = threat.distance(x, found) / threat.distance(x, other)
    assert 0.9 <= float(ratio.median()) <= 1.05


def test_the_smallest_perturbations_agree_with_the_attack_in_a_ball(digits: Victim) -> None:
    """What FMN breaks within epsilon and what APGD breaks there are nearly the same images."""
    network, x, y = digits
    threat = Threat(norm="linf", epsilon=0.06, domain="float")
    smallest = make("fmn-linf").run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv
    attack = make("native-apgd-margin", steps=50, restarts=1)
    within = attack.run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv
    by_distance = (network(smallest).argmax(1) != y) & (threat.distance(x, smallest) <= 0.06)
    in_ball = network(within).argmax(1) != y
    assert 10 <= int(in_ball.sum()) <= 90
    assert int((by_distance != in_ball).sum()) <= 3


@pytest.mark.parametrize("name", ["native-pgd-linf", "native-apgd-ce", "native-apgd-margin"])
def test_a_plane_is_crossed_exactly_where_the_ball_reaches_it(name: str, linear: Plane) -> None:
    network, x, y = linear
    threat = Threat(norm="linf", epsilon=0.01, domain="float")
    found = make(name, steps=80).run(surface_of(network, GREY, classes=2), batch_of(x, y), threat).x_adv
    reachable = network.z(x).abs() < 0.01 * network.w.abs().sum()
    assert 10 <= int(reachable.sum()) <= 30
    assert torch.equal(network(found).argmax(1) != y, reachable)


def test_falling_steps_go_from_the_first_to_a_sixteenth_of_it_along_half_a_cosine() -> None:
    assert shares(3, "cosine") == pytest.approx([1.0, 17 / 32, 1 / 16])
    assert shares(4, "constant") == [1.0] * 4
    assert shares(1, "cosine") == [1.0]


def test_on_a_plane_the_path_is_as_long_as_the_steps_together(linear: Plane) -> None:
    """Falling steps lie evenly around their middle, 17/32 of the first."""
    network, x, y = linear
    threat = Threat(norm="linf", epsilon=0.1, domain="float")
    for schedule, together in (("constant", 5.0), ("cosine", 5 * 17 / 32)):
        attack = make("native-pgd-linf", steps=5, step=0.02, schedule=schedule, random_start=False)
        found = attack.run(surface_of(network, GREY, classes=2), batch_of(x, y), threat).x_adv
        assert (found - x).abs().amax((1, 2, 3)) == pytest.approx(0.1 * 0.02 * together, rel=1e-4)


def test_ten_falling_steps_break_as_many_images_as_forty_equal_ones(digits: Victim) -> None:
    network, x, y = digits
    threat = Threat(norm="linf", epsilon=0.06, domain="float")
    few = make("native-pgd-linf", steps=10, step=1.0, schedule="cosine")
    many = make("native-pgd-linf", steps=40)
    stands = [
        int((network(attack.run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv).argmax(1) == y).sum())
        for attack in (few, many)
    ]
    assert 10 <= stands[1] <= 90
    assert stands[0] <= stands[1] + 1


def test_the_sparse_steps_at_l1_change_many_pixels_and_succeed(digits: Victim) -> None:
    """ART's dense form moves one pixel until it meets the box."""
    network, x, y = digits
    threat = Threat(norm="l1", epsilon=25.0, domain="float")
    found = make("native-pgd-l1").run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv
    assert int((found != x).flatten(1).sum(1).min()) > 10
    assert float((network(found).argmax(1) == y).double().mean()) < 0.5


def test_checkpoints_are_those_of_the_paper() -> None:
    """.22, .41, .57, .70, .80, .87, .93, .99 of 100 steps: Croce and Hein 2020, section 3.3, by hand."""
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(5) == sorted(set(checkpoints(5)))


def test_the_step_of_apgd_shrinks_until_it_meets_an_optimum_inside_the_ball(digits: Victim) -> None:
    """The answers are minus the squared distance to a point; steps of 2 epsilon only jump around it."""
    x, y = digits[1][:4], digits[2][:4]
    aim = (x + 0.03).clamp(0, 1)

    def ask(images: Tensor) -> Tensor:
        centre = torch.cat([aim, aim[:1].expand(len(images) - 4, -1, -1, -1)])
        return -(images - centre).square().flatten(1).sum(1, keepdim=True)

    def value(answers: Tensor, labels: Tensor) -> Tensor:
        return answers[:, 0]

    panel = Panel(surface_of(digits[0], DIGITS), ask)
    case = Case.of(panel, batch_of(x, y), Threat(norm="linf", epsilon=0.1), value, wrong, look=False)
    found = climb(case, y, x, value, steps=100)
    assert float((aim - x).abs().max()) > 0.029
    assert float((found - aim).abs().max()) < 0.005


def test_bumps_are_two_of_opposite_sign_and_of_length_one() -> None:
    for side in (3, 5, 6):
        bumps = pair_of_bumps(side)
        assert bumps.shape == (side, side)
        assert float(bumps.norm()) == pytest.approx(1, abs=1e-6)
        assert (bumps[: side // 2] > 0).all()
        assert (bumps[side // 2 :] < 0).all()


@pytest.mark.parametrize(("name", "epsilon"), [("native-square-linf", 0.15), ("native-square-l2", 2.5)])
def test_square_breaks_more_with_more_queries_and_asks_no_more_than_allowed(
    name: str, epsilon: float, digits: Victim
) -> None:
    network, x, y = digits
    threat = Threat(norm="l2" if "l2" in name else "linf", epsilon=epsilon, domain="float")
    broken = []
    for steps in (1, 20, 300):
        surface = surface_of(network, DIGITS, "score")
        found = make(name, steps=steps).run(surface, batch_of(x[:32], y[:32]), threat)
        broken.append(int((network(found.x_adv).argmax(1) != y[:32]).sum()))
        assert surface.queries.forward <= 32 * (steps + 2), "two looks first"
    assert broken[0] < broken[1] < broken[2]


def test_the_estimated_gradient_points_along_the_true_one(digits: Victim) -> None:
    network, x, y = digits
    panel = Panel(surface_of(network, DIGITS))
    case = Case.of(panel, batch_of(x[:2], y[:2]), Threat(norm="linf", epsilon=0.1), margin, wrong, look=False)
    search = Spsa(steps=1, step=0.1, directions=2048, width=0.001, loss="margin")
    estimate = search._estimate(case, case.x[1], 1, 1)
    true = panel.ascent(case.x, case.index, case.y, margin).gradient[1]
    inner = (case.x[1] > 0.01) & (case.x[1] < 0.99)  # at the box's edge one side is cut off
    assert float(torch.cosine_similarity(estimate[inner], true[inner], dim=0)) > 0.7


def test_spsa_breaks_images_without_gradients(digits: Victim) -> None:
    network, x, y = digits
    surface = surface_of(network, DIGITS, "score")
    threat = Threat(norm="linf", epsilon=0.12)
    found = make("spsa", steps=15, directions=64, step=0.25).run(surface, batch_of(x[:12], y[:12]), threat).x_adv
    assert int((network(found).argmax(1) != y[:12]).sum()) >= 6
    assert surface.queries.gradient == 0


def test_restarts_only_break_more(digits: Victim) -> None:
    network, x, y = digits
    threat = Threat(norm="linf", epsilon=0.06)
    right = []
    for restarts in (1, 4):
        attack = make("native-pgd-linf", restarts=restarts, steps=5, step=0.3)
        found = attack.run(surface_of(network, DIGITS), batch_of(x, y), threat).x_adv
        right.append(network(threat.realise(x, found)).argmax(1) == y)
    assert int(right[1].sum()) < int(right[0].sum())


class Flat(nn.Module):
    """Says the same of every image, with a derivative of zero."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(10.0).expand(len(x), 10) + 0.0 * x.flatten(1).sum(1, keepdim=True)


@pytest.mark.parametrize("more", [{"restarts": 1}, {"restarts": 3, "early": True}])
def test_pgd_sets_out_from_a_start_that_is_given_and_from_no_other(digits: Victim, more: dict[str, object]) -> None:
    network, x, y = digits
    threat, attack = Threat(norm="linf", epsilon=0.1), make("native-pgd-linf", **more)
    start = (x[:6] - 0.05).clamp(0, 1)
    own = batch_of(x[:6], y[:6])
    given = replace(own, start=start)
    assert torch.equal(attack.run(surface_of(Flat(), DIGITS), given, threat).x_adv, start)
    assert not torch.equal(attack.run(surface_of(Flat(), DIGITS), own, threat).x_adv, start)
    found = attack.run(surface_of(network, DIGITS), given, threat).x_adv
    assert not torch.equal(found, attack.run(surface_of(network, DIGITS), own, threat).x_adv)
    assert torch.equal(found[:2], attack.run(surface_of(network, DIGITS), given.first(2), threat).x_adv)


def test_draws_are_named_by_the_image_and_the_attack_asks_for_no_others(digits: Victim) -> None:
    network, x, y = digits
    threat = Threat(norm="linf", epsilon=0.06)
    batch = batch_of(x[:8], y[:8])
    renamed = type(batch)(batch.x, batch.y, Draws.of("craft", 1, [b"%d" % i for i in range(8)]), batch.seed)
    found = [make("native-pgd-linf").run(surface_of(network, DIGITS), b, threat).x_adv for b in (batch, renamed)]
    assert not torch.equal(found[0], found[1])


def test_estimated_gradients_in_l2_lead_nearly_as_far_as_true_ones(linear: Plane) -> None:
    network, x, y = linear
    x, y = x[:6], y[:6]
    threat = Threat(norm="l2", epsilon=0.25, domain="float")  # too little to cross the plane
    surface = surface_of(network, (1, 28, 28), access="score", classes=2)
    found = make("spsa-l2", steps=40, directions=64).run(surface, batch_of(x, y), threat).x_adv
    sign = torch.where(y == 1, -1.0, 1.0)
    gained = sign * (network.z(found) - network.z(x))
    assert (gained / (0.25 * network.w.norm()) > 0.85).all()


class Unlucky(nn.Module):
    """Answers as a network does, but wrongly the first time that it is asked about a clean image."""

    left: Tensor  # of the class, since a surface works on a copy: clean images that it was not asked about yet

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.network(x)
        same = (x[:, None] == self.left[None]).flatten(2).all(2)
        Unlucky.left = self.left[~same.any(0)]
        return torch.where(same.any(1)[:, None], answers.roll(1, 1), answers)


@pytest.mark.parametrize("name", ["fmn-linf", "fmn-l2", "native-cw-l2"])
def test_an_unlucky_draw_at_the_clean_image_does_not_end_the_search(name: str, digits: Victim) -> None:
    """At distance 0 nothing found later is nearer, and FMN's ball would never grow again."""
    network, x, y = digits
    surface = surface_of(Unlucky(network), DIGITS)
    Unlucky.left = x
    attack = make(name, steps=60) if name != "native-cw-l2" else make(name, steps=60, rate=0.05, constant=10.0)
    found = attack.run(surface, batch_of(x, y), Threat(norm=ENTRIES[name].norm, epsilon=1.0)).x_adv
    assert not len(Unlucky.left)
    assert (network(found).argmax(1) != y).float().mean() > 0.9


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_fmn_keeps_the_nearest_image_that_is_wrong_by_the_confidence(confidence: float, linear: Plane) -> None:
    network, x, y = (part[:1] if isinstance(part, Tensor) else part for part in linear)
    asked: list[Tensor] = []

    class Noting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            asked.append(images.detach()[:1])
            answer: Tensor = network(images)
            return answer

    threat = Threat(norm="l2", epsilon=0.01, domain="float")
    attack = make("fmn-l2", confidence=confidence, gamma=0.3)
    found = attack.run(surface_of(Noting(), GREY, classes=2), batch_of(x, y), threat).x_adv
    images = torch.cat([image for image in asked if image.shape == x.shape])
    enough = images[margin(network(images), y.expand(len(images))) > max(confidence, 1e-3)]
    assert float(margin(network(found), y)) > confidence
    nearest = threat.distance(x.expand_as(enough), enough).min()
    assert float(threat.distance(x, found)) <= float(nearest) + 1e-6
