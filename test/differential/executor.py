"""Runs models in a process of their own, which may crash or never answer."""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import resource
import signal
import tempfile
from multiprocessing import connection
from typing import Any

import onnx

MEMORY = 12 << 30  # address space of a process


def _find_sizes(model: bytes, inputs: dict[str, Any], most: int) -> dict[str, list[int]]:
    """The sizes that the first symbols have in this run."""
    sizes: dict[str, list[int]] = {}
    for info in onnx.load_model_from_string(model).graph.input:
        shape = getattr(inputs.get(info.name), "shape", ())
        for dim, size in zip(info.type.tensor_type.shape.dim, shape):
            if dim.dim_param and len(sizes) < most:
                sizes.setdefault(dim.dim_param, [size])
    return sizes


def _nacre(model: bytes, inputs: dict[str, Any], threads: int, versions: int) -> tuple[str, Any]:
    import nacre

    try:
        specialize = _find_sizes(model, inputs, versions)
        program = nacre.compile(model, threads=threads, example=inputs, cache_dir="", specialize=specialize)
    except nacre.CompileError as error:
        return "refused", str(error)
    except Exception as error:
        return "error", "while compiling: " + f"{type(error).__name__}: {error}"
    try:
        first = list(program.run(dict(inputs)))
        second = list(program.run(dict(inputs)))
    except Exception as error:
        return "error", "while running: " + f"{type(error).__name__}: {error}"
    return "ran", (first, second)


def _onnxruntime(model: bytes, inputs: dict[str, Any], threads: int, versions: int) -> tuple[str, Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        taken = {i.name for i in session.get_inputs()}
        outputs = session.run(None, {n: v for n, v in inputs.items() if n in taken})
        return "ran", (outputs, outputs)
    except Exception as error:
        return "refused", str(error)


def _work(pipe: connection.Connection, log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the parent
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        os.ftruncate(descriptor, 0)
        backend, *job = job
        pipe.send((_nacre if backend == "nacre" else _onnxruntime)(*job))


class Executor:
    """One process, which is replaced when it ends or is ended. Nacre makes versions of models for the sizes
    of a run's first symbols, as many as `versions` says."""

    def __init__(self, limit: float = 60, versions: int = 0) -> None:
        self.limit = limit
        self.versions = versions
        self._log = tempfile.NamedTemporaryFile(prefix="nacre-differential-")
        self._process: Any = None
        self._pipe: Any = None

    def run(self, backend: str, model: onnx.ModelProto, inputs: dict[str, Any], threads: int = 1) -> tuple[str, Any]:
        """Outputs of two runs, or why there are none: refused, error, crash, hang."""
        status, result = self._try(backend, model, inputs, threads, self.limit)
        if status == "hang":  # a busy machine is none
            return self._try(backend, model, inputs, threads, 3 * self.limit)
        return status, result

    def _try(
        self, backend: str, model: onnx.ModelProto, inputs: dict[str, Any], threads: int, limit: float
    ) -> tuple[str, Any]:
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, child = context.Pipe()
            self._process = context.Process(target=_work, args=(child, self._log.name), daemon=True)
            self._process.start()
            child.close()
        try:
            self._pipe.send((backend, model.SerializeToString(), inputs, threads, self.versions))
            if not self._pipe.poll(limit):
                self.stop()
                return "hang", f"no answer in {limit:.0f} s"
            return self._pipe.recv()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._process.join()
            code = self._process.exitcode or 0
            self.stop()
            ended = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            with open(self._log.name, errors="replace") as log:
                return "crash", f"{ended}\n{log.read().strip()[-3000:]}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None
