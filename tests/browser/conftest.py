from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PLACE = Path(__file__).parents[1] / "reporting" / "sample_records.py"


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
