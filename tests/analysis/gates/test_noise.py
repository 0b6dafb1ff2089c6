from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.gates.noise import noise


@pytest.mark.parametrize(
    ("left", "attack", "outcome"),
    [
        (1.0, ("pgd", "adaptive", 0.5), "pass"),
        (0.9925, ("pgd", "adaptive", 0.5), "pass"),
        (0.9, ("pgd", "adaptive", 0.5), "warn"),  # the ball is large
        (0.9, ("pgd", "adaptive", 1.0), "fail"),  # an attack that returns its input
        (0.9, ("pgd", "white-box", 1.0), "warn"),
    ],
)
def test_noise_that_hurts_warns_and_noise_that_beats_an_attack_fails(
    attacked: Any, left: float, attack: tuple[str, str, float], outcome: str
) -> None:
    assert noise(attacked([("noise", "oblivious", left), attack])).outcome == outcome


def test_without_the_control_there_is_nothing_to_say(attacked: Any) -> None:
    assert noise(attacked([("pgd", "adaptive", 0.5)])).outcome == "n/a"
