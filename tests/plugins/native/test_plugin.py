from __future__ import annotations

import subprocess
import sys


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys, bench_native.plugin as p; p.bench_attacks(); print({'torch', 'art', 'numpy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
