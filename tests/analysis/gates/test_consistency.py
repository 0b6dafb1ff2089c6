from __future__ import annotations

import pytest

from bench.analysis.gates.consistency import gate


@pytest.mark.parametrize(("strangers", "outcome"), [(0, "pass"), (2, "pass"), (3, "fail")])
def test_more_than_one_image_in_a_hundred_answered_otherwise_fails(strangers: int, outcome: str) -> None:
    assert gate()({"evidence": {"strangers": strangers, "attacked": 200}}).outcome == outcome


def test_an_attack_on_another_network_says_nothing() -> None:
    assert gate()({"evidence": {"attacked": 200}}).outcome == "n/a"
