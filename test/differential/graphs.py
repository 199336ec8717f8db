"""A model while it grows: its values with their contents, and nodes that are evaluated when they are added."""

from __future__ import annotations

import copy
import functools
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.reference
from onnx import TensorProto, helper, numpy_helper

import defects
from executor import Executor
from values import RUNS, Value, alike, disturb, epsilon, finite, is_float, kind_of

# Outputs follow from inputs without rounding: only moved, compared or rounded as the standard says.
EXACT = set(
    """Abs And ArgMax ArgMin BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil
    CenterCropPad Clip Compress Concat ConcatFromSequence Constant ConstantOfShape ConvInteger DepthToSpace Equal
    Expand EyeLike Flatten Floor Gather GatherElements GatherND GlobalMaxPool Greater GreaterOrEqual Hardmax
    Identity IsInf IsNaN Less LessOrEqual MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Min Neg NonZero Not 
    Optional OptionalGetElement OptionalHasElement Or Pad ReduceMax ReduceMin RegexFullMatch Relu Reshape
    ReverseSequence Round Scatter SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
    SequenceLength Shape Sign Size Slice SpaceToDepth Split SplitToSequence Squeeze StringConcat StringNormalizer
    StringSplit TensorScatter Tile TopK Transpose Trilu Unique Unsqueeze Where Xor ArrayFeatureExtractor Binarizer
    LabelEncoder QuantizeLinear DynamicQuantizeLinear Range NonMaxSuppression
    TreeEnsemble ThresholdedRelu""".split()
)
# Of others, the inputs whose roundings do not count: where they decide about sizes and places.
FIRM_INPUTS = {
    "Resize": (1, 2, 3), "Upsample": (1,), "RoiAlign": (1, 2), "GridSample": (1,), "DeformConv": (2,),
    "OneHot": (0, 1), "MelWeightMatrix": (0, 1, 2, 3, 4), "TfIdfVectorizer": (0,), "Mod": (0, 1),
}  # fmt: skip
UNTOUCHED_OUTPUTS = {"Mod", "TfIdfVectorizer", "TreeEnsembleClassifier"}


# Roundings of the runs, in units in the last place: none, some, and the opposite.
WAYS = (0, 1, -1)
assert len(WAYS) == RUNS


# Sums whose every term is rounded: an element's error is that of the largest, of the outputs or of the inputs.
SPREAD = {"DFT", "STFT"}
# What depends on which elements are equal.
EQUALITY = {"Unique", "Hardmax", "ArgMax", "ArgMin"}


class Unfit(Exception):
    """The node or model cannot be used: not valid, or without a dependable reference."""


@dataclass
class Graph:
    """Values by name, in order, and nodes in order."""

    opset: int
    ml_opset: int = 0
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    seed: int = 0
    # Names of nodes, in subgraphs too, that the reference does not compute as it should.
    doubtful: set[str] = field(default_factory=set)

    def opsets(self) -> list[onnx.OperatorSetIdProto]:
        made = [helper.make_opsetid("", self.opset)]
        return made + [helper.make_opsetid("ai.onnx.ml", self.ml_opset)] if self.ml_opset else made

    def add_source(self, value: Value) -> Value:
        self.values[value.name] = value
        if value.source == "constant":
            self.nodes.append(_constant(value))
        return value

    def add(self, node: onnx.NodeProto, needs_outputs: bool = True) -> list[Value]:
        """Evaluates and appends a node; raises Unfit."""
        outputs = self.evaluate(node)
        self.nodes.append(node)
        for value in outputs:
            self.values[value.name] = value
        return outputs

    def evaluate(self, node: onnx.NodeProto) -> list[Value]:
        names = [n for n in used_names(node) if n in self.values]
        inputs = [self.values[n] for n in names]
        outputs = [n for n in node.output if n]
        try:
            inferred = infer(self._single(node, inputs, outputs, constants=True))
        except Exception as error:
            raise Unfit(f"invalid: {error}") from None
        if node.op_type in EQUALITY and not all(v.exact for v in inputs):
            raise Unfit("unstable: of rounded numbers it is chance which are equal")
        model = self._single(node, inputs, outputs)
        model.graph.output.MergeFrom(inferred.graph.output)
        del model.graph.output[: len(outputs)]
        touched = node.op_type not in EXACT
        own = not defects.COARSE.keys().isdisjoint(defects.operators(node))
        coarse = own or any(v.coarse for v in inputs)
        firm = {node.input[i] for i in FIRM_INPUTS.get(node.op_type, ()) if i < len(node.input)}
        feeds: list[dict[str, Any]] = []
        for run, way in enumerate(WAYS):
            feed = {v.name: v.runs[run] for v in inputs}
            random = np.random.default_rng(self.seed)
            if run and touched:
                # By two units: one, of which the node before has moved its output, may move it back.
                feed = {n: x if n in firm else disturb(random, x, 2 * way) for n, x in feed.items()}
            feeds.append(feed)
        results = self._run(model, node, feeds)
        made = []
        for index, name in enumerate(outputs):
            runs = [result[index] for result in results]
            if touched and node.op_type not in UNTOUCHED_OUTPUTS:
                runs[1:] = [disturb(np.random.default_rng(index), r, way) for r, way in zip(runs[1:], WAYS[1:])]
            if node.op_type in SPREAD:
                signs = np.sign(np.random.default_rng(index).random(runs[0].shape) - 0.5)
                largest = max(float(np.abs(x.astype(np.float64)).max(initial=0)) for x in (runs[0], *filter(is_float, feeds[0].values())))
                error = 4 * epsilon(runs[0].dtype) * largest
                runs[1:] = [(r + way * signs * error).astype(r.dtype) for r, way in zip(runs[1:], WAYS[1:])]
            if own:
                signs = np.sign(np.random.default_rng(index).random(np.shape(runs[0])) - 0.5) * defects.COARSE_UNITS
                runs[1:] = [
                    (r + way * signs).astype(r.dtype) if is_float(r) else r for r, way in zip(runs[1:], WAYS[1:])
                ]
            if not all(alike(runs[0], run) for run in runs[1:]):
                raise Unfit("unstable: roundings change what is not a float")
            if not finite(runs[0]) and all(finite(v.value) for v in inputs):
                raise Unfit("not finite")
            made.append(_typed(name, runs, inferred.graph.output[index].type))
            made[-1].coarse = coarse
        for info, value in zip(model.graph.output, made):
            info.type.CopyFrom(value.type())
        try:
            onnx.checker.check_model(model)
        except Exception as error:
            raise Unfit(f"invalid: {error}") from None
        return made

    def _run(self, model: onnx.ModelProto, node: onnx.NodeProto, feeds: list[dict[str, Any]]) -> list[list[Any]]:
        """What the reference says for each feed; ONNX Runtime where it does not know or does not hold."""
        if node.op_type in ("Optional", "OptionalGetElement", "OptionalHasElement"):
            # The evaluator wraps an optional's element in a list, and takes no list out again.
            items = [feed.get(node.input[0]) if node.input and node.input[0] else None for feed in feeds]
            if node.op_type == "OptionalHasElement":
                return [[np.array(item is not None)] for item in items]
            return [[item] for item in items]
        if reason := defects.of_both(node, feeds[0], model.opset_import[0].version):
            raise Unfit(reason)
        if node.op_type == "Loop" and not (len(node.input) > 1 and node.input[1]):
            model, feeds = _with_condition(model, feeds)
        reason = defects.of_reference(node, feeds[0], model.opset_import[0].version)
        if reason:
            self.doubtful.add(node.name)
        elif not self.doubtful.isdisjoint(inner_names(node)):
            reason = "there is a doubtful node inside"
        if not reason:
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    evaluator = onnx.reference.ReferenceEvaluator(model)
                    return [[_array(x) for x in evaluator.run(None, feed)] for feed in feeds]
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
        if why := defects.of_peer(defects.operators(node)):
            raise Unfit(f"no reference: {reason}; {why}")
        results = []
        for feed in feeds:
            status, outputs = peer().run("onnxruntime", model, feed)
            if status != "ran":
                raise Unfit(f"no reference: {reason}; {outputs}")
            results.append([_array(x) for x in outputs[0]])
        return results

    def _single(
        self, node: onnx.NodeProto, inputs: list[Value], outputs: list[str], constants: bool = False
    ) -> onnx.ModelProto:
        """A model of this node; what is constant of its inputs is given (inference looks at it) or is an input."""
        given = [v for v in inputs if constants and v.source in ("constant", "initializer")]
        infos = [helper.make_value_info(v.name, v.type()) for v in inputs if not any(v is g for g in given)]
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph([node], "node", infos, results, [_tensor(v) for v in given])
        return finish(helper.make_model(graph, opset_imports=self.opsets()))

    def replay(self) -> None:
        """Computes all values of nodes again, after sources have changed; raises Unfit."""
        nodes, self.nodes = self.nodes, []
        self.values = {n: v for n, v in self.values.items() if v.source}
        for node in nodes:
            if node.op_type == "Constant" and self.values.get(node.output[0]) is not None:
                self.nodes.append(_constant(self.values[node.output[0]]))
            else:
                self.add(node)

    def prune(self, outputs: list[str]) -> Graph:
        """A copy with what the outputs need alone."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                nodes.append(copy.deepcopy(node))
                needed.update(used_names(node))
        values = {n: copy.copy(v) for n, v in self.values.items() if n in needed}
        made = {n for node in nodes for n in node.output}
        values.update({n: copy.copy(v) for n, v in self.values.items() if n in made})
        return Graph(self.opset, self.ml_opset, values, nodes[::-1], self.seed, self.doubtful)

    def inputs(self) -> dict[str, Any]:
        return {n: v.value for n, v in self.values.items() if v.source == "input"}

    def make_dynamic(self, random: np.random.Generator) -> None:
        """Gives sizes of inputs names, some of them or all."""
        every = random.random() < 0.6
        for value in self.values.values():
            if value.source == "input" and not value.pinned:
                value.symbols = tuple(
                    f"{value.name}_{axis}" if every or random.random() < 0.6 else "" for axis in range(len(value.shape))
                )

    def model(self, outputs: list[str], dynamic: bool = False) -> onnx.ModelProto:
        infos, results = [], []
        for value in self.values.values():
            if value.source == "input":
                kind = value.type()
                for dim, symbol in zip(dims_of(kind), value.symbols):
                    if symbol:
                        dim.dim_param = symbol
                infos.append(helper.make_value_info(value.name, kind))
        for name in outputs:
            kind = self.values[name].type()
            if dynamic:
                for dim in dims_of(kind):
                    dim.Clear()
            results.append(helper.make_value_info(name, kind))
        initializers = [_tensor(v) for v in self.values.values() if v.source == "initializer"]
        graph = helper.make_graph(self.nodes, "random", infos, results, initializers)
        return finish(helper.make_model(graph, opset_imports=self.opsets(), producer_name="differential"))


def finish(model: onnx.ModelProto) -> onnx.ModelProto:
    """Function bodies and new types need a new IR version; old ones are accepted by all tools."""
    model.ir_version = min(onnx.IR_VERSION, 13 if any(o.version > 23 for o in model.opset_import) else 10)
    return model


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """With types of all values; raises if there are contradictions."""
    return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def dims_of(kind: onnx.TypeProto) -> Any:
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        return list(kind.tensor_type.shape.dim)
    return dims_of(getattr(kind, which).elem_type)


def used_names(node: onnx.NodeProto) -> list[str]:
    """What a node reads, its subgraphs included: also names of their own, which no outer value has."""
    names = dict.fromkeys(n for n in node.input if n)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                names.update(dict.fromkeys(used_names(inner)))
            names.update(dict.fromkeys(o.name for o in attribute.g.output))
    return list(names)


@functools.cache
def peer() -> Executor:
    """Where ONNX Runtime computes nodes: in a process of its own, as it may crash."""
    return Executor(30)


def inner_names(node: onnx.NodeProto) -> set[str]:
    """The names of the nodes in its subgraphs."""
    names: set[str] = set()
    for item in node.attribute:
        if item.HasField("g"):
            for inner in item.g.node:
                names |= {inner.name} | inner_names(inner)
    return names


def _constant(value: Value) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [value.name], value=_tensor(value))


def _tensor(value: Value) -> onnx.TensorProto:
    return to_tensor(value.value, value.name)


def to_tensor(array: np.ndarray, name: str = "") -> onnx.TensorProto:
    if kind_of(array) == TensorProto.STRING:
        return helper.make_tensor(name, TensorProto.STRING, array.shape, [str(s).encode() for s in array.ravel()])
    return numpy_helper.from_array(array, name)


def _typed(name: str, runs: list[Any], inferred: onnx.TypeProto) -> Value:
    forms, kind = [], inferred
    while (which := kind.WhichOneof("value")) in ("sequence_type", "optional_type"):
        forms.append(which.removesuffix("_type"))
        kind = getattr(kind, which).elem_type
    element = kind.tensor_type.elem_type
    if which != "tensor_type" or not element:
        raise Unfit("no type is inferred")
    for run in runs:
        if (isinstance(run, list)) != ("sequence" in forms) and not (run is None and "optional" in forms):
            raise Unfit("the reference gives another kind of value than is inferred")
        for item in run if isinstance(run, list) else [run]:
            if item is not None and kind_of(item) != element:
                raise Unfit("the reference gives another type than is inferred")
    if not forms and kind.tensor_type.HasField("shape"):
        dims, shape = kind.tensor_type.shape.dim, runs[0].shape
        if len(dims) != len(shape) or any(d.HasField("dim_value") and d.dim_value != s for d, s in zip(dims, shape)):
            raise Unfit("the reference gives another shape than is inferred")
    return Value(name, runs, " ".join(forms) or "tensor", element)


def _with_condition(model: onnx.ModelProto, feeds: list[dict[str, Any]]) -> tuple[onnx.ModelProto, list[dict[str, Any]]]:
    """The same loop with a condition, which is true: the evaluator takes none for false."""
    made = copy.deepcopy(model)
    node = made.graph.node[0]
    node.input[:] = [*node.input[:1], "condition", *node.input[2:]]
    made.graph.input.append(helper.make_tensor_value_info("condition", TensorProto.BOOL, []))
    return made, [{**feed, "condition": np.array(True)} for feed in feeds]


def _array(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_array(item) for item in value]
    if value is None:
        return None
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "US" else np.ascontiguousarray(array).reshape(array.shape)
