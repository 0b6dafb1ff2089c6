"""What the surface sees of an attack's way."""

from __future__ import annotations

import pytest
import torch

from bench.attack import Threat
from bench.attack.path import Path, margins

Y = torch.tensor([0, 1])
X = torch.full((2, 1, 2, 2), 0.5)
THREAT = Threat(norm="linf", epsilon=0.1)
BOTH = torch.tensor([True, True])


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
    assert path.evidence(torch.tensor([True, False]))["lost"] == 1
    assert path.evidence(torch.tensor([False, False]))["lost"] == 0


@pytest.mark.parametrize("shift", [0.2, 0.6])  # outside the ball; outside the box too
def test_a_success_outside_the_ball_is_none(shift: float) -> None:
    path = Path(X, Y, THREAT)
    path.add(X + shift, logits(-1.0, -1.0), step=False)
    assert path.evidence(BOTH)["lost"] == 0


def test_queries_about_some_images_are_counted_and_not_followed() -> None:
    path = Path(X, Y, THREAT)
    path.add(X[:1], logits(-1.0), step=True)
    found = path.evidence(BOTH)
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
    found = path.evidence(BOTH)
    assert (found["steps"], found["followed"], found["longest"]) == (6, 6, 4)
    assert (found["standing"], found["first"], found["late"], found["last"]) == (1, 9.0, 4.0, 1.0)
    assert (found["compared"], found["lost"]) == (2, 1), "the first was answered wrongly on the way"


def test_a_wrong_answer_that_is_refused_is_no_success() -> None:
    path = Path(X, Y, THREAT)
    path.add(X, logits(-1.0, -1.0), step=False, refused=torch.tensor([True, False]))
    assert path.evidence(BOTH)["lost"] == 1


def test_each_search_is_judged_by_its_own_way() -> None:
    """As one path the second would never have fallen below where the first ended."""
    path = Path(X, Y, THREAT)
    for _ in range(2):
        path.begin()
        for margin in (8.0, 6.0, 5.0, 3.0):
            path.add(X, logits(margin, margin), step=True)
    found = path.evidence(None)
    assert (found["first"], found["late"], found["last"]) == (32.0, 20.0, 12.0)
    assert (found["standing"], found["longest"], found["followed"]) == (2, 4, 16)


def test_of_wrong_answers_that_are_all_withheld_the_score_is_followed() -> None:
    path = Path(X, Y, THREAT)
    both = torch.tensor([True, True])
    margin = ((5.0, 5.0), (-1.0, 5.0), (-2.0, 5.0), (-1.0, 4.0))
    for (first, second), score in zip(margin, (0.1, 0.9, 0.7, 0.2), strict=True):
        path.add(X, logits(first, second), step=True, refused=both, score=torch.tensor([score, 0.0]))
    found = path.evidence(None)
    assert (found["standing"], found["withheld"], found["scored"]) == (1, 1, 1)
    # The first image is answered wrongly from the second step on: .9, then .7 after three, then .2.
    assert [found[f"score_{stage}"] for stage in ("first", "late", "last")] == pytest.approx([0.9, 0.7, 0.2])
    assert (found["first"], found["last"]) == (5.0, 4.0)


def test_who_does_not_look_at_the_detector_has_no_score_to_follow() -> None:
    path = Path(X, Y, THREAT)
    for _ in range(4):
        path.add(X, logits(-1.0, -1.0), step=True, refused=torch.tensor([True, True]))
    found = path.evidence(None)
    assert (found["standing"], found["withheld"], found["scored"], found["score_first"]) == (0, 2, 0, 0.0)


def test_an_answer_that_was_given_once_is_broken() -> None:
    path = Path(X, Y, THREAT)
    for refused in (True, False):
        held = torch.tensor([refused, True])
        path.add(X, logits(-1.0, -1.0), step=True, refused=held, score=torch.tensor([0.5, 0.5]))
    found = path.evidence(BOTH)
    assert (found["standing"], found["withheld"], found["lost"]) == (0, 1, 1)


def test_a_success_outside_the_box_is_none_though_the_ball_holds_it() -> None:
    bright = torch.full_like(X, 0.95)
    path = Path(bright, Y, THREAT)
    path.add(bright + 0.08, logits(-1.0, -1.0), step=False)
    assert path.evidence(BOTH)["lost"] == 0
