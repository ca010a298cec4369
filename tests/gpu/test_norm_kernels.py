"""What the compiler makes of the fused norm's kernels, on any machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernels import needs_triton

ROOT = Path(__file__).parents[2]


@needs_triton
@pytest.mark.skipif(sys.platform != "linux", reason="Triton's compiler is for Linux")
@pytest.mark.parametrize(("kind", "width"), [("fp32", 16), ("bf16", 64)])
def test_the_kernels_for_an_h100(kind: str, width: int, tmp_path: Path) -> None:
    """Four programs at a time on a processor; nothing spilled; loads of 16 bytes; no atomics."""
    command = [sys.executable, "-m", "tests.support.compiled", kind, str(width)]
    settings = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 12
    for row in rows:
        assert row["registers"] <= 65536 // (4 * 128), row
        assert (row["spilled"], row["atomics"]) == (0, 0), row
        if not row["kernel"].startswith("finish"):
            assert row["loads"] == row["wide loads"] > 0, row
