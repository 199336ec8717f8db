"""Nacre from the build tree: compiled in memory, without a cache of kernels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from . import LEARNING_RATE, ROOT, Forms, Job, Program, files_size


def load(job: Job) -> Any:
    sys.path.insert(0, str(ROOT / "build" / job.preset / "python"))
    import nacre

    return nacre


def inference(job: Job) -> Forms:
    nacre = load(job)
    options: dict[str, Any] = {"cache_dir": "", "precision": "f32" if job.precision == "int8" else job.precision}

    def artefact() -> int:
        made = Path(job.folder) / "model.so"
        nacre.compile_to_file(job.model, made, **options)
        return files_size(made)

    feeds = job.arrays("in")

    def make() -> Program:
        model = nacre.compile(job.model, threads=job.threads, **options)
        return Program(lambda: model.run(feeds), artefact=artefact)

    yield "", make


def training(job: Job) -> Forms:
    nacre = load(job)
    options: dict[str, Any] = {
        "cache_dir": "",
        "train": {"optimizer": job.optimizer, "precision": job.precision},
    }
    feeds: dict[str, Any] = {**job.arrays("in"), "learning_rate": np.float32(LEARNING_RATE)}
    made = Path(job.folder) / "model.so"

    def artefact() -> int:
        nacre.compile_to_file(job.model, made, **options)
        return files_size(made)

    def tensors() -> int:
        tool = ROOT / "build" / job.preset / "bin" / "nacre"
        told = subprocess.run([tool, "info", made, "--json"], check=True, capture_output=True).stdout
        info = json.loads(told)
        arena = next(f["arena_bytes"] for f in info["functions"] if f["name"] == "step")
        return int(arena) + int(info["state_bytes"])

    def make() -> Program:
        model = nacre.compile(job.model, threads=job.threads, **options)
        return Program(lambda: float(model.run(feeds, function="step")[0]), artefact=artefact, tensors=tensors)

    yield "", make
