"""The entries of a run, and what is refused before anything is planned."""

from __future__ import annotations

import pytest

from bench.api import audit_specification, specification
from bench.errors import UsageError
from bench.planning.selected import Selection
from bench.plugins.registry import discover


def selected(**flags) -> Selection:
    return Selection.of(discover(), specification(**{"defenses": "jpeg", **flags}))


@pytest.mark.parametrize(
    ("attacks", "norm", "said"),
    [
        ("fgsm", "l2", "Attack 'fgsm' is for linf, and --norm is l2. Use 'fgsm-l2', or add linf to --norm."),
        ("fgsm-l2", "linf", "Attack 'fgsm-l2' is for l2, and --norm is linf. Use 'fgsm', or add l2 to --norm."),
        ("pgd-linf[max_iter=3]", "l2", "Attack 'pgd-linf' is for linf, and --norm is l2. Use 'pgd-l2', or"),
        ("all,ead", "linf,l2", "Attack 'ead' is for l1, and --norm is linf,l2. Add l1 to --norm, or leave 'ead' out."),
    ],
)
def test_an_attack_named_outright_is_not_dropped_for_its_norm(attacks, norm, said):
    with pytest.raises(UsageError) as refusal:
        selected(attacks=attacks, norm=norm)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("attacks", "norm"),
    [
        ("all", "l2"),
        ("pgd", "l2"),  # a family
        ("fgsm*", "l2"),
        ("null,noise,fgsm-l2", "l2"),
        ("fgsm,fgsm-l2", "l2,linf"),
        ("fgsm", ""),
        ("fgsm-l2,fgsm,-fgsm", "l2"),
        ("none", "l2"),
    ],
)
def test_what_a_norm_leaves_of_all_a_family_or_a_pattern_is_no_error(attacks, norm):
    selected(attacks=attacks, norm=norm)


@pytest.mark.parametrize("norm", ["", "l2", "linf,l1"])
def test_the_ladder_of_an_audit_has_attacks_of_its_norms_alone(norm):
    spec = audit_specification("jpeg", norm=norm)
    chosen = Selection.of(discover(), spec).attacks
    assert {one.found.entry.norm for one in chosen} - {""} <= set(spec.norms)
    assert [one for one in chosen if one.found.entry.core]
