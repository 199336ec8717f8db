#!/usr/bin/env python3
"""Training steps of Nacre beside PyTorch (eager, torch.compile), JAX and TensorFlow, interleaved in one run.

    .venv/bin/python benchmarks/training.py [MODEL...] [--engines nacre,eager,...] [--optimizer adam]

Each engine has a process of its own; their rounds alternate, so that all meet the same machine. A step's time is
the median over the rounds of the least time in a round. Before that, each engine's first losses must be PyTorch's.
The first step's time is from the start of the process, with nothing compiled before; memory is what the process
grew by, from when its libraries were loaded, and for Nacre and PyTorch the bytes of all tensors at once.

TensorFlow is installed into a virtual environment of its own, build/benchmarks-venv, when it is first asked for.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("mlp", "convnet", "resnet18", "lstm", "bert")
ENGINES = ("nacre", "eager", "compile", "jax", "tensorflow")
TENSORFLOW = "tensorflow-cpu==2.21.0"


def python_of(engine: str) -> str:
    """The interpreter that has the engine's library."""
    if engine != "tensorflow":
        return sys.executable
    folder = ROOT / "build" / "benchmarks-venv"
    python = folder / "bin" / "python"
    has = [str(python), "-c", "import tensorflow"]
    if not python.exists() or subprocess.run(has, capture_output=True, check=False).returncode:
        print(f"installing {TENSORFLOW} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", TENSORFLOW], check=True)
    return str(python)


def prepare(name: str, folder: Path) -> None:
    """Writes what the engines read: the exported model, weights, a batch. In a process of its own, for torch."""
    code = f"import training; training.write({name!r}, {str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True, stderr=subprocess.DEVNULL)


def write(name: str, folder: str) -> None:
    sys.path.insert(0, str(ROOT / "test" / "e2e" / "training"))
    import architectures
    import numpy as np

    module, inputs, targets = architectures.make(architectures.FULL[name], seed=1)
    state = {n: b.clone() for n, b in module.named_buffers() if n.endswith(("running_mean", "running_var"))}
    arrays = {f"weight:{n}": p.detach().numpy() for n, p in module.named_parameters()}
    arrays |= {f"state:{n}": b.numpy() for n, b in state.items()}
    arrays |= {f"in:{n}": v.numpy() for n, v in (inputs | targets).items()}
    np.savez(Path(folder) / "data.npz", **arrays)
    architectures.export(module, inputs, Path(folder) / "model.onnx", dynamo=False, dynamic=False)


class EngineFailed(Exception):
    pass


class Engine:
    """One engine with one model, in its process."""

    def __init__(self, name: str, model: str, folder: Path, options: argparse.Namespace) -> None:
        self.name = name
        command = [python_of(name), str(Path(__file__).parent / "training_engines.py"), str(folder), name, model]
        command += [options.optimizer, str(options.threads), options.preset]
        caches = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"), "NACRE_CACHE_DIR": ""}
        environment = os.environ | caches | {"BENCHMARK_BEGAN": str(time.monotonic())}
        pipe = subprocess.PIPE
        self._log = (folder / f"{name}.log").open("w+")
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log, text=True, env=environment)
        self.found = self._receive()

    def round(self, seconds: float) -> float:
        assert self._process.stdin
        print(seconds, file=self._process.stdin, flush=True)
        return float(self._receive()["seconds"])

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        self._log.seek(0)
        raise EngineFailed(f"{self.name} ended with {self._process.wait()}:\n{self._log.read()[-2000:]}")


def check_losses(engine: Engine, expected: list[float]) -> None:
    """The first loss, and what five steps changed of it."""
    for form, losses in engine.found["losses"].items():
        change, wanted = losses[-1] - losses[0], expected[-1] - expected[0]
        if abs(losses[0] - expected[0]) > 1e-4 * expected[0]:
            raise SystemExit(f"{engine.name} ({form}): the first loss is {losses[0]}, PyTorch's {expected[0]}")
        if abs(change - wanted) > 0.1 * abs(wanted) + 1e-5 * expected[0]:
            raise SystemExit(f"{engine.name} ({form}): five steps change the loss by {change}, PyTorch's by {wanted}")


def tensors_of(engine: str, model: str, folder: Path, options: argparse.Namespace) -> int | None:
    """The most bytes of tensors at once, for those that can tell."""
    if engine == "eager":
        counting = Engine("tensors", model, folder, options)
        counting.close()
        return int(counting.found["tensors"])
    if engine != "nacre":
        return None
    nacre, made = ROOT / "build" / options.preset / "bin" / "nacre", folder / "model.so"
    train = ["--train", "softmax-cross-entropy", "--optimizer", options.optimizer]
    subprocess.run([nacre, "compile", folder / "model.onnx", *train, "-o", made], check=True)
    info = json.loads(subprocess.run([nacre, "info", made, "--json"], check=True, capture_output=True).stdout)
    arena = next(f["arena_bytes"] for f in info["functions"] if f["name"] == "step")
    return int(arena) + int(info["state_bytes"])


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        prepare(name, folder)
        engines = []
        for engine in options.engines:
            try:
                engines.append(Engine(engine, name, folder, options))
            except EngineFailed as failed:
                print(f"{name}: {failed}", file=sys.stderr, flush=True)
        eager = next((e for e in engines if e.name == "eager"), engines[0])
        for engine in engines:
            check_losses(engine, eager.found["losses"]["plain" if eager.name == "eager" else eager.found["form"]])
        rounds: dict[str, list[float]] = {engine.name: [] for engine in engines}
        for number in range(options.rounds):
            # Who goes first changes from round to round.
            for engine in engines if number % 2 else reversed(engines):
                rounds[engine.name].append(engine.round(options.seconds))
                time.sleep(0.05)  # the engine's threads stop spinning
        result: dict[str, Any] = {"model": name, "optimizer": options.optimizer, "threads": options.threads}
        for engine in engines:
            engine.close()
            result[engine.name] = {
                "ms": 1e3 * statistics.median(rounds[engine.name]),
                "rounds_ms": [1e3 * t for t in rounds[engine.name]],
                "form": engine.found["form"],
                "first_step_s": engine.found["first"],
                "growth_bytes": engine.found["growth"],
                "tensor_bytes": tensors_of(engine.name, name, folder, options),
            }
        return result


def print_rows(result: dict[str, Any], engines: list[str]) -> None:
    first = result.get(engines[0], {}).get("ms", math.nan)
    for engine in engines:
        if not (row := result.get(engine)):
            print(f"{result['model']:12}{engine:12}{'failed':>10}")
            continue
        tensors = row["tensor_bytes"]
        print(
            f"{result['model']:12}{engine:12}{row['ms']:>10.3f}{first / row['ms']:>8.2f}{row['first_step_s']:>12.2f}"
            f"{row['growth_bytes'] / 1e6:>11.1f}{f'{tensors / 1e6:.1f}' if tensors else '':>12}  {row['form']}",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=" ".join(MODELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="least time of a round")
    parser.add_argument("--engines", default=",".join(ENGINES), help="the first is compared")
    parser.add_argument("--optimizer", choices=("adam", "sgd"), default="adam")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--preset", default=os.environ.get("NACRE_PRESET", "release"))
    options = parser.parse_args()
    options.engines = options.engines.split(",")
    for name in options.models:
        if name not in MODELS:
            parser.error(f"no model '{name}' (one of: {' '.join(MODELS)})")
    for name in options.engines:
        if name not in ENGINES:
            parser.error(f"no engine '{name}' (one of: {' '.join(ENGINES)})")

    print(f"{options.optimizer}, {options.threads} threads; ratio: below 1 {options.engines[0]} is faster")
    print(f"{'model':12}{'engine':12}{'step, ms':>10}{'ratio':>8}{'first, s':>12}{'grown, MB':>11}{'tensors, MB':>12}")
    results = []
    for name in options.models or MODELS:
        results.append(measure(name, options))
        print_rows(results[-1], options.engines)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
