"""TVM's Relax with its default schedules, not tuned: tuning takes hours for each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from . import Forms, Job, Program, files_size, of_files


def inference(job: Job) -> Forms:
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    def make(model: str) -> Program:
        module = from_onnx(onnx.load(model), keep_params_in_input=False)
        target = tvm.target.Target({"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()})
        with target:
            executable = tvm.compile(module, target=target)
        machine = relax.VirtualMachine(executable, tvm.cpu())
        feeds = [tvm.runtime.tensor(v) for v in job.arrays("in").values()]
        main = machine["main"]

        def artefact() -> int:
            made = Path(job.folder) / "model.so"
            executable.export_library(str(made))
            return files_size(made)

        return Program(lambda: main(*feeds), arrays, artefact)

    yield from of_files(job, make)


def arrays(result: Any) -> list[np.ndarray]:
    return [result.numpy()] if hasattr(result, "numpy") else [value.numpy() for value in result]
