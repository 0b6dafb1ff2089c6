"""What is refused before anything is run: parameters that do not go together, or do not suit the images."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.api import specification
from bench.errors import UsageError
from bench.planning.plan import Plan, Planner
from bench.planning.suited import refusal
from bench.planning.supposition import Supposing
from bench.plugins.entries import Defense
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter
from bench.plugins.registry import Registry, discover
from bench.plugins.selection import select
from bench.store import Store


def planned(folder: Path, *, registry: Registry | None = None, **flags: str) -> Plan:
    asked = {"datasets": "digits", "attacks": "fgsm", "hardware": "none", "norm": "linf", **flags}
    return Planner(registry or discover(), Supposing(Store(folder)), specification(**asked)).plan()


@pytest.mark.parametrize(
    ("defense", "said"),
    [
        ("defed[sigmas=40+foo]", "separated by +, such as 40+100; got '40+foo'"),
        ("qusec-cq[form=reference,thresholds=rounding]", "uniform where form=reference"),
        ("superiot[ratio=0,wire=raw]", "Choose another: seed, bitmask, combi, coded."),
        ("superiot[ws=40]", "on digits: Windows of 40x40 pixels do not fit into an image of 32x32"),
        ("superiot[ratio=0.001]", "would drop 0 of the 64 pixels"),
        ("superiot[ratio=0.001,ws=64]", "do not fit"),
        ("pixel-deflection[ratio=0]", "deflects nothing"),
        ("pixel-deflection[ratio=0.0004]", "none of 1024 pixels. Choose a ratio of at least 0.000977."),
        ("equal-compute[macs=0.1]", "for images of 1x32x32. Choose macs of at least"),
        ("resize-pad[smallest=1]", "Choose smallest below 1"),
        ("resize-pad[smallest=0.99]", "Choose smallest of at most 0.96."),
        ("all,superiot[ws=40]", "Windows of 40x40"),
    ],
)
def test_what_cannot_be_deployed_is_refused_while_planning(tmp_path: Path, defense: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        planned(tmp_path, defenses=defense)
    assert said in str(refused.value)


def test_what_suits_one_data_set_and_not_the_other_is_refused_with_its_name(tmp_path: Path) -> None:
    planned(tmp_path, defenses="superiot[ws=30]")
    with pytest.raises(UsageError, match=r"'superiot\[ws=30\]' cannot be used on small: "):
        planned(tmp_path, defenses="superiot[ws=30]", datasets="digits,small", registry=with_small(discover()))


def with_small(registry: Registry) -> Registry:
    """Return a registry with a data set of images of 4x4."""
    found = registry.of("dataset")["digits"]
    registry.add(
        "dataset", replace(found, entry=replace(found.entry, name="small", shape=(1, 4, 4), default_model="resnet20"))
    )
    return registry


def check(parameters, shape) -> None:
    if parameters["mood"] == "broken":
        raise ZeroDivisionError
    if parameters["mood"] == "contrary" or shape == (1, 4, 4):
        raise UsageError(f"it is {parameters['mood']}. Choose another mood.")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    module = SimpleNamespace(check=check)
    monkeypatch.setitem(sys.modules, "checked", module)
    mood = Parameter(name="mood", type=str, default="fine", help="of it")
    entry = Defense(
        name="checked", factory="checked:Made", summary="", family="moody", parameters=(mood,), check="checked:check"
    )
    plugin = SimpleNamespace(bench_defenses=hookimpl(specname="bench_defenses")(lambda: [entry]), __name__="moods")
    return with_small(discover([plugin]))


def labels(plan: Plan) -> dict[str, tuple[str, str]]:
    return {cell.asked["defense"]["label"]: (cell.status, cell.reason) for cell in plan.cells if cell.kind == "clean"}


def test_what_a_check_refuses_is_said_with_the_defense_as_it_was_asked_for(tmp_path: Path, registry: Registry) -> None:
    assert "checked" in labels(planned(tmp_path, defenses="checked", registry=registry))
    with pytest.raises(UsageError) as refused:
        planned(tmp_path, defenses="checked[mood=contrary]", registry=registry)
    said = "Defense 'checked[mood=contrary]' cannot be used: it is contrary. Choose another mood."
    assert str(refused.value) == said


@pytest.mark.parametrize("defenses", ["checked", "moody[mood=odd]"])
def test_a_mistake_of_the_user_is_refused_for_images_of_one_shape(
    tmp_path: Path, registry: Registry, defenses: str
) -> None:
    with pytest.raises(UsageError, match=r"cannot be used on small: it is (fine|odd)\. Choose"):
        planned(tmp_path, defenses=defenses, datasets="small", registry=registry)


def test_what_all_brings_in_is_left_out_with_the_reason(tmp_path: Path, registry: Registry) -> None:
    found = labels(planned(tmp_path, defenses="moody", datasets="small", registry=registry))
    assert found["none"] == ("", "")
    assert found["checked"] == ("skipped", "it is fine. Choose another mood.")


def test_a_check_that_is_itself_broken_refuses_nothing(tmp_path: Path, registry: Registry) -> None:
    found = labels(planned(tmp_path, defenses="checked[mood=broken]", registry=registry))
    assert found["checked[mood=broken]"] == ("", "")


@pytest.mark.parametrize("attack", ["evade[weights=1+x]", "evade-l2[weights=-1]", "native-fgsm,evade[weights=0.1+inf]"])
def test_parameters_that_no_attack_can_use_are_refused_while_planning(tmp_path: Path, attack: str) -> None:
    with pytest.raises(UsageError, match=r"Attack 'evade.* cannot be used: weights is .* such as 0\.1\+1\+10"):
        planned(tmp_path, attacks=attack)


def test_the_suites_own_checks_are_light() -> None:
    code = (
        "import sys\nfrom bench.plugins.loading import loaded\nfrom bench.plugins.registry import discover\n"
        "checks = {f.entry.check for k in ('attack', 'defense', 'model') for f in discover().of(k).values()} - {''}\n"
        "assert len(checks) >= 13, checks\n"
        "[loaded(check) for check in checks]\n"
        "heavy = {'torch', 'art', 'pandas', 'numba', 'scipy'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("vgg-thin", "'vgg-thin' cannot be used on small: vgg-thin needs images of at least 32x32; got 4x4."),
        ("lenet5[padding=2]", "needs images of at least 12x12"),
        ("resnet20,cleverhans-cnn", "cleverhans-cnn needs images of at least 28x28"),
        ("vgg-*", "None of the models takes images of small: vgg-thin needs"),
    ],
)
def test_a_model_that_does_not_take_the_images_is_refused_while_planning(
    tmp_path: Path, registry: Registry, model: str, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        planned(tmp_path, defenses="none", datasets="digits,small", models=model, registry=registry)
    assert said in str(refused.value)


def test_of_all_models_those_are_run_that_take_the_images(tmp_path: Path, registry: Registry) -> None:
    plan = planned(tmp_path, defenses="none", datasets="small", models="all", registry=registry)
    assert {cell.asked["model"]["name"] for cell in plan.cells} == {"resnet20", "mobilenet-v2"}


@pytest.mark.parametrize("name", ["jpeg", "resnet20", "mobilenet-v2"])
def test_images_of_two_channels_suit_neither_a_jpeg_file_nor_these_networks(name: str) -> None:
    found = discover()
    chosen = select(found, "defense" if name == "jpeg" else "model", name)[0][0]
    assert refusal(chosen, (3, 32, 32)) is None
    assert "1 or 3 channels" in str(refusal(chosen, (2, 32, 32)))
