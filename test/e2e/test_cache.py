"""The cache of compiled kernels: what hits it, what misses and why, and what it survives."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import small_models
from support import NACRE, nacre

MODEL = small_models.HEAD + (
    "m (float[{rows}, 64] x, float[64, 32] y) => (float[{rows}, 32] z) {{ a = MatMul (x, y) z = Softmax (a) }}"
)


def save(path: Path, rows: str = "N") -> Path:
    return small_models.save(MODEL.format(rows=rows), path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "m.onnx")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def build(model: Path, cache: Path, *options: str) -> bytes:
    """The artefact's bytes."""
    artifact = model.with_suffix(".so")
    ran = nacre("compile", model, "-o", artifact, "--cache-dir", cache, *options)
    assert ran.err == ""
    return artifact.read_bytes()


def entries(cache: Path) -> list[dict]:
    return json.loads(nacre("cache", "list", "--cache-dir", cache, "--json").out)["kernels"]


def explain(model: Path, cache: Path, *options: str) -> list[dict]:
    ran = nacre("cache", "explain", model, "--cache-dir", cache, "--json", *options)
    return json.loads(ran.out)["kernels"]


def test_a_second_compilation_finds_all_and_makes_the_same(model: Path, cache: Path) -> None:
    assert not any(kernel["cached"] for kernel in explain(model, cache))
    first = build(model, cache)
    names = {entry["name"] for entry in entries(cache)}
    assert any(name.startswith("matmul") for name in names) and any(name.startswith("softmax") for name in names)
    assert all(kernel["cached"] for kernel in explain(model, cache))
    used = {path.name: path.stat().st_ino for path in cache.iterdir()}
    assert build(model, cache) == first
    assert {path.name: path.stat().st_ino for path in cache.iterdir()} == used  # nothing was written again
    artifact = model.with_suffix(".so")
    artifact.unlink()
    nacre("compile", model, "-o", artifact, "--no-cache")
    assert artifact.read_bytes() == first


def test_models_share_kernels_whatever_their_numbers(model: Path, cache: Path, tmp_path: Path) -> None:
    build(model, cache)
    longer = small_models.HEAD + (
        "m (float[N, 64] w, float[64, 32] y) => (float[N, 32] z)"
        " { x = Exp (w) v = Sin (x) s = ReduceSum (v) a = MatMul (w, y) b = Softmax (a) z = Add (b, s) }"
    )
    found = explain(small_models.save(longer, tmp_path / "other.onnx"), cache)
    (product,) = [kernel for kernel in found if kernel["name"].startswith("matmul")]
    assert product["cached"] and product["name"] != "matmul_0"
    assert not all(kernel["cached"] for kernel in found)


def test_a_miss_is_explained(model: Path, cache: Path, tmp_path: Path) -> None:
    reasons = {kernel["reason"] for kernel in explain(model, cache)}
    assert reasons == {"no kernel like it was compiled with this cache, or its entry was pruned"}
    build(model, cache, "--target-cpu", "x86-64-v3")
    reasons = {kernel["reason"] for kernel in explain(model, cache, "--target-cpu", "haswell")}
    assert reasons == {"cached for the CPU x86-64-v3, not for haswell"}
    reasons = {k["reason"] for k in explain(save(tmp_path / "n.onnx", "8"), cache, "--target-cpu", "x86-64-v3")}
    assert "a kernel of this name is cached, but with other contents: sizes, types or what was fused differ" in reasons
    for path in cache.glob("llvmcache-*"):  # as if another version had written them
        os.rename(path, path.with_name(path.name[:-16] + "0" * 16))
    text = nacre("cache", "explain", model, "--cache-dir", cache, "--target-cpu", "x86-64-v3").out
    assert "0 of " in text


def test_corrupt_entries_are_discarded(model: Path, cache: Path) -> None:
    first = build(model, cache)
    paths = sorted(cache.glob("llvmcache-*"))
    assert len(paths) >= 3
    intact = paths[0].read_bytes()
    paths[0].write_bytes(intact[:-7])
    altered = bytearray(paths[1].read_bytes())
    altered[len(altered) // 2] ^= 1
    paths[1].write_bytes(altered)
    paths[2].write_bytes(b"")
    assert sum(entry["corrupt"] for entry in entries(cache)) == 3
    assert build(model, cache) == first
    assert not any(entry["corrupt"] for entry in entries(cache))
    assert paths[0].read_bytes() == intact


def test_many_processes_share_a_folder(model: Path, cache: Path, tmp_path: Path) -> None:
    def compile_one(number: int) -> bytes:
        artifact = tmp_path / str(number) / "m.so"
        artifact.parent.mkdir()
        nacre("compile", model, "-o", artifact, "--cache-dir", cache)
        return artifact.read_bytes()

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(compile_one, range(12)))
    assert len(set(results)) == 1
    assert not any(entry["corrupt"] for entry in entries(cache))
    assert not list(cache.glob("*.tmp"))


def test_the_size_is_bounded(cache: Path, tmp_path: Path) -> None:
    nodes = [f"y{i} = {op} (y{i - 1})" for i, op in enumerate(["Exp", "Sin", "Cos", "Tan", "Erf", "Log"] * 4, 1)]
    text = small_models.HEAD + "m (float[N, 3] y0) => (" + ", ".join(
        f"float[N, 3] y{i}" for i in range(1, len(nodes) + 1)) + ") { " + " ".join(nodes) + " }"
    models = [
        small_models.save(text.replace("3]", f"{size}]"), tmp_path / f"{size}.onnx") for size in (3, 5, 40, 70, 200)
    ]
    for model in models:
        build(model, cache)
    before = sum(entry["bytes"] for entry in entries(cache))
    (cache / "llvmcache.timestamp").unlink()  # it is pruned every few minutes only
    assert before > 200 << 10, "the models are too small for this test"
    build(models[0], cache, "--cache-size", "0.1")
    assert 0 < sum(entry["bytes"] for entry in entries(cache)) <= 0.1 * (1 << 20)


def test_clear(model: Path, cache: Path) -> None:
    build(model, cache)
    (cache / "mine.txt").write_text("not the cache's")
    count = len(entries(cache))
    assert nacre("cache", "clear", "--cache-dir", cache).out == f"{count} entries removed from {cache}\n"
    assert entries(cache) == [] and (cache / "mine.txt").exists()


def test_without_permission_to_write(model: Path, cache: Path) -> None:
    """/proc takes no folder, whoever runs the test."""
    cache.write_text("a file")
    ran = nacre("compile", model, "-o", model.with_suffix(".so"), "--cache-dir", cache, ok=False)
    assert ran.status == 1 and "Not a directory" in ran.err
    ran = nacre("compile", model, "-o", model.with_suffix(".so"), "--cache-dir", "/proc/cache")
    assert "nacre: warning: kernels are not cached: /proc/cache" in ran.err
    assert model.with_suffix(".so").exists()


def test_a_full_disk(model: Path, cache: Path) -> None:
    """No entry may exceed some bytes: all fail, the compilation does not."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    ran = subprocess.run(
        [NACRE, "cache", "explain", model, "--cache-dir", cache], capture_output=True, text=True, preexec_fn=limit
    )
    assert ran.returncode == 0
    ran = subprocess.run(
        [NACRE, "info", model, "--cache-dir", cache], capture_output=True, text=True, preexec_fn=limit
    )
    assert ran.returncode == 0, ran.stderr
    assert "nacre: warning: kernels are not cached" in ran.stderr and "File too large" in ran.stderr
    assert entries(cache) == [] and not list(cache.glob("*.tmp"))
    build(model, cache)


def test_a_folder_of_others_is_refused(model: Path, cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    ran = nacre("compile", model, "-o", model.with_suffix(".so"), "--cache-dir", cache, ok=False)
    assert ran.status == 1 and "other users may write into this folder" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["burn"], "expected list, explain or clear, found 'burn'"),
        (["explain"], "expected the model to explain"),
        (["list", "m.onnx"], "a model is expected after 'explain' only"),
        (["list", "--cache-dir", "x", "--no-cache"], "--no-cache and --cache-dir exclude each other"),
    ],
)
def test_command_line(arguments: list[str], message: str) -> None:
    ran = nacre("cache", *arguments, ok=False)
    assert ran.status == 2 and message in ran.err


def test_the_default_folder(model: Path, tmp_path: Path) -> None:
    def run(**variables: str) -> str:
        environment = {"PATH": os.environ["PATH"], **variables}
        command = [NACRE, "cache", "list"]
        return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

    assert f"in {tmp_path}/x/nacre\n" in run(XDG_CACHE_HOME=f"{tmp_path}/x", HOME=f"{tmp_path}/h")
    assert f"in {tmp_path}/h/.cache/nacre\n" in run(HOME=f"{tmp_path}/h")
    assert f"in {tmp_path}/own\n" in run(NACRE_CACHE_DIR=f"{tmp_path}/own", HOME=f"{tmp_path}/h")
    assert run(NACRE_CACHE_DIR="") == ""
