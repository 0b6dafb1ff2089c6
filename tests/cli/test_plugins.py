from __future__ import annotations

import pytest

from bench.cli import main


def test_an_attack_is_shown_with_what_each_budget_gives_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plugins", "strong"])
    told = capsys.readouterr().out.splitlines()
    assert "  under --budget quick: steps = 15, targets = 2, queries = 40, early = True, all images of the run" in told
    assert "  under --budget standard: all images of the run" in told
