"""Branches and loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from operators.node import Node, Numbers

DATA = Numbers(13)


def info(name: str, element: int = TensorProto.FLOAT, shape: list | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def branch(name: str, *nodes: onnx.NodeProto, shape: list) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), name, [], [info("r", shape=shape)])


def make(*values: object) -> onnx.NodeProto:
    return helper.make_node(*values)


def nodes() -> Iterator[Node]:
    x = DATA.normal(2, 3)
    for flag in (True, False):
        graphs = dict(then_branch=branch("yes", make("Relu", ["x"], ["r"]), shape=[2, 3]), else_branch=branch("no", make("Neg", ["x"], ["r"]), shape=[2, 3]))
        yield Outer("If", [np.array(flag), x], graphs, label=str(flag).lower(), names=["", "x"], taken=1, expected=lambda f=flag: np.maximum(x, 0) if f else -x)

    # The sum of the states so far, and each of them.
    body = helper.make_graph(
        [make("Add", ["s", "s"], ["t"]), make("Identity", ["t"], ["scan"]), make("Identity", ["go"], ["on"])], "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("s", shape=[2, 3])],
        [info("on", TensorProto.BOOL, []), info("t", shape=[2, 3]), info("scan", shape=[2, 3])],
    )  # fmt: skip
    three = np.array(3)
    want = lambda: [x * 8, np.stack([x * 2, x * 4, x * 8])]  # noqa: E731
    yield Node("Loop", [three, np.array(True), x], {"body": body}, label="", outputs=2, expected=want)
    yield Node("Loop", [three, None, x], {"body": body}, label="endless", outputs=2, expected=want)
    yield Node("Loop", [three, np.array(True), x], {"body": body}, label="constant", outputs=2, fixed=(0, 1), expected=want)
    # Doubled until it is 10 or more.
    until = helper.make_graph(
        [make("Add", ["s", "s"], ["t"]), helper.make_node("ReduceMax", ["t"], ["most"], keepdims=0),
         helper.make_node("Constant", [], ["ten"], value=helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0])), make("Less", ["most", "ten"], ["on"])],
        "body", [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("s", shape=[2])], [info("on", TensorProto.BOOL, []), info("t", shape=[2])],
    )  # fmt: skip
    start = np.array([1.5, 0.5], np.float32)
    yield Node("Loop", [None, np.array(True), start], {"body": until}, label="until", expected=lambda start=start: start * 8)
    yield Node("Loop", [np.array(2), np.array(True), start], {"body": until}, label="either", expected=lambda start=start: start * 4)
    yield Node("Loop", [np.array(2), np.array(False), start], {"body": until}, label="never", expected=lambda start=start: start)
    step = helper.make_graph(
        [make("Add", ["s", "e"], ["t"]), make("Identity", ["t"], ["scan"])], "body", [info("s", shape=[3]), info("e", shape=[3])], [info("t", shape=[3]), info("scan", shape=[3])]
    )
    start, rows = DATA.normal(3), DATA.normal(4, 3)
    sums = lambda r=rows: np.cumsum(np.vstack([start, r]), 0)[1:]  # noqa: E731
    yield Node("Scan", [start, rows], {"body": step, "num_scan_inputs": 1}, outputs=2, since=9, expected=lambda: [sums()[-1], sums()])
    yield Node("Scan", [start, rows], {"body": step, "num_scan_inputs": 1, "scan_input_directions": [1], "scan_output_directions": [1]}, label="backwards", outputs=2, since=9,
               expected=lambda: [sums(rows[::-1])[-1], sums(rows[::-1])[::-1]])  # fmt: skip
    yield Node("Scan", [start, rows.T.copy()], {"body": step, "num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [1]}, label="axes", outputs=2, since=9,
               expected=lambda: [sums()[-1], sums().T])  # fmt: skip
    starts, batches, lengths = DATA.normal(2, 3), DATA.normal(2, 4, 3), np.array([4, 2])

    def batched(lengths: np.ndarray | None) -> list[np.ndarray]:
        states, scans = [], []
        for b in range(2):
            count = 4 if lengths is None else lengths[b]
            total = np.cumsum(np.vstack([starts[b], batches[b, :count]]), 0)[1:]
            states.append(total[-1])
            scans.append(np.vstack([total, np.zeros((4 - count, 3), np.float32)]))
        return [np.stack(states), np.stack(scans)]

    yield Node("Scan", [None, starts, batches], {"body": step, "num_scan_inputs": 1}, outputs=2, until=8, expected=lambda: batched(None))
    yield Node("Scan", [lengths, starts, batches], {"body": step, "num_scan_inputs": 1}, label="lengths", outputs=2, until=8, expected=lambda: batched(lengths))
    backwards = lambda: [v if i == 0 else v[:, ::-1] for i, v in enumerate(_reversed(starts, batches))]  # noqa: E731
    yield Node("Scan", [None, starts, batches], {"body": step, "num_scan_inputs": 1, "directions": [1]}, label="backwards", outputs=2, until=8,
               expected=lambda: [backwards()[0], _reversed(starts, batches)[1]])  # fmt: skip


def _reversed(starts: np.ndarray, batches: np.ndarray) -> list[np.ndarray]:
    """Rows are read from the last to the first; what is collected lies in the order of the steps."""
    sums = np.stack([np.cumsum(np.vstack([s, b[::-1]]), 0)[1:] for s, b in zip(starts, batches)])
    return [sums[:, -1], sums]


@dataclass
class Outer(Node):
    """Its graphs see inputs of the model that the node itself does not take."""

    names: list[str] | None = None
    taken: int = 1

    def _fits(self, schema: onnx.defs.OpSchema) -> bool:
        inputs, self.inputs = self.inputs, self.inputs[: self.taken]
        fits = super()._fits(schema)
        self.inputs = inputs
        return fits

    def model(self, version: int) -> onnx.ModelProto:
        model = super().model(version)
        for index, name in enumerate(self.names or []):
            if name:
                model.graph.input[index].name = name
        del model.graph.node[0].input[self.taken :]
        return model
