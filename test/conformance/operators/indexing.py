"""Elements by their places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.node import FLOATS, INTEGERS, Node, Numbers, ints, node, texts

DATA = Numbers(7)


def gathers() -> Iterator[Node]:
    x = DATA.normal(4, 5, 6)
    for kind in (np.int32, np.int64):
        name = np.dtype(kind).name
        yield node("Gather", x, np.array([[0, 2], [3, 1]], kind), label=name)
        yield node("Gather", x, np.array([1, 4], kind), label=f"{name}_axis", axis=1)
        yield node("Gather", x, np.array(2, kind), label=f"{name}_scalar", axis=2)
        yield node("GatherElements", x, DATA.integers(0, 4, 2, 5, 6, dtype=kind), label=name)
        yield node("GatherElements", x, DATA.integers(0, 5, 4, 2, 6, dtype=kind), label=f"{name}_axis", axis=1)
    yield node("Gather", x, ints(-1, -4), label="negative", since=11)
    yield node("Gather", x, ints(-1, 0), label="negative_axis", axis=-1, since=11)
    yield node("GatherElements", x, DATA.integers(-5, 5, 4, 2, 6), label="negative", axis=-2)
    yield node("GatherND", x, np.array([[0, 1], [3, 4]]), ranks=[2])
    yield node("GatherND", x, np.array([[[0, 1, 2]], [[3, -1, 0]]]), label="elements", ranks=[2])
    yield node("GatherND", x, DATA.integers(0, 5, 4, 2, 1), label="batch", batch_dims=1, ranks=[3])
    yield node("Gather", texts("a", "b", "c"), ints(2, 0), label="strings")
    for flags in ([True, False, True, True], [False, True]):
        yield node("Compress", x, np.array(flags), label=f"flat{len(flags)}")
        yield node("Compress", x, np.array(flags), label=f"axis{len(flags)}", axis=0)
    yield node("Compress", x, np.array([True, False, True]), label="negative", axis=-1, since=11)
    yield node("NonZero", DATA.integers(0, 2, 3, 4, dtype=np.float32))
    yield node("NonZero", DATA.flags(2, 3, 2), label="bool")
    yield node("NonZero", DATA.integers(0, 2, 5), label="i64")
    yield node("ReverseSequence", DATA.normal(4, 3), ints(1, 4, 2), time_axis=0, batch_axis=1)
    yield node("ReverseSequence", DATA.normal(3, 4, 2), ints(1, 4, 2), label="batch_first", time_axis=1, batch_axis=0)


def scatters() -> Iterator[Node]:
    x = DATA.normal(4, 5)
    places = np.array([[0, 2, 1, 0, 3], [3, 1, 2, 2, 0]])
    updates = DATA.normal(2, 5)
    for op in ("Scatter", "ScatterElements"):
        old = {"like": 9} if op == "Scatter" else {}
        yield node(op, x, places, updates, **old)
        yield node(op, x, DATA.integers(0, 1, 4, 1) + np.array([[3]]), DATA.normal(4, 1), label="axis", axis=1, **old)
        yield node(op, x, places.astype(np.int32), updates, label="i32", **old)
        if op == "ScatterElements":
            yield node(op, x, places - np.array([[4], [0]]), updates, label="negative")
        yield node(op, x.astype(str).astype(object), places, updates.astype(str).astype(object), label="strings", **old)
    yield node("ScatterND", x, np.array([[2], [0]]), DATA.normal(2, 5))
    yield node("ScatterND", x, np.array([[2, 1], [0, -1]]), DATA.normal(2), label="elements")
    for reduction in ("add", "mul", "min", "max"):
        yield node("ScatterElements", x, np.zeros((2, 5), np.int64), updates, label=reduction, reduction=reduction)
        yield node("ScatterND", x, np.array([[1], [1]]), DATA.normal(2, 5), label=reduction, reduction=reduction)
    for dtype in (*FLOATS, *INTEGERS):
        data = DATA.integers(0, 9, 4, 5, dtype=dtype)
        want = data.copy()
        want[2], want[0] = data[1], data[3]
        yield node("ScatterND", data, np.array([[2], [0]]), data[[1, 3]], label=dtype.name, expected=lambda w=want: w)


def orders() -> Iterator[Node]:
    x = DATA.shuffled(3, 6, 4)
    yield node("TopK", x, label="attribute", k=2, outputs=2)
    yield node("TopK", x, label="axis", k=3, axis=1, outputs=2)
    k = ints(2)
    yield node("TopK", x, k, label="input", outputs=2)
    yield node("TopK", x, k, label="constant", outputs=2, axis=0, fixed=(1,))
    yield node("TopK", x, k, label="smallest", outputs=2, axis=1, largest=0)
    yield node("TopK", DATA.integers(0, 3, 4, 7, dtype=np.float32), ints(4), label="ties", outputs=2)
    for dtype in (np.dtype(np.float64), np.dtype(np.float16), *INTEGERS):
        data = np.stack([DATA.shuffled(7, dtype=dtype) for _ in range(2)])
        order = np.argsort(-data.astype(np.float64), axis=1, kind="stable")[:, :3]
        yield node("TopK", data, ints(3), label=dtype.name, outputs=2, expected=lambda d=data, o=order: [np.take_along_axis(d, o, 1), o])
    y = DATA.integers(0, 4, 9)
    yield node("Unique", y, label="sorted", outputs=4)
    yield node("Unique", y, label="as_found", outputs=4, sorted=0)
    yield node("Unique", DATA.integers(0, 2, 5, 2), label="axis", outputs=4, axis=0)
    yield node("Unique", texts("b", "a", "b"), label="strings", outputs=4)
    values = np.array([0.5, 2.5], np.float32)
    for kind in (np.int64, np.float32, np.int32):
        places = np.array([[0, 2], [-1, 4]], kind)
        yield node("OneHot", places if kind != np.float32 else np.abs(places), np.array(4), values, label=np.dtype(kind).name)
    yield node("OneHot", np.array([[0, 2], [1, 5]]), np.array([4]), np.array([0, 1]), label="first", axis=0)
    yield node("OneHot", np.array([0, 2, -3]), np.array(4.0, np.float32), np.array([1, 9], np.int32), label="real_depth")
    yield node("OneHot", np.array([0, 2, -3]), np.array(4), texts("no", "yes"), label="strings", fixed=(1,))


def nodes() -> Iterator[Node]:
    for family in (gathers, scatters, orders):
        yield from family()
