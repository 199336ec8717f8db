#!/usr/bin/env python3
"""Nacre beside ONNX Runtime: latency of whole models, interleaved in one run.

    .venv/bin/python benchmarks/compare.py [MODEL...] [--threads N] [--json FILE]

Each engine has a process of its own; their rounds alternate, so that both meet
the same machine. A latency is the median over the rounds of the least time in
a round. Answers are checked against float64 references before timing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test" / "e2e"))

import zoo  # noqa: E402
from engines import ENGINES, Engine  # noqa: E402

DEFAULT = ("mlp", "resnet50", "bert_base")
TOLERANCE = 1e-4


def sizes_of(data: zoo.Data, model: Path) -> dict[str, int]:
    """The sizes that the data set gives the model's dynamic dimensions."""
    import onnx

    sizes = {}
    for info in onnx.load(model, load_external_data=False).graph.input:
        for dim, size in zip(info.type.tensor_type.shape.dim, data.inputs[info.name].shape):
            if dim.dim_param:
                sizes[dim.dim_param] = size
    return sizes


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    files = zoo.get(name)
    data = files.data_sets()[0]
    dims = sizes_of(data, files.model)
    engines = [
        Engine(
            engine,
            files.model,
            dims,
            data.inputs,
            list(data.outputs.values()),
            options.threads,
            options.preset,
        )
        for engine in options.engines
    ]
    rounds: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for number in range(options.rounds):
        # Who goes first changes from round to round.
        for engine in engines if number % 2 else reversed(engines):
            rounds[engine.name].append(engine.round(options.seconds))
            time.sleep(0.05)  # the engine's threads stop spinning
    result: dict[str, Any] = {"model": name, "sizes": dims, "threads": options.threads}
    for engine in engines:
        if not engine.error <= TOLERANCE:
            raise SystemExit(f"{name}: {engine.name} is wrong by {engine.error:.2g} of the range")
        result[engine.name] = {
            "ms": 1e3 * statistics.median(rounds[engine.name]),
            "rounds_ms": [1e3 * t for t in rounds[engine.name]],
            "loading_s": engine.loading_seconds,
            "error": engine.error,
        }
        engine.close()
    return result


def print_row(result: dict[str, Any], engines: list[str]) -> None:
    name = result["model"] + "".join(f" {k}={v}" for k, v in result["sizes"].items())
    cells = "".join(f"{result[engine]['ms']:>16.4f}" for engine in engines)
    ratios = "".join(
        f"{result[engines[0]]['ms'] / result[other]['ms']:>10.2f}" for other in engines[1:]
    )
    print(f"{name:36}{cells}{ratios}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=" ".join(zoo.NAMES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="least time of a round")
    parser.add_argument("--engines", default=",".join(ENGINES), help="the first is compared")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--preset", default=os.environ.get("NACRE_PRESET", "release"))
    options = parser.parse_args()
    options.engines = options.engines.split(",")
    models = options.models or list(DEFAULT)
    for name in models:
        if name not in zoo.NAMES:
            parser.error(f"no model '{name}' (one of: {' '.join(zoo.NAMES)})")

    print(f"ms, {options.threads} threads; ratio: below 1 {options.engines[0]} is faster")
    titles = "".join(f"{engine:>16}" for engine in options.engines)
    print(f"{'model':36}{titles}" + f"{'ratio':>10}" * (len(options.engines) - 1), flush=True)
    results = []
    for name in models:
        results.append(measure(name, options))
        print_row(results[-1], options.engines)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
