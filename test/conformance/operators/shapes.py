"""What moves elements without looking at them, and what makes tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import TensorProto, helper

from operators.node import BF16, FLOATS, INTEGERS, Node, Numbers, ints, node, texts

DATA = Numbers(6)
#: One tensor of each type that is only moved.
KINDS = (*FLOATS, *INTEGERS, np.dtype(bool), np.dtype(object))


def of(dtype: np.dtype, *shape: int) -> np.ndarray:
    if dtype == np.dtype(object):
        return DATA.integers(0, 99, *shape).astype(str).astype(object)
    return DATA.flags(*shape) if dtype == bool else DATA.integers(0, 99, *shape, dtype=dtype)


def views() -> Iterator[Node]:
    x = DATA.normal(2, 3, 4)
    yield node("Reshape", x, label="attribute", shape=[4, 6])
    yield node("Reshape", x, label="attribute_free", shape=[0, -1])
    yield node("Reshape", x, label="consumed", shape=[2, 12], consumed_inputs=[0], expected=lambda: x.reshape(2, 12))
    yield node("Reshape", x, ints(0, -1), label="input", ranks=[2])
    yield node("Reshape", x, ints(3, 2, -1), label="constant", fixed=(1,))
    yield node("Reshape", np.zeros((0, 3), np.float32), ints(3, 0), label="zero", fixed=(1,), allowzero=1)
    for axis in (0, 1, 2, 3):
        yield node("Flatten", x, label=f"axis{axis}", axis=axis)
    yield node("Flatten", x, label="default")
    yield node("Flatten", x, label="negative", axis=-1, since=11)
    once = x[:, None, :, :, None]
    yield node("Squeeze", once, label="attribute", axes=[1, 4])
    yield node("Squeeze", once, label="negative", axes=[-1], since=11)
    # Which sizes are 1 has to be known.
    yield node("Squeeze", once, label="all", fixed=(0,))
    yield node("Squeeze", once, ints(1, -1), label="input", fixed=(1,))
    yield node("Squeeze", once, ints(1), label="run_time", ranks=[4])
    yield node("Unsqueeze", x, label="attribute", axes=[0, 4])
    yield node("Unsqueeze", x, label="negative", axes=[-1, 1], since=11)
    yield node("Unsqueeze", x, ints(0, -1), label="input", fixed=(1,))
    yield node("Unsqueeze", x, ints(2), label="run_time", ranks=[4])
    for op in ("Shape", "Size"):
        yield node(op, x)
        yield node(op, texts("a", "b"), label="strings")
    yield node("Shape", x, label="part", start=1, end=-1)
    yield node("Transpose", x)
    yield node("Transpose", x, label="perm", perm=[1, 2, 0])
    for kind in KINDS:
        data = of(kind, 2, 6)
        yield node("Transpose", data, label=f"{kind.name}", expected=lambda d=data: d.T)
        yield node("Reshape", data, ints(3, 4), label=kind.name, fixed=(1,), expected=lambda d=data: d.reshape(3, 4))
        yield node("Flatten", data, label=kind.name, axis=0, expected=lambda d=data: d.reshape(1, 12))
        yield node("Squeeze", data[None], label=kind.name, axes=[0], expected=lambda d=data: d)
        yield node("Identity", data, label=f"moved_{kind.name}", expected=lambda d=data: d)
        yield node("Shape", data, label=kind.name, expected=lambda: ints(2, 6))


def parts() -> Iterator[Node]:
    x = DATA.normal(4, 5, 6)
    yield node("Slice", x, label="attribute", starts=[1, 0], ends=[3, 4], axes=[0, 2])
    yield node("Slice", x, label="leading", starts=[1, -3], ends=[-1, 1000])
    yield node("Slice", x, ints(1, 0), ints(3, 4), ints(0, 2), label="input")
    yield node("Slice", x, ints(1, -3), ints(-1, 1000), label="leading", fixed=(1, 2))
    yield node("Slice", x, ints(3, 5), ints(-100, 0), ints(0, -1), ints(-1, -2), label="backwards", fixed=(1, 2, 3, 4), since=11)
    yield node("Slice", x, ints(0, 5), ints(4, 0), ints(0, 2), ints(2, -2), label="steps")
    yield node("Split", x, label="equal", outputs=2, like=2)
    yield node("Split", x, label="axis", axis=2, outputs=3, like=2)
    yield node("Split", x, label="sizes", axis=1, split=[1, 4], outputs=2, like=2)
    yield node("Split", x, ints(1, 4), label="input", axis=1, outputs=2, fixed=(1,), since=13)
    yield node("Split", x, ints(1, 4), label="run_time", axis=1, outputs=2, since=13)
    yield node("Split", x, np.array([1, 4], np.float32), label="input", axis=1, outputs=2, fixed=(1,), until=1, expected=lambda: [x[:, :1], x[:, 1:]])
    yield node("Split", x, np.array([1, 4], np.float32), label="run_time", axis=1, outputs=2, until=1, expected=lambda: [x[:, :1], x[:, 1:]])
    yield node("Split", x, label="number", axis=1, num_outputs=2, outputs=2)
    a, b = DATA.normal(2, 3), DATA.normal(2, 3)
    yield node("Concat", a, b, label="default", until=1, expected=lambda: np.concatenate([a, b], 1))
    for axis in (0, 1):
        yield node("Concat", a, b, label=f"axis{axis}", axis=axis, expected=lambda axis=axis: np.concatenate([a, b], axis))
    yield node("Concat", a, b, label="negative", axis=-1, since=11)
    yield node("Pad", x, label="paddings", paddings=[1, 0, 2, 0, 1, 0], expected=lambda: np.pad(x, [(1, 0), (0, 1), (2, 0)]))
    for mode in ("constant", "reflect", "edge"):
        more = dict(constant_values=1.5) if mode == "constant" else {}
        want = lambda mode=mode, more=more: np.pad(x, [(1, 0), (0, 1), (2, 0)], mode, **more)  # noqa: E731
        value = {"value": 1.5} if mode == "constant" else {}
        yield node("Pad", x, label=f"old_{mode}", paddings=[1, 0, 2, 0, 1, 0], mode=mode, **value, expected=want)
        yield node("Pad", x, label=mode, pads=[1, 0, 2, 0, 1, 0], mode=mode, **value, expected=want)
    yield node("Pad", x, label="cropped", pads=[1, -1, 0, 0, 0, -2], expected=lambda: np.pad(x[:, 1:, :-2], [(1, 0), (0, 0), (0, 0)]))
    for mode in ("constant", "reflect", "edge", "wrap"):
        yield node("Pad", x, ints(1, 0, 2, 0, 1, 0), label=f"{mode}_input", mode=mode, fixed=(1,), since=19 if mode == "wrap" else 11)
        yield node("Pad", x, ints(1, 0, 2, 0, 1, 0), label=f"{mode}_run_time", mode=mode, since=19 if mode == "wrap" else 11)
    yield node("Pad", x, ints(1, 0, 2, 0, 1, 0), np.array(3, np.float32), label="value")
    yield node("Pad", x, ints(1, 2), np.array(3, np.float32), ints(-1), label="axes", fixed=(3,))
    for kind in KINDS:
        data = of(kind, 4, 3)
        yield node("Slice", data, ints(1), ints(3), label=kind.name, fixed=(1, 2), expected=lambda d=data: d[1:3])
        yield node("Concat", data, data, label=kind.name, axis=0, expected=lambda d=data: np.concatenate([d, d]))
        yield node("Split", data, label=kind.name, axis=0, outputs=2, until=17, expected=lambda d=data: [d[:2], d[2:]])
        yield node("Expand", data[:, None], ints(4, 2, 3), label=kind.name, fixed=(1,), expected=lambda d=data: np.broadcast_to(d[:, None], (4, 2, 3)))
        yield node("Tile", data, ints(1, 2), label=kind.name, fixed=(1,), expected=lambda d=data: np.tile(d, (1, 2)))
        if kind != np.dtype(object):
            yield node("Pad", data, ints(0, 1, 0, 1), label=kind.name, fixed=(1,), since=13, expected=lambda d=data: np.pad(d, [(0, 0), (1, 1)]))
        cube = of(kind, 1, 4, 2, 2)
        if kind != BF16:
            yield node("DepthToSpace", cube, label=kind.name, blocksize=2)
            yield node("SpaceToDepth", cube, label=kind.name, blocksize=2)
    yield node("Tile", x, ints(1, 2, 3), label="run_time")
    yield node("Tile", x, np.array(2, np.float32), np.array(1, np.float32), label="old", expected=lambda: np.tile(x, (1, 2, 1)), until=1)
    yield node("Tile", x, np.array([3], np.int64), np.array([2], np.int64), label="old_integers", expected=lambda: np.tile(x, (1, 1, 3)), until=1)
    yield node("Tile", x, np.array(2, np.float32), np.array(1, np.float32), label="old_constant", fixed=(1, 2), expected=lambda: np.tile(x, (1, 2, 1)), until=1)
    yield node("Expand", x[:, :1], ints(1, 5, 1), label="run_time", ranks=[3])
    deep = DATA.normal(2, 8, 3, 4)
    for mode in ("DCR", "CRD"):
        yield node("DepthToSpace", deep, label=mode, blocksize=2, mode=mode)
    yield node("DepthToSpace", deep, blocksize=2)
    yield node("SpaceToDepth", DATA.normal(2, 3, 4, 6), blocksize=2)
    yield node("CenterCropPad", x, ints(3, 7, 6), fixed=(1,))
    for upper in (0, 1):
        yield node("Trilu", DATA.normal(3, 4), label=f"upper{upper}", upper=upper)
        yield node("Trilu", DATA.integers(0, 9, 2, 4, 4), np.array(1), label=f"k_upper{upper}", upper=upper)


def made() -> Iterator[Node]:
    values = {
        "value_float": 1.5, "value_floats": [1.5, 2.5], "value_int": 7, "value_ints": [7, 8], "value_string": "a", "value_strings": ["a", "b"],
        "value": helper.make_tensor("t", TensorProto.FLOAT, [2, 2], [1, 2, 3, 4]),
    }  # fmt: skip
    for name, value in values.items():
        yield node("Constant", label=name, **{name: value})
    for dtype in (np.dtype(np.float32), *FLOATS, *INTEGERS, np.dtype(bool)):
        code = helper.np_dtype_to_tensor_dtype(dtype)
        yield node("Constant", label=dtype.name, value=helper.make_tensor("t", code, [3], [0, 1, 1]), expected=lambda d=dtype: np.array([0, 1, 1]).astype(d))
        yield node("ConstantOfShape", ints(2, 3), label=dtype.name, value=helper.make_tensor("t", code, [1], [1]), fixed=(0,), expected=lambda d=dtype: np.ones((2, 3), d))
    yield node("ConstantOfShape", ints(2, 3), label="default", fixed=(0,), expected=lambda: np.zeros((2, 3), np.float32))
    for k in (-1, 0, 2):
        yield node("EyeLike", DATA.normal(3, 4), label=f"k{k}", k=k)
    yield node("EyeLike", DATA.integers(0, 9, 3, 4, dtype=np.int32), label="i32")
    yield node("EyeLike", DATA.integers(0, 9, 3, 4, dtype=np.int32), label="dtype", dtype=TensorProto.DOUBLE)
    for dtype in (np.float32, np.float64, np.int16, np.int32, np.int64):
        yield node("Range", np.array(1, dtype), np.array(9, dtype), np.array(3, dtype), label=np.dtype(dtype).name)
    yield node("Range", np.array(5), np.array(-5), np.array(-3), label="down", fixed=(0, 1, 2))
    for name in ("Hann", "Hamming", "Blackman"):
        yield node(f"{name}Window", np.array(7), label="symmetric", periodic=0)
        yield node(f"{name}Window", np.array(7), label="periodic")


def nodes() -> Iterator[Node]:
    for family in (views, parts, made):
        yield from family()
