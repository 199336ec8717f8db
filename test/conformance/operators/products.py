"""Matrix products, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.node import FLOATS, Node, Numbers, node

DATA = Numbers(8)


def nodes() -> Iterator[Node]:
    a, b = DATA.normal(4, 3), DATA.normal(3, 5)
    for label, shape in {"whole": [4, 5], "row": [5], "row2": [1, 5], "column": [4, 1], "scalar": [], "one": [1]}.items():
        c = DATA.normal(*shape)
        yield node("Gemm", a, b, c, label=label, since=7)
        # Until opset 6 only one that is told to is broadcast.
        yield node("Gemm", a, b, c, label=f"old_{label}", broadcast=1, expected=lambda c=c: a @ b + c)
    c = DATA.normal(4, 5)
    yield node("Gemm", a, b, c, label="old", until=6, expected=lambda: a @ b + c)
    yield node("Gemm", a.T.copy(), b.T.copy(), c, label="transposed", transA=1, transB=1, alpha=0.5, beta=2.0, expected=lambda: 0.5 * a @ b + 2 * c)
    yield node("Gemm", a, b, label="no_bias", expected=lambda: a @ b)
    for dtype in (*FLOATS, np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.uint32), np.dtype(np.uint64)):
        x, y = DATA.integers(0, 5, 4, 3, dtype=dtype), DATA.integers(0, 5, 3, 5, dtype=dtype)
        exact = lambda x=x, y=y, d=dtype: (x.astype(np.float64) @ y.astype(np.float64)).astype(d)  # noqa: E731
        yield node("Gemm", x, y, np.zeros((4, 5), dtype), label=dtype.name, expected=exact)
        yield node("MatMul", x, y, label=dtype.name, expected=exact)
    yield node("MatMul", a, b)
    yield node("MatMul", DATA.normal(2, 1, 4, 3), DATA.normal(5, 3, 2), label="batches")
    yield node("MatMul", DATA.normal(3), DATA.normal(2, 3, 4), label="vector")
    yield node("MatMul", DATA.normal(2, 4, 3), DATA.normal(3), label="by_vector")
    for equation, shapes in {"ij,jk->ik": ([2, 3], [3, 4]), "bij,bjk->bik": ([2, 3, 4], [2, 4, 3]), "ii->i": ([3, 3],), "...ij->...ji": ([2, 3, 4],),
                             "ij->": ([2, 3],)}.items():  # fmt: skip
        yield node("Einsum", *[DATA.normal(*s) for s in shapes], label=equation.replace("->", "_to_").replace(",", "_").replace("...", "dots_"), equation=equation)
    yield node("Det", DATA.normal(2, 3, 3))
    yield node("Det", DATA.normal(4, 4), label="one")
