"""Worker processes that survive what the product does to them.

Each worker is forked from the parent (which holds all cases), loads the backend
and takes one job at a time over a pipe. A worker that dies is a crash of its
job, one that exceeds the limit a hang; either is replaced.
"""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path

from backends import BACKENDS, Backend, Refused
from cases import Case
from compare import Mismatch, check_outputs
from random_cases import check_random

# The answers that are never accepted.
FAULTS = ("wrong", "error", "crash", "hang")
STATUSES = ("pass", "refused", *FAULTS)


@dataclass(frozen=True)
class Job:
    form: str
    case: Case

    @property
    def key(self) -> tuple[str, str]:
        """Form and case name, which tell jobs apart."""
        return self.form, self.case.key


@dataclass(frozen=True)
class Result:
    """What became of a job. `detail` is the reason, or what was wrong."""

    key: tuple[str, str]
    status: str
    detail: str = ""
    seconds: float = 0.0

    @property
    def form(self) -> str:
        return self.key[0]

    @property
    def case(self) -> str:
        return self.key[1]


def run_case(backend: Backend, job: Job) -> tuple[str, str]:
    """Status and detail of one case, in this process."""
    case = job.case
    names = case.input_names()
    try:
        data = case.data_sets()
    except Exception:
        return "error", "no expected values: " + traceback.format_exc()
    try:
        shapes = case.element_shapes() if job.form == "static" else {}
        example = dict(zip(names, data[0][0]))
        program = backend.compile(case.model(job.form), example, shapes)
    except Refused as error:
        return "refused", str(error)
    except Exception:
        return "error", "while compiling: " + traceback.format_exc()
    for inputs, expected in data:
        try:
            outputs = list(program.run(dict(zip(names, inputs))))
        except Exception:
            return "error", "while running: " + traceback.format_exc()
        try:
            if case.check:
                check_random(case.check, inputs, expected, outputs)
            else:
                check_outputs(expected, outputs, case.rtol, case.atol)
        except Mismatch as error:
            return "wrong", str(error)
    return "pass", ""


# Set before the workers are forked, so that only indices travel.
JOBS: list[Job] = []


def _work(pipe: connection.Connection, backend_name: str, log: Path, memory_limit: int) -> None:
    """A worker's life; what it prints goes to its log, for the parent to quote."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()  # how a worker ends is told by the parent
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the parent
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_limit:
        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    try:
        backend = BACKENDS[backend_name]()
    except Exception:
        pipe.send(traceback.format_exc())
        return
    while (index := pipe.recv()) is not None:
        os.ftruncate(descriptor, 0)
        start = time.monotonic()
        status, detail = run_case(backend, JOBS[index])
        pipe.send(Result(JOBS[index].key, status, detail, time.monotonic() - start))


class Worker:
    """One process and the job that it has, if any."""

    def __init__(self, backend: str, log: Path, memory_limit: int) -> None:
        self._log = log
        context = multiprocessing.get_context("fork")
        self.pipe, child = context.Pipe()
        self._process = context.Process(
            target=_work, args=(child, backend, log, memory_limit), daemon=True
        )
        self._process.start()
        child.close()
        self.index = -1
        self._start = 0.0
        self.deadline = 0.0

    def give(self, index: int, limit: float) -> None:
        self.index = index
        self._start = time.monotonic()
        self.deadline = self._start + limit
        self.pipe.send(index)

    def take(self) -> Result:
        """The result that is ready to be read: an answer, or the death of the process."""
        try:
            message = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return self._lost("crash", self._ended())
        if isinstance(message, str):
            raise RuntimeError(f"the backend does not load:\n{message}")
        return message

    def kill(self) -> Result:
        """Ends a job that takes too long."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
        return self._lost("hang", f"no answer in {self.deadline - self._start:.0f} s")

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _lost(self, status: str, detail: str) -> Result:
        return Result(JOBS[self.index].key, status, detail, time.monotonic() - self._start)

    def _ended(self) -> str:
        self._process.join()
        self.pipe.close()
        code = self._process.exitcode or 0
        ended = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        printed = self._log.read_text(errors="replace").strip()[-2000:]
        return f"{ended}\n{printed}".strip()


class Pool:
    """Runs jobs on a number of workers; yields results as they come."""

    def __init__(
        self, backend: str, count: int, limit: Callable[[Job], float], memory_limit: int
    ) -> None:
        self._backend = backend
        self._count = count
        self._limit = limit
        self._memory_limit = memory_limit

    def run(self, jobs: list[Job]) -> Iterator[Result]:
        JOBS[:] = jobs
        overdue: list[int] = []
        for index, result in self._run(range(len(jobs)), self._count, patience=1):
            if result.status == "hang":
                overdue.append(index)
            else:
                yield result
        # A busy machine is no hang: what was overdue gets a second chance, alone.
        for _, result in self._run(overdue, 1, patience=2):
            yield result

    def _run(
        self, indices: Iterable[int], count: int, patience: float
    ) -> Iterator[tuple[int, Result]]:
        queue = deque(indices)
        idle: list[Worker] = []
        busy: list[Worker] = []
        logs = itertools.count()
        with tempfile.TemporaryDirectory(prefix="nacre-conformance-") as folder:
            try:
                while queue or busy:
                    while queue and len(busy) < count:
                        log = Path(folder) / str(next(logs))
                        worker = (
                            idle.pop()
                            if idle
                            else Worker(self._backend, log, self._memory_limit)
                        )
                        index = queue.popleft()
                        worker.give(index, self._limit(JOBS[index]) * patience)
                        busy.append(worker)
                    timeout = max(0.0, min(w.deadline for w in busy) - time.monotonic())
                    ready = connection.wait([w.pipe for w in busy], timeout)
                    for worker in list(busy):
                        if worker.pipe in ready:
                            result = worker.take()
                        elif time.monotonic() >= worker.deadline:
                            result = worker.kill()
                        else:
                            continue
                        busy.remove(worker)
                        if not worker.pipe.closed:
                            idle.append(worker)
                        yield worker.index, result
            finally:
                for worker in [*idle, *busy]:
                    worker.stop()
