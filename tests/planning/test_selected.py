"""The entries of a run, and what is refused before anything is planned."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from bench.api import audit_specification, specification
from bench.errors import UsageError
from bench.planning.selected import NothingSelected, Selection
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


@pytest.mark.parametrize("text", ["", " ", "all,-all", "jpeg,-jpeg"])
def test_no_defense_at_all_is_nothing_and_not_the_undefended_model(text):
    with pytest.raises(NothingSelected, match=rf"--defenses {text!r} selects nothing.*none"):
        selected(defenses=text)


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"attacks": ""}, "attacks"),
        ({"attacks": "all,-*"}, "attacks"),
        ({"datasets": ""}, "datasets"),
        ({"datasets": "digits,-digits"}, "datasets"),
        ({"models": "all,-*"}, "models"),
        ({"hardware": ""}, "hardware"),
    ],
)
def test_nothing_of_another_kind_is_no_less_an_error(given, flag):
    """A shell variable that was never set is no wish for a run without attacks."""
    with pytest.raises(NothingSelected, match=f"--{flag} .* selects nothing"):
        selected(**given)


def test_defenses_of_another_track_alone_are_nothing_here():
    registry = copy.deepcopy(discover())
    found = registry._found["defense"]
    found["jpeg"] = replace(found["jpeg"], entry=replace(found["jpeg"].entry, track="protection"))
    with pytest.raises(NothingSelected, match="--defenses 'jpeg' selects nothing"):
        Selection.of(registry, specification(defenses="jpeg"))
    both = Selection.of(registry, specification(defenses="jpeg,bit-depth")).defenses
    assert [one.label for one in both] == ["none", "bit-depth"]


def test_the_undefended_model_may_be_compared_with_nothing():
    assert [one.label for one in selected(defenses="none").defenses] == ["none"]


NET = """
import torch
if torch: from torch.nn import Linear as Dense
class Net: ...
async def later(): ...
make = lambda: Net()
left, (right, *rest) = 1, (2, 3)
typed: int = 1
with open(__file__) as file: inner = 1
try: import nowhere
except ImportError as error: fallback = Net
def build():
    def hidden(): ...
"""


@pytest.mark.parametrize(
    "name", ["Dense", "Net", "make", "left", "right", "rest", "typed", "inner", "fallback", "build"]
)
def test_a_factory_of_ones_own_is_found_however_it_is_bound(tmp_path: Path, name: str):
    (tmp_path / "net.py").write_text(NET)
    model = f"{tmp_path}/net.py:{name}"
    assert selected(models=model).models == [model]


@pytest.mark.parametrize("more", ["from elsewhere import *", "def __getattr__(name): ...", "globals()['nope'] = 1"])
def test_a_file_that_may_bind_more_than_it_says_is_not_refused(tmp_path: Path, more: str):
    (tmp_path / "net.py").write_text(more)
    selected(models=f"{tmp_path}/net.py:nope")


@pytest.mark.parametrize(
    ("file", "name", "said"),
    [
        ("net.py", "nope", r"net\.py has no function or class 'nope'; it has Net, later, build\."),
        ("net.py", "hidden", r"has no function or class 'hidden'"),
        ("absent.py", "build", r"No file .*absent\.py for model"),
        ("broken.py", "build", r"broken\.py cannot be read as Python: .*\(broken\.py, line 1\)"),
        ("empty.py", "build", r"has no function or class 'build'; it has none"),
    ],
)
def test_a_model_of_ones_own_that_is_not_there_is_refused(tmp_path: Path, file: str, name: str, said: str):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "broken.py").write_text("def build(:\n")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(UsageError, match=said):
        selected(models=f"{tmp_path}/{file}:{name}")


def test_weights_are_read_before_anything_is_planned(tmp_path: Path):
    good, cut, plain = tmp_path / "good.safetensors", tmp_path / "cut.safetensors", tmp_path / "plain.pt"
    save_file({"weight": np.zeros((2, 2), np.float32)}, good)
    cut.write_bytes(good.read_bytes()[:20])
    torch.save([1, 2], plain)
    selected(models="lenet5", weights=good)
    with pytest.raises(UsageError, match=r"cut\.safetensors cannot be read as safetensors"):
        selected(models="lenet5", weights=cut)
    with pytest.raises(UsageError, match=r"plain\.pt hold no state dict"):
        selected(models="lenet5", weights=plain)
