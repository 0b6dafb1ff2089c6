"""Equal things have equal keys, and different ones different keys."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.store import keys
from bench.store.keys import environment_class, file_digest, key, versions

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
preimages = st.dictionaries(st.text(), values, max_size=5)


def shuffled(value: object) -> object:
    """Return the same with mappings in the opposite order and tuples for lists."""
    if isinstance(value, dict):
        return MappingProxyType({name: shuffled(part) for name, part in reversed(value.items())})
    return tuple(map(shuffled, value)) if isinstance(value, list) else value


def test_a_key_is_that_of_the_first_version_so_that_stores_stay_good() -> None:
    import hashlib

    text = '{"a":[1,2.5,null,true],"b":"\\u00e9"}'
    assert key({"b": "é", "a": (1, 2.5, None, True)}) == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@given(preimages)
def test_the_order_of_mappings_and_the_kind_of_sequence_do_not_matter(preimage: dict[str, object]) -> None:
    assert key(preimage) == key(shuffled(preimage))  # type: ignore[arg-type]


@given(preimages, preimages)
def test_keys_are_equal_only_where_the_canonical_text_is(one: dict[str, object], other: dict[str, object]) -> None:
    assert (key(one) == key(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_values_that_python_calls_equal_are_told_apart() -> None:
    assert len({key({"v": v}) for v in (1, 1.0, True, "1", [1])}) == 5


@pytest.mark.parametrize(
    "value", [np.float64(0.3), np.int64(1), np.zeros(2), {1, 2}, b"x", Path("x"), {1: "a"}, object(), [{"a": {2j}}]]
)
def test_what_has_no_canonical_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        key({"v": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_float_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        key({"v": value})


def test_a_file_digest_follows_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 2_999_999 + b"y")
    assert file_digest(tmp_path / "a") == file_digest(str(tmp_path / "a")) != file_digest(tmp_path / "b")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        file_digest(tmp_path / "absent")


def test_versions_are_those_that_are_imported() -> None:
    assert versions()["numpy"] == np.__version__
    assert set(versions()) == set(keys.LIBRARIES)


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("vendor_id : GenuineIntel\nflags : fma avx2 avx512f avx512vl avx512bw avx512dq\n", ("GenuineIntel", "avx512")),
        ("vendor_id : AuthenticAMD\nflags : fma avx2 avx512f\n", ("AuthenticAMD", "avx2")),
        ("vendor_id : GenuineIntel\nflags : avx avx2\n", ("GenuineIntel", "default")),
        ("Features : fp asimd sve\nCPU implementer : 0x41\n", ("0x41", "sve")),
        (
            "vendor_id : G\nflags : fma avx512f avx512vl avx512bw avx512dq avx512_bf16 amx_bf16\n",
            ("G", "avx512+bf16+amx"),
        ),
        ("Features : fp asimd\nCPU implementer : 0x41\n", ("0x41", "neon")),
        ("", ("", "default")),
    ],
)
def test_a_processor_is_classed_by_what_torch_would_choose(cpuinfo: str, expected: tuple[str, str]) -> None:
    assert keys._processor(cpuinfo) == expected


def test_the_environment_class_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    capability = torch.backends.cpu.get_cpu_capability().lower()
    if capability not in {"avx512", "avx2", "default"}:
        pytest.skip(f"torch calls this processor {capability}")
    assert re.search(rf"-{capability}(\+bf16)?(\+amx)?-float32-py3\.", environment_class())


def test_what_chooses_other_kernels_is_another_class(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = environment_class()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    environment_class.cache_clear()
    assert environment_class() != usual
    monkeypatch.undo()
    environment_class.cache_clear()


def test_keys_need_no_torch_and_no_numpy() -> None:
    code = (
        "import sys\nfrom bench.store import Store\nfrom bench.store.keys import *\n"
        "key({'a': 1}); versions(); environment_class(); code_digest('bench_baselines.undefended:Undefended')\n"
        "print([m for m in ('torch', 'art', 'pandas', 'numpy', 'bench_baselines') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
