"""Sums, extremes and their places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.node import FLOATS, INTEGERS, Node, Numbers, ints, node

DATA = Numbers(2)
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")

UNSIGNED = {
    "ReduceLogSum": lambda x: np.log(x.sum(1, keepdims=True)),
    "ReduceLogSumExp": lambda x: np.log(np.exp(x.astype(np.float64)).sum(1, keepdims=True)),
    "ReduceSumSquare": lambda x: (x * x).sum(1, keepdims=True),
}


def nodes() -> Iterator[Node]:
    for op in (f"Reduce{name}" for name in REDUCTIONS):
        x = DATA.uniform(0.5, 2, 2, 3, 4)
        yield node(op, x)
        yield node(op, x, label="flat", keepdims=0)
        yield node(op, x, label="axes", axes=[1])
        yield node(op, x, label="axes_dropped", axes=[0, 2], keepdims=0)
        yield node(op, x, label="negative", axes=[-1], keepdims=0, since=11)
        yield node(op, x, ints(0, 2), label="input", keepdims=0, ranks=[1])
        yield node(op, x, ints(-1), label="constant", keepdims=0, fixed=(1,))
        yield node(op, x, ints(), label="none", fixed=(1,))
        yield node(op, x, ints(), label="nothing", fixed=(1,), noop_with_empty_axes=1)
        for dtype in (*FLOATS, *INTEGERS):
            data = DATA.integers(1, 4, 2, 3, dtype=dtype)
            # Unsigned integers, which no reference takes or keeps.
            exact = (lambda op=op, d=data: UNSIGNED[op](d).astype(d.dtype)) if dtype.kind == "u" and op in UNSIGNED else None
            yield node(op, data, label=dtype.name, axes=[1], rtol=1e-2, expected=exact)
            yield node(op, data, ints(1), label=f"{dtype.name}_input", rtol=1e-2, expected=exact)
    yield node("ReduceMax", DATA.flags(3, 4), ints(1), label="bool")
    for op in ("ArgMax", "ArgMin"):
        ties = DATA.integers(0, 3, 3, 5, 2, dtype=np.float32)
        yield node(op, ties)
        yield node(op, ties, label="dropped", axis=1, keepdims=0)
        yield node(op, ties, label="kept", axis=2, keepdims=1)
        yield node(op, ties, label="negative", axis=-2, since=11)
        yield node(op, ties, label="last", axis=1, select_last_index=1)
        for dtype in (*FLOATS, *INTEGERS):
            yield node(op, DATA.integers(0, 9, 3, 5, dtype=dtype), label=dtype.name, axis=1)
    for op in ("CumSum", "CumProd"):
        x = DATA.uniform(0.5, 2, 2, 5)
        for label, more in {"": {}, "exclusive": {"exclusive": 1}, "reverse": {"reverse": 1}, "both": {"exclusive": 1, "reverse": 1}}.items():
            yield node(op, x, np.array(1), label=label, **more)
            yield node(op, x, np.array(-2, np.int32), label=f"{label}_constant", fixed=(1,), **more)
        for dtype in (np.float64, np.int32, np.int64, np.uint32, np.uint64):
            yield node(op, DATA.integers(1, 4, 3, 4, dtype=dtype), np.array(0), label=np.dtype(dtype).name)
