"""The command `nacre verify`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import nacre

from . import REFERENCES, Report, Values, find_pass, verify
from .differences import Difference
from .files import load, save


def make_inputs(model: onnx.ModelProto, given: Mapping[str, Any], sizes: Mapping[str, int], seed: int) -> Values:
    """Values for all inputs: those given, and random ones for the rest."""
    random = np.random.default_rng(seed)
    known = {tensor.name for tensor in model.graph.initializer}
    declared = {value.name: value for value in model.graph.input if value.name not in known}
    for name in given:
        if name not in declared:
            raise ValueError(f"no input is named '{name}'; the model's inputs are: {', '.join(map(repr, declared))}")
    values = {}
    for name, value in declared.items():
        if name in given:
            values[name] = given[name]
            continue
        if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
            raise ValueError(f"the input '{name}' is no tensor of known rank: give its value with --input")
        tensor = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else sizes.get(d.dim_param, 1) for d in tensor.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if tensor.elem_type == onnx.TensorProto.STRING:
            raise ValueError(f"the input '{name}' holds strings: give its value with --input")
        # Small integers: they may be indices.
        numbers = random.integers(0, 2, shape) if dtype.kind in "iub" else random.standard_normal(shape)
        values[name] = numbers.astype(dtype)
    return values


def _read_inputs(files: list[str], archives: list[str]) -> Values:
    values: Values = {}
    for path in archives:
        with np.load(path, allow_pickle=False) as archive:
            values.update({name: archive[name] for name in archive.files})
    for text in files:
        name, _, path = text.partition("=")
        if not name or not path:
            raise ValueError(f"--input {text}: expected name=file")
        values[name] = load(Path(path))
    return values


def _sizes(texts: list[str]) -> dict[str, int]:
    sizes = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not name or not size.isdigit():
            raise ValueError(f"--size {text}: expected symbol=size")
        sizes[name] = int(size)
    return sizes


def _write_reduced(report: Report, path: Path) -> Path:
    archive = path.with_suffix(".npz")
    onnx.save_model(report.reduced, path)
    save(archive, report.reduced_inputs)
    return archive


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nacre verify", description="Compares all of a model's values with a reference.")
    parser.add_argument("model")
    parser.add_argument("--against", choices=REFERENCES, default="reference")
    parser.add_argument("--input", action="append", default=[], metavar="name=file")
    parser.add_argument("--inputs", action="append", default=[], metavar="file.npz")
    parser.add_argument("--random", type=int, default=0, metavar="seed")
    parser.add_argument("--size", action="append", default=[], metavar="symbol=8")
    parser.add_argument("--tolerance", type=float)
    parser.add_argument("--reduce", type=Path, metavar="small.onnx")
    parser.add_argument("--bisect", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tool", default="nacre", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    shows = sys.stderr.isatty()

    def progress(step: str) -> None:
        if shows:
            print(f"\r\033[K{step}", end="", file=sys.stderr, flush=True)

    reference = REFERENCES[options.against]
    try:
        model = onnx.load(options.model)
        given = _read_inputs(options.input, options.inputs)
        inputs = make_inputs(model, given, _sizes(options.size), options.random)
        report = verify(model, inputs, reference, options.tolerance, progress)
        guilty = None
        if options.bisect and report.first:
            subject = report.reduced or model
            fed = report.reduced_inputs if report.reduced else inputs
            names = [value.name for value in subject.graph.output]
            expected = reference(subject, fed, names)
            guilty = find_pass(subject, fed, expected, options.tool, options.tolerance, progress)
    except Exception as error:  # the model's, an input's or the reference's fault
        progress("")
        kind = "" if isinstance(error, (nacre.Error, ValueError, OSError)) else f"{type(error).__name__}: "
        print(f"nacre: error: {kind}{error}", file=sys.stderr)
        return 3 if isinstance(error, nacre.InternalError) else 1
    progress("")
    archive = _write_reduced(report, options.reduce) if options.reduce and report.reduced else None
    (_print_json if options.json else _print)(report, options, archive, guilty)
    return 1 if report.first else 0


def _reproduction(options: argparse.Namespace, archive: Path | None) -> str | None:
    if archive is None:
        return None
    rest = f" --tolerance {options.tolerance}" if options.tolerance is not None else ""
    rest += f" --against {options.against}" if options.against != "reference" else ""
    return f"nacre verify {options.reduce} --inputs {archive}{rest}"


def _print(report: Report, options: argparse.Namespace, archive: Path | None, guilty: list[str] | None) -> None:
    if report.first is None:
        print(f"{report.compared} values agree with {options.against}")
        return
    print(f"{report.node}: {report.first.name}: {report.first}")
    if report.only_fused:
        print("  only where it is fused with others: as an output of the model it agrees")
    for difference in report.outputs:
        print(f"output {difference.name}: {difference}")
    if not report.outputs:
        print("the model's outputs agree")
    if archive is not None:
        print(f"reproduce with: {_reproduction(options, archive)}")
    elif options.reduce:
        print("no part of the model shows the difference by itself")
    elif report.reduced is not None and len(report.reduced.graph.node) < report.nodes:
        print("a smaller model shows it: --reduce small.onnx writes it")
    if guilty:
        print("it is gone without the pass " + " or ".join(guilty))
    elif guilty is not None:
        print("no pass can be left out that makes it go")


def _print_json(report: Report, options: argparse.Namespace, archive: Path | None, guilty: list[str] | None) -> None:
    def to_json(difference: Difference) -> dict[str, Any]:
        fields = {key: value for key, value in vars(difference).items() if value is not None}
        return {**fields, "text": str(difference)}

    print(json.dumps({
        "agrees": report.first is None,
        "compared": report.compared,
        "node": report.node or None,
        "first": to_json(report.first) if report.first else None,
        "only_fused": report.only_fused,
        "outputs": [to_json(difference) for difference in report.outputs],
        "reproduce": _reproduction(options, archive),
        "passes": guilty,
    }, indent=2))


if __name__ == "__main__":
    sys.exit(main())
