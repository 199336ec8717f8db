"""The Python module: compile, load, run, and errors one can catch."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import small_models
from support import module, nacre

X = np.arange(8, dtype=np.float32).reshape(2, 4)
Y = np.full((2, 4), 0.5, np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.save(small_models.SUM, tmp_path_factory.mktemp("python") / "sum.onnx")


def test_compile_from_path_and_bytes(path: Path) -> None:
    for model in (str(path), path, path.read_bytes()):
        program = module().compile(model)
        (result,) = program.run([X, Y])
        np.testing.assert_array_equal(result, X + Y)
        (result,) = program.run({"y": Y, "x": X})
        np.testing.assert_array_equal(result, X + Y)


def test_signature(path: Path) -> None:
    program = module().compile(path)
    assert [i.name for i in program.inputs] == ["x", "y"]
    assert [o.name for o in program.outputs] == ["z"]
    assert list(program.inputs[0].shape) == ["N", 4]
    assert np.dtype(program.inputs[0].dtype) == np.float32


def test_fixed_dims(path: Path) -> None:
    program = module().compile(path, dims={"N": 2})
    assert list(program.inputs[0].shape) == [2, 4]
    (result,) = program.run([X, Y])
    np.testing.assert_array_equal(result, X + Y)


def test_load_artefact(path: Path, tmp_path: Path) -> None:
    nacre("compile", path, "-o", tmp_path / "sum.so")
    program = module().load(tmp_path / "sum.so", threads=2)
    (result,) = program.run([X, Y])
    np.testing.assert_array_equal(result, X + Y)


def test_results_outlive_the_program_and_later_runs(path: Path) -> None:
    program = module().compile(path)
    (first,) = program.run([X, Y])
    program.run([Y, Y])
    del program
    np.testing.assert_array_equal(first, X + Y)


def test_inputs_in_other_memory_orders(path: Path) -> None:
    program = module().compile(path)
    for x in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1, ::-1][::-1, ::-1]):
        (result,) = program.run([x, Y])
        np.testing.assert_array_equal(result, X + Y)


def test_errors(path: Path, tmp_path: Path) -> None:
    program = module().compile(path)
    for bad in ([X], [X, Y, Y], [X, Y[:1]], [X, Y.astype(np.float64)], {"x": X}, [X.ravel(), Y]):
        with pytest.raises((module().RunError, TypeError, ValueError)):
            program.run(bad)
    (result,) = program.run([X, Y])  # a refused call leaves the program as it was
    np.testing.assert_array_equal(result, X + Y)
    unknown = small_models.save(small_models.UNKNOWN, tmp_path / "unknown.onnx")
    with pytest.raises(module().CompileError, match=r"(?s)node1.*Strange.*node2.*Odd"):
        module().compile(unknown)
    with pytest.raises((module().CompileError, OSError)):
        module().compile(tmp_path / "absent.onnx")
    with pytest.raises(module().CompileError):
        module().compile(b"no model")


def test_internal_errors_are_no_refusals(tmp_path: Path) -> None:
    (tmp_path / "broken.mlir").write_text(small_models.BROKEN_INSIDE)
    with pytest.raises(module().InternalError, match="internal error.*tiling") as raised:
        module().compile(tmp_path / "broken.mlir")
    assert isinstance(raised.value, module().Error)
    assert not isinstance(raised.value, module().CompileError)


def test_runs_from_many_threads(path: Path) -> None:
    program = module().compile(path, threads=2)
    wrong: list[int] = []

    def work(number: int) -> None:
        x = np.full((3 + number, 4), number, np.float32)
        for _ in range(50):
            (result,) = program.run([x, x])
            if not np.array_equal(result, x + x):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
