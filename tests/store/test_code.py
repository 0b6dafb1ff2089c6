"""The digest of code follows what runs, and nothing else."""

from __future__ import annotations

import ast
import itertools
import sys
from pathlib import Path

import pytest

from bench.errors import PluginFault
from bench.plugins.registry import discover
from bench.store import code
from bench.tasks.kinds import FUNCTIONS

numbers = itertools.count()


class Package:
    """A package on the path whose files can be changed between two digests."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = f"planted{next(numbers)}"
        self.root = root / self.name
        self.root.mkdir()
        monkeypatch.syspath_prepend(str(root))
        self.write("__init__.py", "")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("PKG", self.name))

    def digest(self, module: str = "main") -> str:
        forget()
        return code.code_digest(f"{self.name}.{module}:make")


def forget() -> None:
    for cached in (code._digest_from, code._source, code._file, code._lies_in, code._owners, code._distributions):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    yield Package(tmp_path, monkeypatch)
    forget()


MAIN = '''
"""What it is."""
import os

def make(x: int) -> int:
    """Return one more."""
    return x + 1
'''


@pytest.mark.parametrize(
    "same",
    [
        MAIN.replace("What it is.", "Something else."),
        MAIN.replace('    """Return one more."""\n', ""),
        MAIN.replace("return x + 1", "return (x+1)  # one more"),
        MAIN.replace("def make(x: int)", "\n\n\ndef make(\n    x: int,\n)"),
    ],
)
def test_comments_docstrings_and_layout_do_not_change_it(package: Package, same: str) -> None:
    package.write("main.py", MAIN)
    before = package.digest()
    package.write("main.py", same)
    assert same != MAIN
    assert package.digest() == before


@pytest.mark.parametrize(
    "other",
    [
        MAIN.replace("x + 1", "x + 2"),
        MAIN.replace("x + 1", "x - 1"),
        MAIN.replace("x + 1", "x + 1.0"),
        MAIN.replace("x + 1", "x + True"),
        MAIN.replace("import os", "import sys"),
        MAIN.replace("x: int)", "x: int = 0)"),
        MAIN.replace("return x", "assert x\n    return x"),
        MAIN + "\nTHRESHOLD = 'text'\n",
    ],
)
def test_what_runs_changes_it(package: Package, other: str) -> None:
    package.write("main.py", MAIN)
    before = package.digest()
    package.write("main.py", other)
    assert package.digest() != before


@pytest.mark.parametrize(
    ("main", "file"),
    [
        ("import PKG.other", "other.py"),
        ("import PKG.deep.other as o", "deep/other.py"),
        ("import PKG.deep.other as o", "deep/__init__.py"),
        ("from PKG import other", "other.py"),
        ("from PKG.deep import other", "deep/other.py"),
        ("from PKG.other import *", "other.py"),
        ("from . import other", "other.py"),
        ("from .deep.other import value", "deep/other.py"),
        ("def make():\n    from .other import value", "other.py"),
        ("import importlib\ndef make():\n    importlib.import_module('PKG.other')", "other.py"),
        ("from .step import go", "other.py"),
        ("", "__init__.py"),
    ],
)
def test_what_it_imports_changes_it_however_it_is_imported(package: Package, main: str, file: str) -> None:
    package.write("deep/__init__.py", "")
    package.write("deep/other.py", "")
    package.write("other.py", "")
    package.write("step.py", "def go():\n    import PKG.other")
    package.write("main.py", main)
    before = package.digest()
    package.write(file, "value = 2")
    assert package.digest() != before


def test_a_relative_import_from_a_deeper_package_is_followed(package: Package) -> None:
    package.write("deep/__init__.py", "")
    package.write("deep/main.py", "from ..other import value")
    package.write("other.py", "value = 1")
    before = package.digest("deep.main")
    package.write("other.py", "value = 2")
    assert package.digest("deep.main") != before


@pytest.mark.parametrize(
    "main",
    [
        "",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from PKG.other import value",
        "import typing\nif typing.TYPE_CHECKING:\n    import PKG.other",
    ],
)
def test_what_is_not_imported_when_it_runs_does_not_change_it(package: Package, main: str) -> None:
    package.write("other.py", "value = 1")
    package.write("main.py", main)
    before = package.digest()
    package.write("other.py", "value = 2")
    assert package.digest() == before


def test_modules_are_not_imported(package: Package) -> None:
    package.write("__init__.py", "raise RuntimeError('imported')")
    package.write("main.py", "from . import other")
    package.write("other.py", "1 / 0")
    assert package.digest()
    assert package.name not in sys.modules


def test_another_package_of_the_same_distribution_counts_and_a_stranger_does_not(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sister, stranger = Package(tmp_path, monkeypatch), Package(tmp_path, monkeypatch)
    info = tmp_path / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[edge_defense_bench]\np = {package.name}.main\n")
    (info / "RECORD").write_text(f"{sister.name}/__init__.py,,\n{package.name}/__init__.py,,\n")
    package.write("main.py", f"import {sister.name}.part, {stranger.name}.part")
    sister.write("part.py", "value = 1")
    stranger.write("part.py", "value = 1")
    before = package.digest()
    stranger.write("part.py", "value = 2")
    assert package.digest() == before
    sister.write("part.py", "value = 2")
    assert package.digest() != before


def test_a_first_party_plugin_is_named_with_the_core_that_it_uses_and_no_more() -> None:
    reached = code._reached("bench_baselines.undefended")
    assert {"bench_baselines.undefended", "bench.deployment.stage", "bench.errors"} <= reached
    assert not {name for name in reached if name.startswith(("bench.cli", "bench.reporting", "torch", "bench.store"))}


@pytest.mark.parametrize("task", FUNCTIONS.values())
def test_no_task_depends_on_which_other_tasks_there_are(task: str) -> None:
    assert "bench.tasks.kinds" not in code._reached(task.partition(":")[0])


def test_the_users_own_file_is_named_by_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("def make(): ...")
    before = code.code_digest(f"{file}:make")
    file.write_text("def make(): ... # changed")
    assert code.code_digest(f"{file}:make") != before


@pytest.mark.parametrize("imported", ["import blocks", "from parts.deep import layer", "from parts import deep"])
def test_what_the_users_own_file_imports_from_its_folder_changes_it(tmp_path: Path, imported: str) -> None:
    file, used = tmp_path / "net.py", tmp_path / ("blocks.py" if "blocks" in imported else "parts/deep.py")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "unused.py").write_text("a = 1")
    file.write_text(f"{imported}\ndef make(): ...")
    used.write_text("import math\nlayer = 'tanh'")
    before = code.code_digest(f"{file}:make")
    (tmp_path / "unused.py").write_text("a = 2")
    assert code.code_digest(f"{file}:make") == before
    used.write_text("import math\nlayer = 'identity'")
    assert code.code_digest(f"{file}:make") != before


def test_a_third_party_plugin_is_named_with_the_plugins_that_it_builds_on(package: Package) -> None:
    package.write("main.py", "from bench_native.losses import margin")
    package.digest()
    assert "bench_native.losses" in code._reached(f"{package.name}.main")


def test_a_process_that_lives_on_names_code_by_what_it_is_now(package: Package) -> None:
    package.write("main.py", "a = 1")
    before = package.digest()
    package.write("main.py", "a = 21")
    factory = f"{package.name}.main:make"
    assert code.code_digest(factory) == before
    code.refresh()
    assert code.code_digest(factory) != before


def test_code_that_is_not_there_or_is_no_python_is_refused(package: Package, tmp_path: Path) -> None:
    package.write("main.py", "def (")
    with pytest.raises(PluginFault, match=r"main\.py is no Python"):
        package.digest()
    with pytest.raises(PluginFault, match="absent' of factory"):
        package.digest("absent")
    with pytest.raises(PluginFault, match="cannot be read: No such file"):
        code.code_digest(f"{tmp_path}/absent.py:make")


def test_each_file_of_the_first_party_entries_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = discover()
    kinds = ("defense", "attack", "model", "dataset", "hardware")
    factories = [f.entry.factory for kind in kinds for f in registry.of(kind).values()]
    parse, parsed = ast.parse, []

    def counted(content: bytes) -> ast.Module:
        parsed.append(content)
        return parse(content)

    monkeypatch.setattr(ast, "parse", counted)
    forget()
    for factory in factories * 2:
        code.code_digest(factory)
    assert 0 < len(parsed) <= code._source.cache_info().currsize
