#!/usr/bin/env python3
"""Matrix products on one thread as a share of the FMA peak measured beside them.

    .venv/bin/python benchmarks/matmul.py [N...] [--json FILE]

For each N two products of N x N matrices: with a constant right-hand side (a
weight, which may be packed at compile time) and with both as inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines import ENGINES, ROOT, Engine

WORK = ROOT / "build" / "benchmarks"


def fma_peak() -> float:
    """GFLOP/s of one thread, now."""
    program = WORK / "fma_peak"
    source = Path(__file__).with_name("fma_peak.c")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        options = ["-O2", "-march=native", "-ffp-contract=fast"]
        subprocess.run(["clang-22", *options, str(source), "-o", str(program)], check=True)
    return float(subprocess.run([program], capture_output=True, text=True, check=True).stdout)


def product(size: int, constant: bool) -> tuple[Path, dict[str, np.ndarray], np.ndarray]:
    """A model of one MatMul, its inputs, and the product in float64."""
    random = np.random.default_rng(size)
    a, b = (random.uniform(-1, 1, (size, size)).astype(np.float32) for _ in range(2))
    shape = [size, size]
    names = ["a"] if constant else ["a", "b"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"], name="product")],
        "matmul",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in names],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(b, "b")] if constant else [],
    )
    path = WORK / f"matmul-{size}-{'constant' if constant else 'inputs'}.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    feeds = {"a": a} if constant else {"a": a, "b": b}
    return path, feeds, a.astype(np.float64) @ b.astype(np.float64)


def measure(size: int, constant: bool, options: argparse.Namespace) -> dict[str, Any]:
    model, feeds, reference = product(size, constant)
    engine = Engine(options.engine, model, {}, feeds, [reference], 1, options.preset)
    if not engine.error <= 1e-5:
        raise SystemExit(f"{model}: wrong by {engine.error:.2g} of the range")
    times, shares = [], []
    for _ in range(options.rounds):
        peak = fma_peak()
        times.append(engine.round(0.5))
        shares.append(2 * size**3 / times[-1] / 1e9 / peak)
    engine.close()
    return {
        "n": size,
        "constant": constant,
        "ms": 1e3 * statistics.median(times),
        "share": statistics.median(shares),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", type=int, metavar="N", default=[1024])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--engine", choices=ENGINES, default="nacre")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--preset", default=os.environ.get("NACRE_PRESET", "release"))
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    results = []
    for size in options.sizes:
        for constant in (True, False):
            result = measure(size, constant, options)
            results.append(result)
            side = "constant" if constant else "input"
            print(
                f"{size}x{size}x{size}, right-hand side {side}: {result['ms']:.3f} ms, "
                f"{100 * result['share']:.1f} % of the FMA peak",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
