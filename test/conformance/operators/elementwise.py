"""Operators that work element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from onnx import TensorProto
from scipy import special

from operators.node import ALL_VERSIONS, BF16, FLOATS, INTEGERS, Node, Numbers, node, run_node, texts

DATA = Numbers(1)

# Where the functions are defined and their values neither huge nor lost.
RANGES: dict[str, tuple[float, float]] = {
    "Abs": (-3, 3), "Acos": (-1, 1), "Acosh": (1, 5), "Asin": (-1, 1), "Asinh": (-3, 3), "Atan": (-3, 3),
    "Atanh": (-0.9, 0.9), "Ceil": (-3, 3), "Celu": (-3, 3), "Cos": (-4, 4), "Cosh": (-3, 3), "Elu": (-3, 3),
    "Erf": (-2, 2), "Exp": (-3, 3), "Floor": (-3, 3), "Gelu": (-3, 3), "HardSigmoid": (-4, 4), "HardSwish": (-4, 4),
    "Identity": (-3, 3), "LeakyRelu": (-3, 3), "Log": (0.1, 5), "Mish": (-3, 3), "Neg": (-3, 3),
    "Reciprocal": (0.5, 3), "Relu": (-3, 3), "Round": (-3, 3), "Selu": (-3, 3), "Shrink": (-2, 2), "Sigmoid": (-4, 4),
    "Sign": (-3, 3), "Sin": (-4, 4), "Sinh": (-3, 3), "Softplus": (-3, 3), "Softsign": (-3, 3), "Sqrt": (0.1, 5),
    "Swish": (-3, 3), "Tan": (-1, 1), "Tanh": (-3, 3), "ThresholdedRelu": (-3, 3),
}  # fmt: skip
SETTINGS = {
    "Celu": {"alpha": 0.7}, "Elu": {"alpha": 1.7}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "LeakyRelu": {"alpha": 0.2},
    "Selu": {"alpha": 1.5, "gamma": 1.2}, "Shrink": {"lambd": 0.8, "bias": 0.3}, "Swish": {"alpha": 1.5},
    "ThresholdedRelu": {"alpha": 0.6},
}  # fmt: skip


def unary() -> Iterator[Node]:
    for op, (low, high) in RANGES.items():
        x = DATA.uniform(low, high, 2, 3, 5)
        yield node(op, x)
        if op in SETTINGS:
            yield node(op, x, label="settings", **SETTINGS[op])
        if op != "Selu":  # whose old defaults have fewer digits
            yield node(op, x, label="consumed", consumed_inputs=[0], like=6)
        if op in SETTINGS:
            yield node(op, x, label="consumed_settings", consumed_inputs=[0], like=6, **SETTINGS[op])
        for dtype in FLOATS:
            yield node(op, x.astype(dtype), label=dtype.name, rtol=1e-2 if dtype != np.float64 else 1e-7, atol=1e-2 if dtype != np.float64 else 1e-7,
                       expected=as_f32(op, x.astype(dtype)) if dtype == BF16 else None, since=6 if op == "Selu" else 1)  # fmt: skip
        for dtype in INTEGERS:
            data = DATA.integers(0 if dtype.kind == "u" else -5, 6, 7, dtype=dtype)
            # Integers of Erf are -1, 0 and 1: the function is cut off.
            yield node(op, data, label=dtype.name, expected=(lambda d=data: np.trunc(special.erf(d.astype(np.float64))).astype(d.dtype)) if op == "Erf" else None)
    x = DATA.uniform(-3, 3, 2, 7)
    yield node("Selu", x, label="digits", until=1, consumed_inputs=[0], rtol=1e-6, expected=lambda x=x: np.float32(1.0507) * np.where(x < 0, np.float32(1.6732) * np.expm1(x), x))
    x = np.array([-np.inf, -0.0, 0.0, 1.5, np.nan, np.inf], np.float32)
    for op in ("IsNaN", "IsInf"):
        for dtype in (np.dtype(np.float32), *FLOATS):
            yield node(op, x.astype(dtype), label=dtype.name, expected=lambda op=op: np.isnan(x) if op == "IsNaN" else np.isinf(x))
    yield node("IsInf", x, label="negative", detect_positive=0)
    yield node("IsInf", x, label="positive", detect_negative=0)
    yield node("Not", DATA.flags(3, 4))
    yield node("BitwiseNot", DATA.integers(-100, 100, 7, dtype=np.int16))
    yield node("Identity", texts("a", "", "ä"), label="strings")
    yield node("Identity", DATA.flags(3), label="bool")


def as_f32(op: str, x: np.ndarray, **attributes: float) -> Callable[[], np.ndarray]:
    """What f32 gives, rounded: for the type that no reference computes well."""
    return lambda: run_node(op, 13 if op not in ("Mish", "HardSwish", "Gelu", "Swish") else 24, x.astype(np.float32), **attributes).astype(x.dtype)


#: What NumPy calls them, and whether all numbers or only some types are taken.
ARITHMETIC: dict[str, Callable[..., np.ndarray]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power,
}  # fmt: skip
COMPARISONS: dict[str, Callable[..., np.ndarray]] = {
    "Equal": np.equal, "Greater": np.greater, "Less": np.less, "GreaterOrEqual": np.greater_equal, "LessOrEqual": np.less_equal,
}  # fmt: skip
LOGIC: dict[str, Callable[..., np.ndarray]] = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}

# Of the second operand, and where it stands in the first, of [2, 3, 4, 5]: as opsets below 7 say it.
PLACES: dict[str, tuple[list[int], int | None]] = {
    "suffix": ([4, 5], None), "last": ([5], None), "middle": ([3, 4], 1), "front": ([2, 3], 0), "batch": ([2], 0),
    "scalar": ([], None), "whole": ([2, 3, 4, 5], None), "channel": ([3], 1), "negative": ([4, 5], -2), "one": ([1], None),
    "ones": ([3, 1, 1], None), "one_inside": ([3, 1], 1), "end": ([5], 3),
}  # fmt: skip


def binary() -> Iterator[Node]:
    for op, function in (ARITHMETIC | COMPARISONS | LOGIC).items():

        def operand(*shape: int, op: str = op) -> np.ndarray:
            if op in LOGIC:
                return DATA.flags(*shape)
            if op in COMPARISONS:
                return DATA.integers(0, 3, *shape, dtype=np.int32 if op == "Equal" else np.float32)
            return DATA.uniform(0.5, 3, *shape)

        a = operand(2, 3, 4, 5)
        yield node(op, a, operand(2, 3, 4, 5))
        yield node(op, a, operand(2, 3, 4, 5), label="consumed", consumed_inputs=[0, 0])
        yield node(op, operand(3, 1, 5), operand(4, 1), label="broadcast", since=7)
        yield node(op, operand(4), operand(2, 3, 4), label="first_broadcast", since=7)
        yield node(op, operand(2, 3), operand(), label="scalar", since=7)
        for place, (shape, axis) in PLACES.items():
            if not ALL_VERSIONS and op != "Add" and place not in ("suffix", "middle"):
                continue  # one converter for all of them
            b = operand(*shape)
            yield node(op, a, b, label=f"old_{place}", until=6, broadcast=1, **({} if axis is None else {"axis": axis}),
                       expected=lambda a=a, b=b, f=function, axis=axis: f(a, stretched(b, a, axis)))  # fmt: skip
        if op in LOGIC:
            continue
        for dtype in (*FLOATS, *INTEGERS):
            x, y = (DATA.integers(1, 4, 3, 4, dtype=dtype) for _ in range(2))
            exact = dict(expected=lambda x=x, y=y, f=function: narrow(f, x, y)) if op != "Div" or dtype.kind not in "iu" else {}
            yield node(op, x, y, label=dtype.name, rtol=1e-2, **exact)
    x, y = DATA.integers(-9, 10, 4, 5, dtype=np.int32), DATA.integers(1, 5, 4, 5, dtype=np.int32) * DATA.integers(0, 2, 4, 5) * 2 - 1
    y = y.astype(np.int32)
    for op in ("Div", "Mod"):
        yield node(op, x, np.where(y == 0, 3, y).astype(np.int32), label="signs")
    yield node("Mod", x, np.where(y == 0, 3, y).astype(np.int32), label="fmod", fmod=1)
    yield node("Mod", DATA.normal(3, 4), DATA.uniform(0.5, 2, 4), label="float", fmod=1)
    for kind in (np.int32, np.int64, np.float64, np.float32):
        yield node("Pow", DATA.uniform(1, 3, 3, 4), DATA.integers(0, 4, 3, 4, dtype=kind), label=f"by_{np.dtype(kind).name}")
    yield node("Pow", DATA.integers(-4, 5, 6, dtype=np.int64), DATA.integers(0, 4, 6, dtype=np.int32), label="integers")
    yield node("Equal", texts("a", "b", "c"), texts("a", "x", "c"), label="strings", expected=lambda: np.array([True, False, True]))
    yield node("Equal", DATA.flags(3, 4), DATA.flags(3, 4), label="bool")
    yield node("Equal", DATA.integers(0, 2, 3, 4, dtype=np.int64), DATA.integers(0, 2, 4, dtype=np.int64), label="i64", since=7)
    yield node("Equal", DATA.integers(0, 2, 3, 4, dtype=np.float32), DATA.integers(0, 2, 4, dtype=np.float32), label="f32", since=7)
    for direction in ("LEFT", "RIGHT"):
        for dtype in (np.uint8, np.uint16, np.uint32, np.uint64, np.int32, np.int64):
            yield node("BitShift", DATA.integers(0, 99, 5, dtype=dtype), DATA.integers(0, 5, 5, dtype=dtype),
                       label=f"{direction.lower()}_{np.dtype(dtype).name}", direction=direction)  # fmt: skip
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        yield node(op, DATA.integers(-99, 99, 3, 5, dtype=np.int32), DATA.integers(-99, 99, 5, dtype=np.int32))
    yield node("Where", DATA.flags(3, 1), DATA.normal(3, 4), DATA.normal(4))
    yield node("Where", DATA.flags(2), texts("a", "b"), texts("c", "d"), label="strings")


def stretched(b: np.ndarray, a: np.ndarray, axis: int | None) -> np.ndarray:
    """The second operand with the first one's rank."""
    if axis is None:
        axis = a.ndim - b.ndim
    axis = axis + a.ndim if axis < 0 else axis
    return b.reshape(b.shape + (1,) * (a.ndim - axis - b.ndim))


def narrow(function: Callable[..., np.ndarray], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    wide = x.dtype.name in ("bfloat16", "float16")
    result = function(x.astype(np.float32), y.astype(np.float32)) if wide else function(x, y)
    return result if result.dtype == bool else result.astype(x.dtype)


def variadic() -> Iterator[Node]:
    for op in ("Max", "Min", "Sum", "Mean"):
        three = [DATA.normal(2, 3) for _ in range(3)]
        yield node(op, *three)
        yield node(op, three[0], label="one")
        yield node(op, *three, label="consumed", consumed_inputs=[0, 0, 0], like=6)
        yield node(op, DATA.normal(3, 1), DATA.normal(4), DATA.normal(2, 1, 1), label="broadcast", since=8)
        for dtype in (*FLOATS, *INTEGERS):
            values = [DATA.integers(0, 9, 2, 3, dtype=dtype) for _ in range(3)]
            yield node(op, *values, label=dtype.name, rtol=1e-2)


def clip() -> Iterator[Node]:
    x = DATA.normal(3, 4)
    yield node("Clip", x, like=6)
    yield node("Clip", x, label="both", min=-0.5, max=0.7, like=6)
    yield node("Clip", x, label="min", min=-0.5, like=6)
    yield node("Clip", x, label="max", max=0.7, like=6)
    yield node("Clip", x, label="consumed", min=-0.5, max=0.7, consumed_inputs=[0], like=6)
    low, high = np.float32(-0.5), np.float32(0.7)
    yield node("Clip", x, np.array(low), np.array(high), label="inputs")
    yield node("Clip", x, np.array(low), np.array(high), label="constants", fixed=(1, 2))
    yield node("Clip", x, np.array(low), label="low")
    yield node("Clip", x, None, np.array(high), label="high")
    for dtype in (*FLOATS, *INTEGERS):
        data = DATA.integers(0, 9, 3, 4, dtype=dtype)
        yield node("Clip", data, np.array(2, dtype), np.array(5, dtype), label=dtype.name)
        if dtype.kind == "f":
            yield node("Clip", data, label=f"old_{dtype.name}", min=2.0, max=5.0, expected=lambda d=data: d.clip(2, 5))


def prelu() -> Iterator[Node]:
    x = DATA.normal(2, 3, 4, 5)
    for label, shape in {"whole": [2, 3, 4, 5], "channels": [3, 1, 1], "last": [5], "one": [1]}.items():
        yield node("PRelu", x, DATA.uniform(0, 1, *shape), label=label, since=7)
    # Until opset 6 a vector has an element for each channel, or one for all.
    for label, size in {"old_channels": 3, "old_one": 1}.items():
        slope = DATA.uniform(0, 1, size)
        want = lambda slope=slope: np.where(x < 0, x * slope.reshape(-1, 1, 1), x)  # noqa: E731
        yield node("PRelu", x, slope, label=label, until=6, expected=want)
        yield node("PRelu", x, slope, label=f"consumed_{label}", until=6, expected=want, consumed_inputs=[0, 0])
    flat, slope = DATA.normal(4, 3), DATA.uniform(0, 1, 3)
    yield node("PRelu", flat, slope, label="matrix", expected=lambda: np.where(flat < 0, flat * slope, flat))
    yield node("PRelu", DATA.integers(-5, 5, 3, 4, dtype=np.int32), DATA.integers(0, 3, 4, dtype=np.int32), label="i32", since=9)


def casts() -> Iterator[Node]:
    numbers = {"f32": DATA.uniform(0, 9, 3, 4), "i32": DATA.integers(0, 9, 3, 4, dtype=np.int32), "bool": DATA.flags(3, 4),
               "f64": DATA.uniform(0, 9, 3, 4, dtype=np.float64), "u8": DATA.integers(0, 9, 3, 4, dtype=np.uint8),
               "f16": DATA.uniform(0, 9, 3, 4, dtype=np.float16), "i64": DATA.integers(0, 9, 3, 4)}  # fmt: skip
    for source, x in numbers.items():
        for to in ("FLOAT", "DOUBLE", "FLOAT16", "INT8", "UINT8", "INT32", "INT64", "UINT32", "BOOL"):
            dtype = np.dtype(to.lower().replace("double", "float64") if to != "FLOAT" else "float32")
            yield node("Cast", x, label=f"{source}_{to.lower()}", to=TensorProto.DataType.Value(to), expected=lambda x=x, t=dtype: x.astype(t))
            if source == "f32" or ALL_VERSIONS:
                yield node("Cast", x, label=f"named_{source}_{to.lower()}", to=to, expected=lambda x=x, t=dtype: x.astype(t))
            if source in ("f32", "i64"):
                yield node("CastLike", x, DATA.integers(0, 2, 1, dtype=dtype), label=f"{source}_{to.lower()}", expected=lambda x=x, t=dtype: x.astype(t))
    yield node("Cast", texts("1.5", "-2", "1e3"), label="strings", to=TensorProto.FLOAT)
    yield node("Cast", DATA.integers(-9, 9, 5), label="to_strings", to=TensorProto.STRING)
    for kind in ("FLOAT8E4M3FN", "FLOAT8E5M2"):
        for saturate in (0, 1):
            yield node("Cast", np.array([0, 1.3, -500, 1e6], np.float32), label=f"{kind.lower()}_{saturate}", to=TensorProto.DataType.Value(kind), saturate=saturate, standard=True)


def nodes() -> Iterator[Node]:
    for family in (unary, binary, variadic, clip, prelu, casts):
        yield from family()
