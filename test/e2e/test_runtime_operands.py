"""Axes, shapes and the like as inputs: one compiled model serves every value of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import module

Inputs = dict[str, np.ndarray]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def check(text: str, runs: Sequence[Inputs], faults: Sequence[tuple[Inputs, str]] = ()) -> None:
    """Compiles once, runs with each of the inputs, and fails as foreseen with others."""
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 23]>\n' + text)
    onnx.checker.check_model(model)
    for node in model.graph.node:
        node.name = "the_node"
    program = module().compile(model.SerializeToString())
    for inputs in runs:
        expected = ReferenceEvaluator(model).run(None, inputs)
        for got, wanted in zip(program.run(inputs), expected, strict=True):
            assert got.shape == wanted.shape, inputs
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    for inputs, message in faults:
        with pytest.raises(module().RunError, match=f"'the_node' .*{message}"):
            program.run(inputs)
    # What failed leaves nothing behind.
    if faults:
        program.run(runs[0])


X = random(3, 4, 5)
AXES = [ints(1), ints(-1), ints(0, 2), ints(2, 0), ints(-3, 1), ints(0, 1, 2), ints()]


@pytest.mark.parametrize(
    "op", ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare"]
)
def test_reduce(op: str) -> None:
    text = f"m (float[a, b, 5] x, int64[k] axes) => (float[r, s, t] y) {{ y = Reduce{op} (x, axes) }}"
    check(
        text,
        [{"x": X, "axes": axes} for axes in AXES]
        + [{"x": random(2, 3, 5), "axes": ints(1)}],
        [
            ({"x": X, "axes": ints(3)}, "an axis is out of range for rank 3"),
            ({"x": X, "axes": ints(0, -4)}, "an axis is out of range for rank 3"),
            ({"x": X, "axes": ints(0, -3)}, "an axis is given twice"),
            ({"x": X, "axes": ints(0, 1, 2, 0)}, "the number of axes is above 3"),
        ],
    )


def test_reduce_without_dimensions() -> None:
    text = (
        "m (float[a, b, c] x, int64[2] axes) => (float[r] y)"
        " { y = ReduceSum <keepdims = 0> (x, axes) }"
    )
    check(
        text,
        [{"x": X, "axes": axes} for axes in AXES if len(axes) == 2],
        [({"x": X, "axes": ints(1, 1)}, "an axis is given twice")],
    )


def test_reduce_to_the_declared_rank() -> None:
    text = (
        "m (float[a, b, c] x, int64[k] axes) => (float[r, s] y)"
        " { y = ReduceMax <keepdims = 0> (x, axes) }"
    )
    check(
        text,
        [{"x": X, "axes": axes} for axes in AXES if len(axes) == 1],
        [({"x": X, "axes": ints(1, 0)}, "does not leave 2 dimensions")],
    )


@pytest.mark.parametrize("op, over_none", [("Sum", 0), ("Prod", 1), ("Max", -np.inf), ("Min", np.inf)])
def test_reduce_nothing(op: str, over_none: float) -> None:
    text = f"m (float[a, b] x, int64[k] axes) => (float[r, s] y) {{ y = Reduce{op} (x, axes) }}"
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 23]>\n' + text)
    program = module().compile(model.SerializeToString())
    x = np.zeros((2, 0), np.float32)
    (y,) = program.run({"x": x, "axes": ints(1)})
    np.testing.assert_array_equal(y, np.full((2, 1), over_none, np.float32))
    (y,) = program.run({"x": x, "axes": ints(0)})
    assert y.shape == (1, 0)


def test_reduce_large() -> None:
    """More than one tile, on two threads."""
    text = "m (float[a, b, c] x, int64[k] axes) => (float[r, s, t] y) { y = ReduceMean (x, axes) }"
    model = parser.parse_model('<ir_version: 10, opset_import: ["" : 23]>\n' + text)
    program = module().compile(model.SerializeToString(), threads=2)
    x = random(70, 130, 90)
    for axes in AXES[:-1]:
        (y,) = program.run({"x": x, "axes": axes})
        wanted = x.mean(axis=tuple(axes), keepdims=True, dtype=np.float64)
        np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("flags", ["", "<exclusive = 1>", "<reverse = 1>"])
def test_cumulative(flags: str) -> None:
    text = f"m (float[a, 4, c] x, int64 axis) => (float[a, 4, c] y) {{ y = CumSum {flags} (x, axis) }}"
    check(
        text,
        [{"x": X, "axis": np.array(axis)} for axis in range(-3, 3)],
        [({"x": X, "axis": np.array(3)}, "an axis is out of range for rank 3")],
    )


def test_squeeze() -> None:
    text = "m (float[a, b, c] x, int64[k] axes) => (float[r, s] y) { y = Squeeze (x, axes) }"
    check(
        text,
        [
            {"x": random(1, 4, 5), "axes": ints(0)},
            {"x": random(4, 1, 5), "axes": ints(-2)},
            {"x": random(4, 1, 1), "axes": ints(2)},
        ],
        [
            ({"x": X, "axes": ints(0)}, "has another size than 1"),
            ({"x": random(1, 4, 1), "axes": ints(0, 2)}, "does not leave 2 dimensions"),
            ({"x": random(1, 4, 1), "axes": ints(5)}, "out of range"),
        ],
    )


def test_unsqueeze() -> None:
    text = "m (float[a, b] x, int64[k] axes) => (float[r, s, t, u] y) { y = Unsqueeze (x, axes) }"
    check(
        text,
        [{"x": random(3, 4), "axes": axes} for axes in (ints(0, 1), ints(3, 0), ints(-1, -3))],
        [
            ({"x": random(3, 4), "axes": ints(0)}, "the number of axes is not 2"),
            ({"x": random(3, 4), "axes": ints(0, 4)}, "out of range"),
            ({"x": random(3, 4), "axes": ints(1, -3)}, "an axis is given twice"),
        ],
    )
