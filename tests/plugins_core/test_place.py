"""The line of a plugin's or a user's own code that an exception is traced to."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from bench.data.weights import load_factory
from bench.errors import UsageError
from bench.plugins import place as module
from bench.plugins.place import place

PLUGIN = """
import json

def reads(): return json.loads("{")

def calls(other): return other()

def refuses():
    try:
        reads()
    except ValueError as error:
        from bench.errors import UsageError
        raise UsageError("The file is cut off; copy it again.") from error
"""


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module ``somebodys.stages`` of a package that offers plugins."""
    monkeypatch.setattr(module, "_offering", lambda: frozenset({"somebodys"}))
    made = ModuleType("somebodys.stages")
    exec(compile(PLUGIN, "/somewhere/somebodys/stages.py", "exec"), vars(made))
    return made


def placed(work) -> str:
    try:
        work()
    except Exception as error:
        return place(error)
    raise AssertionError("nothing was raised")


def test_it_is_the_innermost_line_of_a_plugin_and_not_of_a_library_below_it(plugin: ModuleType):
    assert placed(plugin.reads) == "stages.py:4"
    assert placed(lambda: plugin.calls(plugin.reads)) == "stages.py:4"
    assert placed(lambda: plugin.calls(lambda: 1 / 0)) == "stages.py:6"


def test_an_error_of_the_suite_itself_has_no_place(plugin: ModuleType):
    assert placed(lambda: 1 / 0) == ""


def test_a_refusal_in_words_is_its_own_explanation(plugin: ModuleType):
    assert placed(plugin.refuses) == ""


def test_a_users_own_network_that_does_not_build_is_placed(tmp_path: Path):
    (tmp_path / "net.py").write_text("def build(shape, classes):\n    layers = []\n    return layers[3]\n")
    with pytest.raises(UsageError) as error:
        load_factory(f"{tmp_path}/net.py:build")((1, 8, 8), 4)
    assert place(error.value) == "net.py:3"
    (tmp_path / "net.py").write_text("\nraise ValueError('no')\n")
    assert placed(lambda: load_factory(f"{tmp_path}/net.py:build")) == "net.py:2"


def test_packages_that_offer_plugins_are_those_of_entry_points():
    assert {"bench_art", "bench_native"} <= module._offering()
    assert "bench" not in module._offering()
