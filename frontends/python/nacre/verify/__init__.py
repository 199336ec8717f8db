"""Compares what Nacre computes with a reference, value by value: `nacre verify`.

    report = verify(onnx.load("m.onnx"), {"x": x})
    report.first                # the first node that differs, or None

Every intermediate value is compared, in the order of the nodes. If a value differs, the
part of the model that shows it is cut out, with the values that go into it: mostly a
single node, or the nodes that are fused with it. If the values differ only as long as
they are not looked at (an output of the model keeps a node from being fused), the first
node is found by bisection over models that end at each node.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import nacre
from .differences import Difference, compare
from .files import load, save
from .subgraphs import cut_out, read_names, with_outputs

# A model's values by name, of those that the reference computes.
Values = dict[str, Any]
# Computes at least the named values of a model.
Reference = Callable[[onnx.ModelProto, Mapping[str, Any], list[str]], Values]

_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")
# Nodes of a part that is cut out, at most.
_MOST_NODES = 24


@dataclass
class Report:
    """What verify found. Agreement: no difference."""

    compared: int  # values
    nodes: int  # of the model
    first: Difference | None = None
    node: str = ""  # of the first difference: "node 'name' (Op)"
    outputs: list[Difference] = field(default_factory=list)  # of the model as it is
    only_fused: bool = False  # all values agree when they are outputs of the model
    reduced: onnx.ModelProto | None = None  # shows the difference
    reduced_inputs: Values = field(default_factory=dict)


def run_reference(model: onnx.ModelProto, inputs: Mapping[str, Any], names: list[str]) -> Values:
    """ONNX's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, dict(inputs), intermediate=True)


def run_onnxruntime(model: onnx.ModelProto, inputs: Mapping[str, Any], names: list[str]) -> Values:
    """ONNX Runtime without its optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        with_outputs(model, names).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    kept = {value.name for value in session.get_inputs()}
    return dict(zip(names, session.run(names, {name: inputs[name] for name in inputs if name in kept})))


REFERENCES: dict[str, Reference] = {"reference": run_reference, "onnxruntime": run_onnxruntime}


def verify(
    model: onnx.ModelProto,
    inputs: Mapping[str, Any],
    reference: Reference = run_reference,
    tolerance: float | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Report:
    """Compares all values of a model for the given inputs.

    `tolerance` is the error that is allowed, as a part of a value's largest magnitude;
    None: 1e-4 in f32, 1e-2 in f16, 5e-2 in bf16, 1e-10 in f64. Integers, booleans and
    strings must be equal. Raises nacre.CompileError or nacre.RunError where Nacre fails,
    and whatever the reference raises.
    """
    return _Verification(model, inputs, reference, tolerance, progress).run()


class _Verification:
    def __init__(self, model, inputs, reference, tolerance, progress):
        self.model, self.inputs, self.reference = model, dict(inputs), reference
        self.tolerance, self.progress = tolerance, progress
        self.nodes = list(model.graph.node)
        for node in self.nodes:
            if node.op_type in _RANDOM:
                raise ValueError(f"{describe(node)} draws random numbers: they cannot be compared")
        self.values = [name for node in self.nodes for name in node.output if name]

    def run(self) -> Report:
        self.progress("running the reference")
        outputs = [value.name for value in self.model.graph.output]
        expected = self.reference(self.model, self.inputs, list(dict.fromkeys([*self.values, *outputs])))
        self.expected = {**self.inputs, **expected}
        self.progress("running the model")
        report = Report(0, len(self.nodes))
        got = self.compute(self.model, self.inputs, outputs)
        report.outputs = self.differences(got, outputs)
        self.progress("comparing intermediate values")
        names = [name for name in self.values if name in expected]
        report.compared = len(set(names) | set(outputs))
        found = self.differences(self.compute(with_outputs(self.model, names), self.inputs, names), names)
        if found:
            report.first = found[0]
        elif report.outputs:
            report.only_fused = True
            report.first = self.find_cut(names) or report.outputs[0]
        if report.first:
            node = self.producer(report.first.name)
            report.node = describe(node) if node is not None else f"input '{report.first.name}'"
            if node is not None:
                self.reduce(node, report)
        return report

    def compute(self, model: onnx.ModelProto, inputs: Mapping[str, Any], names: list[str]) -> Values:
        return dict(zip(names, nacre.compile(model, example=inputs).run(dict(inputs))))

    def differences(self, got: Values, names: list[str]) -> list[Difference]:
        found = (compare(name, got[name], self.expected[name], self.tolerance) for name in names)
        return [difference for difference in found if difference]

    def producer(self, name: str) -> onnx.NodeProto | None:
        name = name.split("[")[0] if name not in self.values else name
        return next((node for node in self.nodes if name in node.output), None)

    def find_cut(self, names: list[str]) -> Difference | None:
        """The first node at which the model may end and still be wrong, by bisection."""
        def differs(position: int) -> Difference | None:
            name = names[position]
            self.progress(f"ending the model at '{name}'")
            found = self.differences(self.compute(with_outputs(self.model, [name]), self.inputs, [name]), [name])
            return found[0] if found else None

        low, high, best = 0, len(names) - 1, None
        while low < high:
            middle = (low + high) // 2
            if found := differs(middle):
                high, best = middle, found
            else:
                low = middle + 1
        return best or differs(low) if names else None

    def reduce(self, node: onnx.NodeProto, report: Report) -> None:
        """Cuts out the node, and as many before it as it takes to show the difference."""
        part, order = [node], {id(one): i for i, one in enumerate(self.nodes)}
        outputs = [name for name in node.output if name in self.expected]
        while len(part) <= _MOST_NODES:
            self.progress(f"cutting out {len(part)} node{'s' * (len(part) > 1)}")
            try:
                model, inputs = cut_out(self.model, part, outputs, self.expected)
                expected = self.reference(model, inputs, outputs)
                got = self.compute(model, inputs, outputs)
            except (nacre.Error, KeyError, ValueError):
                pass  # such a part is no model of its own: take more
            else:
                if any(compare(name, got[name], expected[name], self.tolerance) for name in outputs):
                    report.reduced, report.reduced_inputs = model, inputs
                    return
            before = [self.producer(name) for one in part for name in read_names(one)]
            new = [one for one in before if one is not None and not any(one is other for other in part)]
            if not new:
                return
            part.append(max(new, key=lambda one: order[id(one)]))
            part.sort(key=lambda one: order[id(one)])


def describe(node: onnx.NodeProto) -> str:
    """As Nacre's errors name a node."""
    name = node.name or next((output for output in node.output if output), "")
    return f"node '{name}' ({node.op_type})"


def find_pass(
    model: onnx.ModelProto,
    inputs: Mapping[str, Any],
    expected: Values,
    tool: str,
    tolerance: float | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> list[str]:
    """The passes without each of which the outputs agree with `expected`, in the pipeline's
    order. Each attempt is a process of its own: without some passes a compilation fails.
    """
    names = [value.name for value in model.graph.output]
    with tempfile.TemporaryDirectory() as folder:
        path, archive = Path(folder, "model.onnx"), Path(folder, "inputs.npz")
        onnx.save_model(model, path)
        save(archive, inputs)
        printed = subprocess.run([tool, "compile", path, "--print-pipeline"], capture_output=True, text=True, check=True)
        guilty = []
        for name in _pass_names(printed.stdout):
            progress(f"without {name}")
            out = Path(folder, name)
            command = [tool, "run", path, "--inputs", archive, "--output-dir", out, "--json", "--disable-pass", name]
            ran = subprocess.run(command, capture_output=True, text=True)
            if ran.returncode != 0:
                continue  # it cannot be left out
            files = {entry["name"]: entry["file"] for entry in json.loads(ran.stdout)["outputs"]}
            got = {name: load(Path(files[name])) for name in names}
            if not any(compare(name, got[name], expected[name], tolerance) for name in names):
                guilty.append(name)
        return guilty


def _pass_names(pipeline: str) -> list[str]:
    """The passes that `nacre compile --print-pipeline` prints, each once, in order."""
    depth, word, names = 0, "", []
    for line in pipeline.splitlines():
        if not line.startswith(" "):
            continue  # a phase's title
        for c in line + ",":
            depth += (c == "{") - (c == "}")
            if depth == 0 and (c.isalnum() or c in "-._"):
                word += c
            elif word:
                names += [] if "." in word or c == "(" or depth > 1 else [word]
                word = ""
    return list(dict.fromkeys(names))
