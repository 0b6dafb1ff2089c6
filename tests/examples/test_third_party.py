"""Wheels of the suite, of the example plugin and of a freshly written one, side by side in a clean environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bench.scaffold import new_defense

TOP = Path(__file__).parents[2]
EXAMPLE = TOP / "examples" / "bench-defense-median"

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, code: int = 0, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BENCH_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a virtual environment ``venv`` that has the three wheels, and the libraries of this one."""
    pytest.importorskip("build", reason="the package 'build' is not installed")
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("clean")
    new_defense("fresh", folder)
    written = folder / "bench-defense-fresh"
    for project in (TOP, EXAMPLE, written):
        run(
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            folder / "wheels",
            project,
            cwd=folder,
        )
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # Only a path: the editable install of the suite, which is another .pth file there, is not followed.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wheels = sorted((folder / "wheels").glob("*.whl"))
    assert len(wheels) == 3
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        *wheels,
        cwd=folder,
    )
    return folder


def bench(clean: Path, *arguments: str, code: int = 0) -> str:
    return run(
        clean / "venv" / "bin" / "bench",
        *arguments,
        cwd=clean,
        code=code,
        BENCH_STORE=str(clean / "store"),
        NO_COLOR="1",
    )


def test_the_suite_that_runs_there_is_the_wheel(clean: Path) -> None:
    place = run(clean / "venv" / "bin" / "python", "-c", "import bench; print(bench.__file__)", cwd=clean)
    assert place.startswith(str(clean / "venv"))


def test_both_plugins_are_listed_with_their_origin(clean: Path) -> None:
    listed = bench(clean, "plugins")
    assert "median" in listed
    assert "fresh" in listed
    assert "bench-defense-median" in listed
    assert "size" in bench(clean, "plugins", "median")


def test_both_plugins_pass_the_check(clean: Path) -> None:
    results = json.loads(bench(clean, "check", "median,fresh", "--json"))
    for name in ("median", "fresh"):
        assert len([result for result in results if result["name"].startswith(f"{name}: ")]) >= 15
    assert not [result for result in results if result["outcome"] == "fail"]


def test_both_run_beside_the_undefended_model(clean: Path) -> None:
    bench(
        clean,
        *("run", "--defenses", "median[size=3],fresh", "--attacks", "fgsm", "--samples", "32", "--norm", "linf"),
        *("--hardware", "none", "--no-html", "--out", "out"),
    )
    records = [json.loads(line) for line in (clean / "out" / "records.jsonl").read_text().splitlines()]
    done = {r["defense"]["name"] for r in records if r["kind"] == "attack" and r["status"] == "ok"}
    assert done == {"none", "median", "fresh"}
    origins = {r["defense"]["name"]: r["defense"]["distribution"].split()[0] for r in records}
    assert origins["median"] == "bench-defense-median"


def test_the_tests_that_come_with_them_pass(clean: Path) -> None:
    tests = (EXAMPLE / "tests", clean / "bench-defense-fresh" / "tests")
    out = run(
        clean / "venv" / "bin" / "python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        *tests,
        cwd=clean,
    )
    assert "8 passed" in out


def test_the_examples_defense_is_short() -> None:
    assert len((EXAMPLE / "bench_median" / "defense.py").read_text().splitlines()) <= 40
