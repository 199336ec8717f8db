"""The wheel of tools/dev/wheel: what is in it, and that it installs and runs in a bare virtual
environment where LLVM and Protobuf are not to be seen. `tools/dev/test wheel` makes it first."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import small_models
from support import ROOT

# What every Linux with glibc has; all else must be inside.
SYSTEM = re.compile(r"lib(c|m|dl|pthread|stdc\+\+|gcc_s)\.so\.\d+|ld-linux-x86-64\.so\.2")
# Hides LLVM's packages and Protobuf's library, in a mount namespace of its own.
HIDE = """
mount -t tmpfs none /usr/lib/llvm-22
for library in /usr/lib/x86_64-linux-gnu/lib{protobuf,LLVM,MLIR}*.so*; do
  [ ! -e "$library" ] || mount --bind /dev/null "$(readlink -f "$library")"
done
exec "$@"
"""
FIRST = """
import sys, numpy as np, nacre
model = nacre.compile(sys.argv[1], cache_dir="")
x = np.ones((2, 4), np.float32)
assert (model(x, x) == 2).all()
print(model.signature)
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    (found,) = (ROOT / "build/wheels").glob("nacre-*.whl")
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.save(small_models.SUM, tmp_path_factory.mktemp("wheel") / "sum.onnx")


def hidden(*command: str | Path, cwd: Path) -> str:
    """Runs a command where LLVM is not to be seen."""
    namespace = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here, so LLVM cannot be hidden")
    isolate = [*namespace, "bash", "-c", HIDE, "hide"]
    ran = subprocess.run([*isolate, *map(str, command)], capture_output=True, text=True, check=False, cwd=cwd, timeout=300)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def test_size_and_platform(wheel: Path) -> None:
    assert wheel.stat().st_size <= 60_000_000
    assert wheel.name.endswith("-manylinux_2_36_x86_64.whl")  # auditwheel's word


def test_needs_nothing_that_is_not_inside(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    libraries = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert {path.name.split(".")[0] for path in libraries} >= {"_core", "libnacre", "nacre"}
    inside = {path.name for path in libraries}
    for library in libraries:
        dynamic = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
        for needed in re.findall(r"NEEDED.*\[(.*)\]", dynamic):
            assert needed in inside or SYSTEM.fullmatch(needed), f"{library.name} needs {needed}"
        for path in re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic):
            assert all(part.startswith("$ORIGIN") for part in path.split(":") if part), f"{library.name}: {path}"


def test_first_inference_in_two_commands(wheel: Path, model: Path, tmp_path: Path) -> None:
    """pip install and the first inference take less than 10 seconds, of the processor."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    before = _children_seconds()
    start = time.monotonic()
    hidden(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=tmp_path)
    said = hidden(python, "-c", FIRST, model, cwd=tmp_path)
    print(f"{time.monotonic() - start:.1f} s, of the processor {_children_seconds() - before:.1f} s")
    assert said == "(x: f32[N, 4], y: f32[N, 4]) -> (z: f32[N, 4])\n"
    assert _children_seconds() - before < 10
    # The command: compile, inspect, and run what it made.
    command = tmp_path / "venv/bin/nacre"
    assert re.fullmatch(r"nacre \d+\.\d+\.\d+\n", hidden(command, "--version", cwd=tmp_path))
    hidden(command, "compile", model, "-o", "sum.so", "--cache-dir", "", cwd=tmp_path)
    assert "input   x: f32[N, 4]" in hidden(command, "info", "sum.so", cwd=tmp_path)
    check = "import nacre, numpy as np; x = np.ones((1, 4), np.float32); print(nacre.load('sum.so')(x, x))"
    assert hidden(python, "-c", check, cwd=tmp_path) == "[[2. 2. 2. 2.]]\n"
    assert "compile" in hidden(python, "-m", "nacre", "--help", cwd=tmp_path)


def _children_seconds() -> float:
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
