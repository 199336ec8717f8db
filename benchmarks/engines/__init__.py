"""The engines: how each makes a model run, and train.

A module here offers functions from a Job to its forms: ways to run the model, of which the quickest is measured
("at its best"); what is told of compiling is of the first. Only the worker imports the modules, each in the
environment that has its library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
# Small, so that thousands of steps on one batch do not end with gradients of 0.
LEARNING_RATE = 1e-5
STEPS = 6  # whose losses are compared


@dataclass(frozen=True)
class Job:
    """One model for one engine, as it travels to the process."""

    engine: str
    task: str  # "inference", "training" or "operator"
    name: str  # of the architecture
    model: str  # the ONNX file
    folded: str  # the same after constants are folded, if all sizes are fixed, for who cannot do so; or empty
    data: str  # the arrays: `in:NAME`, `out:NAME`; training has `weight:NAME`, `state:NAME`
    folder: str  # for what is made meanwhile
    threads: int
    precision: str
    dynamic: bool
    optimizer: str
    preset: str
    forms: int | None  # so many are enough; None: all that there are
    tolerance: float = math.inf  # of an answer's error, relative to its range

    def arrays(self, part: str) -> dict[str, np.ndarray]:
        with np.load(self.data) as arrays:
            return {key[len(part) + 1 :]: arrays[key] for key in arrays if key.startswith(part + ":")}

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass
class Program:
    """A model that is ready. `run` ends when its results are there; training's is the loss, a float."""

    run: Callable[[], Any]
    outputs: Callable[[Any], list[np.ndarray]] = list
    artefact: Callable[[], int] | None = None  # bytes of what has to be kept to run it again
    tensors: Callable[[], int] | None = None  # the most bytes of tensors at once, for those that can tell


Form = tuple[str, Callable[[], Program]]
Forms = Iterator[Form]


@dataclass(frozen=True)
class Engine:
    title: str
    module: str
    packages: tuple[str, ...]  # whose versions are told
    environment: str | None  # in build/benchmarks-venv; None is .venv
    inference: tuple[str, ...] = ()  # precisions
    training: tuple[str, ...] = ()
    also: str = ""  # what the module's functions are called behind the task's name

    def precisions(self, task: str) -> tuple[str, ...]:
        return self.training if task == "training" else self.inference

    def forms(self, job: Job) -> Forms:
        found = import_module(f"benchmarks.engines.{self.module}")
        task = "training" if job.task == "training" else "inference"
        return getattr(found, task + self.also)(job)


ALL, BOTH, F32 = ("f32", "bf16", "int8"), ("f32", "bf16"), ("f32",)
ENGINES: dict[str, Engine] = {
    "nacre": Engine("Nacre", "nacre", (), None, ALL, BOTH),
    "onnxruntime": Engine("ONNX Runtime", "onnx_runtime", ("onnxruntime",), None, ("f32", "int8")),
    "openvino": Engine("OpenVINO", "openvino", ("openvino",), "peers", ALL),
    "eager": Engine("PyTorch eager", "pytorch", ("torch",), None, BOTH, BOTH),
    "compile": Engine("torch.compile", "pytorch", ("torch",), None, BOTH, BOTH, "_compiled"),
    "iree": Engine("IREE", "iree", ("iree-base-compiler",), "peers", F32),
    "tvm": Engine("TVM (untuned)", "tvm", ("apache-tvm",), "peers", F32),
    "jax": Engine("JAX", "jax", ("jax",), None, (), F32),
    "tensorflow": Engine("TensorFlow", "tensorflow", ("tensorflow-cpu",), "tensorflow", (), F32),
}


def of_files(job: Job, make: Callable[[str], Program]) -> Forms:
    """The model as it is, and folded."""
    yield "", lambda: make(job.model)
    if job.folded:
        yield "folded", lambda: make(job.folded)


def files_size(*paths: str | Path) -> int:
    return sum(Path(path).stat().st_size for path in paths)
