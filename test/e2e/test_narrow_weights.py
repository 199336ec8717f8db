"""Products of few rows read weights of 8 bits as they are: against the dequantised product in float64, and by the artefact's size."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support import module

nacre = module()
K, N = 96, 80


def model(nodes: list, arrays: dict[str, np.ndarray], rows: object) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, K])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def columns(rng: np.random.Generator, kind: type, zero: bool, transposed: bool) -> tuple[list, dict, np.ndarray]:
    """A scale (and zero point) for each column."""
    info = np.iinfo(kind)
    q = rng.integers(info.min, info.max + 1, (N, K) if transposed else (K, N)).astype(kind)
    scale = rng.uniform(0.001, 0.01, N).astype(np.float32)
    arrays = {"q": q, "scale": scale}
    weights = q.astype(np.float64)
    if zero:
        arrays["zero"] = np.full(N, 128 if info.min == 0 else 0, kind)
        weights -= float(arrays["zero"][0])
    axis = 0 if transposed else 1
    weights = (weights.T if transposed else weights) * scale
    nodes = [helper.make_node("DequantizeLinear", list(arrays), ["w"], axis=axis)]
    nodes += [helper.make_node("Transpose", ["w"], ["t"])] if transposed else []
    return [*nodes, helper.make_node("MatMul", ["x", nodes[-1].output[0]], ["y"])], arrays, weights


def blocks(rng: np.random.Generator, bits: int, zero: bool) -> tuple[list, dict, np.ndarray]:
    """MatMulNBits: a scale for each block of 32 steps of a column."""
    size, per_byte = 32, 8 // bits
    numbers = rng.integers(0, 1 << bits, (N, K // size, size))
    packed = sum(numbers[:, :, i::per_byte] << (i * bits) for i in range(per_byte)).astype(np.uint8)
    scale = rng.uniform(0.001, 0.01, (N, K // size)).astype(np.float32)
    arrays = {"q": packed, "scale": scale.reshape(-1)}
    zeros = np.full((N, K // size), 1 << (bits - 1))
    if zero:
        zeros = rng.integers(0, 1 << bits, zeros.shape)
        padded = np.pad(zeros, ((0, 0), (0, -zeros.shape[1] % per_byte)))
        arrays["zero"] = sum(padded[:, i::per_byte] << (i * bits) for i in range(per_byte)).astype(np.uint8).reshape(-1)
    weights = ((numbers - zeros[:, :, None]) * scale.astype(np.float64)[:, :, None]).reshape(N, K).T
    node = helper.make_node("MatMulNBits", ["x", *arrays], ["y"], domain="com.microsoft", K=K, N=N, bits=bits, block_size=size)
    return [node], arrays, weights


def split(rng: np.random.Generator) -> tuple[list, dict, np.ndarray]:
    """DequantizeLinear by blocks along the steps, not transposed."""
    q = rng.integers(-128, 128, (K, N)).astype(np.int8)
    scale = rng.uniform(0.001, 0.01, (K // 16, N)).astype(np.float32)
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale"], ["w"], axis=0, block_size=16),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    return nodes, {"q": q, "scale": scale}, q.astype(np.float64) * np.repeat(scale, 16, axis=0)


CASES = {
    "i8": lambda rng: columns(rng, np.int8, False, False),
    "i8-zero-point-0": lambda rng: columns(rng, np.int8, True, False),
    "u8-less-128": lambda rng: columns(rng, np.uint8, True, False),
    "u8": lambda rng: columns(rng, np.uint8, False, True),
    "i8-transposed": lambda rng: columns(rng, np.int8, False, True),
    "4-bits": lambda rng: blocks(rng, 4, False),
    "4-bits-zero-points": lambda rng: blocks(rng, 4, True),
    "2-bits": lambda rng: blocks(rng, 2, False),
    "8-bits": lambda rng: blocks(rng, 8, False),
    "8-bits-zero-points": lambda rng: blocks(rng, 8, True),
    "blocks-along-rows": split,
}


@pytest.mark.parametrize("rows", [1, 5, 40, "open"])
@pytest.mark.parametrize("name", CASES)
def test_against_dequantised(name, rows):
    rng = np.random.default_rng(1)
    nodes, arrays, weights = CASES[name](rng)
    compiled = nacre.compile(model(nodes, arrays, "m" if rows == "open" else rows))
    for count in (1, 3, 8, 21) if rows == "open" else (rows,):
        x = rng.standard_normal((count, K)).astype(np.float32)
        expected = x.astype(np.float64) @ weights
        # Sums of 96 products of f32: rounding grows with their magnitudes.
        bound = 4 * np.finfo(np.float32).eps * (np.abs(x).astype(np.float64) @ np.abs(weights))
        assert (np.abs(compiled.run({"x": x})[0] - expected) <= bound).all()


@pytest.mark.parametrize("name", ["i8", "u8-less-128", "4-bits", "8-bits", "4-bits-zero-points", "blocks-along-rows"])
def test_weights_stay_narrow(tmp_path, name):
    """Of one row the file has a byte for each weight, and scales."""
    sizes = {}
    for rows in (1, 40):
        nodes, arrays, _ = CASES[name](np.random.default_rng(1))
        onnx.save(model(nodes, arrays, rows), tmp_path / "m.onnx")
        nacre.compile_to_file(tmp_path / "m.onnx", tmp_path / "m.so")
        sizes[rows] = (tmp_path / "m.so").stat().st_size
    assert sizes[40] - sizes[1] > 1.5 * K * N
