"""ONNX's backend suite as plain cases, in static and in dynamic form."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from random_cases import CHECKS, Check

SUITE = ("node", "simple", "pytorch-converted", "pytorch-operator", "light")
GROUPS = (*SUITE, "operators")  # the last are our own
FORMS = ("static", "dynamic")

# A data set: values of the graph's inputs (those without an initializer, in
# order) and of its outputs. A value is an array, a list of values (sequence), a dict (map)
# or None (empty optional).
DataSet = tuple[list[Any], list[Any]]


@dataclass(frozen=True)
class Case:
    """One case; models on disk are loaded, and our own expected values computed, when asked for."""

    name: str
    group: str
    rtol: float
    atol: float
    _model: onnx.ModelProto | Path
    _data: list[DataSet] | Path | Callable[[], list[DataSet]]
    # Where the outputs are not determined: what holds for them instead.
    check: Check | None = None

    @property
    def key(self) -> str:
        return f"{self.group}/{self.name}"

    def model(self, form: str) -> onnx.ModelProto:
        model = onnx.load(self._model) if isinstance(self._model, Path) else self._model
        return make_dynamic(model) if form == "dynamic" else model

    def input_names(self) -> list[str]:
        """The inputs that a run gives values to."""
        graph = self.model("static").graph
        weights = {i.name for i in graph.initializer}
        return [info.name for info in graph.input if info.name not in weights]

    def element_shapes(self) -> dict[str, list[int]]:
        """The shapes of inputs' elements, where inputs are sequences or optionals: their
        types leave them open.
        """
        kinds = {i.name: i.type.WhichOneof("value") for i in self.model("static").graph.input}
        shapes: dict[str, list[int]] = {}
        for name, value in zip(self.input_names(), self.data_sets()[0][0]):
            if isinstance(value, dict):  # of the keys, and of the values
                shapes[name] = [len(value)]
            elif isinstance(value, list):
                shapes |= {f"{name}[{i}]": list(np.shape(e)) for i, e in enumerate(value)}
            elif value is not None and kinds[name] != "tensor_type":
                shapes[name] = list(np.shape(value))
        return shapes

    def data_sets(self) -> list[DataSet]:
        if callable(self._data):
            return self._data()
        if isinstance(self._data, list):
            return [([_value(v) for v in i], [_value(v) for v in o]) for i, o in self._data]
        if self._data.is_dir():
            graph = self.model("static").graph
            return [
                (_read_values(f, "input", graph.input), _read_values(f, "output", graph.output))
                for f in sorted(self._data.glob("test_data_set*"))
            ]
        return [_light_data(self.model("static").graph, self._data)]


def load_cases() -> list[Case]:
    """All cases of the installed onnx package, and our own."""
    from onnx.backend.test.case.model import collect_testcases
    from onnx.backend.test.loader import DATA_DIR, load_model_tests

    cases: list[Case] = []
    with warnings.catch_warnings():
        # The suite computes its expected values here, overflows included.
        warnings.simplefilter("ignore")
        node = load_model_tests(kind="node")
        simple = collect_testcases()
    for case in [*node, *simple]:
        if case.kind == "real":
            path = Path(DATA_DIR) / "light" / Path(case.url).name
            # Named apart from the file: 'light_resnet50'.
            cases.append(Case(path.stem, "light", case.rtol, case.atol, path, path))
        else:
            cases.append(
                Case(case.name, case.kind, case.rtol, case.atol, case.model, case.data_sets, CHECKS.get(case.name))
            )
    for group in ("pytorch-converted", "pytorch-operator"):
        for case in load_model_tests(kind=group):
            folder = Path(case.model_dir)
            cases.append(
                Case(case.name, group, case.rtol, case.atol, folder / "model.onnx", folder)
            )
    from operators import load_operator_cases

    cases += load_operator_cases()
    cases.sort(key=lambda c: (GROUPS.index(c.group), c.name))
    return cases


def make_dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every dimension of every input its own symbol; nothing known of the rest.

    Inputs that an initializer gives a value (the old way to declare weights)
    keep their shapes; outputs and the inputs and outputs of subgraphs keep their
    ranks alone; value infos of intermediates are dropped.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {i.name for i in graph.initializer}
    for index, info in enumerate(graph.input):
        if info.name in weights:
            continue
        if info.type.WhichOneof("value") == "tensor_type":
            for position, dim in enumerate(_dims(info.type)):
                dim.dim_param = f"d{index}_{position}"
        else:
            _forget_dims(info.type)  # a sequence's elements may differ in size
    for info in graph.output:
        _forget_dims(info.type)
    del graph.value_info[:]
    for node in graph.node:
        _forget_subgraphs(node)
    for function in result.functions:
        del function.value_info[:]
        for node in function.node:
            _forget_subgraphs(node)
    return result


def _forget_subgraphs(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        # Touching an unset `g` would set it.
        graphs = [attribute.g] if attribute.HasField("g") else attribute.graphs
        for graph in graphs:
            for info in [*graph.input, *graph.output]:
                _forget_dims(info.type)
            del graph.value_info[:]
            for inner in graph.node:
                _forget_subgraphs(inner)


def _forget_dims(type_: onnx.TypeProto) -> None:
    for dim in _dims(type_):
        dim.Clear()


def _dims(type_: onnx.TypeProto) -> Iterator[onnx.TensorShapeProto.Dimension]:
    """The dimensions of a tensor type, also inside sequences and optionals."""
    kind = type_.WhichOneof("value")
    if kind == "tensor_type":
        if type_.tensor_type.HasField("shape"):
            yield from type_.tensor_type.shape.dim
    elif kind in ("sequence_type", "optional_type"):
        yield from _dims(getattr(type_, kind).elem_type)


def _value(item: Any) -> Any:
    if isinstance(item, onnx.TensorProto):
        return numpy_helper.to_array(item)
    if item is None:
        return None
    if isinstance(item, (list, tuple)):
        return [_value(v) for v in item]
    return np.asarray(item)


def _read_values(folder: Path, prefix: str, infos: Any) -> list[Any]:
    values = []
    count = len(list(folder.glob(f"{prefix}_*.pb")))
    for index in range(count):
        content = (folder / f"{prefix}_{index}.pb").read_bytes()
        kind = infos[index].type.WhichOneof("value")
        if kind == "sequence_type":
            values.append(numpy_helper.to_list(onnx.SequenceProto.FromString(content)))
        elif kind == "optional_type":
            values.append(numpy_helper.to_optional(onnx.OptionalProto.FromString(content)))
        else:
            values.append(numpy_helper.to_array(onnx.TensorProto.FromString(content)))
    return values


def _light_data(graph: onnx.GraphProto, path: Path) -> DataSet:
    """The light models come with outputs; their inputs are made as onnx's runner does."""
    from onnx.backend.test.runner import Runner

    weights = {i.name for i in graph.initializer}
    inputs = [
        Runner.generate_dummy_data(info, seed=0, name=path.stem, random=False)
        for info in graph.input
        if info.name not in weights
    ]
    outputs = [
        numpy_helper.to_array(
            onnx.TensorProto.FromString(path.with_name(f"{path.stem}_output_{i}.pb").read_bytes())
        )
        for i in range(len(graph.output))
    ]
    return inputs, outputs
