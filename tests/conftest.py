"""Fixtures for whole runs: a real command line in a real process, with a third party's plugin on the path."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("bench", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("bench")

if "PYTEST_XDIST_WORKER" in os.environ:  # one core a worker: torch's threads would take each other's
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SUPPORT = Path(__file__).parent / "support"


def write_distribution(site: Path, name: str, entry_points: str) -> None:
    """Write what makes ``importlib.metadata`` see a distribution of that name."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[edge_defense_bench]\n{entry_points}\n")
    packages = "\n".join(p.name for p in SUPPORT.iterdir() if p.is_dir())
    (folder / "top_level.txt").write_text(packages)


def but_timings(records: list[dict[str, Any]]) -> list[str]:
    """Return what must not depend on how a run went, one text a record, in a fixed order."""
    told = []
    for record in records:
        lasting = {name: value for name, value in record.items() if name not in {"provenance", "measurements"}}
        if "aggregates" in lasting:
            lasting["aggregates"] = {n: v for n, v in lasting["aggregates"].items() if n != "seconds"}
        told.append(json.dumps(lasting, sort_keys=True))
    return sorted(told)


@dataclass
class CommandLine:
    """The ``bench`` command with a store of its own and the toy plugin."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, code: int | None = 0, **more) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from bench.cli import main; main()", *arguments],
            cwd=self.folder,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def start(self, *arguments: str, **more) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from bench.cli import main; main()", *arguments],
            cwd=self.folder,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lasting(self, out: str) -> list[str]:
        """Return a run's records without what is timed."""
        return but_timings(self.records(out))

    def records(self, out: str) -> list[dict]:
        lines = (self.folder / out / "records.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return _command_line(tmp_path)


@pytest.fixture(scope="module")
def shared_command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A command whose store a whole file of tests reads; none of them may change it."""
    return _command_line(tmp_path_factory.mktemp("shared"))


def _command_line(folder: Path) -> CommandLine:
    site = folder / "site"
    write_distribution(site, "toy-plugins", "toy = toy_plugins.plugin")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(SUPPORT)]),
        "BENCH_STORE": str(folder / "store"),
        "HOME": str(folder),
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
    environment.pop("BENCH_DATA_DIR", None)
    return CommandLine(folder, environment)


PLACE = SUPPORT / "sample_records.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_records", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The functions that make records up."""
    return _load()


@pytest.fixture(scope="session")
def sample(made: ModuleType) -> list[dict[str, Any]]:
    """A whole comparison."""
    return made.sample_records(n=300)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn charts that all tests share."""
    return tmp_path_factory.getbasetemp() / "charts"
