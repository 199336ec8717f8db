"""Operators whose inputs may differ in element type, or have one that is seldom used, against
onnx's reference.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser
from onnx.reference import ReferenceEvaluator

from support import module


def compute(op: str, feeds: dict[str, np.ndarray], result: int, **attributes: object) -> tuple[np.ndarray, onnx.ModelProto]:
    """What one node gives; every size of its inputs is known at run time alone."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), [f"{name}{i}" for i in range(a.ndim)])
        for name, a in feeds.items()
    ]
    output = helper.make_tensor_value_info("result", result, None)
    graph = helper.make_graph([helper.make_node(op, list(feeds), ["result"], **attributes)], op, inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
    return module().compile(model.SerializeToString())(*feeds.values()), model


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.bool_])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_grid_sample_of_integers(dtype: type, mode: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype == np.bool_ else 100, (1, 2, 5, 6)).astype(dtype)
    grid = rng.uniform(-1.2, 1.2, (1, 3, 4, 2)).astype(np.float32)
    onnx_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    got, _ = compute("GridSample", {"x": x, "grid": grid}, onnx_type, mode=mode)
    exact, _ = compute("GridSample", {"x": x.astype(np.float64), "grid": grid}, TensorProto.DOUBLE, mode=mode)
    np.testing.assert_array_equal(got, exact.astype(dtype))


def test_grid_sample_with_a_wider_grid() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1, 2, 5, 6)).astype(np.float32)
    grid = rng.uniform(-1.2, 1.2, (1, 3, 4, 2))
    got, model = compute("GridSample", {"x": x, "grid": grid}, TensorProto.FLOAT)
    np.testing.assert_allclose(got, ReferenceEvaluator(model).run(None, {"x": x, "grid": grid})[0], rtol=1e-5, atol=1e-6)


def test_slices_by_32_bit_numbers() -> None:
    x = np.arange(40, dtype=np.float32).reshape(5, 8)
    starts, ends, axes, steps = (np.array(v, np.int32) for v in ([1, 6], [4, -9], [0, 1], [2, -2]))
    got, _ = compute("Slice", {"x": x, "s": starts, "e": ends, "a": axes, "t": steps}, TensorProto.FLOAT)
    np.testing.assert_array_equal(got, x[1:4:2, 6::-2])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_rms_normalization_with_another_scale(dtype: type) -> None:
    rng = np.random.default_rng(2)
    x, scale = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=4).astype(dtype)
    for first, second in ((x, scale), (x.astype(dtype), scale.astype(np.float32))):
        result = helper.np_dtype_to_tensor_dtype(second.dtype)
        got, _ = compute("RMSNormalization", {"x": first, "scale": second}, result, axis=-1)
        wide = first.astype(np.float64)
        want = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-5) * second.astype(np.float64)
        assert got.dtype == second.dtype
        np.testing.assert_allclose(got.astype(np.float64), want, rtol=2e-2 if dtype == ml_dtypes.bfloat16 else 2e-3)


@pytest.mark.parametrize("of_values", [np.float16, np.float64])
def test_attention_with_values_of_another_type(of_values: type) -> None:
    rng = np.random.default_rng(3)
    q, k, v = (rng.normal(size=(1, 2, n, 4)).astype(np.float32) for n in (3, 5, 5))
    got, _ = compute("Attention", {"q": q, "k": k, "v": v.astype(of_values)}, TensorProto.FLOAT)
    scores = q @ k.swapaxes(-1, -2) / 2
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    want = weights / weights.sum(-1, keepdims=True) @ v.astype(of_values).astype(np.float32)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float64])
def test_attention_with_a_mask_of_another_type(dtype: type) -> None:
    rng = np.random.default_rng(5)
    q, k, v = (rng.normal(size=(1, 2, n, 4)).astype(np.float32) for n in (3, 5, 5))
    mask = rng.integers(0, 5, (3, 5)).astype(dtype)
    got, model = compute("Attention", {"q": q, "k": k, "v": v, "m": mask}, TensorProto.FLOAT)
    wanted, _ = compute("Attention", {"q": q, "k": k, "v": v, "m": mask.astype(np.float32)}, TensorProto.FLOAT)
    np.testing.assert_array_equal(got, wanted)
    short, _ = compute("Attention", {"q": q, "k": k, "v": v, "m": mask[:, :3]}, TensorProto.FLOAT)
    seen, _ = compute("Attention", {"q": q, "k": k[:, :, :3], "v": v[:, :, :3], "m": mask[:, :3]}, TensorProto.FLOAT)
    np.testing.assert_allclose(short, seen, rtol=1e-5, atol=1e-6)  # columns that are missing are not seen
    np.testing.assert_allclose(got, ReferenceEvaluator(model).run(None, {"q": q, "k": k, "v": v, "m": mask})[0], rtol=1e-4, atol=1e-5)


def test_products_of_8_bit_floats_and_integers() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(3, 8)).astype(ml_dtypes.float8_e4m3fn), rng.integers(-9, 9, (8, 5)).astype(np.int8)
    one = np.float32(1)
    za, zb = np.zeros((), a.dtype), np.int8(2)
    feeds = {"a": a, "sa": one, "za": za, "b": b, "sb": one, "zb": np.asarray(zb), "sy": np.float32(2), "zy": np.zeros((), a.dtype)}
    got, _ = compute("QLinearMatMul", {n: np.asarray(v) for n, v in feeds.items()}, TensorProto.FLOAT8E4M3FN)
    want = a.astype(np.float32) @ (b.astype(np.float32) - 2) / 2
    np.testing.assert_array_equal(got.view(np.uint8), want.astype(a.dtype).view(np.uint8))


def test_triangles_and_places_of_strings() -> None:
    x = np.array([["a", "", "b"], ["", "cd", ""], ["e", "", "f"]], object)
    upper, _ = compute("Trilu", {"x": x}, TensorProto.STRING)
    assert upper.tolist() == [["a", "", "b"], ["", "cd", ""], ["", "", "f"]]
    places, _ = compute("NonZero", {"x": x}, TensorProto.INT64)
    np.testing.assert_array_equal(places, np.nonzero(x.astype(str)))


def test_quantisation_by_integers() -> None:
    x, scale = np.array([-7, 1, 3, 500], np.float32), np.array(2, np.int32)
    got, _ = compute("QuantizeLinear", {"x": x, "s": scale}, TensorProto.UINT8)
    assert got.tolist() == [0, 0, 2, 250]


def test_norm_of_integers_whose_squares_fill_their_type() -> None:
    """Their sum is beyond it, the root is not."""
    model = parser.parse_model('<ir_version: 10, opset_import: ["": 18]> g (int32[N, M] x) => (int32[N, K] y, int32[N, L] z) '
                               '{ axes = Constant <value = int64[1] {1}> () y = ReduceL2 (x, axes) a = Abs (x) z = ReduceL2 (a, axes) }')  # fmt: skip
    x = np.array([[40000, -30000, 20000], [3, 4, 0]], np.int32)
    for got in module().compile(model)(x):
        np.testing.assert_array_equal(got, [[53851], [5]])
