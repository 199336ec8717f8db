"""Parts of an ONNX model as models of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper


def read_names(node: onnx.NodeProto) -> list[str]:
    """The values that a node reads: its inputs, and what its subgraphs take from outside."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            names += _free_names(graph)
    return list(dict.fromkeys(names))


def _free_names(graph: onnx.GraphProto) -> list[str]:
    known = {value.name for value in graph.input} | {value.name for value in graph.initializer}
    known |= {value.values.name for value in graph.sparse_initializer}
    free = []
    for node in graph.node:
        free += [name for name in read_names(node) if name not in known]
        known.update(node.output)
    return free + [output.name for output in graph.output if output.name not in known]


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """The model with other outputs; nodes that none of them needs are gone."""
    names = list(dict.fromkeys(names))
    result = onnx.ModelProto()
    result.CopyFrom(model)
    needed, nodes = set(names), []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(read_names(node))
            nodes.append(node)
    declared = {value.name: value for value in model.graph.output}
    del result.graph.node[:], result.graph.output[:]
    result.graph.node.extend(reversed(nodes))
    result.graph.output.extend(declared.get(name, onnx.ValueInfoProto(name=name)) for name in names)
    return result


def cut_out(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], outputs: list[str], values: Mapping[str, Any]
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The nodes (in order) as a model, and the inputs that they had according to `values`."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    sparse = {tensor.values.name: tensor for tensor in model.graph.sparse_initializer}
    made = {name for node in nodes for name in node.output}
    read = [name for node in nodes for name in read_names(node) if name not in made]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:], graph.output[:], graph.input[:], graph.initializer[:], graph.value_info[:]
    del graph.sparse_initializer[:]
    graph.node.extend(nodes)
    inputs = {}
    declared = {value.name: value for value in model.graph.input}
    for name in dict.fromkeys(read):
        if name in constants:
            graph.initializer.append(constants[name])
        elif name in sparse:
            graph.sparse_initializer.append(sparse[name])
        else:
            inputs[name] = values[name]
            graph.input.append(_type_of(name, values[name], declared.get(name)))
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return result, inputs


def _type_of(name: str, value: Any, declared: onnx.ValueInfoProto | None) -> onnx.ValueInfoProto:
    if value is None or isinstance(value, (list, dict)):
        if declared is not None:
            return declared
        if not value:
            raise ValueError(f"the type of '{name}' is unknown: it has no elements")
        return helper.make_tensor_sequence_value_info(name, _dtype(value[0]), None)
    # Its rank and type; sizes stay open where the model leaves them so.
    shape: list[Any] = list(np.shape(value))
    if declared is not None and declared.type.tensor_type.HasField("shape"):
        return declared
    return helper.make_tensor_value_info(name, _dtype(value), shape)


def _dtype(value: Any) -> int:
    dtype = np.asarray(value).dtype
    if dtype.kind in "OUST":
        return onnx.TensorProto.STRING
    return helper.np_dtype_to_tensor_dtype(dtype)
