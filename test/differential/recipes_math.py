"""Recipes: element-wise operators, reductions, products and quantisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from drawing import Draw, Operand
from graphs import Unfit
from values import FLOATS, INTEGERS, TYPES

Recipe = Callable[[Draw], list[Operand]]
RECIPES: dict[str, Recipe] = {}
SIGNED = [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16]


def recipe(*names: str) -> Callable[[Recipe], Recipe]:
    def add(made: Recipe) -> Recipe:
        RECIPES.update({name: made for name in names})
        return made

    return add


# One operand and a result of its shape. New operands lie in the range where the function is defined.
RANGES: dict[str, tuple[float, float]] = {
    "Acos": (-0.95, 0.95), "Asin": (-0.95, 0.95), "Atanh": (-0.95, 0.95), "Acosh": (1.1, 6), "Log": (0.1, 6),
    "Sqrt": (0, 9), "Reciprocal": (0.3, 4), "Tan": (-1.4, 1.4),
}  # fmt: skip
for op in """Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Cos Cosh Erf Exp Floor HardSwish Identity IsNaN Log
    Mish Neg NonZero Not Reciprocal Relu Round Shape Sigmoid Sign Sin Sinh Size Softplus Softsign Sqrt Tan Tanh""".split():
    RECIPES[op] = lambda d: [d.any(0, low=RANGES.get(d.name, (-3, 3))[0], high=RANGES.get(d.name, (-3, 3))[1])]

# With attributes that are numbers.
NUMBERS: dict[str, dict[str, tuple[float, float]]] = {
    "Elu": {"alpha": (0.1, 2)}, "Celu": {"alpha": (0.2, 2)}, "Selu": {"alpha": (0.5, 2), "gamma": (0.5, 2)},
    "LeakyRelu": {"alpha": (-0.5, 0.5)}, "ThresholdedRelu": {"alpha": (-1, 1)},
    "HardSigmoid": {"alpha": (0.1, 0.5), "beta": (0, 1)}, "Shrink": {"lambd": (0, 1), "bias": (-1, 1)},
    "Swish": {"alpha": (0.5, 2)},
}  # fmt: skip


@recipe(*NUMBERS)
def with_numbers(d: Draw) -> list[Operand]:
    for name, limits in NUMBERS[d.name].items():
        d.maybe(name, d.number(*limits))
    return [d.any(0, among=SIGNED if d.name == "Shrink" else None)]


@recipe("Gelu")
def gelu(d: Draw) -> list[Operand]:
    d.maybe("approximate", d.choose(["none", "tanh"]))
    return [d.any(0)]


@recipe("SwiGLU")
def swiglu(d: Draw) -> list[Operand]:
    d.maybe("alpha", d.number(0.5, 2))
    x = d.any(0)
    return [x, d.of(1, x.shape)]


@recipe("IsInf")
def is_inf(d: Draw) -> list[Operand]:
    d.maybe("detect_negative", d.between(0, 1))
    d.maybe("detect_positive", d.between(0, 1))
    return [d.any(0)]


@recipe("Add Sub Mul And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual BitwiseAnd BitwiseOr BitwiseXor".split()[0],
        *"Sub Mul And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual BitwiseAnd BitwiseOr BitwiseXor StringConcat".split())
def binary(d: Draw) -> list[Operand]:
    x = d.any(0)
    if d.has("broadcast"):  # before opset 7 only by attribute
        return [x, d.of(1, legacy_shape(d, x.shape))]
    y = d.of(1, d.wider(x.shape))
    return [x, y] if d.flag(0.6) else [y, x]


def legacy_shape(d: Draw, shape: tuple[int, ...]) -> tuple[int, ...]:
    if d.flag() or not shape or 0 in shape:
        return shape
    d.set("broadcast", 1)
    first = d.between(0, len(shape) - 1)
    last = d.between(first, len(shape) - 1)
    if last < len(shape) - 1 or d.flag():
        d.set("axis", first)
        return shape[first : last + 1]
    return shape[first:]


@recipe("Div", "Mod")
def division(d: Draw) -> list[Operand]:
    x = d.any(0)
    if d.name == "Mod":
        d.set("fmod", 1 if x.kind in FLOATS else d.between(0, 1))
    shape = legacy_shape(d, x.shape) if d.has("broadcast") else d.wider(x.shape)
    y = d.new(1, shape, 1, 4)
    if d.flag() and "uint" not in y.value.dtype.name:
        d.change(y, np.negative(y.value))
    return [x, y]


@recipe("Pow")
def power(d: Draw) -> list[Operand]:
    x = d.any(0, where=lambda v: bool(v.value.size == 0 or v.value.astype(np.float64).min() > 0.1), low=0.3, high=3)
    shape = legacy_shape(d, x.shape) if d.has("broadcast") else d.wider(x.shape)
    return [x, d.new(1, shape, 0 if x.kind in INTEGERS else -2, 3)]


@recipe("PRelu")
def prelu(d: Draw) -> list[Operand]:
    x = d.any(0)
    if d.since < 7:
        return [x, d.new(1, (x.shape[1],) if len(x.shape) > 1 else (1,))]
    slope = d.wider(x.shape)
    if np.broadcast_shapes(slope, x.shape) != x.shape:
        slope = x.shape
    return [x, d.of(1, slope)]


@recipe("BitShift")
def shift(d: Draw) -> list[Operand]:
    d.set("direction", d.choose(["LEFT", "RIGHT"]))
    x = d.any(0)
    return [x, d.new(1, d.wider(x.shape), 0, 7)]


@recipe("Max", "Min", "Mean", "Sum")
def variadic(d: Draw) -> list[Operand]:
    x = d.any(0)
    shapes = [x.shape if d.since < 8 else d.wider(x.shape) for _ in range(d.between(0, 3))]
    try:
        np.broadcast_shapes(x.shape, *shapes)
    except ValueError:
        shapes = [x.shape for _ in shapes]
    return [x, *(d.of(0, shape) for shape in shapes)]


@recipe("Where")
def where(d: Draw) -> list[Operand]:
    x = d.any(1)
    y, condition = d.wider(x.shape), d.wider(x.shape)
    try:
        np.broadcast_shapes(x.shape, y, condition)
    except ValueError:
        y = condition = x.shape
    return [d.of(0, condition), x, d.of(2, y)]


@recipe("Clip")
def clip(d: Draw) -> list[Operand]:
    x = d.any(0)
    if d.has("min"):
        d.maybe("min", d.number(-2, 0))
        d.maybe("max", d.number(0, 2))
        return [x]
    return [x, d.new(0, (), -2, 0) if d.flag(0.7) else None, d.new(0, (), 0, 2) if d.flag(0.7) else None]


CASTS = [k for k in TYPES.values()]


@recipe("Cast", "CastLike", "BitCast")
def cast(d: Draw) -> list[Operand]:
    x = d.any(0)
    if d.name == "BitCast":
        bits = x.value.dtype.itemsize
        to = d.choose([k for k in targets(d) if width(k) == bits] or [x.kind])
    else:
        to = d.choose(targets(d))
    low = x.value.astype(np.float64).min(initial=0) if x.kind != TensorProto.STRING else 0
    if low < 0 and to in (8, 2, 4, 12, 13, 21, 22, 25) and d.name != "BitCast" and (x.kind in FLOATS):
        raise Unfit("conversion of negative floats to unsigned integers is undefined")
    if x.kind == TensorProto.STRING or to == TensorProto.STRING:
        raise Unfit("texts of numbers are the implementation's own")
    if d.name == "CastLike":
        d.kinds["T2"] = to
        return [x, d.new(1, d.shape((0, 2)))]
    d.set("to", to if d.since >= 6 else TensorProto.DataType.Name(to))
    if "8" in TensorProto.DataType.Name(to) and TensorProto.DataType.Name(to).startswith("FLOAT8") and x.kind in FLOATS:
        d.maybe("saturate", d.between(0, 1))
    return [x]


def targets(d: Draw) -> list[int]:
    variable = d.schema.outputs[0].type_str if d.name != "CastLike" else d.schema.inputs[1].type_str
    for constraint in d.schema.type_constraints:
        if constraint.type_param_str == variable:
            return [TYPES[t] for t in constraint.allowed_type_strs if t in TYPES]
    return []


def width(kind: int) -> int:
    from values import dtype_of

    return 0 if kind == TensorProto.STRING else dtype_of(kind).itemsize


REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()


@recipe(*(f"Reduce{name}" for name in REDUCTIONS))
def reduction(d: Draw) -> list[Operand]:
    x = d.any(0, low=0.2 if d.name == "ReduceLogSum" else -2, high=2)
    if d.name == "ReduceMean" and x.kind in INTEGERS and 0 in x.shape:
        raise Unfit("the mean of nothing is no integer")
    d.maybe("keepdims", d.between(0, 1))
    d.maybe("noop_with_empty_axes", d.between(0, 1))
    if d.flag(0.25):
        return [x]
    axes = d.axes(len(x.shape), 0 if not d.has("axes") else 1)
    if d.has("axes") and not axes:
        return [x]
    return [x, *d.sizes("axes", axes, 1)]


@recipe("ArgMax", "ArgMin")
def arg_extremum(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    d.set("axis", d.axis(len(x.shape)))
    d.maybe("keepdims", d.between(0, 1))
    d.maybe("select_last_index", d.between(0, 1))
    return [x]


@recipe("CumSum", "CumProd")
def cumulative(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    d.maybe("exclusive", d.between(0, 1))
    d.maybe("reverse", d.between(0, 1))
    return [x, d.ints(d.axis(len(x.shape)), 1)]


@recipe("Softmax", "LogSoftmax", "Hardmax")
def softmax(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    if d.flag(0.8):
        d.set("axis", d.axis(len(x.shape)))
    return [x]


@recipe("MatMul")
def matmul(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    rows, inner = x.shape[:-1], x.shape[-1]
    if d.flag(0.2):
        return [x, d.of(1, (inner,))]
    batch = d.wider(rows[:-1]) if len(rows) > 1 and d.flag() else ()
    return [x, d.of(1, (*batch, inner, d.size()))]


@recipe("Gemm")
def gemm(d: Draw) -> list[Operand]:
    a = d.any(0, (2, 2))
    flip, flop = d.flag(), d.flag()
    d.set("transA", int(flip))
    d.set("transB", int(flop))
    d.maybe("alpha", d.number(-2, 2) if a.kind in FLOATS else float(d.between(-2, 2)))
    d.maybe("beta", d.number(-2, 2) if a.kind in FLOATS else float(d.between(-2, 2)))
    (m, k), n = a.shape[::-1] if flip else a.shape, d.size()
    b = d.of(1, (n, k) if flop else (k, n))
    if d.since >= 11 and d.flag(0.3):
        return [a, b]
    shape = d.choose([(m, n), (n,), (1, n), (m, 1), (), (1,), (1, 1)])
    if d.has("broadcast"):
        shape = d.choose([(m, n), (n,)])
        d.set("broadcast", int(shape != (m, n)))
    return [a, b, d.of(2, shape)]


@recipe("Einsum")
def einsum(d: Draw) -> list[Operand]:
    first = d.any(0, (1, 3))
    letters = "abcdefgh"[: len(first.shape)]
    sizes = dict(zip(letters, first.shape))
    terms, operands = [letters], [first]
    for _ in range(d.between(0, 2)):
        term = "".join(d.some(list(sizes)))
        if d.flag():
            term += "xyz"[len(operands) - 1]
            sizes[term[-1]] = d.between(1, 4)
        if term:
            terms.append(term)
            operands.append(d.of(0, [sizes[c] for c in term]))
    equation = ",".join(terms)
    if d.flag(0.8):
        equation += "->" + "".join(d.some(sorted(set("".join(terms)))))
    d.set("equation", equation)
    return operands


@recipe("Det")
def det(d: Draw) -> list[Operand]:
    n = d.between(1, 5)
    return [d.any(0, (2, 4), lambda v: v.shape[-1] == v.shape[-2], shape=(*d.shape((0, 2)), n, n))]


@recipe("Trilu")
def trilu(d: Draw) -> list[Operand]:
    d.maybe("upper", d.between(0, 1))
    x = d.any(0, (2, 4))
    return [x, d.ints(d.between(-4, 4), 1)] if d.flag() else [x]


@recipe("LpNormalization")
def lp_normalization(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    d.set("axis", d.axis(len(x.shape)))
    d.maybe("p", d.between(1, 2))
    return [x]


# Quantisation


@recipe("QuantizeLinear", "DequantizeLinear")
def quantize(d: Draw) -> list[Operand]:
    x = d.any(0, (0, 4), low=-100 if d.name[0] == "D" else -3, high=100 if d.name[0] == "D" else 3)
    shape: tuple[int, ...] = ()
    rank = len(x.shape)
    if rank and d.has("axis") and d.flag(0.6):
        axis = d.between(0, rank - 1)
        d.set("axis", axis - rank if d.flag(0.3) else axis)
        shape = (x.shape[axis],)
        if d.has("block_size") and d.flag() and x.shape[axis]:
            block = d.between(1, x.shape[axis])
            d.set("block_size", block)
            shape = tuple(-(-s // block) if i == axis else s for i, s in enumerate(x.shape))
    if d.name == "DequantizeLinear":
        scale = d.new(1, shape, 0.01, 0.5)
        if x.kind == TensorProto.INT32 or d.flag(0.3):
            return [x, scale]
        return [x, scale, d.new(2, shape, -5 if x.kind in (3, 5, 22) else 0, 5)]
    if d.variable(1) not in d.kinds and d.variable(1) != d.variable(0):
        d.kinds[d.variable(1)] = x.kind if x.kind in d.allowed(1) else TensorProto.FLOAT
    scale = d.new(1, shape, 0.01, 0.5)
    if d.flag(0.3):
        return [x, scale]
    zero = d.new(2, shape, 0, 5)
    if zero.value.dtype.name.startswith("float"):
        d.change(zero, np.zeros(shape, zero.value.dtype))
    return [x, scale, zero]


@recipe("DynamicQuantizeLinear")
def dynamic_quantize(d: Draw) -> list[Operand]:
    d.outputs = 3
    return [d.any(0)]


@recipe("MatMulInteger")
def matmul_integer(d: Draw) -> list[Operand]:
    a = d.any(0, (2, 3), low=-100, high=100)
    b = d.new(1, (a.shape[-1], d.size()), -100, 100)
    zeros: list[Operand] = []
    if d.flag():
        zeros.append(d.new(2, () if d.flag() else (a.shape[-2],) if len(a.shape) == 2 else (), 0, 20))
        if d.flag():
            zeros.append(d.new(3, d.choose([(), (b.shape[-1],)]), 0, 20))
    return [a, b, *zeros]


@recipe("QLinearMatMul")
def qlinear_matmul(d: Draw) -> list[Operand]:
    a = d.any(0, (2, 3), low=-100, high=100)
    n = d.size()
    if d.variable(1) == "tensor(float)":
        scale = lambda i: d.new(i, (), 0.01, 0.2)  # noqa: E731
    else:
        scale = lambda i: d.new(i, (), 0.01, 0.2)  # noqa: E731
    return [
        a, scale(1), d.new(2, (), 0, 20), d.new(3, (a.shape[-1], n), -100, 100),
        scale(4), d.new(5, (), 0, 20), scale(6), d.new(7, (), 0, 20),
    ]  # fmt: skip
