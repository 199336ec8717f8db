"""What runs in an engine's process: `python -m benchmarks.worker JOB`.

Makes the engine's forms of a model and checks the answer of each, tells what that took and came to, as a line of
JSON; then times a round of the quickest for each line of standard input that has a number of seconds. What else
libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time

BEGAN = float(os.environ.get("BENCHMARK_BEGAN", time.monotonic()))  # when the process was started
JOB = json.loads(sys.argv[1])
# Before libraries count the cores.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: JOB["threads"]])

import resource  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.engines import ENGINES, STEPS, Job, Program  # noqa: E402

telling = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def tell(**values: Any) -> None:
    print(json.dumps(values), file=telling, flush=True)


def status(key: str) -> int:
    """A figure of the kernel's about this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


def begin_peak() -> None:
    """The peak of memory begins anew."""
    Path("/proc/self/clear_refs").write_text("5")


def time_round(program: Program, seconds: float) -> float:
    """The least time of a run in at least `seconds` and five runs, after two to warm up; slow ones run less often."""
    clock = time.perf_counter
    begin = clock()
    program.run()
    if clock() - begin < seconds:
        program.run()
    best, count, begin = float("inf"), 0, clock()
    while count == 0 or (now := clock()) < begin + seconds or (count < 5 and now < begin + 8 * seconds):
        start = clock()
        program.run()
        best = min(best, clock() - start)
        count += 1
    return best


def largest_error(outputs: list[np.ndarray], references: list[np.ndarray]) -> float:
    """The largest error relative to the range of its output."""
    if len(outputs) != len(references):
        raise ValueError(f"{len(outputs)} outputs, expected {len(references)}")
    errors = []
    for output, reference in zip(outputs, references):
        if output.shape != reference.shape:
            raise ValueError(f"an output of shape {output.shape}, expected {reference.shape}")
        error = np.abs(output.astype(np.float64) - reference).max() if output.size else 0.0
        errors.append(float(error) / max(float(np.ptp(reference)), 1e-30) if np.isfinite(error) else float("inf"))
    return max(errors)


def check(job: Job, program: Program, first: Any) -> dict[str, Any]:
    """How far off the answer is; of training, the losses of the first steps."""
    if job.task == "training":
        return {"losses": [first, *(program.run() for _ in range(STEPS - 1))]}
    return {"error": largest_error(program.outputs(first), list(job.arrays("out").values()))}


def main() -> None:
    job = Job(**JOB)
    told: dict[str, Any] = {}
    forms: dict[str, dict[str, Any]] = {}
    chosen: tuple[bool, float, str, Program] | None = None  # right ones first, then the quickest
    failure: Exception | None = None
    for name, make in ENGINES[job.engine].forms(job):
        library = status("VmRSS")
        begin_peak()
        start = time.perf_counter()
        try:
            program = make()
            first = program.run()
            taken = {"compile_s": time.perf_counter() - start, "first_s": time.monotonic() - BEGAN}
            taken["compile_bytes"] = status("VmHWM") - library
            taken["compile_children_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            checked = check(job, program, first)
            begin_peak()
            start = time.perf_counter()
            program.run()
            seconds = time.perf_counter() - start
            taken |= {"run_bytes": status("VmHWM") - library, "library_bytes": library}
            if seconds < 0.5:
                seconds = time_round(program, 0.0)
            for key, count in (("artefact_bytes", program.artefact), ("tensor_bytes", program.tensors)):
                if count and not told:
                    taken[key] = count()
        except Exception as error:
            failure = error
            continue
        told = told or taken
        forms[name] = checked | {"seconds": seconds}
        wrong = not checked.get("error", 0.0) <= job.tolerance
        if chosen is None or (wrong, seconds) < chosen[:2]:
            chosen = wrong, seconds, name, program
        if job.forms and len(forms) >= job.forms and not chosen[0]:
            break
    if chosen is None:
        assert failure
        raise failure
    tell(**told, form=chosen[2], forms=forms)
    for line in sys.stdin:
        tell(seconds=time_round(chosen[3], float(line)))


def reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:300]}"


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        import traceback

        traceback.print_exc()
        tell(failed=reason(error))
