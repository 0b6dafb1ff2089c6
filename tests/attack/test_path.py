"""What the surface sees of an attack's way."""

from __future__ import annotations

import pytest
import torch

from bench.attack import Threat
from bench.attack.path import Path, margins

Y = torch.tensor([0, 1])
X = torch.full((2, 1, 2, 2), 0.5)
THREAT = Threat(norm="linf", epsilon=0.1)


def logits(*wanted: float) -> torch.Tensor:
    """Answers whose margins of the true class are the ones wanted."""
    answers = torch.zeros(len(wanted), 3)
    answers[torch.arange(len(wanted)), Y[: len(wanted)]] = torch.tensor(wanted)
    return answers


def test_the_margin_is_the_true_logit_less_the_best_other() -> None:
    answers = torch.tensor([[3.0, 1.0, 2.5], [3.0, 1.0, 0.0]])
    assert margins(answers, Y).tolist() == pytest.approx([0.5, -2.0])


def test_the_best_margins_of_what_stands_are_summed_at_three_points() -> None:
    path = Path(X, Y, THREAT)
    for first, second in ((8.0, 8.0), (6.0, 7.0), (7.0, 9.0), (3.0, -1.0)):
        path.add(X, logits(first, second), step=True)
    found = path.evidence(None)
    # The second image fell, so only the first counts: 8, the best of three 6, and 3.
    assert (found["first"], found["late"], found["last"]) == (8.0, 6.0, 3.0)
    assert (found["standing"], found["steps"], found["followed"], found["compared"]) == (1, 8, 8, 0)
    assert found["longest"] == 4


def test_a_success_on_the_way_that_is_not_returned_is_lost() -> None:
    path = Path(X, Y, THREAT)
    path.add(X + 0.1, logits(-1.0, -1.0), step=False)
    assert path.evidence(logits(1.0, -1.0))["lost"] == 1
    assert path.evidence(logits(-1.0, -1.0))["lost"] == 0


@pytest.mark.parametrize("shift", [0.2, 0.6])  # outside the ball; outside the box too
def test_a_success_outside_the_ball_is_none(shift: float) -> None:
    path = Path(X, Y, THREAT)
    path.add(X + shift, logits(-1.0, -1.0), step=False)
    assert path.evidence(logits(1.0, 1.0))["lost"] == 0


def test_queries_about_some_images_are_counted_and_not_followed() -> None:
    path = Path(X, Y, THREAT)
    path.add(X[:1], logits(-1.0), step=True)
    found = path.evidence(logits(1.0, 1.0))
    assert (found["steps"], found["followed"], found["compared"], found["lost"]) == (1, 0, 0, 0)


def test_queries_that_say_which_images_they_are_about_are_followed() -> None:
    """The second image takes four steps, one filled up with another row; the first leaves after two."""
    path = Path(X, Y, THREAT)
    first, second = torch.tensor([0]), torch.tensor([1])
    for margin in (8.0, -3.0):
        path.add(X[:1] + 0.1, logits(margin), step=True, about=first)
    for margin in (9.0, 6.0, 4.0, 1.0):
        said = torch.tensor([[0.0, margin, 0.0], [0.0, 9.0, 0.0]])
        path.add(X, said, step=True, about=second)
    found = path.evidence(logits(2.0, 1.0))
    assert (found["steps"], found["followed"], found["longest"]) == (6, 6, 4)
    assert (found["standing"], found["first"], found["late"], found["last"]) == (1, 9.0, 4.0, 1.0)
    assert (found["compared"], found["lost"]) == (2, 1), "the first was answered wrongly on the way"


def test_a_wrong_answer_that_is_refused_is_no_success() -> None:
    path = Path(X, Y, THREAT)
    path.add(X, logits(-1.0, -1.0), step=False, refused=torch.tensor([True, False]))
    assert path.evidence(logits(1.0, 1.0))["lost"] == 1
