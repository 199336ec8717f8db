"""Convolutions, and what bends their places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.node import Node, Numbers, node, run_node

DATA = Numbers(4)


def nodes() -> Iterator[Node]:
    x, w, b = DATA.normal(2, 4, 7, 6), DATA.normal(6, 2, 3, 3, scale=0.3), DATA.normal(6)
    newest = dict(group=2)
    yield node("Conv", x, w, b, **newest)
    yield node("Conv", x, w, label="no_bias", fixed=(1,), **newest)
    yield node("Conv", x, w, b, label="strides", strides=[2, 1], pads=[1, 0, 2, 1], kernel_shape=[3, 3], **newest)
    yield node("Conv", x, w, b, label="dilations", dilations=[2, 1], pads=[2, 1, 2, 1], **newest)
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield node("Conv", x, w, b, label=auto.lower(), auto_pad=auto, strides=[2, 2], **newest)
    yield node("Conv", DATA.normal(2, 3, 9), DATA.normal(4, 3, 4), label="1d", pads=[1, 2])
    yield node("Conv", DATA.normal(1, 2, 4, 5, 6), DATA.normal(3, 2, 2, 2, 2), label="3d")
    yield node("Conv", x.astype(np.float64), w.astype(np.float64), label="f64", expected=lambda: run_node("Conv", 11, x, w, group=2).astype(np.float64), **newest)
    yield node("Conv", x.astype(np.float16), w.astype(np.float16), label="f16", rtol=1e-2, atol=1e-2,
               expected=lambda: run_node("Conv", 11, x.astype(np.float16).astype(np.float32), w.astype(np.float16).astype(np.float32), group=2).astype(np.float16), **newest)  # fmt: skip

    y, u = DATA.normal(2, 4, 5, 4), DATA.normal(4, 3, 3, 2, scale=0.3)
    c = DATA.normal(6)
    yield node("ConvTranspose", y, u, c, **newest)
    yield node("ConvTranspose", y, u, label="strides", strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 1], **newest)
    yield node("ConvTranspose", y, u, label="dilations", dilations=[2, 2], kernel_shape=[3, 2], **newest)
    yield node("ConvTranspose", y, u, label="shape", strides=[2, 2], output_shape=[10, 8], **newest)
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield node("ConvTranspose", y, u, label=auto.lower(), auto_pad=auto, strides=[2, 2], **newest)
    yield node("ConvTranspose", DATA.normal(2, 3, 5), DATA.normal(3, 2, 3), label="1d", strides=[2])

    offsets, mask = DATA.normal(2, 2 * 9, 7, 6, scale=0.5), DATA.uniform(0, 1, 2, 9, 7, 6)
    v = DATA.normal(5, 4, 3, 3, scale=0.3)
    yield node("DeformConv", x, v, offsets, label="offsets", pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    yield node("DeformConv", x, v, offsets, DATA.normal(5), mask, label="mask", pads=[1, 1, 1, 1])
    few, many = DATA.normal(2, 2 * 2 * 9, 7, 6, scale=0.5), DATA.normal(4, 2, 3, 3, scale=0.3)
    yield node("DeformConv", x, many, few, label="groups", pads=[1, 1, 1, 1], group=2, offset_group=2)

    q, p = DATA.integers(0, 255, 1, 2, 5, 5, dtype=np.uint8), DATA.integers(0, 255, 3, 2, 3, 3, dtype=np.uint8)
    yield node("ConvInteger", q, p, np.array(7, np.uint8), np.array(3, np.uint8), pads=[1, 1, 1, 1])
    yield node("Col2Im", DATA.normal(1, 5 * 4, 6), np.array([4, 3]), np.array([2, 2]), fixed=(1, 2))
    yield node("Col2Im", DATA.normal(2, 5 * 4, 4), np.array([4, 4]), np.array([2, 2]), label="strides", strides=[2, 2], ranks=[4])
