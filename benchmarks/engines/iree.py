"""IREE for this CPU, by its command line tools; the runtime in this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from . import Forms, Job, Program, files_size, of_files

# Without these it is several times slower.
FLAGS = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
    "--iree-opt-level=O3",
    "--iree-llvmcpu-stack-allocation-limit=262144",  # else it refuses BERT
)


def inference(job: Job) -> Forms:
    import iree.runtime as runtime

    def make(model: str) -> Program:
        made = Path(job.folder) / f"{Path(model).parent.name}.vmfb"  # stays open
        imported = made.with_suffix(".mlir")
        call("iree.compiler.tools.import_onnx", model, "-o", imported)
        call("iree.compiler.tools.scripts.iree_compile", imported, "-o", made, *FLAGS)
        # What is allowed on the stack above does not fit on that of the runtime's threads.
        runtime.flags.parse_flags(f"--task_topology_group_count={job.threads}", "--task_worker_stack_size=2097152")
        config = runtime.Config("local-sync" if job.threads == 1 else "local-task")
        modules = runtime.load_vm_modules(
            runtime.create_hal_module(config.vm_instance, config.device),
            runtime.VmModule.mmap(config.vm_instance, str(made)),
            config=config,
        )
        (name,) = (n for n in modules[-1].vm_module.function_names if not n.startswith("_") and "$" not in n)
        function = modules[-1][name]
        feeds = [runtime.asdevicearray(config.device, v) for v in job.arrays("in").values()]

        def run() -> list[Any]:
            result = function(*feeds)
            return [r.to_host() for r in (result if isinstance(result, (tuple, list)) else [result])]

        return Program(run, artefact=lambda: files_size(made))

    yield from of_files(job, make)


def call(module: str, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()[-1:]
        raise RuntimeError(lines[0] if lines else f"{module} ended with {done.returncode}")
