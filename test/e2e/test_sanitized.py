"""Generated code under AddressSanitizer, with input values that nobody should give it.

Of ONNX's cases a share is run, another for each seed: NACRE_SANITIZED=SEED:SHARES takes one
of SHARES parts, NACRE_SANITIZED=3:1 all of them (some minutes).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import BUILD

SEED, SHARES = os.environ.get("NACRE_SANITIZED", "0:32").split(":")


def runtime() -> str:
    found = subprocess.run(["clang-22", "-print-file-name=libclang_rt.asan-x86_64.so"], capture_output=True, text=True)
    return found.stdout.strip()


def environment() -> dict[str, str]:
    # Where memory is short, an error of the model's, not one of the sanitizer's.
    options = "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512:quarantine_size_mb=16"
    return {**os.environ, "LD_PRELOAD": runtime(), "ASAN_OPTIONS": options, "NACRE_TEST_SANITIZE_ADDRESS": "1"}


def find_failures(progress: Path, *options: str) -> list[str]:
    """Runs the cases to the end, whatever crashes on the way; what crashed, with its report."""
    failures: list[str] = []
    start = 0
    while True:
        command = [sys.executable, str(Path(__file__).with_name("sanitized_run.py")), str(progress)]
        ran = subprocess.run(
            [*command, *options, "--start", str(start)], env=environment(), capture_output=True, text=True, errors="replace"
        )
        lines = progress.read_text().splitlines() if progress.exists() else []
        if ran.returncode == 0 and lines and lines[-1].endswith(" done"):
            return failures
        assert lines and int(lines[-1].split()[0]) >= start, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
        index, name = lines[-1].split()
        failures.append(f"{name}: exit status {ran.returncode}\n{ran.stderr[:3000]}")
        start = int(index) + 1


@pytest.mark.skipif("asan" in BUILD.name or "tsan" in BUILD.name, reason="this build has a sanitizer of its own")
def test_hostile_values(tmp_path: Path) -> None:
    failures = find_failures(tmp_path / "progress", "--seed", SEED, "--share", f"0/{SHARES}")
    assert not failures, "\n\n".join(failures)


OVERRUN = """
import ctypes, sys, numpy as np
sys.path[:0] = [r"{folder}"]
from onnx import parser
from support import module
model = parser.parse_model('<ir_version: 10, opset_import: ["" : 23]> m (float[64] x) => (float[64] y) {{ y = Relu (x) }}')
program = module().compile(model.SerializeToString())
# An array that claims more than its memory.
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
memory = (ctypes.c_float * 64).from_address(libc.malloc(ctypes.c_size_t(40 * 4)))
program.run({{"x": np.ctypeslib.as_array(memory)}})
"""


@pytest.mark.skipif("asan" in BUILD.name or "tsan" in BUILD.name, reason="this build has a sanitizer of its own")
def test_that_overruns_are_seen() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OVERRUN.format(folder=Path(__file__).parent)],
        env=environment(), capture_output=True, text=True, errors="replace",
    )
    assert "heap-buffer-overflow" in ran.stderr, ran.stderr[-3000:]
