"""The engines that are compared, each in a process of its own.

A process loads one model, checks its answer, and then times rounds on request.
While one engine is timed the others wait, so that nothing shares the cores.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
Feeds = dict[str, np.ndarray]
Outputs = list[np.ndarray]


def load_nacre(model: str, dims: dict[str, int], feeds: Feeds, threads: int, preset: str) -> Callable[[], Outputs]:
    sys.path.insert(0, str(ROOT / "build" / preset / "python"))
    import nacre

    program = nacre.compile(model, dims=dims, threads=threads)
    return lambda: program.run(feeds)


def load_onnxruntime(model: str, dims: dict[str, int], feeds: Feeds, threads: int, _: str) -> Callable[[], Outputs]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    for name, size in dims.items():
        options.add_free_dimension_override_by_name(name, size)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feeds)


ENGINES = {"nacre": load_nacre, "onnxruntime": load_onnxruntime}


def largest_error(outputs: Outputs, references: Outputs) -> float:
    """The largest error relative to the range of its output."""
    return max(
        float(np.abs(o - r).max() / max(float(np.ptp(r)), 1e-30))
        for o, r in zip(outputs, references, strict=True)
    )


def _serve(
    pipe: Connection,
    engine: str,
    model: str,
    dims: dict[str, int],
    feeds: Feeds,
    references: Outputs,
    threads: int,
    preset: str,
) -> None:
    try:
        start = time.perf_counter()
        run = ENGINES[engine](model, dims, feeds, threads, preset)
        loading = time.perf_counter() - start
        pipe.send((loading, largest_error(run(), references)))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    while (seconds := pipe.recv()) is not None:
        pipe.send(_round(run, seconds))


def _round(run: Callable[[], Any], seconds: float) -> float:
    """The least time of a run in at least `seconds` and five runs, after two to warm up."""
    clock = time.perf_counter
    run()
    run()
    best = float("inf")
    count = 0
    end = clock() + seconds
    while count < 5 or clock() < end:
        start = clock()
        run()
        best = min(best, clock() - start)
        count += 1
    return best


class EngineFailed(Exception):
    pass


class Engine:
    """One engine with one model loaded, in its process."""

    def __init__(
        self,
        name: str,
        model: Path,
        dims: dict[str, int],
        feeds: Feeds,
        references: Outputs,
        threads: int,
        preset: str,
    ) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, child = context.Pipe()
        arguments = (child, name, str(model), dims, feeds, references, threads, preset)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        child.close()
        answer = self._receive()
        if isinstance(answer, str):
            raise EngineFailed(f"{name}: {answer}")
        self.loading_seconds, self.error = answer

    def round(self, seconds: float) -> float:
        self._pipe.send(seconds)
        return self._receive()

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            raise EngineFailed(f"{self.name}: ended with {self._process.exitcode}") from None
