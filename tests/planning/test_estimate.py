"""What a plan will cost is corrected by what like tasks took here, the most alike first."""

import pytest

from bench.planning.estimate import estimate
from bench.planning.task import Task

SHAPE = {"network": {"shape": [1, 32, 32]}}


def craft(attack: str, fit: str, block: tuple[int, int], *, seed: int = 0, seconds: float = 10.0) -> Task:
    return Task(
        kind="craft",
        key=f"{attack}-{fit}-{block}-{seed}",
        label="",
        spec={"block": block, "deployment": SHAPE},
        seconds=seconds,
        preimage={"kind": "craft", "attack": attack, "fit": fit, "block": block, "seed": seed},
    )


WANTED = craft("pgd", "superiot", (128, 256))
FINEST = (craft("pgd", "superiot", (0, 128), seed=1), 150.0)
SAME_FIT = (craft("fgsm", "superiot", (0, 128), seconds=1.0), 5.0)
SAME_KIND = (craft("fgsm", "none", (0, 128), seconds=2.0), 1.0)


def evaluation() -> tuple[Task, float]:
    return Task(kind="evaluate", key="e", label="", spec={}, seconds=1.0, preimage={"fit": "superiot"}), 100.0


@pytest.mark.parametrize(
    ("timed", "seconds", "learned"),
    [
        ([], 10.0, 0),
        ([evaluation()], 10.0, 0),
        ([SAME_KIND, evaluation()], 5.0, 1),
        ([SAME_FIT, SAME_KIND], 50.0, 1),
        ([FINEST, SAME_FIT, SAME_KIND, evaluation()], 150.0, 1),
    ],
)
def test_the_most_alike_that_were_timed_decide(timed, seconds, learned):
    found = estimate([WANTED], timed)
    assert found.seconds == pytest.approx(seconds)
    assert found.learned == learned


def test_a_smaller_piece_of_the_same_work_takes_its_share():
    assert estimate([craft("pgd", "superiot", (256, 320), seconds=5.0)], [FINEST]).seconds == pytest.approx(75.0)


def test_adversarial_images_are_most_of_the_bytes():
    assert estimate([WANTED], []).size == 2_000 + 4 * 128 * 32 * 32


def test_tasks_of_no_declared_cost_teach_nothing():
    free = (craft("pgd", "superiot", (0, 128), seconds=0.0), 3.0)
    assert estimate([WANTED], [free]).learned == 0
