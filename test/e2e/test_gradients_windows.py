"""Gradients of windows whose padding is made from sizes (auto_pad), and of those that are all padding;
as in test_gradients.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from onnx import numpy_helper, parser

import small_models
from support import module
from test_gradients import F, IMAGE, Tensor, Term, check, image, spatial

Pair = tuple[int, int]


def same(t: Tensor, kernel: Pair, stride: Pair, dilation: Pair, upper: bool, value: float = 0) -> Tensor:
    """Padded so that there are ceil(size / stride) windows."""
    pads = []
    for size, k, s, d in reversed(list(zip(t.shape[2:], kernel, stride, dilation))):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        less, more = total // 2, total - total // 2
        pads += [less, more] if upper else [more, less]
    return F.pad(t, pads, value=value)


def scattered(t: Tensor, w: Tensor, b: Tensor | None, stride: Pair, dilation: Pair, groups: int, upper: bool) -> Tensor:
    """A transposed convolution of size * stride places: what is too much is cut off, what is missing is 0."""
    whole = F.conv_transpose2d(t, w, None, stride, dilation=dilation, groups=groups)
    for axis in (2, 3):
        wanted = t.shape[axis] * stride[axis - 2]
        total = whole.shape[axis] - wanted
        if total < 0:
            whole = F.pad(whole, (0, -total) if axis == 3 else (0, 0, 0, -total))
        else:
            whole = whole.narrow(axis, total // 2 if upper else total - total // 2, wanted)
    return whole if b is None else whole + b[:, None, None]


def conv(kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1, upper: bool = True, bias: bool = False) -> Term:
    shapes = [(6, 3 // groups, *kernel)] + ([(6,)] if bias else [])
    inputs = "{t}, {w1}" + (", {w2}" if bias else "")
    return spatial(
        f"Conv <auto_pad = \"{name(upper)}\", strides = {list(stride)}, dilations = {list(dilation)}, group = {groups}> ({inputs})",
        lambda t, w, b=None: F.conv2d(same(t, kernel, stride, dilation, upper), w, b, stride, dilation=dilation, groups=groups),
        *shapes,
    )


def conv_transpose(
    kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1, upper: bool = True, bias: bool = False
) -> Term:
    shapes = [(3, 2, *kernel)] + ([(2 * groups,)] if bias else [])
    inputs = "{t}, {w1}" + (", {w2}" if bias else "")
    return spatial(
        f"ConvTranspose <auto_pad = \"{name(upper)}\", strides = {list(stride)}, dilations = {list(dilation)}, group = {groups}> ({inputs})",
        lambda t, w, b=None: scattered(t, w, b, stride, dilation, groups, upper),
        *shapes,
    )


def name(upper: bool) -> str:
    return "SAME_UPPER" if upper else "SAME_LOWER"


def pool(op: str, function: Callable[..., Tensor], kernel: Pair, stride: Pair, upper: bool, more: str = "", value: float = 0) -> Term:
    return spatial(
        f"{op} <auto_pad = \"{name(upper)}\", kernel_shape = {list(kernel)}, strides = {list(stride)}{more}> ({{t}})",
        lambda t: function(same(t, kernel, stride, (1, 1), upper, value), same(torch.ones_like(t), kernel, stride, (1, 1), upper)),
    )


def mean(kernel: Pair, stride: Pair) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, ones: F.avg_pool2d(t, kernel, stride) / F.avg_pool2d(ones, kernel, stride)


CONVOLUTIONS = [
    conv((3, 2)),
    conv((2, 3), upper=False, bias=True),
    conv((3, 3), (2, 3), upper=False),
    conv((2, 2), (3, 2), bias=True),
    conv((2, 3), (2, 1), (2, 1)),
    conv((2, 2), (1, 2), groups=3, upper=False),
    conv((1, 1), (2, 3)),
]
TRANSPOSED = [
    conv_transpose((3, 2), bias=True),
    conv_transpose((3, 3), (2, 1), upper=False),
    conv_transpose((2, 4), (1, 2), (2, 1)),
    conv_transpose((3, 2), (2, 2), groups=3, upper=False, bias=True),
    conv_transpose((1, 2), (2, 3)),
]
POOLING = [
    pool("MaxPool", lambda t, _, k=kernel, s=stride: F.max_pool2d(t, k, s), kernel, stride, upper, value=-1e9)
    for kernel, stride, upper in [((2, 2), (1, 1), True), ((3, 2), (2, 3), False)]
] + [
    pool("AveragePool", mean((3, 2), (2, 1)), (3, 2), (2, 1), True),
    pool("AveragePool", mean((2, 3), (1, 2)), (2, 3), (1, 2), False),
    pool("AveragePool", mean((2, 3), (3, 2)), (2, 3), (3, 2), False, ", ceil_mode = 1"),
    pool("AveragePool", lambda t, _: F.avg_pool2d(t, (2, 3), (1, 2)), (2, 3), (1, 2), True, ", count_include_pad = 1"),
    pool("LpPool", lambda t, _: F.lp_pool2d(t, 2, (3, 2), (2, 1)), (3, 2), (2, 1), True),
    pool("LpPool", lambda t, _: (F.avg_pool2d(t.abs() ** 3, (2, 2)) * 4) ** (1 / 3), (2, 2), (2, 2), False, ", p = 3"),
]
INDEXED = [
    spatial("MaxPool <kernel_shape = [2, 2], storage_order = 1> ({t})", lambda t: F.max_pool2d(t, 2, 1)),
    Term(
        f"{IMAGE} {{out}}, {{t}}j = MaxPool <kernel_shape = [3, 2], strides = [1, 2], storage_order = 1> ({{t}})",
        lambda x, y, w: F.max_pool2d(image(y, w), (3, 2), (1, 2)),
        ((3, 1, 1),),
    ),
]
THEMES = {"convolutions": CONVOLUTIONS, "transposed": TRANSPOSED, "pooling": POOLING, "indexed": INDEXED}


@pytest.mark.parametrize("sizes", ["static", "dynamic", "open"])
@pytest.mark.parametrize("theme", THEMES)
def test_windows(theme: str, sizes: str) -> None:
    check(THEMES[theme], sizes != "static", open_sizes=sizes == "open")


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_windows_of_padding(dynamic: bool) -> None:
    """A window that has no element takes nothing from the gradient, which must not be written anywhere else."""
    for attributes, x in [
        ("kernel_shape = [1], pads = [2, 1]", [1.0, 2.0, 3.0]),
        ("kernel_shape = [2], dilations = [3], pads = [2, 2]", [1.0, 2.0]),
    ]:
        text = (
            f"m (double[1, 1, {'D' if dynamic else len(x)}] x) => (double l) {{ t = Mul (x, w)"
            f" p = MaxPool <{attributes}> (t) l = ReduceSum <keepdims = 0> (p) }}"
        )
        model = parser.parse_model(small_models.HEAD + text)
        model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1, len(x))), "w"))
        program = module().compile(model.SerializeToString(), train={"loss": "output:l"}, threads=2)
        program.run([np.array([[x]]), np.float32(1)], function="step")
        np.testing.assert_array_equal((1 - program.read_parameter("w"))[0, 0], x)
