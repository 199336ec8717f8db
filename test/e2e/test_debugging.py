"""What the compiler tells of itself: reproducers of its faults and crashes, and --verbose."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import onnx
import pytest

import small_models
from support import BUILD, NACRE, nacre

LARGE = Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx"
PHASES = ("import", "graph", "lower", "tile", "buffer", "codegen", "artifact")


def find_command(message: str) -> str:
    return re.search(r"to see it again:\n +(.*)", message)[1]


def run_printed(message: str) -> subprocess.CompletedProcess[str]:
    """Runs the command that a message names."""
    command = find_command(message)
    path = f"{BUILD / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(command, shell=True, capture_output=True, text=True, env={**os.environ, "PATH": path})


def parses(module: Path) -> bool:
    return subprocess.run([BUILD / "bin/nacre-opt", module, "-o", os.devnull], capture_output=True).returncode == 0


def test_a_fault_of_the_compiler_leaves_a_reproducer(tmp_path: Path) -> None:
    weight = "nn.parameter @w = dense<[1.25, 2.5]> : tensor<2xf32>\n"
    (tmp_path / "broken.mlir").write_text(weight + small_models.BROKEN_INSIDE)
    folder = tmp_path / "it's here"  # to be quoted
    folder.mkdir()
    for place in (folder, tmp_path / "named.mlir"):
        failed = nacre("compile", tmp_path / "broken.mlir", "-o", tmp_path / "b.so", "--reproducer", place, ok=False)
        assert failed.status == 3 and "internal error" in failed.err
        assert "in phase 'tile', pass 'tile-and-fuse', kernel 'exp'; to see it again:" in failed.err
        file = place if place.suffix else next(place.iterdir())
        assert place.suffix or re.fullmatch(r"nacre-crash-tile-\d+\.mlir", file.name)
        assert parses(file) and "1.25" not in file.read_text()
        assert "dense<0.000000e+00> : tensor<2xf32>" in file.read_text()
        again = run_printed(failed.err)
        assert again.returncode == 1 and "tiling names 1 loops" in again.stderr
    # Where it cannot be written, that is said beside the fault.
    failed = nacre("compile", tmp_path / "broken.mlir", "--reproducer", "/dev/null/x", ok=False)
    assert failed.status == 3 and "tiling" in failed.err and "cannot be written" in failed.err


def test_a_fault_of_the_model_leaves_none(tmp_path: Path) -> None:
    small_models.save(small_models.UNKNOWN, tmp_path / "unknown.onnx")
    folder = tmp_path / "crashes"
    folder.mkdir()
    failed = nacre("compile", tmp_path / "unknown.onnx", "--reproducer", folder, ok=False)
    assert failed.status == 1 and "again" not in failed.err and not list(folder.iterdir())


@pytest.mark.parametrize(("after", "sent"), [("graph", signal.SIGSEGV), ("buffer", signal.SIGABRT)])
def test_a_crash_leaves_a_reproducer(tmp_path: Path, after: str, sent: signal.Signals) -> None:
    # The thread that is stopped may hold the lock of memory that the report needs: then there is
    # none. That is said within 30 seconds, and is rare.
    for attempt in range(3):
        folder = tmp_path / f"crashes{attempt}"
        message, status = crash(folder, tmp_path / "m.so", after, sent)
        # Where the signal met an allocation, LLVM cannot print the stack: an alarm ends that.
        assert status == -sent or "could not be reported in time" in message, message
        if "nacre: internal error in phase" in message:
            break
    (file,) = folder.iterdir()
    phase = re.fullmatch(r"nacre-crash-(\w+)-\d+\.mlir", file.name)[1]
    assert PHASES.index(phase) >= PHASES.index(after)
    assert f"nacre: internal error in phase '{phase}'" in message
    assert file.stat().st_size < 4 << 20 and parses(file)
    tool = "nacre compile" if phase in ("codegen", "artifact") else "nacre-opt"
    assert find_command(message).startswith(f"{tool} {file}")
    assert run_printed(message).returncode == 0  # there was no fault
    assert not (tmp_path / "m.so").exists()


def crash(folder: Path, artifact: Path, after: str, sent: signal.Signals) -> tuple[str, int]:
    """What a compilation says that gets a signal after a phase, and its status."""
    folder.mkdir()
    command = [NACRE, "compile", LARGE, "-o", artifact, "--no-cache", "--verbose", "--reproducer", folder]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )
    for line in process.stderr:
        if f"] {after}: " in line:
            break
    time.sleep(0.1)  # the next phase has begun, or the one after
    process.send_signal(sent)
    message = process.communicate(timeout=60)[1]
    return message, process.returncode


def test_verbose_tells_what_happens(tmp_path: Path) -> None:
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 16, 4)
    options = ["-o", tmp_path / "mlp.so", "--cache-dir", tmp_path / "cache"]
    assert nacre("compile", model, *options).err == ""
    told = nacre("compile", model, *options, "--verbose").err
    lines = [re.fullmatch(r"\[ *(\d+\.\d{3}) s\] (.*)", line) for line in told.splitlines()]
    assert all(lines), told
    times = [float(line[1]) for line in lines]
    assert times == sorted(times)
    events = [line[2] for line in lines]
    assert events[0].startswith("target: ") and events[1] == f"cache: {tmp_path / 'cache'}"
    done = [event.split(":")[0] for event in events if re.match(r"\w+: \d+\.\d{3} s", event)]
    assert tuple(done) == PHASES
    assert any(re.fullmatch(r"graph: \S+ s, \d+ ops, 2 kernels", event) for event in events)
    assert any(event.startswith("remark: node ") and "choose-tiles" in event for event in events)
    assert any(re.fullmatch(r"cache: [1-9]\d* hits, 0 misses", event) for event in events)
    assert any(re.fullmatch(rf"{re.escape(str(tmp_path / 'mlp.so'))}: \d+ KiB", event) for event in events)
    # Commands that compile in process tell it too; of a compiled model there is nothing to tell.
    assert "] artifact: " in nacre("bench", model, "--dim", "N=1", "--verbose").err
    assert nacre("bench", tmp_path / "mlp.so", "--dim", "N=1", "--verbose", ok=False).status == 2
