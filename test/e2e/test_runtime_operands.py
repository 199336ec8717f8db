"""Axes, shapes and the like as inputs: one compiled model serves every value of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import module

HEAD = '<ir_version: 10, opset_import: ["" : 23]>\n'
Inputs = dict[str, np.ndarray]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def check(text: str, runs: Sequence[Inputs], faults: Sequence[tuple[Inputs, str]] = ()) -> None:
    """Compiles once, runs with each of the inputs, and fails as foreseen with others."""
    model = parser.parse_model(HEAD + text)
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


@pytest.mark.parametrize("type_", ["uint8", "int32", "uint64", "float16", "bool"])
def test_reduce_types(type_: str) -> None:
    dtype = np.dtype(type_)
    x = np.random.default_rng(3).integers(0, 2 if type_ == "bool" else 60, (3, 4, 5)).astype(dtype)
    runs = [{"x": x, "axes": axes} for axes in AXES]
    # Booleans know max and min alone, and 8-bit integers those and nothing else.
    for op in ["Max", "Min"] + ([] if dtype.itemsize == 1 else ["Sum", "Mean"]):
        text = f"m ({type_}[a, b, c] x, int64[k] axes) => ({type_}[r, s, t] y) {{ y = Reduce{op} (x, axes) }}"
        model = parser.parse_model(HEAD + text)
        program = module().compile(model.SerializeToString())
        for inputs in runs:
            axes = tuple(inputs["axes"]) or (0, 1, 2)
            wanted = getattr(np, op.lower())(x, axis=axes, keepdims=True)
            (y,) = program.run(inputs)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, np.trunc(wanted) if dtype.kind in "iu" else wanted, rtol=1e-3)


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
    model = parser.parse_model(HEAD + text)
    program = module().compile(model.SerializeToString())
    x = np.zeros((2, 0), np.float32)
    (y,) = program.run({"x": x, "axes": ints(1)})
    np.testing.assert_array_equal(y, np.full((2, 1), over_none, np.float32))
    (y,) = program.run({"x": x, "axes": ints(0)})
    assert y.shape == (1, 0)


def test_reduce_large() -> None:
    """More than one tile, on two threads."""
    text = "m (float[a, b, c] x, int64[k] axes) => (float[r, s, t] y) { y = ReduceMean (x, axes) }"
    model = parser.parse_model(HEAD + text)
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


def test_squeeze_what_is_one() -> None:
    declared = "m (float[a, b, c] x) => (float[r, s] y) { y = Squeeze (x) }"
    x = random(3, 1, 5)
    check(
        declared,
        [{"x": x}, {"x": random(1, 4, 5)}],
        [({"x": X}, "does not leave 2 dimensions")],
    )
    # Nothing tells the rank but what is known to be 1.
    undeclared = (
        "m (float[a, 1, c] x) => (float[r, s] z) {"
        " y = Squeeze (x) z = Mul (y, y) }"
    )
    check(undeclared, [{"x": x}], [({"x": random(3, 1, 1)}, "output 'z' is not of rank 2, as the model declares")])


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


def test_slice() -> None:
    text = "m (float[a, b, c] x, int64[k] from, int64[l] to) => (float[r, s, t] y) { y = Slice (x, from, to) }"
    check(
        text,
        [
            {"x": X, "from": ints(1), "to": ints(3)},
            {"x": X, "from": ints(0, -3), "to": ints(2, -1)},
            {"x": X, "from": ints(0, 1, 2), "to": ints(2, 9, -1)},
            {"x": X, "from": ints(), "to": ints()},
        ],
        [
            ({"x": X, "from": ints(0, 0, 0, 0), "to": ints(1, 1, 1, 1)}, "the number of starts is above 3"),
            ({"x": X, "from": ints(0, 0), "to": ints(1)}, "updates and indices differ"),
        ],
    )


def test_slice_along_axes() -> None:
    text = (
        "m (float[a, b, c] x, int64[k] from, int64[l] to, int64[p] axes, int64[q] steps)"
        " => (float[r, s, t] y) { y = Slice (x, from, to, axes, steps) }"
    )
    check(
        text,
        [
            {"x": X, "from": ints(1), "to": ints(3), "axes": ints(-1), "steps": ints(1)},
            {"x": X, "from": ints(-1, 0), "to": ints(-9, 3), "axes": ints(2, 0), "steps": ints(-2, 2)},
        ],
        [
            (
                {"x": X, "from": ints(0), "to": ints(1), "axes": ints(3), "steps": ints(1)},
                "an index is out of range",
            ),
            (
                {"x": X, "from": ints(0), "to": ints(1), "axes": ints(1), "steps": ints(0)},
                "step",
            ),
        ],
    )


def test_expand() -> None:
    text = "m (float[a, b] x, int64[k] shape) => (float[r, s, t] y) { y = Expand (x, shape) }"
    x = random(3, 1)
    check(
        text,
        [
            {"x": x, "shape": ints(2, 3, 4)},
            {"x": x, "shape": ints(5, 1, 1)},
            # A shape of fewer sizes leaves the first dimensions.
            {"x": random(1, 4), "shape": ints(2, 3, 1)},
        ],
        [
            ({"x": x, "shape": ints(2, 4, 1)}, ""),
            ({"x": x, "shape": ints(1, 1, 3, 4)}, "the number of sizes is above 3"),
        ],
    )


def test_expand_by_fewer_sizes() -> None:
    text = "m (float[a, b] x, int64[k] shape) => (float[r, s] y) { y = Expand (x, shape) }"
    check(text, [{"x": random(3, 1), "shape": shape} for shape in (ints(4), ints(), ints(3, 4))])


def test_pad() -> None:
    text = "m (float[a, b] x, int64[k] pads) => (float[r, s] y) { y = Pad (x, pads) }"
    x = random(3, 4)
    check(
        text,
        [{"x": x, "pads": pads} for pads in (ints(0, 1, 2, 0), ints(1, 0, 0, 3))],
        [({"x": x, "pads": ints(1, 1)}, "the number of pads is not 4")],
    )


def test_pad_along_axes() -> None:
    text = (
        "m (float[a, b, c] x, int64[k] pads, int64[l] axes) => (float[r, s, t] y)"
        " { y = Pad (x, pads, , axes) }"
    )
    check(
        text,
        [
            {"x": X, "pads": ints(1, 2), "axes": ints(-1)},
            {"x": X, "pads": ints(1, 2, 0, 1), "axes": ints(2, 0)},
            {"x": X, "pads": ints(), "axes": ints()},
        ],
        [
            ({"x": X, "pads": ints(1, 2), "axes": ints(3)}, "out of range"),
            ({"x": X, "pads": ints(1, 2), "axes": ints(0, 1)}, "differ"),
        ],
    )


def test_split() -> None:
    text = "m (float[n, 2] x, int64[k] sizes) => (float[a, 2] y, float[b, 2] z) { y, z = Split (x, sizes) }"
    x = random(5, 2)
    check(
        text,
        [{"x": x, "sizes": sizes} for sizes in (ints(2, 3), ints(5, 0))],
        [
            ({"x": x, "sizes": ints(2, 2)}, "do not add up to dimension 0"),
            ({"x": x, "sizes": ints(6, -1)}, "a size is negative"),
            ({"x": x, "sizes": ints(2, 2, 1)}, "the number of sizes is not 2"),
        ],
    )


def test_reshape_tile_and_fill() -> None:
    text = (
        "m (float[n, m] x, int64[k] shape, int64[l] repeats, int64[p] sizes)"
        " => (float[r, s, t] y, float[u, v] z, float[w, q] o) {"
        " y = Reshape (x, shape) z = Tile (x, repeats) o = ConstantOfShape (sizes) }"
    )
    good = {"x": random(3, 4), "shape": ints(2, -1, 3), "repeats": ints(2, 1), "sizes": ints(2, 3)}
    check(
        text,
        [good, {**good, "shape": ints(0, 2, 2), "repeats": ints(1, 3), "sizes": ints(0, 7)}],
        [
            ({**good, "shape": ints(12)}, "the number of sizes is not 3"),
            ({**good, "repeats": ints(2)}, "the number of repeats is not 2"),
            ({**good, "sizes": ints(2)}, "the number of sizes is not 2"),
        ],
    )


def test_resize() -> None:
    text = (
        "m (float[a, b, c, d] x, float[k] scales) => (float[r, s, t, u] y)"
        ' { y = Resize <mode = "linear"> (x, , scales) }'
    )
    x = random(1, 2, 3, 4)
    check(
        text,
        [{"x": x, "scales": np.array(s, np.float32)} for s in ([1, 1, 2, 2], [1, 1, 0.5, 3])],
        [({"x": x, "scales": np.array([2, 2], np.float32)}, "the number of scales is not 4")],
    )


def test_index_tuples() -> None:
    text = (
        "m (float[a, b, c] x, int64[n, k] places, float[p, q] updates) => (float[r, s] y, float[t, u, v] z)"
        " { y = GatherND (x, places) z = ScatterND (x, places, updates) }"
    )
    places = np.array([[0, 1], [2, 3]])
    check(
        text,
        [{"x": X, "places": places, "updates": random(2, 5)}],
        [({"x": X, "places": places[:, :1], "updates": random(2, 5)}, "indices in a tuple is not 2")],
    )
