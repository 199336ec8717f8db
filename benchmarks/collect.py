"""The operators that occur in a model, each a model of its own: `collect(model, folder)`.

Constants are folded and batch normalisations are part of their convolutions before, as every engine does. Of
equal operators, that is of the same attributes and shapes and with the same operands constant, one is written:

    FOLDER/conv/1x64x56x56-64x64x3x3/model.onnx, data.npz      random values, float64 references, operations
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from .torch_operators import BUILDERS, read

Operand = tuple[int, list[int]]  # element type and shape; (0, []) where they are not known
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@dataclass(frozen=True)
class Operator:
    node: onnx.NodeProto
    operands: list[Operand]
    constant: list[bool]
    integers: dict[int, np.ndarray]  # constants that are axes and the like, by their place

    def can_be_measured(self) -> bool:
        given = [
            kind == FLOAT or place in self.integers
            for place, ((kind, _), name) in enumerate(zip(self.operands, self.node.input))
            if name
        ]
        return self.node.op_type in BUILDERS and all(given)

    def name(self) -> str:
        """Shapes one can read, and a hash of all else that matters."""
        shapes = ["x".join(map(str, shape)) for kind, shape in self.operands[:2] if kind == FLOAT]
        settings = sorted(a.SerializeToString() for a in self.node.attribute)
        integers = [value.tolist() for value in self.integers.values()]
        rest = [self.node.op_type, self.operands, self.constant, settings, integers]
        return f"{self.node.op_type.lower()}/{'-'.join([*shapes, hashlib.sha256(repr(rest).encode()).hexdigest()[:6]])}"

    def values(self) -> list[np.ndarray]:
        """Random ones; weights are such that what they make does not grow."""
        random, made = np.random.default_rng(1), []
        for place, (_, shape) in enumerate(self.operands):
            limit = shape[-1] ** -0.5 if self.constant[place] and len(shape) > 1 else 1.0
            drawn = random.uniform(-limit, limit, shape).astype(np.float32)
            made.append(self.integers.get(place, drawn))
        return made

    def write(self, folder: Path) -> None:
        """The operator as a model, and its data."""
        names = [f"x{i}" if name else "" for i, name in enumerate(self.node.input)]
        outputs = [f"y{i}" if name else "" for i, name in enumerate(self.node.output)]
        alone = onnx.NodeProto()
        alone.CopyFrom(self.node)
        del alone.input[:], alone.output[:]
        alone.input.extend(names)
        alone.output.extend(outputs)
        alone.name = self.node.op_type.lower()
        values = [(name, value, c) for name, value, c in zip(names, self.values(), self.constant) if name]
        feeds = {name: value for name, value, is_constant in values if not is_constant}
        graph = helper.make_graph(
            [alone],
            "operator",
            [helper.make_tensor_value_info(name, FLOAT, value.shape) for name, value in feeds.items()],
            [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs if name],
            [numpy_helper.from_array(value, name) for name, value, is_constant in values if is_constant],
        )
        folder.mkdir(parents=True, exist_ok=True)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        onnx.save(shape_inference.infer_shapes(model), folder / "model.onnx")
        write_data(folder, feeds)


def write_data(folder: Path, feeds: dict[str, np.ndarray]) -> None:
    """What goes in, what comes out in float64, and the operations."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    module, counter = read(str(folder / "model.onnx")).double(), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        results = module(*(torch.from_numpy(v).double() for v in feeds.values()))
    outputs = results if isinstance(results, tuple) else (results,)
    arrays: dict[str, Any] = {f"in:{name}": value for name, value in feeds.items()}
    arrays |= {f"out:{i}": value.numpy() for i, value in enumerate(outputs)}
    np.savez(folder / "data.npz", flops=counter.get_total_flops(), **arrays)


def shapes_of(graph: onnx.GraphProto) -> dict[str, Operand]:
    found: dict[str, Operand] = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in graph.initializer}
    for info in [*graph.input, *graph.value_info, *graph.output]:
        kind = info.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            found[info.name] = (kind.elem_type, [dim.dim_value for dim in kind.shape.dim])
    return found


def operators_of(graph: onnx.GraphProto, folder: Path) -> Iterator[Operator]:
    """Constants may lie in files in the folder."""
    shapes, constants = shapes_of(graph), {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        operands = [shapes.get(name, (0, [])) for name in node.input]
        integers = {
            place: numpy_helper.to_array(constants[name], str(folder))
            for place, name in enumerate(node.input)
            if name in constants and constants[name].data_type == INT64
        }
        yield Operator(node, operands, [name in constants for name in node.input], integers)


def collect(model: Path, folder: Path) -> dict[str, int]:
    """Writes the operators of a folded model; how often each occurs."""
    loaded = shape_inference.infer_shapes(onnx.load(model, load_external_data=False), data_prop=True)
    counts: dict[str, int] = {}
    for operator in operators_of(loaded.graph, model.parent):
        if not operator.can_be_measured():
            continue
        name = operator.name()
        try:
            if not (folder / name / "data.npz").exists():
                operator.write(folder / name)
        except NotImplementedError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        counts[name] = counts.get(name, 0) + 1
    return counts


def square(size: int, constant: bool, folder: Path) -> None:
    """A product of square matrices: how near to its peak the machine comes."""
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    Operator(node, [(FLOAT, [size, size])] * 2, [False, constant], {}).write(folder)
