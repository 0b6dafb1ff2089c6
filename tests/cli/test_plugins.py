from __future__ import annotations

import pytest

from bench.cli import main


def test_an_attack_is_shown_with_what_each_budget_gives_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plugins", "strong"])
    told = capsys.readouterr().out.splitlines()
    assert "  under --budget quick: steps = 15, targets = 2, queries = 40, early = True, all images of the run" in told
    assert "  under --budget standard: all images of the run" in told


def test_a_family_is_shown_by_its_members(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("qusec", "qusec-tq[levels=4]"):
        with pytest.raises(SystemExit) as ended:
            main(["plugins", name])
        assert not ended.value.code
        shown = capsys.readouterr().out
        assert "defense qusec-tq" in shown
        assert ("defense qusec-cq" in shown) == (name == "qusec")
