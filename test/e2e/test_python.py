"""The Python module: compile, load, run, and errors one can catch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper, parser

import small_models
from support import BUILD, module, nacre

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


# Prints how much the peak memory grows (MiB) by a run on 256 MiB, as it lies in memory and
# in a form that has to be copied; the output is small.
_GROWTH = """
import json, re, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
import nacre
model = nacre.compile(sys.argv[2], threads=1)
status = Path("/proc/self/status")
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
x = np.ones((65536, 1024), np.float32)
model(x[:2048])  # what a run needs anyway
growths = []
for view in (x, x[:, ::-1]):
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is in use now
    before = peak()
    model(view)
    growths.append(peak() - before)
print(json.dumps(growths))
"""


def test_inputs_are_not_copied(tmp_path: Path) -> None:
    text = "max (float[N, 1024] x) => (float[1024] y) {"
    text += " axes = Constant <value_ints = [0]> () y = ReduceMax <keepdims = 0> (x, axes) }"
    model = small_models.save(small_models.HEAD + text, tmp_path / "max.onnx")
    command = [sys.executable, "-c", _GROWTH, str(BUILD / "python"), str(model)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    in_place, copied = json.loads(ran.stdout)
    assert in_place < 64 < 200 < copied


def test_outputs_are_the_memory_of_the_run(path: Path) -> None:
    (result,) = module().compile(path).run([X, Y])
    assert not result.flags.owndata and result.base is not None
    result[0, 0] = 7  # the caller's alone
    assert result.flags.writeable and result.flags.aligned


def test_inputs_in_other_memory_orders(path: Path) -> None:
    program = module().compile(path)
    for x in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1, ::-1][::-1, ::-1]):
        (result,) = program.run([x, Y])
        np.testing.assert_array_equal(result, X + Y)


def test_errors(path: Path, tmp_path: Path) -> None:
    program = module().compile(path)
    for bad in ([X], [X, Y, Y], [X, Y[:1]], [X, Y.astype(np.float64)], {"x": X}, [X.ravel(), Y]):
        with pytest.raises(module().RunError):
            program.run(bad)
    with pytest.raises(module().RunError, match="element type is string, expected f32"):
        program.run([X, np.array(["a"], object)])
    with pytest.raises(TypeError):  # no array that any model takes
        program.run([X, np.array([object()], object)])
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


def test_a_square_weight_may_be_read_in_both_orders() -> None:
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 13]>'
        "tied (float[128, 64] x) => (float[128, 64] y)"
        " { h = Gemm (x, w) y = Gemm <transB = 1> (h, w) }"
    )
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    x = np.random.default_rng(1).normal(size=(128, 64)).astype(np.float32)
    (y,) = module().compile(model.SerializeToString()).run([x])
    np.testing.assert_allclose(y, x.astype(np.float64) @ weight @ weight.T, atol=1e-3)


def test_a_weight_may_be_looked_up_and_multiplied_by() -> None:
    """In memory as it is for the one, packed for the other."""
    table = np.random.default_rng(0).normal(size=(96, 64)).astype(np.float32)
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 13]>'
        "tied (int64[40] i) => (float[40, 96] y)"
        " { h = Gather (w, i) y = Gemm <transB = 1> (h, w) }"
    )
    model.graph.initializer.append(numpy_helper.from_array(table, "w"))
    i = np.arange(40, dtype=np.int64)
    (y,) = module().compile(model.SerializeToString()).run([i])
    np.testing.assert_allclose(y, table[i].astype(np.float64) @ table.T, atol=1e-4)


@pytest.mark.parametrize("name", ["main", "prepare", "step", "matmul_0", "relu_1", "computed", "w.packed"])
def test_initializers_have_any_name(name: str) -> None:
    """The names of the compiler's own functions, kernels and parameters are free to the model."""
    weight = np.random.default_rng(0).normal(size=(32, 48)).astype(np.float32)
    model = parser.parse_model(
        small_models.HEAD
        + """names (float[N, 32] x) => (float[N, 48] y) {
             t = Relu (w) a = MatMul (x, t) b = MatMul (x, w) c = Relu (b) y = Add (a, c) }"""
    )
    for node in model.graph.node:
        node.input[:] = [name if value == "w" else value for value in node.input]
    model.graph.initializer.append(numpy_helper.from_array(weight, name))
    x = np.random.default_rng(1).normal(size=(5, 32)).astype(np.float32)
    (result,) = module().compile(model.SerializeToString()).run([x])
    expected = x @ np.maximum(weight, 0) + np.maximum(x @ weight, 0)
    np.testing.assert_allclose(result, expected, atol=1e-4)
