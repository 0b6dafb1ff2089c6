from __future__ import annotations

import pytest

from bench.analysis.gates.best_seen import best_seen


@pytest.mark.parametrize(
    ("lost", "knowledge", "outcome"),
    [(0, "adaptive", "pass"), (2, "adaptive", "warn"), (6, "adaptive", "fail"), (6, "oblivious", "warn")],
)
def test_successes_that_are_not_returned_are_counted(lost: int, knowledge: str, outcome: str) -> None:
    verdict = best_seen({"compared": 100, "lost": lost}, knowledge)
    assert verdict.outcome == outcome
    assert verdict.evidence.startswith(f"{lost} of 100")


def test_where_answers_are_drawn_nothing_is_said() -> None:
    assert best_seen({"compared": 0, "lost": 0}, "adaptive").outcome == "n/a"
