"""What this machine is taken for."""

from __future__ import annotations

import pytest

from bench.hardware import processor
from bench.planning import machine


@pytest.mark.parametrize(
    ("flags", "meant"),
    [
        ("fma avx2", "fp32"),
        ("avx512f avx512_bf16", "bf16"),
        ("avx512f avx512_vnni", "fp32"),
        ("avx512f amx_bf16 amx_tile amx_int8", "bf16"),
        ("amx_int8 amx_tile", "fp32"),
    ],
)
def test_automatic_precision_is_bfloat16_only_where_the_processor_multiplies_in_it(tmp_path, monkeypatch, flags, meant):
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: GenuineIntel\nflags\t\t: {flags}\n\nflags\t\t: {flags}\n")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    assert machine.gradient_precision("auto") == meant
    assert (machine.gradient_precision("fp32"), machine.gradient_precision("bf16")) == ("fp32", "bf16")


def test_without_a_description_of_the_processor_it_is_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "absent")
    assert machine.gradient_precision("auto") == "fp32"
