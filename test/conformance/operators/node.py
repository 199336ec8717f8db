"""A form of a node, and the cases that it makes: one of each version of its operator that has
all its attributes and takes all its inputs.

What is expected is computed by ONNX Runtime in that very version, or, where it has none, by ONNX's
reference evaluator; or it is written beside the node (`expected`), where old versions mean something that
neither knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cases import Case, DataSet
from random_cases import Check

Value = np.ndarray | list[np.ndarray] | dict | None
Expected = Callable[[], Any]

BF16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = (np.dtype(np.float64), np.dtype(np.float16), BF16)
ALL_VERSIONS = os.environ.get("NACRE_OPERATORS") == "all"
INTEGERS = tuple(np.dtype(f"{sign}int{bits}") for bits in (8, 16, 32, 64) for sign in ("", "u"))
if not ALL_VERSIONS:
    INTEGERS = tuple(np.dtype(t) for t in (np.uint8, np.int32, np.int64))


class Unsupported(Exception):
    """A reference does not take the model."""


@cache
def schemas(domain: str, op: str) -> tuple[onnx.defs.OpSchema, ...]:
    """Oldest first."""
    found = [s for s in onnx.defs.get_all_schemas_with_history() if (s.domain, s.name) == (domain, op)]
    return tuple(sorted(found, key=lambda s: s.since_version))


def type_name(value: Value) -> str:
    """As schemas call it."""
    if isinstance(value, dict):
        key, element = (type_name(np.array([v])) for v in next(iter(value.items())))
        return f"map({key[7:-1]},{element})"
    if isinstance(value, list):
        return f"seq({type_name(value[0])})"
    if value.dtype.kind in "OU":
        return "tensor(string)"
    return f"tensor({TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(value.dtype)).lower()})"


def value_type(value: Value) -> onnx.TypeProto:
    if isinstance(value, dict):
        key, element = next(iter(value.items()))
        number = TensorProto.STRING if isinstance(key, str) else TensorProto.INT64
        return helper.make_map_type_proto(number, value_type(np.array(element)))
    if isinstance(value, list):
        return helper.make_sequence_type_proto(value_type(value[0]))
    element = TensorProto.STRING if value.dtype.kind in "OU" else helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_type_proto(element, value.shape)


@dataclass
class Node:
    op: str
    inputs: Sequence[Value]
    attributes: dict[str, Any] = field(default_factory=dict)
    #: What tells it from other forms of the operator.
    label: str = ""
    domain: str = ""
    outputs: int | Sequence[int] = 1
    #: The versions to make cases of, of those that take it.
    since: int = 1
    until: int = 10**6
    #: Inputs that are initializers.
    fixed: Sequence[int] = ()
    expected: Expected | None = None
    check: Check | None = None
    rtol: float = 1e-3
    atol: float = 1e-6
    #: The opset of the default domain, for nodes of another.
    base: int = 21
    #: Declared ranks of outputs, where a model has to say them.
    ranks: Sequence[int] | None = None
    #: The version to ask instead, where no reference has the one of a case; what executors may overwrite
    #: (`consumed_inputs`) is left out then.
    like: int | None = None
    #: ONNX's evaluator says what is expected, where ONNX Runtime differs from the standard.
    standard: bool = False

    def versions(self) -> Iterator[onnx.defs.OpSchema]:
        for schema in schemas(self.domain, self.op):
            if self.since <= schema.since_version <= self.until and self._fits(schema):
                yield schema

    def _fits(self, schema: onnx.defs.OpSchema) -> bool:
        given = set(self.attributes)
        required = {n for n, a in schema.attributes.items() if a.required}
        if not required <= given <= set(schema.attributes):
            return False
        for name, value in self.attributes.items():
            kind = str(schema.attributes[name].type).rsplit(".", 1)[1]
            if onnx.AttributeProto.AttributeType.Name(helper.make_attribute(name, value).type) != kind:
                return False
        if not schema.min_input <= len(self.inputs) <= schema.max_input:
            return False
        if not schema.min_output <= self._output_count() <= schema.max_output:
            return False
        bound: dict[str, str] = {}
        for index, value in enumerate(self.inputs):
            param = schema.inputs[min(index, len(schema.inputs) - 1)]
            if value is None:
                if param.option != onnx.defs.OpSchema.FormalParameterOption.Optional:
                    return False
                continue
            name = type_name(value)
            if name not in param.types or (param.is_homogeneous and bound.setdefault(param.type_str, name) != name):
                return False
        return True

    def _output_count(self) -> int:
        return self.outputs if isinstance(self.outputs, int) else max(self.outputs) + 1

    def model(self, version: int) -> onnx.ModelProto:
        wanted = range(self.outputs) if isinstance(self.outputs, int) else self.outputs
        results = [f"y{i}" if i in wanted else "" for i in range(self._output_count())]
        names = ["" if v is None else f"x{i}" for i, v in enumerate(self.inputs)]
        node = helper.make_node(self.op, names, results, name="node", domain=self.domain, **self.attributes)
        inputs, weights = [], []
        for index, (name, value) in enumerate(zip(names, self.inputs)):
            if value is None:
                continue
            if index in self.fixed:
                weights.append(numpy_helper.from_array(value, name))
            else:
                inputs.append(helper.make_value_info(name, value_type(value)))
        outputs = [onnx.ValueInfoProto(name=r) for r in results if r]
        graph = helper.make_graph([node], f"{self.op}_{version}", inputs, outputs, weights)
        opsets = [helper.make_opsetid(self.domain, version)]
        if self.domain:
            opsets.append(helper.make_opsetid("", self.base))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10 if version < 24 else 13)
        return self._declare(model)

    def _declare(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Outputs with types, as ONNX's inference has them."""
        if self.ranks:
            for info, rank in zip(model.graph.output, self.ranks):
                shape = [None] * rank
                info.type.CopyFrom(helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(self.inputs[0].dtype), shape))
        return model

    def feed(self) -> list[Value]:
        return [v for i, v in enumerate(self.inputs) if v is not None and i not in self.fixed]

    def data(self, model: onnx.ModelProto) -> list[DataSet]:
        feed = self.feed()
        if self.expected:
            outputs = self.expected()
            return [(feed, list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])]
        if self.standard:
            return [(feed, run_reference(model, dict(zip([i.name for i in model.graph.input], feed))))]
        try:
            return [(feed, evaluate(model, feed))]
        except Unsupported:
            if self.like is None:
                raise
        attributes = {k: v for k, v in self.attributes.items() if k != "consumed_inputs"}
        return [(feed, evaluate(replace(self, attributes=attributes).model(self.like), feed))]

    def cases(self, versions: Iterable[onnx.defs.OpSchema]) -> Iterator[Case]:
        prefix = self.domain.removeprefix("ai.onnx.")
        for schema in versions:
            name = f"{prefix + '.' if prefix else ''}{self.op}-{schema.since_version}"
            model = self.model(schema.since_version)
            yield Case(
                f"{name}-{self.label}" if self.label else name,
                "operators",
                self.rtol,
                self.atol,
                model,
                lambda model=model: self.data(model),
                self.check,
            )


def evaluate(model: onnx.ModelProto, feed: list[Value]) -> list[Any]:
    """What a model gives: by ONNX Runtime, else by ONNX's evaluator."""
    named = dict(zip([i.name for i in model.graph.input], feed))
    try:
        return run_onnxruntime(model, named)
    except Unsupported:
        return run_reference(model, named)


def run_onnxruntime(model: onnx.ModelProto, feed: dict[str, Value]) -> list[Any]:
    import onnxruntime

    if any(isinstance(v, np.ndarray) and v.dtype.isbuiltin != 1 for v in feed.values()):
        raise Unsupported("NumPy has no such type")
    # Of maps it takes Python's own floats.
    feed = {k: {n: e.item() if isinstance(e, np.generic) else e for n, e in v.items()} if isinstance(v, dict) else v for k, v in feed.items()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    # As it is written: old operators are not replaced by what is taken for the same.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Unsupported(str(error)) from None
    return session.run(None, feed)


def run_reference(model: onnx.ModelProto, feed: dict[str, Value]) -> list[Any]:
    from onnx.reference import ReferenceEvaluator

    try:
        return ReferenceEvaluator(model).run(None, feed)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise Unsupported(str(error)) from None


def run_node(op: str, version: int, *inputs: Value, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
    """What one node gives in another version; of one output the value itself."""
    node = Node(op, inputs, attributes, outputs=outputs, domain=domain)
    results = evaluate(node.model(version), node.feed())
    return results[0] if outputs == 1 else results


def node(op: str, *inputs: Value, label: str = "", **more: Any) -> Node:
    """Settings of `Node` go by their names, everything else is an attribute."""
    settings = {k: more.pop(k) for k in list(more) if k in Node.__dataclass_fields__ and k not in ("op", "inputs")}
    return Node(op, list(inputs), more, label, **settings)


class Numbers:
    """Numbers that are the same in each run."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float = 1, dtype: Any = np.float32) -> np.ndarray:
        return np.asarray(self._random.normal(0, scale, shape)).astype(dtype)

    def uniform(self, low: float, high: float, *shape: int, dtype: Any = np.float32) -> np.ndarray:
        return np.asarray(self._random.uniform(low, high, shape)).astype(dtype)

    def integers(self, low: int, high: int, *shape: int, dtype: Any = np.int64) -> np.ndarray:
        """From `low` to `high` - 1."""
        return np.asarray(self._random.integers(low, high, shape)).astype(dtype)

    def flags(self, *shape: int) -> np.ndarray:
        return self._random.integers(0, 2, shape).astype(bool)

    def shuffled(self, *shape: int, dtype: Any = np.float32) -> np.ndarray:
        """All different."""
        return self._random.permutation(int(np.prod(shape))).reshape(shape).astype(dtype)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def texts(*values: str) -> np.ndarray:
    return np.array(values, object)
