"""What ``bench new defense`` writes is complete, and nothing is overwritten."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.scaffold import new_defense


def test_every_file_of_a_package_is_there(tmp_path: Path) -> None:
    files = new_defense("soft-blur", tmp_path)
    folder = tmp_path / "bench-defense-soft-blur"
    assert sorted(str(file.relative_to(folder)) for file in files) == [
        "README.md",
        "bench_soft_blur/__init__.py",
        "bench_soft_blur/defense.py",
        "bench_soft_blur/plugin.py",
        "pyproject.toml",
        "tests/test_soft_blur.py",
    ]
    assert all(file.is_file() for file in files)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name], "a draft was left behind"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["edge_defense_bench"] == {"soft-blur": "bench_soft_blur.plugin"}
    assert project["project"]["name"] == "bench-defense-soft-blur"
    for file in files:
        text = file.read_text()
        assert "{{" not in text
        assert text.endswith("\n")
        if file.suffix == ".py":
            ast.parse(text)
    assert len((folder / "bench_soft_blur" / "defense.py").read_text().splitlines()) <= 40


def test_the_package_is_as_tidy_as_the_suite(tmp_path: Path) -> None:
    new_defense("blur", tmp_path)
    ruff = pytest.importorskip("ruff", reason="ruff is not installed")
    assert ruff
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--line-length=120",
            "--select=E,F,I,D,UP,B",
            "--ignore=D107,D203,D213,D103",
            ".",
        ],
        cwd=tmp_path / "bench-defense-blur",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "name",
    ["", "Blur", "soft_blur", "-x", "x-", "1st", "a b", "../up", "a/b", "import", "häßlich", "x" + "\n"],
)
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a defense"):
        new_defense(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "meaning"), [("all", "all defenses that are on by default"), ("none", "the undefended model")]
)
def test_a_reserved_name_is_said_to_be_reserved(tmp_path: Path, name: str, meaning: str) -> None:
    with pytest.raises(UsageError, match=f"{name!r} is reserved: .*{meaning}"):
        new_defense(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["art", "superiot"])
def test_a_name_whose_package_is_installed_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"bench_{name}"):
        new_defense(name, tmp_path)


@pytest.mark.parametrize(("name", "whose"), [("jpeg", "offered by"), ("transformations", "family")])
def test_a_name_that_a_selection_reads_as_something_else_is_refused(tmp_path: Path, name: str, whose: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is .*{whose}.*Choose another name"):
        new_defense(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_its_test_is_of_the_entry_that_the_package_itself_offers(tmp_path: Path) -> None:
    new_defense("blur", tmp_path)
    text = (tmp_path / "bench-defense-blur" / "tests" / "test_blur.py").read_text()
    assert 'assert found.distribution == "bench-defense-blur"' in text


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "bench-defense-blur" / "mine.txt"
    own.parent.mkdir()
    own.write_text("work of years")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        new_defense("blur", tmp_path)
    assert [path.name for path in own.parent.iterdir()] == ["mine.txt"]
    assert own.read_text() == "work of years"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: .*--folder"):
        new_defense("blur", file / "below")
