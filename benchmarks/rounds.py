"""Engines in processes of their own, timed in turns.

While one engine is timed the others wait, so that nothing shares the cores; who goes first changes from round to
round, and the machine's peak is measured in each, so that all meet the same machine. What an engine cannot do is
its result: {"failed": why}.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import machine
from .engines import ENGINES, ROOT, Job
from .environments import python_of

# The largest error of a loss, relative to itself.
LOSS_TOLERANCE = {"f32": 1e-4, "bf16": 0.02}


@dataclass(frozen=True)
class Timing:
    rounds: int
    seconds: float  # the least time of a round
    timeout: float  # for an engine until its first answers, and for each round
    forms: int | None = None  # so many of an engine are enough; None: all that there are


class Failed(Exception):
    pass


class Process:
    """One engine with one model."""

    def __init__(self, job: Job, timeout: float) -> None:
        self._timeout = timeout
        self._log = Path(job.folder) / "log"
        caches = {"TORCHINDUCTOR_CACHE_DIR": f"{job.folder}/inductor", "NACRE_CACHE_DIR": ""}
        command = [python_of(ENGINES[job.engine].environment), "-m", "benchmarks.worker", job.to_json()]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | caches | {"BENCHMARK_BEGAN": str(time.monotonic())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("w"),
            text=True,
            start_new_session=True,
        )
        try:
            self.found = self._receive()
        except BaseException:
            self.end()
            raise

    def round(self, seconds: float) -> float:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has ended, as _receive tells
            print(seconds, file=self._process.stdin, flush=True)
        return float(self._receive()["seconds"])

    def end(self) -> None:
        """Ends it and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            with suppress(BrokenPipeError):
                stream.close()
        self._process.wait()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        late = threading.Event()

        def give_up() -> None:
            late.set()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

        timer = threading.Timer(self._timeout, give_up)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        told = json.loads(line) if line else {"failed": f"no answer within {self._timeout:g} s"}
        if not line and not late.is_set():
            told = {"failed": self._end_of()}
        if "failed" in told:
            raise Failed(told["failed"])
        return told

    def _end_of(self) -> str:
        """How a process went down that told nothing."""
        code = self._process.wait()
        how = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended with {code}"
        lines = self._log.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{how}: {last[:200]}" if last else how


def check(job: Job, found: dict[str, Any]) -> None:
    """The answer of the form that is measured. Of training: the first loss, and what the next steps change of it."""
    form = found["forms"][found["form"]]
    if job.task != "training":
        if not form["error"] <= job.tolerance:
            raise Failed(f"wrong by {form['error']:.2g} of the range")
        return
    losses, expected = form["losses"], found["expected"]
    if not abs(losses[0] - expected[0]) <= LOSS_TOLERANCE[job.precision] * abs(expected[0]):
        raise Failed(f"wrong: the first loss is {losses[0]}, PyTorch's {expected[0]}")
    change, wanted = losses[-1] - losses[0], expected[-1] - expected[0]
    if job.precision == "f32" and not abs(change - wanted) <= 0.1 * abs(wanted) + 1e-5 * abs(expected[0]):
        raise Failed(f"wrong: {len(losses) - 1} steps change the loss by {change}, PyTorch's by {wanted}")


def start(job: Job, timing: Timing, expected: list[float]) -> Process | dict[str, str]:
    Path(job.folder).mkdir(parents=True)
    try:
        process = Process(job, timing.timeout)
    except Failed as failure:
        return {"failed": str(failure)}
    try:
        check(job, process.found | {"expected": expected})
    except Failed as failure:
        process.end()
        return process.found | {"failed": str(failure)}
    return process


def measure(job: Job, engines: list[str], timing: Timing, expected: list[float]) -> dict[str, Any]:
    """The job on each engine: what they told, and their times; "peak_gflops" is what the machine reached meanwhile."""
    results: dict[str, dict[str, Any]] = {}
    running: dict[str, Process] = {}
    try:
        for engine in engines:
            its = replace(job, engine=engine, forms=timing.forms, folder=f"{job.folder}/{engine}")
            started = start(its, timing, expected)
            if isinstance(started, Process):
                running[engine], results[engine] = started, dict(started.found)
            else:
                results[engine] = started
        peaks = take_turns(running, results, timing, job.threads)
    finally:
        for process in running.values():
            process.end()
    return {"peak_gflops": statistics.median(peaks), "engines": results}


def take_turns(
    running: dict[str, Process], results: dict[str, dict[str, Any]], timing: Timing, threads: int
) -> list[float]:
    """Times the engines into their results; the machine's peaks meanwhile."""
    times: dict[str, list[float]] = {engine: [] for engine in running}
    peaks = []
    for number in range(timing.rounds):
        peaks.append(machine.fma_peak(threads))
        for engine in list(running) if number % 2 else list(reversed(running)):
            try:
                times[engine].append(running[engine].round(timing.seconds))
            except Failed as failure:
                results[engine]["failed"] = str(failure)
                running.pop(engine).end()
            time.sleep(0.05)  # the engine's threads stop spinning
    for engine in running:
        results[engine]["rounds_ms"] = [1e3 * seconds for seconds in times[engine]]
        results[engine]["ms"] = 1e3 * statistics.median(times[engine])
    return peaks
