"""Single operators of Nacre beside oneDNN, as OpenVINO and PyTorch expose it, over the shapes of the models.

    benchmarks/kernels --list                         the operators, and where they occur
    benchmarks/kernels conv matmul --models resnet50 bert_base
    benchmarks/kernels square --threads 1             products of 512 to 2048: how near to the peak
    benchmarks/kernels lstm --engines nacre onnxruntime openvino eager compile iree

The operators of the models that benchmarks/run measures, batch 1 unless --models says otherwise: after constants
are folded and batch normalisations are part of convolutions, each distinct one as a model of its own. Inputs and
outputs have the layout that ONNX says, except that PyTorch is measured with channels last and with oneDNN's own
layouts as well, and the quickest counts. How it is measured, and the other options, are those of benchmarks/run.

The results are build/benchmarks/kernels.{json,md}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import cases, command, prepare
from .cases import Case, Files
from .engines import ROOT

FOLDER = ROOT / "build" / "benchmarks" / "operators"
SQUARES = [f"{size}-{kind}" for size in (512, 1024, 2048) for kind in ("constant", "inputs")]


def operators(models: list[Case]) -> dict[str, dict[str, int]]:
    """The operators' names; which models have them, and how often."""
    found: dict[str, dict[str, int]] = {f"square/{name}": {} for name in SQUARES}
    for case in models:
        print(f"operators of {case.id}", file=sys.stderr, flush=True)
        model = cases.folded(cases.model_of(case))
        told = FOLDER / "models" / f"{case.id.replace('/', '-')}.json"
        if not told.exists() or told.stat().st_mtime < model.stat().st_mtime:
            told.parent.mkdir(parents=True, exist_ok=True)
            prepare.call("operators", model, FOLDER, told)
        for name, count in json.loads(told.read_text()).items():
            found.setdefault(name, {})[case.id] = count
    return dict(sorted(found.items()))


def files(case: Case, precision: str, optimizer: str, folder: Path) -> Files:
    model, data = FOLDER / case.id / "model.onnx", FOLDER / case.id / "data.npz"
    if not data.exists():
        prepare.call("square", *case.id.partition("/")[2].split("-"), model.parent)
    return cases.with_data(cases.quantised(model, data) if precision == "int8" else model, data)


def main() -> int:
    parser = command.parser("kernels", __doc__ or "", ["nacre", "openvino", "eager"])
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="as benchmarks/run --list tells them")
    parser.set_defaults(optimizer="")
    options = parser.parse_args()
    options.output = options.output or ROOT / "build" / "benchmarks" / "kernels"
    static = [case for case in cases.INFERENCE if not case.dynamic]
    usual = [case for case in static if case.sizes.get("batch", 1) == 1]
    models = command.choose(static, options.models) if options.models else usual
    if options.cases and all(name.startswith("square") for name in options.cases):
        models = []  # none is needed
    found = operators(models)
    available = [Case(name, name, "operator", occurs=occurs) for name, occurs in found.items()]
    chosen = command.choose(available, options.cases)
    if options.list:
        for case in chosen:
            print(case.id, " ".join(f"{model}:{count}" for model, count in case.occurs.items()))
        return 0
    return command.compare(chosen, options, files)


if __name__ == "__main__":
    sys.exit(main())
