"""The built tree as the end-to-end tests use it."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("NACRE_PRESET", "release")
NACRE = BUILD / "bin" / "nacre"


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    status: int
    out: str
    err: str
    seconds: float
    peak_bytes: int

    def text(self) -> str:
        return f"exit status {self.status}\n{self.out}\n{self.err}"


def nacre(*arguments: str | Path, ok: bool = True, timeout: float = 300) -> Ran:
    """Runs the command line tool; `ok` asserts success."""
    command = [str(NACRE), *map(str, arguments)]
    # A process of its own whose only child is the tool, to know the tool's peak memory.
    measured = subprocess.Popen(
        [sys.executable, "-S", "-c", _MEASURE, *command], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        summary, _ = measured.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(measured.pid, signal.SIGKILL)  # the tool with it
        measured.wait()
        raise
    ran = Ran(*json.loads(summary))
    assert not ok or ran.status == 0, f"{' '.join(command)}\n{ran.text()}"
    return ran


_MEASURE = """
import json, resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True, stdin=subprocess.DEVNULL)
seconds = time.monotonic() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
json.dump([done.returncode, done.stdout, done.stderr, seconds, peak], sys.stdout)
"""


def module() -> ModuleType:
    """The Python module `nacre` of the build tree."""
    folder = str(BUILD / "python")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("nacre")


def assert_close_to_range(
    name: str, actual: np.ndarray, reference: np.ndarray, tolerance: float
) -> None:
    """Every element within `tolerance` of the reference, relative to its range, or to its size if all are the same."""
    assert actual.shape == reference.shape, f"{name}: {actual.shape}, not {reference.shape}"
    assert np.isfinite(actual).all(), f"{name}: not finite"
    if reference.size == 0:
        return
    span = float(reference.max() - reference.min()) or abs(float(reference.max()))
    error = float(np.abs(actual.astype(np.float64) - reference).max())
    assert error <= tolerance * span, f"{name}: error {error / span:.3g} of the range"
