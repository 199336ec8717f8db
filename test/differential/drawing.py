"""What recipes are written with: operands of a node, drawn from the graph or new, and attributes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from graphs import Graph, Unfit
from values import FLOATS, RUNS, TYPES, Value, draw

if TYPE_CHECKING:
    from generate import Generator

MAX_ELEMENTS = 3000
Operand = Value | None


@functools.cache
def constant_kinds(opset: int) -> set[int]:
    """The types that a Constant can have."""
    schema = onnx.defs.get_schema("Constant", opset)
    return {TYPES[t] for t in schema.type_constraints[0].allowed_type_strs if t in TYPES}


@dataclass
class Draw:
    """One node to be: a recipe asks for operands and sets attributes."""

    generator: Generator
    graph: Graph
    schema: onnx.defs.OpSchema
    inside: bool  # in a subgraph, which has no inputs of its own
    attributes: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)  # by type variable
    outputs: int = 0  # how many; 0: as many as the schema wants

    def __post_init__(self) -> None:
        self.random = self.generator.random
        self.name: str = self.schema.name
        self.opset = self.graph.opset
        self.since: int = self.schema.since_version

    # Choices

    def flag(self, probability: float = 0.5) -> bool:
        return bool(self.random.random() < probability)

    def choose(self, items: Sequence[Any]) -> Any:
        return items[int(self.random.integers(len(items)))]

    def between(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high, endpoint=True))

    def number(self, low: float, high: float) -> float:
        return round(float(self.random.uniform(low, high)), 2)

    def some(self, items: Sequence[Any]) -> list[Any]:
        """Some of them, in any order."""
        count = self.between(0, len(items))
        return [items[i] for i in self.random.permutation(len(items))[:count]]

    def size(self) -> int:
        return self.generator.size()

    def shape(self, rank: tuple[int, int] = (0, 4)) -> tuple[int, ...]:
        shape = tuple(self.size() for _ in range(self.between(*rank)))
        while np.prod(shape, initial=1) > MAX_ELEMENTS:
            shape = tuple(max(1, s // 2) for s in shape)
        return shape

    def axis(self, rank: int) -> int:
        if rank < 1:
            raise Unfit("no axis")
        return self.between(-rank if self.opset >= 11 else 0, rank - 1)

    def axes(self, rank: int, least: int = 0) -> list[int]:
        axes = [int(a) for a in self.random.permutation(rank)[: self.between(min(least, rank), rank)]]
        return [a - rank if self.opset >= 11 and self.flag(0.3) else a for a in axes]

    def wider(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape that broadcasts with this one, to it or to a larger one."""
        if self.flag(0.4):
            return tuple(shape)
        made = [1 if self.flag(0.3) else s for s in shape]
        if self.flag(0.3):
            made = made[self.between(0, len(made)) :]
        elif self.flag(0.15) and len(made) < 4:
            made = [self.choose([1, 2])] + made
        made = [self.between(1, 4) if s == 1 and o == 1 and self.flag(0.3) else s for s, o in zip(made, shape)] if len(
            made
        ) == len(shape) else made
        return tuple(made)

    # Attributes

    def has(self, name: str) -> bool:
        return name in self.schema.attributes

    def set(self, name: str, value: Any) -> None:
        """Sets an attribute, where this version of the operator has it."""
        if self.has(name):
            self.attributes[name] = value

    def maybe(self, name: str, value: Any) -> None:
        if self.flag():
            self.set(name, value)

    # Operands

    def variable(self, index: int) -> str:
        return self.schema.inputs[min(index, len(self.schema.inputs) - 1)].type_str

    def takes(self, index: int) -> bool:
        inputs = self.schema.inputs
        return index < len(inputs) or bool(inputs) and inputs[-1].option == onnx.defs.OpSchema.FormalParameterOption.Variadic

    def allowed(self, index: int) -> list[int]:
        variable = self.variable(index)
        if variable in self.kinds:
            return [self.kinds[variable]]
        if variable in TYPES:
            return [TYPES[variable]]
        for constraint in self.schema.type_constraints:
            if constraint.type_param_str == variable:
                return [TYPES[t] for t in constraint.allowed_type_strs if t in TYPES]
        return []

    def kind(self, index: int, among: Sequence[int] | None = None) -> int:
        """The type of an operand; of several a float more likely."""
        kinds = [k for k in self.allowed(index) if among is None or k in among]
        if not kinds:
            raise Unfit("no type")
        kinds = [k for k in kinds if k != TensorProto.STRING] or kinds if self.flag(0.9) else kinds
        weights = np.array([{TensorProto.FLOAT: 12.0}.get(k, 3.0 if k in FLOATS else 1.0) for k in kinds])
        kind = int(self.random.choice(kinds, p=weights / weights.sum()))
        self.kinds[self.variable(index)] = kind
        return kind

    def any(
        self,
        index: int = 0,
        rank: tuple[int, int] = (0, 4),
        where: Callable[[Value], bool] = lambda value: True,
        low: float = -3,
        high: float = 3,
        among: Sequence[int] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> Value:
        """A tensor of the graph, of any shape within the limits, or a new one."""
        if self.flag(0.8):
            found = self.find(index, lambda v: rank[0] <= len(v.shape) <= rank[1] and where(v), among)
            if found:
                return found
        return self.new(index, self.shape(rank) if shape is None else shape, low, high, among=among)

    def of(self, index: int, shape: Sequence[int], low: float = -3, high: float = 3, among: Sequence[int] | None = None) -> Value:
        """A tensor of this shape."""
        if self.flag(0.4):
            found = self.find(index, lambda v: v.shape == tuple(shape), among)
            if found:
                return found
        return self.new(index, shape, low, high, among=among)

    def find(
        self, index: int, where: Callable[[Value], bool], among: Sequence[int] | None = None, form: str = "tensor"
    ) -> Operand:
        kinds = [k for k in self.allowed(index) if among is None or k in among] if form == "tensor" else []
        fit = [
            v for v in self.graph.values.values()
            if v.form == form and not v.pinned and (form != "tensor" or v.kind in kinds) and where(v)
        ]  # fmt: skip
        if not fit:
            return None
        # Late ones rather: so graphs become deep.
        found = fit[-1 - min(int(self.random.geometric(0.35)) - 1, len(fit) - 1)]
        if form == "tensor":
            self.kinds[self.variable(index)] = found.kind
        return found

    def new(
        self,
        index: int,
        shape: Sequence[int],
        low: float = -3,
        high: float = 3,
        among: Sequence[int] | None = None,
        source: str = "",
    ) -> Value:
        kind = self.kind(index, among)
        return self.source(draw(self.random, kind, tuple(shape), low, high), kind, source)

    def source(self, array: np.ndarray, kind: int, source: str = "", pinned: bool = False) -> Value:
        if self.inside:
            source = "constant"
        source = source or self.choose(["input"] * 6 + ["initializer"] * 3 + ["constant"])
        if source == "constant" and kind not in constant_kinds(self.opset):
            if self.inside:
                raise Unfit("no constant of this type")
            source = "initializer"
        if kind == TensorProto.STRING and source == "initializer":
            source = "input"
        name = self.generator.name("c" if source == "constant" else "x" if source == "input" else "w")
        return self.graph.add_source(Value(name, [array] * RUNS, "tensor", kind, source, pinned))

    def change(self, value: Value, array: np.ndarray) -> Value:
        """Gives a new tensor, the last that was made, other contents."""
        value.runs[:] = [array] * RUNS
        if value.source == "constant":
            self.graph.nodes.pop()
            self.graph.add_source(value)
        return value

    def ints(self, values: Any, index: int | None = None, fixed: bool = False) -> Value:
        """Sizes, axes and the like: constants, or values that only a run knows."""
        kind = TensorProto.INT64
        if index is not None:
            kinds = self.allowed(index)
            kind = TensorProto.INT64 if TensorProto.INT64 in kinds and self.flag(0.7) else self.choose(kinds)
            self.kinds[self.variable(index)] = kind
        array = np.asarray(values).astype(helper.tensor_dtype_to_np_dtype(kind))
        source = "constant" if fixed else self.choose(["constant", "initializer", "constant", "input"])
        return self.source(array, kind, source, pinned=True)

    def sizes(self, name: str, values: Sequence[int], index: int) -> list[Operand]:
        """Axes, pads and the like, which are an attribute in old versions and an operand in new ones."""
        if self.has(name):
            self.attributes[name] = [int(v) for v in values]
            return []
        if not self.takes(index):
            raise Unfit(f"no {name}")
        return [self.ints(np.array(values, np.int64), index)]

    def sequence(self, low: int = 0, alike: bool = False) -> Value:
        """A sequence of the graph, with tensors of one shape if asked for."""

        def fits(v: Value) -> bool:
            return len(v.value) >= low and (not alike or len({e.shape for e in v.value}) <= 1)

        found = self.find(0, fits, form="sequence")
        if found:
            return found
        if self.opset < 11:
            raise Unfit("no sequence")
        kind = self.choose([TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE])
        shape = self.shape((0, 3))
        parts = [
            self.source(draw(self.random, kind, shape if alike or self.flag() else self.shape((0, 3))), kind)
            for _ in range(self.between(1, 3))
        ]
        node = helper.make_node("SequenceConstruct", [p.name for p in parts], [self.generator.name("v")])
        return self.graph.add(node)[0]


