"""Quantised values, made, read and multiplied."""

from __future__ import annotations

from collections.abc import Iterator

import ml_dtypes
import numpy as np
from onnx import TensorProto

from operators.node import Node, Numbers, node

DATA = Numbers(9)
NARROW = (np.int8, np.uint8, np.int16, np.uint16)
CODED = (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)


def nodes() -> Iterator[Node]:
    x = DATA.uniform(-9, 9, 2, 3, 4)
    scale, scales = np.array(0.1, np.float32), DATA.uniform(0.05, 0.2, 3)
    for kind in NARROW:
        name, unsigned = np.dtype(kind).name, np.dtype(kind).kind == "u"
        zero = np.array(100 if unsigned else -3, kind)
        zeros = DATA.integers(0, 9, 3, dtype=kind)
        yield node("QuantizeLinear", x, scale, zero, label=name)
        yield node("QuantizeLinear", x, scales, zeros, label=f"{name}_axis", axis=1)
        yield node("QuantizeLinear", x, scales, zeros, label=f"{name}_constant", axis=-2, fixed=(1, 2))
        codes = DATA.integers(0, 99, 2, 3, 4, dtype=kind)
        yield node("DequantizeLinear", codes, scale, zero, label=name)
        yield node("DequantizeLinear", codes, scales, zeros, label=f"{name}_axis", axis=1)
        yield node("DequantizeLinear", codes, scales, label=f"{name}_constant", axis=-2, fixed=(1,))
        blocks = DATA.uniform(0.05, 0.2, 2, 3, 2)
        yield node("DequantizeLinear", codes, blocks, DATA.integers(0, 9, 2, 3, 2, dtype=kind), label=f"{name}_blocks", axis=2, block_size=2)
        yield node("QuantizeLinear", x, blocks, DATA.integers(0, 9, 2, 3, 2, dtype=kind), label=f"{name}_blocks", axis=2, block_size=2)
        yield node("QuantizeLinear", x, scale, label=f"{name}_asked", output_dtype=TensorProto.DataType.Value(name.upper()))
    yield node("QuantizeLinear", x, scale, label="no_zero_point")
    yield node("QuantizeLinear", DATA.integers(-90, 90, 2, 3, dtype=np.int32), scale, np.array(2, np.int8), label="i32")
    yield node("DequantizeLinear", DATA.integers(-900, 900, 2, 3, dtype=np.int32), scale, label="i32")
    half = x.astype(np.float16)
    yield node("DequantizeLinear", DATA.integers(0, 99, 2, 3, dtype=np.uint8), scale.astype(np.float16), np.array(9, np.uint8), label="f16", rtol=1e-2)
    for kind in CODED:
        name = np.dtype(kind).name
        yield node("QuantizeLinear", x, scale, np.array(0, kind), label=name)
        yield node("DequantizeLinear", x.astype(kind), scale, label=name, expected=lambda k=kind: x.astype(k).astype(np.float32) * scale)
    yield node("QuantizeLinear", half, scale.astype(np.float16), np.array(9, np.uint8), label="f16", since=19,
               expected=lambda: np.clip(np.rint(half.astype(np.float32) / np.float32(scale.astype(np.float16))) + 9, 0, 255).astype(np.uint8))  # fmt: skip
    yield node("DynamicQuantizeLinear", x, outputs=3)

    for kind in (np.uint8, np.int8):
        name = np.dtype(kind).name
        a, b = DATA.integers(0, 99, 4, 5, dtype=kind), DATA.integers(0, 99, 5, 3, dtype=kind)
        sa, sb, sy = (np.array(v, np.float32) for v in (0.02, 0.03, 0.4))
        za, zb, zy = (np.array(v, kind) for v in (3, 7, 1))
        yield node("QLinearMatMul", a, sa, za, b, sb, zb, sy, zy, label=name)
        yield node("MatMulInteger", a, b, za, zb, label=name)
        w = DATA.integers(0, 99, 3, 2, 3, 3, dtype=kind)
        image = DATA.integers(0, 99, 1, 2, 5, 5, dtype=kind)
        yield node("QLinearConv", image, sa, za, w, sb, zb, np.array(4, np.float32), zy, label=name, pads=[1, 1, 1, 1])
