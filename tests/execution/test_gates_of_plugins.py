"""Gates that plugins bring."""

from __future__ import annotations

import json


def test_a_plugins_gate_bars_a_ranking_a_mild_one_warns_and_a_broken_one_says_so(command_line):
    command_line(
        *("run", "--datasets", "toy", "--defenses", "toy-round", "--attacks", "toy-step", "--norm", "linf"),
        *("--hardware", "none", "--samples", "64", "--out", "out"),
    )
    records = command_line.records("out")
    for record in records:
        gates = {gate["name"]: (gate["outcome"], gate["evidence"]) for gate in record["gates"]}
        barred = record["defense"]["name"] == "toy-round"
        assert gates["toy-gate"] == ("fail" if barred else "pass", "64 images were <b>judged</b>.")
        assert gates["toy-gate-mild"][0] == ("warn" if barred else "pass")
        assert gates["toy-gate-raises"][0] == "warn"
        assert "what it looked for" in gates["toy-gate-raises"][1]
        assert "a name of its own" not in gates
    board = json.loads((command_line.folder / "out" / "leaderboard.json").read_text())
    status = {row["defense"]: row["status"] for row in board}
    assert status["toy-round"] == "not ranked: TOY-GATE"
    assert "not ranked" not in status["none"]
    page = (command_line.folder / "out" / "index.html").read_text()
    assert "&lt;b&gt;judged&lt;/b&gt;" in page
    assert "<b>judged" not in page
