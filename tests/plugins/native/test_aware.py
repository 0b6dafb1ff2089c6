"""Attacks on a classifier and its detector together."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.attack import Batch, Surface, Threat, ways
from bench.conformance import workbench
from bench.deployment import Capture, Classify, Deployment, Draws, Join, Node, Signal, Stage
from bench_native.case import Case

from .conftest import make

EPSILON = 0.2
THRESHOLD = 2.0  # of the cross-entropy, nats
FEW = {"steps": 40, "step": 0.1, "restarts": 1, "targets": 2}


class Blur(Stage):
    def transform(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


class Disagreement(Join):
    """Refuses what the blurred view answers otherwise."""

    def __init__(self, *, refuses: bool) -> None:
        super().__init__()
        self.refuses = refuses

    def combine(self, *signals: Signal) -> Signal:
        answer, view = signals
        score = F.cross_entropy(view.x, answer.x.argmax(1), reduction="none") - THRESHOLD
        more = {"rejected": score > 0} if self.refuses else {}
        return answer.replace(score=score, **more)


def defended(*, refuses: bool = True) -> Deployment:
    classify = Classify(workbench.trained_network())
    return Deployment(
        [
            Node("capture", Capture()),
            Node("answer", classify, ("capture",)),
            Node("blurred", Blur(), ("capture",)),
            Node("view", classify, ("blurred",)),
            Node("decide", Disagreement(refuses=refuses), ("answer", "view")),
        ]
    )


def surface(deployment: Deployment, knowledge: str = "adaptive") -> Surface:
    return Surface(
        deployment,
        knowledge=knowledge,  # type: ignore[arg-type]
        access="gradient",
        shape=workbench.DIGITS,
        classes=workbench.CLASSES,
        backward=ways.backward("as-it-is"),
    )


def batch(count: int = 24) -> Batch:
    """Images that are answered rightly and accepted."""
    x, y = workbench.held_out(96)
    said = defended()(workbench.signal(x))
    right = ((said.x.argmax(1) == y) & ~said.side["rejected"]).nonzero().flatten()[:count]
    names = [b"%d" % i for i in right.tolist()]
    return Batch(x[right], y[right], Draws.of("craft", 0, names), 0)


def won(deployment: Deployment, x: Tensor, y: Tensor) -> Tensor:
    said = deployment(workbench.signal(x))
    return (said.x.argmax(1) != y) & ~said.side.get("rejected", torch.zeros(len(y), dtype=torch.bool))


THREAT = Threat(norm="linf", epsilon=EPSILON)


def shares(names: tuple[str, ...], *, refuses: bool = True) -> dict[str, float]:
    given, deployment, found = batch(), defended(refuses=refuses), {}
    for name in names:
        more = {"weights": "1", "step": 0.4} if name == "evade" else {}
        attack = make(name, **(FEW | more)) if name != "native-pgd-linf" else make(name, steps=40, step=0.1)
        x_adv = attack.run(surface(deployment), given, THREAT).x_adv
        assert bool(THREAT.contains(given.x, x_adv).all())
        found[name] = float(won(deployment, x_adv, given.y).float().mean())
    return found


def test_an_attacker_who_looks_at_the_score_wins_where_one_who_does_not_is_refused() -> None:
    found = shares(("native-pgd-linf", "joint-margin", "evade", "alternate"))
    assert found["native-pgd-linf"] < 0.6  # wrong, and refused
    for name in ("joint-margin", "evade", "alternate"):
        assert found[name] > found["native-pgd-linf"] + 0.25, found


def test_where_nothing_is_refused_a_wrong_answer_is_enough() -> None:
    assert shares(("evade",), refuses=False)["evade"] > 0.9


def test_an_image_does_not_depend_on_those_beside_it() -> None:
    given = batch(6)
    attack = make("evade", **{**FEW, "steps": 5}, weights="1")
    whole = attack.run(surface(defended()), given, THREAT).x_adv
    few = Batch(given.x[2:4], given.y[2:4], given.draws[2:4], 0)
    torch.testing.assert_close(attack.run(surface(defended()), few, THREAT).x_adv, whole[2:4], rtol=0, atol=0)


def test_they_look_inside_and_are_told_where_they_may_not() -> None:
    with pytest.raises(PermissionError, match="answers only"):
        make("joint-margin", **FEW).run(surface(defended(), "white-box"), batch(2), THREAT)


def test_what_decides_on_an_answer_without_changing_it_is_no_view_beside_it() -> None:
    deployment, x = defended(), batch(4).x
    said = surface(deployment).examine(x)
    view = deployment.node("view").stage
    blurred = Blur().transform(x)
    assert len(said.views) == 2
    torch.testing.assert_close(said.views[0], view(workbench.signal(blurred)).x, rtol=0, atol=1e-4)
    torch.testing.assert_close(said.views[1], said.logits)


def test_orthogonal_steps_leave_the_other_loss_alone_to_first_order() -> None:
    from bench_native.aware import _across

    wanted, other = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    step = _across(wanted, other)
    torch.testing.assert_close((step * other).flatten(1).sum(1), torch.zeros(3), atol=1e-5, rtol=0)
    assert ((step * wanted).flatten(1).sum(1) > 0).all()
    torch.testing.assert_close(_across(wanted, torch.zeros_like(other)), wanted)


@pytest.mark.parametrize(
    ("wrong_by", "score", "refuses", "sure"),
    [
        (0.5, -0.0005, True, True),  # all the room that a threshold of so much leaves
        (0.5, 0.01, True, False),
        (0.5, 0.01, False, True),
        (0.5, -1e-9, True, False),  # of the size of rounding
        (1e-6, -0.01, True, False),
    ],
)
def test_a_margin_and_a_score_are_each_sure_by_their_own_measure(
    wrong_by: float, score: float, refuses: bool, sure: bool
) -> None:
    """Logits are of the order of ten, scores of a hundredth: what is rounding for one is all there is of the other."""
    attack = make("evade", **FEW)
    attack.classes = 2  # type: ignore[attr-defined]
    answers = torch.tensor([[10.0, 10.0 + wrong_by, 0.0, 0.0, score, float(refuses)]])
    assert attack.sure(answers, torch.tensor([0])).tolist() == [sure]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong_by", "score", "refuses", "worth"),
    [
        (0.5, -0.02, True, 0.02),  # a wrong answer is worth no more than what is left to the threshold
        (0.5, -2.0, True, 0.5),
        (0.5, 0.3, True, -0.3),  # refused: nothing is won
        (0.5, 0.3, False, 0.5),
        (-0.5, -2.0, True, -0.5),
    ],
)
def test_a_wrong_answer_that_is_refused_is_worth_nothing(
    wrong_by: float, score: float, refuses: bool, worth: float
) -> None:
    attack = make("evade", **FEW)
    attack.classes = 2  # type: ignore[attr-defined]
    answers = torch.tensor([[10.0, 10.0 + wrong_by, 0.0, 0.0, score, float(refuses)]])
    assert attack.worth(answers, torch.tensor([0])).tolist() == pytest.approx([worth])  # type: ignore[attr-defined]


def test_falling_steps_get_past_a_detector_that_equal_small_ones_do_not() -> None:
    given, found = batch(), {}
    for schedule, step in (("constant", 0.02), ("cosine", 0.4)):
        attack = make("evade", **{**FEW, "step": step}, schedule=schedule, weights="1")
        found[schedule] = int(won(defended(), attack.run(surface(defended()), given, THREAT).x_adv, given.y).sum())
    assert found["cosine"] > found["constant"], found


def test_a_score_is_hidden_until_it_lies_well_under_its_threshold() -> None:
    attack = make("evade", **FEW)
    attack.classes = 2  # type: ignore[attr-defined]
    scores = torch.tensor([1.0, 0.01, 0.0, -0.001, -5.0])
    answers = torch.cat([torch.zeros(5, 4), scores[:, None], torch.ones(5, 1)], 1)
    hidden = attack._hidden(answers)  # type: ignore[attr-defined]
    assert (hidden[:3].diff() > 0).all()
    assert hidden[2:].tolist() == pytest.approx([-0.05, 0.0, 0.0])


def test_the_score_weighs_in_the_step_as_its_weight_says() -> None:
    attack, given = make("evade", **FEW), batch()
    attack.classes = workbench.CLASSES  # type: ignore[attr-defined]
    panel = attack.panel(surface(defended()))  # type: ignore[attr-defined]
    case = Case.of(panel, given, THREAT, attack.worth, attack.sure, look=False)  # type: ignore[attr-defined]
    labels = torch.stack([given.y, (given.y + 1) % workbench.CLASSES], 1)
    seen = make("native-pgd-linf").run(surface(defended()), given, THREAT).x_adv  # refused, most of them
    none, one, ten = (
        attack.ascent(case, case.index, seen, labels, weight)[1]  # type: ignore[attr-defined]
        for weight in (0.0, 1.0, 10.0)
    )
    assert float((one - none).abs().max()) > 0
    torch.testing.assert_close(ten - none, 10 * (one - none), rtol=1e-3, atol=1e-3)
