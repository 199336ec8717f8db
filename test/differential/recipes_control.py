"""Recipes: operators with subgraphs."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from drawing import Draw, Operand
from graphs import Graph, Unfit, dims_of
from recipes_math import recipe
from values import RUNS, Value, draw

MAX_DEPTH = 2


class Body:
    """A subgraph that grows: it sees the values around it, and has inputs of its own."""

    def __init__(self, d: Draw, inputs: list[Value], nodes: int) -> None:
        if d.generator.depth >= MAX_DEPTH:
            raise Unfit("too deep")
        self.draw, self.inputs = d, inputs
        self.graph = Graph(d.graph.opset, d.graph.ml_opset, dict(d.graph.values), seed=d.graph.seed, doubtful=d.graph.doubtful)
        for value in inputs:
            self.graph.values[value.name] = value
        before = set(self.graph.values)
        d.generator.depth += 1
        try:
            d.generator.grow(self.graph, nodes, inside=True)
        finally:
            d.generator.depth -= 1
        self.made = [v for n, v in self.graph.values.items() if n not in before and not v.source]

    def pick(self, kind: int, shape: tuple[int, ...] | None, rank: int | None = None) -> Value:
        """A tensor that the body makes, of this type, shape or rank."""

        def fits(v: Value) -> bool:
            return v.form == "tensor" and v.kind == kind and (shape is None or v.shape == shape) and (
                rank is None or len(v.shape) == rank
            )

        fit = [v for v in self.made if fits(v)]
        if fit:
            return fit[-1]
        fit = [v for v in self.graph.values.values() if fits(v) and not v.pinned]
        if fit:
            return self.copy(fit[-1])
        if shape is None:
            shape = self.draw.shape((rank or 0, rank or 0))
        array = draw(self.draw.random, kind, shape)
        return self.graph.add_source(Value(self.draw.generator.name("c"), [array] * RUNS, "tensor", kind, "constant"))

    def copy(self, value: Value) -> Value:
        node = helper.make_node("Identity", [value.name], [self.draw.generator.name("v")])
        return self.graph.add(node)[0]

    def build(self, outputs: list[Value]) -> onnx.GraphProto:
        """The subgraph; outputs are distinct and made inside."""
        names: list[str] = []
        inner = {n for node in self.graph.nodes for n in node.output}
        for value in outputs:
            if value.name not in inner or value.name in names:
                value = self.copy(value)
            names.append(value.name)
        infos = [helper.make_value_info(v.name, self.loose(v)) for v in self.inputs]
        results = [helper.make_value_info(n, self.loose(self.graph.values[n])) for n in names]
        return helper.make_graph(self.graph.nodes, self.draw.generator.name("body"), infos, results)

    def loose(self, value: Value) -> onnx.TypeProto:
        """The type, of whose shape the rank alone is declared."""
        kind = value.type()
        for dim in dims_of(kind):
            dim.Clear()
        return kind


def fresh(d: Draw, value: Value, runs: list | None = None) -> Value:
    return Value(d.generator.name("b"), runs or list(value.runs), value.form, value.kind)


@recipe("If")
def if_(d: Draw) -> list[Operand]:
    condition = d.of(0, d.choose([(), (1,)]))
    then = Body(d, [], d.between(1, 4))
    made = [v for v in then.made if v.form == "tensor"]
    if not made:
        raise Unfit("an empty branch")
    chosen = [d.choose(made) for _ in range(d.between(1, 2))]
    other = Body(d, [], d.between(0, 3))
    matching = [other.pick(v.kind, None, len(v.shape)) if d.flag(0.5) else other.pick(v.kind, v.shape) for v in chosen]
    branches = then.build(chosen), other.build(matching)
    if d.flag():
        branches = branches[::-1]
    d.set("then_branch", branches[0])
    d.set("else_branch", branches[1])
    d.outputs = len(chosen)
    return [condition]


@recipe("Loop")
def loop(d: Draw) -> list[Operand]:
    states = [d.any(2) for _ in range(1)]
    if d.flag():
        d.kinds.clear()
        states.append(d.any(2))
    count = d.between(0 if d.flag(0.1) else 1, 4)
    counter = Value(d.generator.name("b"), [np.array(0, np.int64)] * RUNS, "tensor", TensorProto.INT64)
    going = Value(d.generator.name("b"), [np.array(True)] * RUNS, "tensor", TensorProto.BOOL)
    inner = [fresh(d, s) for s in states]
    body = Body(d, [counter, going, *inner], d.between(1, 5))
    outputs = [body.pick(s.kind, s.shape) for s in states]
    scans = [v for v in body.made if v.form == "tensor"]
    scans = [d.choose(scans)] if scans and count and d.flag() else []
    condition: Value = going
    if d.opset >= 9 and d.flag(0.3):
        last = body.graph.add_source(
            Value(d.generator.name("c"), [np.array(d.between(1, 3), np.int64)] * RUNS, "tensor", TensorProto.INT64, "constant")
        )
        condition = body.graph.add(helper.make_node("Less", [counter.name, last.name], [d.generator.name("v")]))[0]
    d.set("body", body.build([condition, *outputs, *scans]))
    d.outputs = len(states) + len(scans)
    start = None if d.flag() else d.source(np.array(True), TensorProto.BOOL)
    return [d.ints(count), start, *states]


@recipe("Scan")
def scan(d: Draw) -> list[Operand]:
    if d.since < 9:
        raise Unfit("another operator, with a batch")
    states = [d.any(0)] if d.flag(0.8) else []
    d.kinds.clear()
    x = d.any(0, (1, 4), lambda v: 0 not in v.shape)
    axis = d.axis(len(x.shape))
    if axis and d.flag(0.9):
        d.set("scan_input_axes", [axis])
    else:
        axis = 0
    if x.shape[axis] == 0:
        raise Unfit("nothing to scan")
    reverse = d.flag(0.3)
    if reverse:
        d.set("scan_input_directions", [1])
    row = fresh(d, x, [np.take(run, -1 if reverse else 0, axis) for run in x.runs])
    inner = [fresh(d, s) for s in states]
    body = Body(d, [*inner, row], d.between(1, 5))
    outputs = [body.pick(s.kind, s.shape) for s in states]
    made = [v for v in body.made if v.form == "tensor"]
    scans = [d.choose(made)] if made else []
    if not outputs + scans:
        raise Unfit("no output")
    if scans and d.flag(0.3):
        d.set("scan_output_axes", [d.between(0, len(scans[0].shape))])
    if scans and d.flag(0.2):
        d.set("scan_output_directions", [1])
    d.set("num_scan_inputs", 1)
    d.set("body", body.build([*outputs, *scans]))
    d.outputs = len(outputs) + len(scans)
    return [*states, x]


@recipe("SequenceMap")
def sequence_map(d: Draw) -> list[Operand]:
    s = d.sequence(1)
    element = Value(d.generator.name("b"), [run[0] for run in s.runs], "tensor", s.kind)
    body = Body(d, [element], d.between(1, 3))
    made = [v for v in body.made if v.form == "tensor"]
    if not made:
        raise Unfit("an empty body")
    d.set("body", body.build([d.choose(made)]))
    return [s]
