"""Determinants against NumPy's in f64."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from support import module

DTYPES = {"float": np.float32, "double": np.float64, "float16": np.float16}


def model(shape: str, rest: str, dtype: str = "float") -> onnx.ModelProto:
    return parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 22]>\n'
        f"g ({dtype}[{shape}] x) => ({dtype}[{rest}] y) {{ y = Det (x) }}"
    )


def check(x: np.ndarray, dtype: str = "float", tolerance: float = 1e-4) -> None:
    expected = np.linalg.det(x.astype(np.float64))
    free = ", ".join(f"D{i}" for i in range(x.ndim))
    rest = ", ".join(f"E{i}" for i in range(x.ndim - 2))
    for shape in (free, ", ".join(map(str, x.shape))):
        actual = module().compile(model(shape, rest, dtype))(x)
        assert actual.dtype == x.dtype
        np.testing.assert_allclose(actual, expected, tolerance, tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5, 5), (2, 3, 4, 4), (17, 17), (0, 0), (3, 0, 0), (0, 4, 4)])
def test_random(dtype: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).standard_normal(shape).astype(DTYPES[dtype]) / 2
    check(x, dtype, {"float": 1e-4, "double": 1e-10, "float16": 1e-2}[dtype])


def test_pivots() -> None:
    # A permutation, zeros on the diagonal, singular ones, one that needs the largest pivot.
    check(np.eye(4, dtype=np.float32)[[2, 0, 3, 1]])
    check(np.array([[0, 2], [3, 0]], np.float32))
    check(np.zeros((3, 3), np.float32))
    check(np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32))
    check(np.array([[1e-20, 1], [1, 1]], np.float32))
    nan = np.array([[np.nan, 1], [1, 1]], np.float32)
    assert np.isnan(module().compile(model("N, N", ""))(nan))


def test_refused() -> None:
    with pytest.raises(module().CompileError, match="expected square matrices"):
        module().compile(model("2, 3", ""))
    with pytest.raises(module().CompileError, match="expected matrices, found rank 1"):
        module().compile(model("2", ""))
    with pytest.raises(module().RunError, match="node 'y' \\(Det\\): expected square matrices"):
        module().compile(model("M, N", ""))(np.ones((2, 3), np.float32))
