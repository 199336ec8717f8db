"""Models for end-to-end tests and benchmarks, exported once and kept in build/models.

    files = zoo.get("resnet50")      # generates what is missing or out of date

Importing this package does not import torch: models are made in a process of
their own, and what is measured or tested beside them keeps a clean one.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("NACRE_MODELS", ROOT / "build" / "models"))
HERE = Path(__file__).resolve().parent

# What the tests run; specs.py has more, for benchmarks.
NAMES = ("mlp", "lstm", "mobilenet_v2", "resnet50", "vit_b16", "bert_base", "gpt2")


@dataclass(frozen=True)
class Data:
    """One data set: inputs, and outputs in float64 precision."""

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    flops: int  # of contractions


@dataclass(frozen=True)
class Files:
    name: str
    model: Path

    def data_sets(self) -> list[Data]:
        return [read(path) for path in sorted(self.model.parent.glob("data-*.npz"))]


def read(path: Path) -> Data:
    with np.load(path) as arrays:
        inputs = {k[3:]: arrays[k] for k in arrays if k.startswith("in:")}
        outputs = {k[4:]: arrays[k] for k in arrays if k.startswith("out:")}
        return Data(inputs, outputs, int(arrays["flops"]))


def get(name: str) -> Files:
    """The model's files, made now if they are missing or their sources changed."""
    folder = CACHE / name

    def make() -> None:
        made = subprocess.run(
            [sys.executable, "-m", "zoo.generate", name, str(folder)],
            cwd=HERE.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"could not generate {name}:\n{made.stdout}\n{made.stderr}")

    keep(folder, _key(), make)
    return Files(name, folder / "model.onnx")


def keep(folder: Path, key: str, make: Callable[[], None]) -> None:
    """Has the folder filled, unless it was with the same key; other processes wait meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamp = folder / "key"
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == key:
            return
        print(f"exporting {folder.name} to {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make()
        stamp.write_text(key)


def _key() -> str:
    """Changes when the generators or what they stand on change; comments do not count."""
    digest = hashlib.sha256()
    for file in sorted(HERE.glob("*.py")):
        if file.name != "__init__.py":
            digest.update(ast.dump(ast.parse(file.read_text())).encode())
    for package in ("torch", "transformers", "onnxscript"):
        digest.update(metadata.version(package).encode())
    return digest.hexdigest()
