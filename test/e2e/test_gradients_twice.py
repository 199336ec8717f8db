"""Derivatives of gradients, by ONNX's Gradient twice, against PyTorch's: of the terms of test_gradients_*.py."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

import test_gradients_made as made
import test_gradients_regions as regions
import test_gradients_sizes as sizes
import test_gradients_windows as windows
from support import module
from test_gradients import Term, build

TERMS = {
    "range": made.RANGES[3],
    "one_hot": made.ONE_HOTS[0],
    "roi_align_adaptive": regions.TERMS["average"][3],
    "roi_align_largest": regions.TERMS["largest"][0],
    "max_roi_pool": regions.TERMS["pooled"][0],
    "conv": windows.CONVOLUTIONS[2],
    "conv_transpose": windows.TRANSPOSED[1],
    "average_pool": windows.POOLING[2],
    "lp_pool": windows.POOLING[6],
    "doubled": sizes.DOUBLED,
    "shrunk": sizes.SHRUNK,
    "gathered": sizes.GATHERED,
    "inside": sizes.INSIDE,
}


def differentiate(loss: str, by: list[str], prefix: str) -> tuple[list[onnx.NodeProto], list[str]]:
    names = [f"{prefix}{i}" for i in range(len(by))]
    node = helper.make_node("Gradient", by, names, domain="ai.onnx.preview.training", xs=by, y=loss)
    return [node], names


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "open"])
@pytest.mark.parametrize("name", TERMS)
def test_twice(name: str, dynamic: bool) -> None:
    """The gradient of the sum of sines of the gradient."""
    term: Term = TERMS[name]
    text, parameters, inputs = build([term], dynamic, open_sizes=dynamic)
    model = onnx.load_from_string(text)
    model.opset_import.append(helper.make_opsetid("ai.onnx.preview.training", 1))
    first, names = differentiate("l", list(parameters), "first")
    model.graph.node.extend(first)
    for n in names:
        model.graph.node.append(helper.make_node("Sin", [n], [f"sin_{n}"]))
        model.graph.node.append(helper.make_node("ReduceSum", [f"sin_{n}"], [f"sum_{n}"], keepdims=0))
    model.graph.node.append(helper.make_node("Sum", [f"sum_{n}" for n in names], ["q"]))
    second, results = differentiate("q", list(parameters), "second")
    model.graph.node.extend(second)
    del model.graph.output[:]
    for n, value in zip(results, parameters.values()):
        model.graph.output.append(helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, value.shape))

    tensors = [torch.tensor(a, requires_grad=True) for a in parameters.values()]
    loss = torch.sin(term.reference(torch.tensor(inputs["x"]), torch.tensor(inputs["y"]), *tensors)).sum()
    gradients = torch.autograd.grad(loss, tensors, create_graph=True)
    wanted = torch.autograd.grad(sum(torch.sin(g).sum() for g in gradients), tensors, allow_unused=True)
    program = module().compile(model, threads=2)
    for given, expected, tensor in zip(program.run([inputs["x"], inputs["y"]]), wanted, tensors):
        expected = torch.zeros_like(tensor) if expected is None else expected
        np.testing.assert_allclose(given, expected.numpy(), rtol=1e-6, atol=1e-9, err_msg=term.nodes)
