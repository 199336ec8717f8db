"""Scan as of opset 8, which scans each sample of a batch, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from support import module


def model(dynamic: bool, lengths: bool, directions: list[int]) -> onnx.ModelProto:
    """Running sums of the first tensor times the second, and their negatives."""
    info = helper.make_tensor_value_info
    f32 = TensorProto.FLOAT
    sizes: list[Any] = ["N", "T", 2] if dynamic else [3, 4, 2]
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["a", "b"], ["m"]),
            helper.make_node("Add", ["s", "m"], ["t"]),
            helper.make_node("Neg", ["t"], ["n"]),
            helper.make_node("Identity", ["m"], ["k"]),
        ],
        "body",
        [info(name, f32, [2]) for name in ("s", "a", "b")],
        [info(name, f32, [2]) for name in ("t", "n", "k")],
    )
    node = helper.make_node(
        "Scan", ["L" if lengths else "", "S", "A", "B"], ["T", "N", "K"], num_scan_inputs=2, body=body, directions=directions
    )
    inputs = [info("S", f32, [sizes[0], 2]), info("A", f32, sizes), info("B", f32, sizes)]
    if lengths:
        inputs.insert(0, info("L", TensorProto.INT64, [sizes[0]]))
    graph = helper.make_graph([node], "g", inputs, [info("T", f32, [sizes[0], 2]), info("N", f32, sizes), info("K", f32, sizes)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=4)


def draw(lengths: list[int] | None) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    given = {} if lengths is None else {"L": np.array(lengths)}
    shapes = {"S": (3, 2), "A": (3, 4, 2), "B": (3, 4, 2)}
    return given | {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("lengths", [None, [4, 1, 3], [2, 2, 2]])
@pytest.mark.parametrize("directions", [[0, 0], [1, 0], [0, 1], [1, 1]])
def test_directions_and_lengths(directions: list[int], lengths: list[int] | None, dynamic: bool) -> None:
    made, feed = model(dynamic, lengths is not None, directions), draw(lengths)
    peer = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    found = module().compile(made)(*feed.values())
    for value, expected in zip(found, peer.run(None, feed), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)


def test_faults() -> None:
    program = module().compile(model(True, True, [0, 0]))
    for lengths, message in [([5, 1, 1], "a sequence's length is above that of the inputs"), ([1, -1, 1], "a sequence's length is negative")]:
        with pytest.raises(module().RunError, match=message):
            program(*draw(lengths).values())
    with pytest.raises(module().CompileError, match="a number in 'directions' is 2, expected 0 or 1"):
        module().compile(model(False, False, [2, 0]))
