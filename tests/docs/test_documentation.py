"""The documentation cannot lag: what exists is described, what is described exists, and examples run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

import bench
from bench.api import specification
from bench.cli import app
from bench.errors import ExitCode
from bench.plugins import hookspecs
from bench.plugins.selection import select

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.S | re.M)


def named(page: Path) -> str:
    return str(page.relative_to(TOP))


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """Return (what stands beside the language, text) of each block."""
    return [(head, text) for lang, head, text in BLOCK.findall(page.read_text()) if lang == language]


def hooks() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("bench_")]


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_has_a_section(hook: str) -> None:
    assert re.search(rf"^## {hook}$", (DOCS / "reference" / "hooks.md").read_text(), re.M)


def test_the_page_of_hooks_names_no_hook_that_is_none() -> None:
    text = (DOCS / "reference" / "hooks.md").read_text()
    assert set(re.findall(r"^## (bench_\w+)$", text, re.M)) == set(hooks())


@pytest.mark.parametrize("name", bench.__all__)
def test_every_public_name_is_documented_and_there(name: str) -> None:
    assert getattr(bench, name) is not None
    reference = (DOCS / "reference" / "api.md").read_text() + (DOCS / "reference" / "hooks.md").read_text()
    assert re.search(rf"(`bench\.|:: bench\.[\w.]*){name}\b", reference), f"{name} is nowhere in docs/reference"


def test_the_public_names_are_sorted_and_those_that_dir_gives() -> None:
    assert sorted(bench.__all__) == bench.__all__
    assert {name for name in dir(bench) if not name.startswith("_")} == set(bench.__all__)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_object_that_a_page_shows_exists(page: Path) -> None:
    for path in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.M):
        try:
            importlib.import_module(path)
        except ImportError:
            module, _, name = path.rpartition(".")
            documented = getattr(importlib.import_module(module), name)
            assert documented.__doc__, f"{path} has no docstring"


def writer_of(name: str) -> ModuleType:
    """Return a script of the documentation that writes pages."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    return writer


def test_every_method_has_a_card_which_says_what_its_entry_says() -> None:
    writer = writer_of("method_cards")
    blocks = writer.blocks()
    assert {path.stem for path in writer.FOLDER.glob("*.md")} == {"index", *blocks}
    for name, block in blocks.items():
        text = (writer.FOLDER / f"{name}.md").read_text()
        assert text == writer.card(text, block), "run: python docs/method_cards.py"
        assert "**Limits.**" in text


def test_a_run_of_ones_own_is_no_published_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = writer_of("method_cards")
    before = writer.blocks()
    shutil.copytree(writer.REPORTS, tmp_path / "reports", ignore=shutil.ignore_patterns("*.gz", "*.html"))
    shutil.copytree(tmp_path / "reports" / "mnist", tmp_path / "reports" / "2026-11-28-144741")
    monkeypatch.setattr(writer, "REPORTS", tmp_path / "reports")
    assert writer.blocks() == before


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    writer = writer_of("cli_reference")
    assert writer.PAGE.read_text() == writer.page(), "run: python docs/cli_reference.py"


def commands() -> Iterator[tuple[str, click.Command]]:
    for verb in app.VERBS:
        command = importlib.import_module(f"bench.cli.{verb}").command
        yield verb, command
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield f"{verb} {name}", child


def test_every_verb_option_has_a_help_text_and_every_verb_an_example() -> None:
    for path, command in commands():
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"bench {path} {parameter.opts}"


def test_every_environment_variable_is_documented() -> None:
    known = set()
    for source in (*(TOP / "bench").rglob("*.py"), *(TOP / "plugins").rglob("*.py")):
        known |= set(re.findall(r"\bBENCH_[A-Z_]+[A-Z]\b", source.read_text()))
    text = (DOCS / "reference" / "config.md").read_text()
    assert known
    assert not [name for name in sorted(known) if f"`{name}`" not in text]


def test_every_exit_code_is_documented() -> None:
    rows = re.findall(r"^\| (\d+) \|", (DOCS / "reference" / "config.md").read_text(), re.M)
    assert {int(row) for row in rows} == {int(code) for code in ExitCode}


def test_the_example_config_is_one_that_the_command_reads() -> None:
    ((_, text),) = blocks(DOCS / "reference" / "config.md", "toml")
    options = {option for parameter in dict(commands())["run"].params for option in parameter.opts}
    assert not [name for name in tomllib.loads(text) if f"--{name}" not in options]


def typed() -> list[tuple[str, str]]:
    """Return every ``bench`` command that a page or the README shows."""
    found = []
    for page in (TOP / "README.md", *PAGES, TOP / "examples" / "bench-defense-median" / "README.md"):
        for language in ("console", "sh"):
            for _, text in blocks(page, language):
                lines = [
                    line.removeprefix("$ ") for line in text.splitlines() if language == "sh" or line.startswith("$ ")
                ]
                parts = [part for line in lines for part in re.split(r"\s*&&\s*", line.split(" #")[0])]
                found += [(named(page), part) for part in parts if re.match(r"(\.venv/bin/)?bench ", part)]
    return found


@pytest.mark.parametrize(("page", "command"), typed(), ids=lambda text: text[:60])
def test_every_command_that_is_shown_exists_with_its_options(page: str, command: str) -> None:
    known = dict(commands())
    words = shlex.split(command)[1:]
    verb = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in known), None)
    assert verb is not None, f"{page}: {command}"
    options = {option for parameter in known[verb].params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert not [word for word in words if word.startswith("--") and word.split("=")[0] not in options], (
        f"{page}: {command}"
    )


@pytest.mark.parametrize(("page", "command"), typed(), ids=lambda text: text[:60])
def test_every_selection_that_is_shown_selects_something(page: str, command: str) -> None:
    from bench.plugins.registry import discover

    words = shlex.split(command)
    kinds = {"--defenses": "defense", "--attacks": "attack", "--datasets": "dataset", "--models": "model"}
    for flag, value in pairwise(words):
        # What the reader is about to install is not here yet.
        if flag in kinds and not re.search(r"\b(mine|median|NAME)\b", value):
            assert select(discover(), kinds[flag], value).chosen, f"{page}: {command}"


RUN_ELSEWHERE = {"docs/reference/api.md"}


@pytest.mark.parametrize("page", [p for p in PAGES if named(p) not in RUN_ELSEWHERE and blocks(p, "python")], ids=named)
def test_the_python_of_a_page_runs(page: Path) -> None:
    """The blocks of a page run one after the other, as a reader would type them."""
    module = {"__name__": f"page_{page.stem.replace('-', '_')}"}
    for number, (_, text) in enumerate(blocks(page, "python"), 1):
        exec(compile(text, f"{named(page)}, block {number}", "exec"), module)


@pytest.mark.slow
def test_the_comparison_of_the_python_page_runs(tmp_path: Path) -> None:
    ((_, text),) = blocks(DOCS / "reference" / "api.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", text + "\nprint(board[['defense', 'clean_accuracy']].to_string())"],
        cwd=tmp_path,
        env={**os.environ, "BENCH_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "qusec-cq" in done.stdout
    assert "none" in done.stdout


def test_the_python_of_the_readme_prints_who_did_how_well(
    sample: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.analysis import leaderboard

    ((_, text),) = blocks(TOP / "README.md", "python")
    monkeypatch.setattr(bench, "run", lambda **flags: specification(**flags) and leaderboard(sample))
    exec(compile(text, "README.md", "exec"), {"__name__": "readme"})
    head, *rows = capsys.readouterr().out.splitlines()
    assert {"defense", "clean_accuracy", "robust_accuracy"} <= set(head.split())
    assert len(rows) == len(leaderboard(sample))


def test_the_tutorial_builds_the_example_to_the_letter() -> None:
    page, example = DOCS / "tutorial.md", TOP / "examples" / "bench-defense-median"
    python = dict(blocks(page, "python"))
    first, rest = (python[f' title="bench_median/defense.py{more}"'] for more in ("", ", continued"))
    assert f"{first}\n\n{rest}" == (example / "bench_median" / "defense.py").read_text()
    assert python[' title="bench_median/plugin.py"'] == (example / "bench_median" / "plugin.py").read_text()
    ((_, project),) = blocks(page, "toml")
    assert project == (example / "pyproject.toml").read_text()


def test_the_readme_opens_with_two_commands_of_one_line_each() -> None:
    first, second = blocks(TOP / "README.md", "sh")[:2]
    for _, text in (first, second):
        assert len(text.strip().splitlines()) == 1
    assert first[1].strip().endswith("bench run --defenses superiot,qusec --attacks all")
    assert "pytest" in second[1]


@pytest.mark.parametrize("page", [TOP / "README.md", *PAGES], ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{named(page)}: {target}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (TOP / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    listed = set(re.findall(r"- ([\w/-]+\.md)$", navigation, re.M))
    assert listed == {str(page.relative_to(DOCS)) for page in PAGES}


def test_the_picture_of_the_readme_shows_the_published_figures() -> None:
    writer = writer_of("picture")
    assert writer.shown() == writer.digest(), "run: python docs/picture.py"


def test_published_tables_are_those_of_the_reports() -> None:
    writer = writer_of("published")
    for page in writer.PAGES:
        text = page.read_text()
        assert writer.PLACE.search(text), f"{page.name} shows no table"
        assert text == writer.written(text), "run: python docs/published.py"
