"""Where names stand in a plot."""

from __future__ import annotations

from itertools import combinations

from bench.reporting import charts


def test_names_of_points_that_lie_together_get_lines_of_their_own() -> None:
    rows = [
        {
            "defense": f"defense-{number}",
            "cost": 784.0,
            "accuracy": 0.001 * (number % 3),
            "low": 0.0,
            "high": 0.01,
            "ranked": True,
            "front": False,
            "title": "latency",
            "text": "",
        }
        for number in range(12)
    ]
    drawn = charts.trade(rows).to_dict(validate=False)
    (values,) = drawn["datasets"].values()
    assert len(values) == len(rows)
    for one, other in combinations(values, 2):
        assert abs(one["label_y"] - other["label_y"]) > 0.05, (one, other)
    assert all(0 < row["label_y"] < 1 for row in values)
