"""Native attacks ask in portions, about ever fewer images, and say about which: gates can follow them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.analysis.gates.best_seen import best_seen
from bench.analysis.gates.convergence import convergence
from bench.attack import Threat
from bench.attack.path import Path
from bench_native.case import Case
from bench_native.iterated import Iterated

from .conftest import Victim, batch_of, make, surface_of

SHAPE, COUNT = (1, 32, 32), 40  # more than one call, and no whole number of them
THREAT = Threat(norm="linf", epsilon=0.06)


class Near(Path):
    """Notes how many rows lie in no ball around the image that they are said to be about."""

    strays = 0

    def add(self, x: Tensor, logits: Tensor, *, about: Tensor | None = None, **more: object) -> None:
        assert about is not None
        self.strays += int((~THREAT.contains(self._x[about], x[: len(about)])).sum())
        super().add(x, logits, about=about, **more)  # type: ignore[arg-type]


def followed(attack: object, victim: Victim) -> dict[str, float]:
    """Return the evidence of an attack on 40 images, some of which stand and some of which fall."""
    network, x, y = victim[0], victim[1][:COUNT], victim[2][:COUNT]
    path = Near(x, y, THREAT)
    found = attack.run(surface_of(network, SHAPE, path=path), batch_of(x, y), THREAT).x_adv  # type: ignore[attr-defined]
    with torch.no_grad():
        return {**path.evidence(network(found).argmax(1) == y), "strays": path.strays}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("native-pgd-linf", {"restarts": 2, "early": True}),
        ("native-apgd-dlr", {"steps": 20, "restarts": 2}),
        ("native-apgd-targeted", {"steps": 20, "targets": 2}),
        ("strong", {"steps": 20, "targets": 2, "queries": 30}),
        ("fmn-linf", {}),
        ("joint-margin", {"steps": 20, "step": 0.1, "restarts": 1, "targets": 1}),
    ],
)
def test_every_step_of_every_image_is_followed(name: str, more: dict[str, object], digits: Victim) -> None:
    path = followed(make(name, **more), digits)
    assert path["followed"] == path["steps"] > 0
    assert path["compared"] == COUNT
    assert convergence(path, "adaptive").outcome in ("pass", "warn")
    if name != "fmn-linf":  # it leaves this ball
        assert path["strays"] == 0
        assert 0 < path["standing"] < COUNT
        assert best_seen(path, "adaptive").outcome == "pass"


def test_one_that_stops_in_the_middle_fails_and_one_that_does_not_passes(digits: Victim) -> None:
    assert convergence(followed(make("native-pgd-linf", steps=40), digits), "adaptive").outcome == "pass"
    stopped = followed(make("native-pgd-linf", steps=6, step=0.05, random_start=False), digits)
    assert convergence(stopped, "adaptive").outcome == "fail"


def test_one_that_throws_away_what_it_found_fails(digits: Victim) -> None:
    class Forgets(Iterated):
        def search(self, case: Case, notes: dict[str, object]) -> torch.Tensor:
            super().search(case, notes)
            return case.x

    forgets = Forgets(steps=20, step=0.1, early=True)
    assert best_seen(followed(forgets, digits), "adaptive").outcome == "fail"
