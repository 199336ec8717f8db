"""The table of operators: which version, with which element types, in which form, as a run has found it."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import onnx
from onnx import TensorProto

import ledger
from cases import FORMS, Case
from pool import Result

# An operator of a domain as it is since a version.
Version = tuple[str, str, int]

DOMAINS = {"ai.onnx": "", "": "", "ai.onnx.ml": "ai.onnx.ml"}
SHORT = {
    "FLOAT": "f32", "DOUBLE": "f64", "FLOAT16": "f16", "BFLOAT16": "bf16", "INT8": "i8", "INT16": "i16", "INT32": "i32", "INT64": "i64",
    "UINT8": "u8", "UINT16": "u16", "UINT32": "u32", "UINT64": "u64", "BOOL": "bool", "STRING": "string",
}  # fmt: skip


@cache
def all_versions() -> frozenset[Version]:
    return frozenset((s.domain, s.name, s.since_version) for s in onnx.defs.get_all_schemas_with_history())


@cache
def _since(domain: str, op: str) -> tuple[int, ...]:
    return tuple(sorted(v for d, o, v in all_versions() if (d, o) == (domain, op)))


def _versions_of(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {DOMAINS.get(i.domain, i.domain): i.version for i in imports}


def used(model: onnx.ModelProto, types: bool = True) -> Iterator[tuple[Version, str]]:
    """The standard's operators in a model and the element type that each works on, "" where it is not known."""
    known: dict[str, int] = {}
    if types:
        try:
            model = onnx.shape_inference.infer_shapes(model)
        except Exception:  # what inference has no answer for keeps its types to itself
            pass
    yield from _used_in(model.graph, _versions_of(model.opset_import), known)
    for function in model.functions:
        for node in function.node:
            yield from _used_by(node, _versions_of(function.opset_import), {})


def _used_in(graph: onnx.GraphProto, opsets: dict[str, int], outer: dict[str, int]) -> Iterator[tuple[Version, str]]:
    known = dict(outer)
    for info in [*graph.input, *graph.value_info, *graph.output]:
        kind = info.type
        if kind.WhichOneof("value") == "sequence_type":
            kind = kind.sequence_type.elem_type
        if kind.WhichOneof("value") == "tensor_type":
            known[info.name] = kind.tensor_type.elem_type
    for tensor in graph.initializer:
        known[tensor.name] = tensor.data_type
    for node in graph.node:
        yield from _used_by(node, opsets, known)


def _used_by(node: onnx.NodeProto, opsets: dict[str, int], known: dict[str, int]) -> Iterator[tuple[Version, str]]:
    domain = DOMAINS.get(node.domain, node.domain)
    since = [v for v in _since(domain, node.op_type) if v <= opsets.get(domain, 0)]
    if since:
        element = next((known[n] for n in [*node.input, *node.output] if known.get(n)), 0)
        name = TensorProto.DataType.Name(element) if element else ""
        yield (domain, node.op_type, since[-1]), SHORT.get(name, name.lower())
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from _used_in(attribute.g, opsets, known)


@dataclass
class Row:
    passed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FORMS, 0))
    types: dict[str, set[str]] = field(default_factory=lambda: {f: set() for f in FORMS})
    refused: dict[str, set[str]] = field(default_factory=lambda: {f: set() for f in FORMS})


def collect(cases: list[Case], results: dict[tuple[str, str], Result]) -> dict[Version, Row]:
    rows: dict[Version, Row] = defaultdict(Row)
    for case in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = set(used(case.model("static")))
        for form in FORMS:
            result = results.get((form, case.key))
            if result is None:
                continue
            for version in {v for v, _ in found}:
                if result.status == "pass":
                    rows[version].passed[form] += 1
                elif result.status == "refused" and len({v for v, _ in found}) == 1:
                    rows[version].refused[form].add(ledger.reason(result.detail))
            if result.status == "pass":
                for version, element in found:
                    rows[version].types[form].add(element)
    return rows


def write(path: Path, cases: list[Case], results: dict[tuple[str, str], Result], target: str) -> None:
    rows = collect(cases, results)
    versions = sorted(all_versions())
    operators = {(d, o) for d, o, _ in versions}
    lines = [
        "# ONNX's operators",
        "",
        f"Of {len(cases)} cases on {target}. Each line is a version of an operator: the opset since which it is as it is, the",
        "element types that it worked on where the outputs were as expected, and in how many cases that was, as",
        "the models are (static) and with all sizes of inputs open (dynamic). Generated by `test/conformance/run.py --table`.",
        "",
        summary(rows),
        "",
        "| operator | since | types | static | dynamic | refused |",
        "|---|---|---|---|---|---|",
    ]
    for version in versions:
        domain, op, since = version
        row = rows.get(version, Row())
        types = row.types["static"] | row.types["dynamic"]
        names = [t + ("" if t in row.types["static"] and t in row.types["dynamic"] else f" ({'static' if t in row.types['static'] else 'dynamic'})") for t in sorted(types - {""})]
        why = "; ".join(sorted(row.refused["static"] | row.refused["dynamic"])).replace("|", "\\|")
        counts = " | ".join(str(row.passed[form] or "—") for form in FORMS)
        lines.append(f"| {domain + '.' if domain else ''}{op} | {since} | {', '.join(names)} | {counts} | {why} |")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    print(f"wrote {path}: {len(operators)} operators, {len(versions)} versions")


def summary(rows: dict[Version, Row]) -> str:
    versions = all_versions()
    parts = []
    for form in FORMS:
        passing = {v for v in versions if v in rows and rows[v].passed[form]}
        operators = {v[:2] for v in passing}
        parts.append(f"{len(passing)} of {len(versions)} versions and {len(operators)} of {len({v[:2] for v in versions})} operators pass in {form} form")
    return ", ".join(parts).capitalize() + "."
