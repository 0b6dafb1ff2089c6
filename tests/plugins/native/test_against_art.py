"""The Adversarial Robustness Toolbox as the oracle."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.attack import Threat
from bench_art import adapter

from .conftest import EPSILONS, Victim, batch_of, make, surface_of

SHAPE = (1, 32, 32)
SAME = [
    ("native-fgsm", "fgsm", {}, {}),
    ("native-fgsm-l2", "fgsm_l2", {}, {}),
    ("native-pgd-linf", "pgd_linf", {"random_start": False}, {"num_random_init": 0}),
    ("native-pgd-l2", "pgd_l2", {"random_start": False}, {"num_random_init": 0}),
    ("native-mim", "mim", {}, {}),
    ("native-mim-l2", "mim_l2", {}, {}),
]
NEAR = [
    ("native-pgd-linf", "pgd_linf", {}, {}, 0.06),
    ("native-apgd-ce", "apgd_ce", {"steps": 40, "restarts": 1}, {"max_iter": 40, "restarts": 1}, 0.06),
    ("native-apgd-ce-l2", "apgd_ce_l2", {"steps": 40, "restarts": 1}, {"max_iter": 40, "restarts": 1}, 0.8),
    ("native-apgd-dlr", "apgd_dlr", {"steps": 40, "restarts": 1}, {"max_iter": 40, "restarts": 1}, 0.06),
    ("native-apgd-targeted", "apgd_targeted", {"steps": 20, "targets": 3}, {"max_iter": 20, "targets": 3}, 0.06),
    ("native-square-linf", "square_linf", {"steps": 400}, {"max_iter": 400}, 0.08),
]


def _robust(victim: Victim, threat: Threat, x_adv: Tensor) -> float:
    network, x, y = victim
    assert threat.contains(x, x_adv).all()
    return float((network(x_adv).argmax(1) == y).double().mean())


@pytest.mark.parametrize(("ours", "theirs", "own", "given"), SAME, ids=[case[0] for case in SAME])
def test_without_random_start_the_images_are_those_of_art(
    ours: str, theirs: str, own: dict[str, object], given: dict[str, object], digits: Victim
) -> None:
    network, x, y = digits
    norm = "l2" if ours.endswith("l2") else "linf"
    threat = Threat(norm=norm, epsilon=EPSILONS[norm], domain="float")  # type: ignore[arg-type]
    batch = batch_of(x, y)
    found = make(ours, **own).run(surface_of(network, SHAPE), batch, threat).x_adv
    expected = getattr(adapter, theirs)(**given).run(surface_of(network, SHAPE), batch, threat).x_adv
    assert not torch.equal(found, x)
    # FGSM divides in NumPy; the last places are mended so that the ball holds exactly.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("ours", "theirs", "own", "given", "epsilon"), NEAR, ids=[case[0] for case in NEAR])
def test_robust_accuracy_is_that_of_art_within_a_point(
    ours: str, theirs: str, own: dict[str, object], given: dict[str, object], epsilon: float, digits: Victim
) -> None:
    """Within one image in a hundred, or lower where ART's is the weaker search."""
    network, x, y = digits
    threat = Threat(norm="l2" if ours.endswith("l2") else "linf", epsilon=epsilon, domain="float")
    access = "score" if "square" in ours else "gradient"
    batch = batch_of(x, y)
    found = make(ours, **own).run(surface_of(network, SHAPE, access), batch, threat).x_adv
    expected = getattr(adapter, theirs)(**given).run(surface_of(network, SHAPE, access), batch, threat).x_adv
    mine, other = _robust(digits, threat, found), _robust(digits, threat, expected)
    assert 0.1 < other < 0.9, "an epsilon at which searches differ"
    assert abs(mine - other) <= 0.0101 or mine < other
