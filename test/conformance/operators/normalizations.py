"""Softmax and its kin, and what is normalised by a mean and a variance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.node import FLOATS, Node, Numbers, node, run_node

DATA = Numbers(3)


def softmaxes() -> Iterator[Node]:
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        x = DATA.normal(2, 3, 4, 5)
        # Until opset 12 the input is a matrix, cut at the axis, whose default was 1.
        for axis in (None, 0, 1, 2, 3, -1):
            more = {} if axis is None else {"axis": axis}
            shape = (-1, int(np.prod(x.shape[1 if axis is None else axis:])))
            yield node(op, x, label=f"axis{axis}", since=13, **more)
            if axis != 0:
                yield node(op, x, label=f"axis{axis}", since=11 if axis == -1 else 1, until=12, **more,
                           expected=lambda op=op, x=x, s=shape: run_node(op, 13, x.reshape(s), axis=1).reshape(x.shape))  # fmt: skip
            else:
                yield node(op, x, label="axis0", until=12, axis=0,
                           expected=lambda op=op, x=x: run_node(op, 13, x.reshape(1, -1), axis=1).reshape(x.shape))  # fmt: skip
        for dtype in FLOATS:
            y = x[0, 0].astype(dtype)
            yield node(op, y, label=dtype.name, rtol=1e-2, atol=1e-2, expected=lambda op=op, y=y: run_node(op, 13, y.astype(np.float32), axis=1).astype(y.dtype))


def batch() -> Iterator[Node]:
    x, s, b, m = DATA.normal(2, 3, 4, 5), DATA.normal(3), DATA.normal(3), DATA.normal(3)
    v = DATA.uniform(0.5, 2, 3)

    def want(x: np.ndarray = x, epsilon: float = 1e-5, per_element: bool = False) -> np.ndarray:
        s_, b_, m_, v_ = (e[None] if per_element else e.reshape(-1, *[1] * (x.ndim - 2)) for e in (s, b, m, v))
        return s_ * (x - m_) / np.sqrt(v_ + epsilon) + b_

    yield node("BatchNormalization", x, s, b, m, v, since=6, expected=want)
    yield node("BatchNormalization", x, s, b, m, v, label="epsilon", since=6, epsilon=1e-2, expected=lambda: want(epsilon=1e-2))
    yield node("BatchNormalization", x[:, :, 0, 0], s, b, m, v, label="matrix", since=7, expected=lambda: want(x[:, :, 0, 0]))
    yield node("BatchNormalization", x, s, b, m, v, label="test", is_test=1, epsilon=1e-3, expected=lambda: want(epsilon=1e-3))
    yield node("BatchNormalization", x, s, b, m, v, label="consumed", is_test=1, consumed_inputs=[0, 0, 0, 1, 1], expected=want)
    # A mean and a variance for each element of an example.
    big = [DATA.normal(3, 4, 5) for _ in range(3)] + [DATA.uniform(0.5, 2, 3, 4, 5)]

    def per_element() -> np.ndarray:
        scale, bias, mean, variance = big
        return scale * (x - mean) / np.sqrt(variance + 1e-5) + bias

    yield node("BatchNormalization", x, *big, label="per_element", spatial=0, expected=per_element)
    yield node("BatchNormalization", x, *big, label="per_element_test", spatial=0, is_test=1, expected=per_element)
    yield node("BatchNormalization", x, *big, label="per_element_consumed", spatial=0, is_test=1, consumed_inputs=[0, 0, 0, 1, 1], expected=per_element)

    # Statistics of the batch: until opset 8 the running ones are of the biased variance's sort.
    def trained(momentum: float, axes: tuple[int, ...] = (0, 2, 3), scale=s, bias=b, mean=m, variance=v) -> list[np.ndarray]:
        mu, var = x.mean(axes), x.var(axes)
        wide = [e if axes == (0,) else e.reshape(-1, 1, 1) for e in (scale, bias, mu, var)]
        y = wide[0] * (x - wide[2]) / np.sqrt(wide[3] + 1e-5) + wide[1]
        return [y, mean * momentum + mu * (1 - momentum), variance * momentum + var * (1 - momentum)]

    yield node("BatchNormalization", x, s, b, m, v, label="training", outputs=3, training_mode=1, expected=lambda: trained(0.9))
    yield node("BatchNormalization", x, s, b, m, v, label="momentum", outputs=3, training_mode=1, momentum=0.7, expected=lambda: trained(0.7))
    yield node("BatchNormalization", x, s, b, m, v, label="old_training", outputs=(0, 1, 2), until=9, expected=lambda: trained(0.9))
    yield node("BatchNormalization", x, *big, label="old_training_per_element", outputs=(0, 1, 2), spatial=0, until=8, expected=lambda: trained(0.9, (0,), *big))


def others() -> Iterator[Node]:
    x = DATA.normal(2, 4, 3, 5)
    s, b = DATA.normal(4), DATA.normal(4)

    def instance(x: np.ndarray = x, epsilon: float = 1e-5) -> np.ndarray:
        axes = tuple(range(2, x.ndim))
        wide = [e.reshape(-1, *[1] * (x.ndim - 2)) for e in (s, b)]
        return wide[0] * (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon) + wide[1]

    yield node("InstanceNormalization", x, s, b, expected=instance)
    yield node("InstanceNormalization", x, s, b, label="epsilon", epsilon=1e-2, expected=lambda: instance(epsilon=1e-2))
    yield node("InstanceNormalization", x, s, b, label="consumed", consumed_inputs=[0, 0, 0], expected=instance)
    yield node("InstanceNormalization", x[..., 0], s, b, label="1d", expected=lambda: instance(x[..., 0]))
    for groups in (1, 2, 4):
        each = DATA.normal(groups), DATA.normal(groups)
        grouped = x.reshape(2, groups, -1)
        centred = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
        old = lambda e=each, c=centred: (c * e[0][:, None] + e[1][:, None]).reshape(x.shape)  # noqa: E731
        new = lambda c=centred: c.reshape(x.shape) * s.reshape(-1, 1, 1) + b.reshape(-1, 1, 1)  # noqa: E731
        yield node("GroupNormalization", x, *each, label=f"{groups}", num_groups=groups, until=20, expected=old)
        yield node("GroupNormalization", x, s, b, label=f"{groups}", num_groups=groups, since=21, expected=new)
    for axis in (0, 1, 2, 3, -1):
        shape = x.shape[axis:]
        yield node("LayerNormalization", x, DATA.normal(*shape), DATA.normal(*shape), label=f"axis{axis}", axis=axis)
        yield node("RMSNormalization", x, DATA.normal(*shape), label=f"axis{axis}", axis=axis)
    yield node("LRN", x, size=3)
    yield node("LRN", x, label="settings", size=5, alpha=0.01, beta=0.5, bias=2.0)
    # An even number of channels, of which there is one more behind.
    squares = x**2 + np.concatenate([x[:, 1:] ** 2, 0 * x[:, :1]], 1)
    yield node("LRN", x, label="even", size=2, alpha=0.01, beta=0.5, bias=2.0, expected=lambda: x / np.sqrt(2 + 0.01 / 2 * squares))
    for p in (1, 2):
        for axis in (-1, 0, 1):
            yield node("LpNormalization", x, label=f"p{p}_axis{axis}", p=p, axis=axis)
    yield node("LpNormalization", x, label="default")
    yield node("LpNormalization", x.astype(np.float64), label="f64")
    yield node("MeanVarianceNormalization", x)
    yield node("MeanVarianceNormalization", x, label="axes", axes=[2, 3])
    for op in ("LRN", "LpNormalization"):
        yield node(op, x.astype(np.float16), label="float16", rtol=1e-2, atol=1e-2, **({"size": 3} if op == "LRN" else {}),
                   expected=lambda op=op: run_node(op, 13 if op == "LRN" else 22, x.astype(np.float16).astype(np.float32), **({"size": 3} if op == "LRN" else {})).astype(np.float16))  # fmt: skip


def losses() -> Iterator[Node]:
    scores, labels = DATA.normal(4, 5), DATA.integers(0, 5, 4)
    weights = DATA.uniform(0.5, 2, 5)
    deep, places = DATA.normal(2, 5, 3, 2), DATA.integers(0, 5, 2, 3, 2)
    for op in ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"):
        for reduction in ("none", "mean", "sum"):
            yield node(op, scores, labels, label=reduction, reduction=reduction)
            yield node(op, scores, labels, weights, label=f"{reduction}_weights", reduction=reduction)
            yield node(op, deep, places, weights, label=f"{reduction}_deep", reduction=reduction, ignore_index=2)
        yield node(op, scores, labels.astype(np.int32), label="i32")
    yield node("SoftmaxCrossEntropyLoss", deep, places, label="both", outputs=2)


def nodes() -> Iterator[Node]:
    for family in (softmaxes, batch, others, losses):
        yield from family()
