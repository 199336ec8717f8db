"""Nacre beside its peers: latency, compile time, memory and size of whole models, and of their training steps.

    benchmarks/run                                  everything, f32, two threads; hours
    benchmarks/run --quick                          whether everything works; no figure of it counts
    benchmarks/run mlp resnet50/1 training/bert     some
    benchmarks/run '*/dynamic' --engines nacre onnxruntime openvino
    benchmarks/run --threads 1 2 --precision f32 bf16 int8

Each engine has a process of its own, and their rounds alternate. A latency is the median over the rounds of the
least time in a round; a ratio below 1 says that Nacre is faster. Answers are checked against float64 references
(training: the first losses against PyTorch's); who is wrong, refuses, crashes or takes too long has the reason in
its place. Compile time is from the model's file to the first answer, without the library's import, with nothing compiled
before, and on as many CPUs as there are threads. Memory is what the process grew by from when its library was loaded, at its peak, while compiling
and while running.

Peers are installed into build/benchmarks-venv when first asked for. The results are a JSON file with everything and
a Markdown page, by default build/benchmarks/models.{json,md}.
"""

from __future__ import annotations

import sys

from . import cases, command
from .engines import ENGINES, ROOT


def main() -> int:
    parser = command.parser("run", __doc__ or "", list(ENGINES))
    parser.add_argument("--optimizer", choices=("adam", "sgd"), default="adam", help="of training (default adam)")
    options = parser.parse_args()
    options.output = options.output or ROOT / "build" / "benchmarks" / "models"
    chosen = command.choose(cases.INFERENCE + cases.TRAINING, options.cases)
    if options.list:
        print("\n".join(case.id for case in chosen))
        return 0
    return command.compare(chosen, options, cases.files)


if __name__ == "__main__":
    sys.exit(main())
