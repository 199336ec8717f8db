"""What is summed over no elements, where other sizes are only known to a run."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import module

CASES = [
    ("(float[A, 0] x) => (float[A, N] y) <float[0, 3] w = {}> { y = MatMul (x, w) }", (2, 0)),
    ("(float[A, B] x) => (float[A, N] y) <float[0, 3] w = {}> { y = MatMul (x, w) }", (2, 0)),
    ("(float[1, A, B, C] x) => (float[P, Q, R, S] y) <float[1, 1, 0, 1] w = {}> { y = MatMul (x, w) }", (1, 1, 1, 0)),
    ("(uint8[A, 4, 0] x) => (int32[A, 4, N] y) <uint8[0, 1] w = {}> { y = MatMulInteger (x, w) }", (1, 4, 0)),
    ("(float[A, B, 0] x) => (float[A, B, N] y) { s = ReduceSumSquare <axes = [2]> (x)  y = Relu (s) }", (2, 3, 0)),
    ("(float[A, B, 0] x) => (float[A, B, N] y) { y = ReduceProd <axes = [2]> (x) }", (2, 3, 0)),
    ("(float[A, B, 0] x) => (float[A, B, N] y) { y = Softmax (x) }", (2, 3, 0)),
]


@pytest.mark.parametrize(("graph", "shape"), CASES)
@pytest.mark.parametrize("fixed", [False, True], ids=["dynamic", "static"])
def test_nothing(graph: str, shape: tuple[int, ...], fixed: bool) -> None:
    model = parser.parse_model('<ir_version: 10, opset_import: ["": 17]> g ' + graph)
    x = np.zeros(shape, np.uint8 if "uint8" in graph else np.float32)
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
    got = module().compile(model, input_shapes={"x": shape} if fixed else None)(x)
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)
