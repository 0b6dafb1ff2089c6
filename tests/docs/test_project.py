"""The project's own files agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())


def packages() -> dict[str, Path]:
    """Return the first-party packages: plugins, and what several of them share."""
    return {path.name: path for path in sorted((TOP / "plugins").glob("*/bench_*")) if (path / "__init__.py").exists()}


def plugins() -> dict[str, Path]:
    return {name: path for name, path in packages().items() if (path / "plugin.py").exists()}


def pinned() -> dict[str, str]:
    lines = (TOP / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_plugin_folder_is_packaged_registered_and_under_the_import_contract() -> None:
    packaged = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    registered = {module.split(".")[0] for module in PROJECT["project"]["entry-points"]["edge_defense_bench"].values()}
    linted = PROJECT["tool"]["importlinter"]
    (core,) = [contract for contract in linted["contracts"] if contract["id"] == "core"]
    assert {str(path.relative_to(TOP)) for path in packages().values()} | {"bench"} == set(packaged)
    assert registered == set(plugins())
    assert set(linted["root_packages"]) == {"bench", *packages()}
    assert set(core["forbidden_modules"]) == set(packages())


def test_every_dependency_is_pinned_once_to_a_plain_version() -> None:
    wanted = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-") for requirement in wanted}
    known = {name.lower().replace("_", "-") for name in pinned()}
    assert names - known - {"edge-defense-bench", "cma", "opencv-python-headless"} == set()
    assert all(re.fullmatch(r"\d[\w.]*", version) for version in pinned().values()), "no +cpu, no URL"


def test_torch_and_torchvision_are_of_one_release() -> None:
    torch, vision = (tuple(map(int, pinned()[name].split("."))) for name in ("torch", "torchvision"))
    # torch 2.N goes with torchvision 0.(N + 15), patch by patch.
    assert vision == (0, torch[1] + 15, torch[2])


@pytest.mark.parametrize("script", ["setup", ".ci/run", "reports/make"])
def test_the_scripts_are_executable_and_parse(script: str) -> None:
    assert (TOP / script).stat().st_mode & 0o111
    subprocess.run(["sh", "-n", TOP / script], check=True)


def test_a_finished_installation_is_not_repeated_and_a_half_one_is(tmp_path: Path) -> None:
    """The guard of ``./setup``, with a Python and a pip that only say that they were called."""
    for name in ("setup", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((TOP / name).read_bytes())
        (tmp_path / name).chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    log = tmp_path / "log"
    python = tools / "python3"
    python.write_text(
        f"""#!/bin/sh
echo "$*" >> {log}
case "$*" in
  "-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *install*) [ ! -e {tmp_path}/broken ] ;;
esac
"""
    )
    python.chmod(0o755)

    def setup(*arguments: str) -> tuple[int, list[str]]:
        log.write_text("")
        environment = {"PATH": f"{tools}:/usr/bin:/bin"}
        code = subprocess.run([tmp_path / "setup", *arguments], env=environment, capture_output=True).returncode
        return code, [line for line in log.read_text().splitlines() if "venv" in line or " install " in line]

    (tmp_path / "broken").touch()
    code, calls = setup()
    assert code != 0, "a failed installation must fail"
    assert len(calls) == 2
    (tmp_path / "broken").unlink()
    code, calls = setup()
    assert code == 0
    assert [call.split()[2] for call in calls] == ["install"], "the environment is kept, the installation repeated"
    assert setup() == (0, [])
    code, calls = setup("test")
    assert code == 0
    assert calls[0].endswith(".[test]")
    assert setup() == setup("test") == (0, [])
    stamp = (tmp_path / ".venv" / "installed-test").stat().st_mtime_ns
    import os

    os.utime(tmp_path / "constraints.txt", ns=(stamp + 10**9, stamp + 10**9))
    assert len(setup("test")[1]) == 1, "newer constraints are installed"
    assert setup("nonsense")[0] == 2
