"""Convolutions that leave out taps which meet nothing but padding, beside PyTorch in f64."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from support import module

nacre = module()

# Image, kernel, pads (begin and end of each dimension), strides, dilations.
WINDOWS = {
    "as_large_as_the_image": ((2, 2), (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "same_size": ((7, 7), (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "full": ((8, 8), (5, 5), (4, 4, 4, 4), (1, 1), (1, 1)),
    "apart": ((5, 6), (3, 3), (4, 3, 4, 3), (1, 1), (4, 3)),
    "strided": ((9, 7), (3, 5), (2, 2, 1, 2), (2, 3), (1, 1)),
    "one_side": ((4, 6), (3, 3), (0, 2, 3, 0), (1, 2), (2, 1)),
    "more_than_the_window": ((3, 3), (2, 3), (3, 4, 3, 4), (1, 1), (1, 1)),
}


def make_model(shape, weight, attributes, groups):
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv", group=groups, **attributes)
    graph = helper.make_graph([node], "padded", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 3, 16, None])
@pytest.mark.parametrize("name", WINDOWS)
def test_padded(tmp_path, name, batch, threads):
    image, kernel, pads, strides, dilations = WINDOWS[name]
    random = np.random.default_rng(1)
    for channels, outputs, groups in [(16, 32, 1), (3, 5, 1), (8, 8, 8), (32, 48, 2)]:
        weight = random.standard_normal((outputs, channels // groups, *kernel)).astype(np.float32)
        path = tmp_path / f"{channels}.onnx"
        attributes = {"pads": list(pads), "strides": list(strides), "dilations": list(dilations)}
        onnx.save(make_model([batch or "n", channels, *image], weight, attributes, groups), path)
        model = nacre.compile(path, threads=threads)
        for n in [batch] if batch else [1, 5, 8]:
            x = random.standard_normal((n, channels, *image)).astype(np.float32)
            padded = torch.nn.functional.pad(torch.from_numpy(x).double(), (pads[1], pads[3], pads[0], pads[2]))
            expected = torch.nn.functional.conv2d(padded, torch.from_numpy(weight).double(), None, strides, 0, dilations, groups)
            np.testing.assert_allclose(model.run({"x": x})[0], expected.numpy(), rtol=5e-6, atol=5e-5)

