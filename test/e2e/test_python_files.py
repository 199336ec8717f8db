"""What the Python module's compilations can be told: kinds of files, targets, the log, the cache's size."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import small_models
from support import module

X = np.arange(8, dtype=np.float32).reshape(2, 4)
Y = np.full((2, 4), 0.5, np.float32)
EM_AARCH64 = 183


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.save(small_models.SUM, tmp_path_factory.mktemp("files") / "sum.onnx")


def made(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_kinds_of_files(path: Path, tmp_path: Path) -> None:
    nacre = module()
    nacre.compile_to_file(path, tmp_path / "m.so")
    assert made(tmp_path) == {"m.so", "m.h"}
    np.testing.assert_array_equal(nacre.load(tmp_path / "m.so")(X, Y), X + Y)

    several = tmp_path / "several"
    several.mkdir()
    nacre.compile_to_file(path, several / "sum", emit=["executable", "header", "mlir", "llvm-ir", "assembly"])
    assert made(several) == {"sum", "sum.h", "sum.mlir", "sum.ll", "sum.s"}
    # The program adds, and the module compiles to the same.
    np.save(several / "x.npy", X)
    np.save(several / "y.npy", Y)
    inputs = [text for name in "xy" for text in ("--input", f"{name}={several}/{name}.npy")]
    subprocess.run([several / "sum", *inputs, "--output-dir", several], check=True)
    np.testing.assert_array_equal(np.load(several / "z.npy"), X + Y)
    np.testing.assert_array_equal(nacre.compile(several / "sum.mlir")(X, Y), X + Y)


def test_another_machine(path: Path, tmp_path: Path) -> None:
    module().compile_to_file(path, tmp_path / "m.o", emit="object", target_triple="aarch64-linux-gnu")
    head = (tmp_path / "m.o").read_bytes()[:20]
    assert head[:4] == b"\x7fELF" and int.from_bytes(head[18:20], "little") == EM_AARCH64
    assert made(tmp_path) == {"m.o", "m.h"}
    module().compile_to_file(path, tmp_path / "m.so", target_triple="aarch64-linux-gnu", target_cpu="generic,neoverse-n1")
    head = (tmp_path / "m.so").read_bytes()[:20]
    assert head[:4] == b"\x7fELF" and int.from_bytes(head[18:20], "little") == EM_AARCH64
    with pytest.raises(module().LoadError, match="made for aarch64"):
        module().load(tmp_path / "m.so")


@pytest.mark.parametrize(
    ("emit", "message"),
    [
        ("library", "no kind of file is named 'library'; expected shared, object, static-library, executable,"),
        (["shared", "header", "shared"], "the kind of file 'shared' is asked for twice"),
        ([], "no kind of file is asked for"),
    ],
)
def test_kinds_that_there_are_not(path: Path, tmp_path: Path, emit: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module().compile_to_file(path, tmp_path / "m.so", emit=emit)
    assert not made(tmp_path)


def test_log(path: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    module().compile_to_file(path, tmp_path / "m.so", log=lines.append, cache_dir="")
    assert all(line.startswith("[") for line in lines)
    text = "\n".join(lines)
    for expected in ("] target: ", "] cache: none", "] import: ", "] artifact: ", f"] {tmp_path / 'm.so'}: "):
        assert expected in text, text
    lines.clear()
    model = module().compile(path, log=lines.append, cache_dir="")
    assert any("] codegen: " in line for line in lines)
    np.testing.assert_array_equal(model(X, Y), X + Y)


def test_log_that_raises_ends_the_compilation(path: Path, tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="target: "):
        module().compile_to_file(path, tmp_path / "m.so", log=refuse)


def test_the_logger_is_heard(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="nacre"):
        module().compile(path, cache_dir="")
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, logger="nacre"):
        module().compile(path, cache_dir="")
    assert {(record.name, record.levelno) for record in caplog.records} == {("nacre", logging.DEBUG)}
    assert any("] import: " in record.getMessage() for record in caplog.records)


def test_reproducer(tmp_path: Path) -> None:
    (tmp_path / "broken.mlir").write_text(small_models.BROKEN_INSIDE)
    folder = tmp_path / "crashes"
    folder.mkdir()
    with pytest.raises(module().InternalError, match="to see it again:\n") as raised:
        module().compile(tmp_path / "broken.mlir", reproducer=folder, cache_dir="")
    (file,) = folder.iterdir()
    assert str(file) in str(raised.value)
    with pytest.raises(module().InternalError) as raised:
        module().compile(tmp_path / "broken.mlir", cache_dir="")
    assert "again" not in str(raised.value)


def test_size_of_the_cache(path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def entries(bytes: int | None) -> int:
        (cache / "llvmcache.timestamp").unlink(missing_ok=True)  # it is pruned every few minutes only
        module().compile(path, cache_dir=cache, cache_bytes=bytes)
        return sum(name.startswith("llvmcache-") for name in made(cache))

    assert entries(None) == entries(0) == entries(1 << 20) > 0
    assert entries(1) == 0
    with pytest.raises(ValueError, match="cache_bytes is -1"):
        module().compile(path, cache_bytes=-1)


def test_copy_of_the_parameters(tmp_path: Path) -> None:
    """The same results, from memory that is no file's and may not be written."""

    def anonymous() -> set[tuple[int, int]]:
        lines = (line.split() for line in Path("/proc/self/maps").read_text().splitlines())
        ranges = (words[0].split("-") for words in lines if words[1].startswith("r--p") and words[4] == "0" and len(words) == 5)
        sizes = ((int(begin, 16), int(end, 16)) for begin, end in ranges)
        return {(begin, end) for begin, end in sizes if end - begin >= weights.nbytes}

    weights = np.random.default_rng(1).standard_normal((1024, 1024), np.float32)
    model = parser.parse_model("""<ir_version: 10, opset_import: ["" : 21]>
    m (float[3, 1024] x) => (float[3, 1024] y) { y = MatMul (x, w) }""")
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    path, made = tmp_path / "m.onnx", tmp_path / "m.so"
    onnx.save(model, path)
    module().compile_to_file(path, made)
    x = np.random.default_rng(2).standard_normal((3, 1024), np.float32)
    expected = module().load(made)(x)
    before = anonymous()
    copied = module().load(made, copy_parameters=True)
    assert len(anonymous() - before) == 1
    again = copied.new_session()
    for each in (copied, again):
        np.testing.assert_array_equal(each(x), expected)
    del copied, again, each
    assert anonymous() == before
