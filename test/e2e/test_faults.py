"""A full disk, a killed compiler: a clear error, nothing half-written, and the next run works."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
import small_models
from support import NACRE, nacre

OUTPUTS = {
    "m.so": "shared,header",
    "m.o": "object",
    "m.a": "static-library",
    "m": "executable",
    "m.mlir": "mlir",
    "m.ll": "llvm-ir",
    "m.s": "assembly",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.save_perceptron(tmp_path_factory.mktemp("faults") / "m.onnx", 300, 200)


def compile_limited(model: Path, output: Path, kinds: str, limit: int) -> subprocess.CompletedProcess[str]:
    """With a limit on the size of a file, which a full disk looks like in the end."""

    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [str(NACRE), "compile", str(model), "-o", str(output), "--emit", kinds]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=apply, timeout=60)


@pytest.mark.parametrize("name", OUTPUTS)
def test_full_disk(model: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    nacre("compile", model, "-o", output, "--emit", OUTPUTS[name])
    good = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    size = len(good[name])
    for limit in (0, 1000, size // 2, size - 1):
        done = compile_limited(model, output, OUTPUTS[name], limit)
        assert done.returncode == 1, (limit, done)
        assert done.stderr.startswith("nacre: error: ") and done.stderr.count("\n") == 1, (limit, done)
        assert "File too large" in done.stderr, (limit, done)
        # What was there is there, whole; and nothing else.
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == good
    assert compile_limited(model, output, OUTPUTS[name], size * 4).returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == good


def test_full_file_system(model: Path, tmp_path: Path) -> None:
    """A file system of its own, smaller and smaller: what is mapped must have its place before it is written."""
    folder = tmp_path / "small"
    folder.mkdir()
    nacre("compile", model, "-o", tmp_path / "m.so")
    needed = (tmp_path / "m.so").stat().st_size
    script = (
        'mount -t tmpfs -o size=$1 tmpfs "$2" || exit 77; "$3" compile "$4" -o "$2/m.so"; status=$?; '
        'test $status = 0 || test -z "$(ls -A "$2")" || test "$(ls -A "$2")" = m.h || exit 78; exit $status'
    )
    outcomes = set()
    for size in range(16384, needed + 65536, 32768):
        command = ["unshare", "-rm", "sh", "-c", script, "sh", str(size), folder, NACRE, model]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
        if done.returncode == 77 or "unshare" in done.stderr:
            pytest.skip(f"no file system can be mounted here: {done.stderr}")
        outcomes.add(done.returncode)
        assert done.returncode in (0, 1), (size, done)
        if done.returncode == 1:
            assert "No space left on device" in done.stderr and done.stderr.count("\n") == 1, (size, done)
    assert outcomes == {0, 1}


@pytest.mark.parametrize("name", ["m.so", "m.a"])
def test_killed(model: Path, tmp_path: Path, name: str) -> None:
    """Killed at any moment: the old file, or the new one, or none; no file that was begun."""
    (tmp_path / "out").mkdir()
    output = tmp_path / "out" / name
    command = [str(NACRE), "compile", str(model), "-o", str(output), "--emit", OUTPUTS[name]]
    start = time.monotonic()
    subprocess.run(command, check=True)
    seconds = time.monotonic() - start
    good = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    moments = random.Random(name)
    killed = 0
    for attempt in range(12):
        if attempt % 2:
            for path in output.parent.iterdir():
                path.unlink()
        running = subprocess.Popen(command)
        time.sleep(seconds * moments.uniform(0.1, 1.1))
        running.kill()
        killed += running.wait() == -signal.SIGKILL
        for path in output.parent.iterdir():
            assert path.read_bytes() == good[path.name]
    assert killed > 0
    subprocess.run(command, check=True)
    assert {path.name: path.read_bytes() for path in output.parent.iterdir()} == good


@pytest.mark.parametrize("kind", ["shared", "object", "static-library", "executable"])
def test_killed_while_it_links(model: Path, tmp_path: Path, kind: str) -> None:
    """No file is left in the folder for temporary ones: there is none at any time."""
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    temporary.mkdir()
    command = [str(NACRE), "compile", str(model), "-o", str(tmp_path / "m"), "--emit", kind, "--cache-dir", str(cache)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    nacre(*command[1:])  # from now on all kernels are found
    moments = random.Random(kind)
    killed = 0
    for _ in range(30):
        running = subprocess.Popen([*command, "--verbose"], env=environment, stderr=subprocess.PIPE, text=True)
        assert running.stderr
        for line in running.stderr:
            if "] codegen: " in line:  # what is left is to link and to write
                break
        time.sleep(moments.uniform(0, 0.02))
        assert list(temporary.iterdir()) == []
        running.kill()
        running.stderr.close()
        killed += running.wait() == -signal.SIGKILL
        assert list(temporary.iterdir()) == []
    assert killed > 0


@pytest.mark.parametrize(
    ("target", "reason"),
    [("no/such/folder/m.so", "No such file or directory"), ("/dev/null", "no regular file"), ("folder", "no regular file")],
)
def test_where_nothing_can_be_written(model: Path, tmp_path: Path, target: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    for kind in ("shared", "executable", "assembly", "mlir"):
        ran = nacre("compile", model, "-o", tmp_path / target, "--emit", kind, ok=False)
        assert ran.status == 1 and f"cannot write '{tmp_path / target}" in ran.err and reason in ran.err, ran.text()
    assert Path("/dev/null").is_char_device()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_a_folder_that_is_read_only(model: Path, tmp_path: Path) -> None:
    """As root everything may be written: a mount would be needed."""
    if os.geteuid() == 0:
        target = Path("/proc/m.so")
    else:
        tmp_path.chmod(0o500)
        target = tmp_path / "m.so"
    ran = nacre("compile", model, "-o", target, ok=False)
    assert ran.status == 1 and "cannot write" in ran.err, ran.text()
