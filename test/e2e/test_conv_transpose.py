"""Transposed convolutions, static and dynamic, against PyTorch in float64."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from support import module

nacre = module()

# Rank, and for each dimension: kernel, stride, dilation, pads before and after, output padding.
SHAPES: list[tuple[int, list[tuple[int, int, int, int, int, int]]]] = [
    *((1, [(k, s, 1, 0, 0, 0)]) for k, s in itertools.product((1, 2, 3, 5), (1, 2, 3))),
    (1, [(4, 2, 1, 1, 1, 0)]),
    (1, [(4, 2, 1, 2, 1, 1)]),
    (1, [(5, 3, 1, 3, 4, 2)]),
    (1, [(2, 4, 1, 0, 0, 0)]),  # places that no element reaches
    (1, [(2, 4, 1, 3, 1, 3)]),
    (1, [(3, 1, 1, 2, 2, 0)]),
    (1, [(3, 1, 1, 3, 0, 0)]),  # more cut off than the kernel's reach
    (1, [(3, 1, 3, 2, 4, 0)]),
    (1, [(3, 2, 2, 1, 1, 1)]),
    (2, [(3, 2, 1, 1, 1, 1), (4, 1, 2, 2, 0, 0)]),
    (2, [(2, 2, 1, 0, 0, 0), (3, 3, 1, 0, 0, 0)]),
    (2, [(5, 2, 1, 2, 2, 1), (5, 2, 1, 2, 2, 1)]),
    (3, [(3, 2, 1, 1, 1, 0), (2, 1, 1, 0, 1, 0), (2, 2, 1, 1, 0, 0)]),
]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("constant", [False, True], ids=["input", "constant"])
@pytest.mark.parametrize(("rank", "dims"), SHAPES, ids=str)
def test_against_pytorch(rank: int, dims: list[Any], constant: bool, groups: int, dynamic: bool) -> None:
    random = np.random.default_rng(0)
    kernel, strides, dilations, begins, ends, extra = (list(values) for values in zip(*dims, strict=True))
    x = random.standard_normal((2, 4, *(7 - i for i in range(rank)))).astype(np.float32)
    weight = random.standard_normal((4, 6 // groups, *kernel)).astype(np.float32)
    bias = random.standard_normal(6).astype(np.float32)
    # PyTorch pads both sides alike: what is more is cut off.
    whole = [getattr(torch.nn.functional, f"conv_transpose{rank}d")(
        torch.tensor(x).double(), torch.tensor(weight).double(), torch.tensor(bias).double(), stride=strides,
        dilation=dilations, groups=groups).numpy()][0]  # fmt: skip
    whole = np.pad(whole, [(0, 0), (0, 0), *((0, e) for e in extra)])
    for axis, e in enumerate(extra):  # beyond the windows there is the bias alone
        if e:
            index = [slice(None)] * whole.ndim
            index[2 + axis] = slice(whole.shape[2 + axis] - e, None)
            whole[tuple(index)] = bias.reshape(-1, *[1] * rank)
    cut = [slice(b, whole.shape[2 + i] - e) for i, (b, e) in enumerate(zip(begins, ends, strict=True))]
    expected = whole[(slice(None), slice(None), *cut)]

    sizes = [f"d{i}" if i != 1 else n for i, n in enumerate(x.shape)] if dynamic else x.shape
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], strides=strides, dilations=dilations, group=groups,
                            pads=begins + ends, output_padding=extra)  # fmt: skip
    constants = {"w": weight, "b": bias}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)]
    if not constant:
        inputs += [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in constants.items()]
    graph = helper.make_graph(
        [node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor(n, TensorProto.FLOAT, a.shape, a.ravel()) for n, a in constants.items()] if constant else [],
    )  # fmt: skip
    program = nacre.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    y = program.run([x] if constant else [x, weight, bias])[0]
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
