"""One ONNX node as a PyTorch module: `read(path)`. For the operators that benchmarks/kernels measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

Attributes = dict[str, Any]
Constants = dict[int, Tensor]  # by their place among the operands
Builder = Callable[[Attributes, Constants], nn.Module]


class Function(nn.Module):
    """A function of the operands, of which some are constants."""

    def __init__(self, function: Callable[..., Any], constants: Constants) -> None:
        super().__init__()
        self.function = function
        self.places = list(constants)
        for place, value in constants.items():
            self.register_buffer(f"constant{place}", value)

    def forward(self, *inputs: Tensor) -> Any:
        operands = list(inputs)
        for place in self.places:
            operands.insert(place, getattr(self, f"constant{place}"))
        return self.function(*operands)


def parameter(layer: nn.Module, name: str, value: Tensor) -> None:
    setattr(layer, name, nn.Parameter(value, requires_grad=value.is_floating_point()))


def convolution(attributes: Attributes, constants: Constants) -> nn.Module:
    """A layer, so that oneDNN can have its weights in another order."""
    weight, bias = constants[1], constants.get(2)
    rank = weight.ndim - 2
    pads = attributes.get("pads", [0] * 2 * rank)
    if pads[:rank] != pads[rank:]:
        raise NotImplementedError(f"pads that differ: {pads}")
    groups = attributes.get("group", 1)
    strides = tuple(attributes.get("strides", [1] * rank))
    shape = (weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), strides, tuple(pads[:rank]))
    dilations = tuple(attributes.get("dilations", [1] * rank))
    layer = nn.Conv2d(*shape, groups=groups, bias=bias is not None, dilation=dilations)
    parameter(layer, "weight", weight)
    if bias is not None:
        parameter(layer, "bias", bias)
    return layer


def transposed_convolution(attributes: Attributes, constants: Constants) -> nn.Module:
    pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])
    return Function(lambda *operands: F.conv_transpose2d(*operands, stride=strides, padding=pads[:2]), constants)


def gemm(attributes: Attributes, constants: Constants) -> nn.Module:
    if {1, 2} <= constants.keys() and attributes.get("transB") and not attributes.get("transA"):
        layer = nn.Linear(constants[1].shape[1], constants[1].shape[0])
        parameter(layer, "weight", constants[1])
        parameter(layer, "bias", constants[2].expand(constants[1].shape[0]).contiguous())
        return layer

    def function(a: Tensor, b: Tensor, *c: Tensor) -> Tensor:
        a, b = (a.T if attributes.get("transA") else a), (b.T if attributes.get("transB") else b)
        return torch.addmm(c[0], a, b) if c else a @ b

    return Function(function, constants)


def product(attributes: Attributes, constants: Constants) -> nn.Module:
    if 1 in constants and constants[1].ndim == 2:
        layer = nn.Linear(*constants[1].shape, bias=False)
        parameter(layer, "weight", constants[1].T.contiguous())
        return layer
    return Function(torch.matmul, constants)


def pool(attributes: Attributes, constants: Constants) -> nn.Module:
    size, pads = attributes["kernel_shape"], attributes.get("pads", [0] * 4)
    return nn.MaxPool2d(size, attributes.get("strides", [1, 1]), pads[0])


def layer_norm(attributes: Attributes, constants: Constants) -> nn.Module:
    epsilon = attributes.get("epsilon", 1e-5)
    return Function(lambda x, w, b: F.layer_norm(x, w.shape, w, b, epsilon), constants)


class Recurrent(nn.Module):
    """An LSTM of one direction; ONNX has its gates as i, o, f, c."""

    def __init__(self, constants: Constants) -> None:
        super().__init__()
        weights, recurrent = constants[1][0], constants[2][0]
        units = recurrent.shape[1]
        self.lstm = nn.LSTM(weights.shape[1], units)
        order = torch.cat([torch.arange(g * units, (g + 1) * units) for g in (0, 2, 3, 1)])
        biases = constants[3][0].chunk(2) if 3 in constants else [torch.zeros(4 * units)] * 2
        values = [weights[order], recurrent[order], *(bias[order] for bias in biases)]
        for name, value in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), values):
            parameter(self.lstm, name, value)
        for place in (5, 6):
            self.register_buffer(f"state{place}", constants.get(place))

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        first = state or (self.state5, self.state6)
        y, (h, c) = self.lstm(x, None if first[0] is None else first)
        return y.unsqueeze(1), h, c


def mean(attributes: Attributes, constants: Constants) -> nn.Module:
    axes, keep = constants[1].tolist(), bool(attributes.get("keepdims", 1))
    return Function(lambda x: x.mean(axes, keepdim=keep), {})


def gelu(attributes: Attributes, constants: Constants) -> nn.Module:
    kind = attributes.get("approximate", b"none")
    return nn.GELU(kind.decode() if isinstance(kind, bytes) else kind)


BUILDERS: dict[str, Builder] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Gemm": gemm,
    "Gelu": gelu,
    "LSTM": lambda attributes, constants: Recurrent(constants),
    "LayerNormalization": layer_norm,
    "MatMul": product,
    "MaxPool": pool,
    "ReduceMean": mean,
    "Softmax": lambda attributes, _: nn.Softmax(attributes.get("axis", -1)),
    "Transpose": lambda attributes, _: Function(lambda x: x.permute(attributes["perm"]).contiguous(), {}),
}


def read(path: str) -> nn.Module:
    graph = onnx.load(path).graph
    (node,) = graph.node
    values = {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    constants = {i: torch.from_numpy(values[name]) for i, name in enumerate(node.input) if name in values}
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return BUILDERS[node.op_type](attributes, constants).eval()
