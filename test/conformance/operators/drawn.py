"""Random numbers: the standard says their type, their shape and how they are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from compare import Mismatch
from operators.node import Node, Numbers, node

DATA = Numbers(12)
COUNT = 4000


def moments(mean: float, deviation: float, low: float, high: float) -> Callable[[list[Any], list[Any]], None]:
    """Within six standard deviations of the estimates, which no honest generator leaves."""

    def check(inputs: list[Any], outputs: list[Any]) -> None:
        values = outputs[0].astype(np.float64).ravel()
        if not ((values >= low) & (values <= high)).all():
            raise Mismatch(f"output 0: numbers outside of [{low}, {high}]")
        if abs(values.mean() - mean) > 6 * deviation / np.sqrt(values.size):
            raise Mismatch(f"output 0: the mean is {values.mean()}, expected {mean}")
        if abs(values.std() - deviation) > 6 * deviation / np.sqrt(values.size):
            raise Mismatch(f"output 0: the standard deviation is {values.std()}, expected {deviation}")
        if np.unique(values).size < min(values.size, 500) / 2:
            raise Mismatch("output 0: numbers repeat")

    return check


def categories(shares: np.ndarray) -> Callable[[list[Any], list[Any]], None]:
    def check(inputs: list[Any], outputs: list[Any]) -> None:
        for row, drawn in zip(shares, outputs[0]):
            counts = np.bincount(drawn, minlength=row.size) / drawn.size
            if counts.size > row.size or (np.abs(counts - row) > 6 * np.sqrt(row * (1 - row) / drawn.size) + 1e-9).any():
                raise Mismatch(f"output 0: shares {counts}, expected {row}")

    return check


def zeros(dtype: Any, *shape: int) -> Callable[[], np.ndarray]:
    """Stands for the draw: type and shape."""
    return lambda: np.zeros(shape, dtype)


def nodes() -> Iterator[Node]:
    like = DATA.normal(40, COUNT // 40)
    types = {"f32": np.float32, "f64": np.float64, "f16": np.float16}
    for name, dtype in types.items():
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        normal, uniform = moments(1, 2, -99, 99), moments(2.5, 2.5 / np.sqrt(3), 0, 5)
        more = {"shape": [40, COUNT // 40], "dtype": to}
        want = zeros(dtype, 40, COUNT // 40)
        yield node("RandomNormal", label=name, mean=1.0, scale=2.0, **more, expected=want, check=normal)
        yield node("RandomUniform", label=name, low=0.0, high=5.0, **more, expected=want, check=uniform)
        yield node("RandomNormalLike", like, label=name, mean=1.0, scale=2.0, dtype=to, expected=want, check=normal)
        yield node("RandomUniformLike", like, label=name, low=0.0, high=5.0, dtype=to, expected=want, check=uniform)
    for op in ("RandomNormal", "RandomUniform"):
        check = moments(0, 1, -99, 99) if op == "RandomNormal" else moments(0.5, 1 / np.sqrt(12), 0, 1)
        yield node(op, label="default", shape=[COUNT], expected=zeros(np.float32, COUNT), check=check)
        yield node(op, label="seed", shape=[COUNT], seed=7.0, expected=zeros(np.float32, COUNT), check=check)
        yield node(f"{op}Like", like.astype(np.float64), label="default", expected=zeros(np.float64, 40, COUNT // 40), check=check)
    shares = np.array([[0.1, 0.2, 0.3, 0.4], [0, 0.5, 0.5, 0]])
    with np.errstate(divide="ignore"):
        logs = np.log(shares).astype(np.float32)
    for dtype in (np.int32, np.int64):
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        yield node("Multinomial", np.maximum(logs, -99), label=np.dtype(dtype).name, sample_size=2000, dtype=to, expected=zeros(dtype, 2, 2000), check=categories(shares))
    yield node("Multinomial", logs[:1], label="one", expected=zeros(np.int32, 1, 1), check=lambda i, o: None if 0 <= o[0].item() < 4 else _fail())
    chances = DATA.uniform(0, 1, 40, 100)

    def ones(inputs: list[Any], outputs: list[Any]) -> None:
        values = outputs[0].astype(np.float64)
        if not np.isin(values, (0, 1)).all() or abs(values.mean() - chances.mean()) > 0.06:
            raise Mismatch(f"output 0: {values.mean()} of ones, expected {chances.mean()}")

    yield node("Bernoulli", chances, label="default", expected=zeros(np.float32, 40, 100), check=ones)
    yield node("Bernoulli", chances, label="i32", dtype=TensorProto.INT32, expected=zeros(np.int32, 40, 100), check=ones)
    # Where it is not told that it trains it gives what it is given.
    x = DATA.normal(3, 4)
    yield node("Dropout", x, label="test", ratio=0.3, is_test=1, expected=lambda: x)
    yield node("Dropout", x, label="consumed", ratio=0.3, is_test=1, consumed_inputs=[0], expected=lambda: x)
    yield node("Dropout", x, label="ratio", ratio=0.3, since=7, expected=lambda: x)
    yield node("Dropout", x, label="mask", outputs=2, since=10, expected=lambda: [x, np.ones((3, 4), bool)])
    yield node("Dropout", x, label="test_mask", outputs=2, is_test=1, expected=lambda: [x, np.ones((3, 4), np.float32)])
    yield node("Dropout", x, np.array(0.4, np.float32), label="input", expected=lambda: x)
    yield node("Dropout", x, np.array(0.4, np.float32), np.array(False), label="not_training", outputs=2, expected=lambda: [x, np.ones((3, 4), bool)])
    big = np.ones((40, 100), np.float32)
    for label, ratio in {"training": 0.3, "certain": 0.0}.items():
        check = lambda i, o, r=ratio: dropped(o, r)  # noqa: E731
        yield node("Dropout", big, np.array(ratio, np.float32), np.array(True), label=label, outputs=2, expected=lambda: [big, big > 0], check=check)
        yield node("Dropout", big, label=f"old_{label}", ratio=ratio, outputs=2, until=6, is_test=0, expected=lambda: [big, big], check=check)


def dropped(outputs: list[Any], ratio: float) -> None:
    values, mask = outputs
    if abs((values != 0).mean() - (1 - ratio)) > 0.05 or not np.array_equal(values != 0, mask != 0):
        raise Mismatch(f"output 0: {(values != 0).mean()} are kept, expected {1 - ratio}")
    if not np.allclose(values[values != 0], 1 / (1 - ratio), rtol=1e-5):
        raise Mismatch("output 0: what is kept is not scaled")


def _fail() -> None:
    raise Mismatch("output 0: no category")
