"""The operators that occur in a model, each a model of its own: `collect(model, folder)`.

Constants are folded and batch normalisations are part of their convolutions before, as every engine does. Of
equal operators, that is of the same attributes and shapes and with the same operands constant, one is written:

    FOLDER/conv/1x64x56x56-64x64x3x3/model.onnx, data.npz      random values, float64 references, operations
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from .torch_operators import BUILDERS, read

Operand = tuple[int, list[int]]  # element type and shape; of what is left out, 0
Integers = dict[int, np.ndarray]  # constants that are axes and the like, by their place


def shapes_of(graph: onnx.GraphProto) -> dict[str, Operand]:
    found: dict[str, Operand] = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in graph.initializer}
    for info in [*graph.input, *graph.value_info, *graph.output]:
        kind = info.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            found[info.name] = (kind.elem_type, [dim.dim_value for dim in kind.shape.dim])
    return found


def name_of(node: onnx.NodeProto, operands: list[Operand], constant: list[bool], integers: Integers) -> str:
    """Shapes one can read, and a hash of all else that matters."""
    shapes = ["x".join(map(str, shape)) for kind, shape in operands[:2] if kind == TensorProto.FLOAT]
    settings = sorted(a.SerializeToString() for a in node.attribute)
    rest = [node.op_type, operands, constant, settings, [value.tolist() for value in integers.values()]]
    return "-".join([*shapes, hashlib.sha256(repr(rest).encode()).hexdigest()[:6]])


def write(
    node: onnx.NodeProto, operands: list[Operand], constant: list[bool], integers: Integers, folder: Path
) -> None:
    """The operator as a model, with random values; weights are such that what they make does not grow."""
    random = np.random.default_rng(1)
    ranges = [shape[-1] ** -0.5 if c and len(shape) > 1 else 1.0 for (_, shape), c in zip(operands, constant)]
    values = [random.uniform(-r, r, shape).astype(np.float32) for r, (_, shape) in zip(ranges, operands)]
    for place, value in integers.items():
        values[place] = value
    names = [f"x{i}" if name else "" for i, name in enumerate(node.input)]
    outputs = [f"y{i}" if name else "" for i, name in enumerate(node.output)]
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[:], alone.output[:]
    alone.input.extend(names)
    alone.output.extend(outputs)
    alone.name = node.op_type.lower()

    def info(name: str, shape: list[int] | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    inputs = [i for i, name in enumerate(names) if name and not constant[i]]
    graph = helper.make_graph(
        [alone],
        "operator",
        [info(names[i], operands[i][1]) for i in inputs],
        [info(name, None) for name in outputs if name],
        [numpy_helper.from_array(values[i], names[i]) for i in range(len(names)) if names[i] and constant[i]],
    )
    folder.mkdir(parents=True)
    path = folder / "model.onnx"
    opset = helper.make_opsetid("", 20)
    onnx.save(shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[opset], ir_version=10)), path)
    add_references(path, {names[i]: values[i] for i in inputs})


def add_references(model: Path, feeds: dict[str, np.ndarray]) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    module, counter = read(str(model)).double(), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        results = module(*(torch.from_numpy(v).double() for v in feeds.values()))
    outputs = results if isinstance(results, tuple) else (results,)
    arrays: dict[str, Any] = {f"in:{name}": value for name, value in feeds.items()}
    arrays |= {f"out:{i}": value.numpy() for i, value in enumerate(outputs)}
    np.savez(model.with_name("data.npz"), flops=counter.get_total_flops(), **arrays)


def collect(model: Path, folder: Path) -> dict[str, int]:
    """Writes the operators of a folded model; how often each occurs."""
    graph = shape_inference.infer_shapes(onnx.load(model, load_external_data=False), data_prop=True).graph
    shapes, constants = shapes_of(graph), {tensor.name: tensor for tensor in graph.initializer}
    counts: dict[str, int] = {}
    for node in graph.node:
        operands = [shapes.get(name, (0, [])) if name else (0, []) for name in node.input]
        constant = [name in constants for name in node.input]
        places = [i for i, name in enumerate(node.input) if constant[i] and operands[i][0] == TensorProto.INT64]
        floats = [kind == TensorProto.FLOAT for (kind, _), name in zip(operands, node.input) if name]
        if node.op_type not in BUILDERS or sum(floats) + len(places) < len(floats):
            continue
        integers = {i: numpy_helper.to_array(constants[node.input[i]]) for i in places}
        name = f"{node.op_type.lower()}/{name_of(node, operands, constant, integers)}"
        if not (folder / name / "data.npz").exists():
            try:
                write(node, operands, constant, integers, folder / name)
            except NotImplementedError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
        counts[name] = counts.get(name, 0) + 1
    return counts


def square(size: int, constant: bool, folder: Path) -> None:
    """A product of square matrices: how near to its peak the machine comes."""
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    write(node, [(TensorProto.FLOAT, [size, size])] * 2, [False, constant], {}, folder)
