"""What benchmarks/run and benchmarks/kernels have in common: their options, and measuring one case after the other."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

from . import cases, machine, report, rounds
from .cases import Case, Files
from .engines import ENGINES, ROOT
from .environments import python_of, versions

Prepare = Callable[[Case, str, str, Path], Files]
QUICK = rounds.Timing(rounds=1, seconds=0.02, timeout=180, forms=1)


def parser(name: str, description: str, chosen: list[str]) -> argparse.ArgumentParser:
    as_written = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(prog=f"benchmarks/{name}", description=description, formatter_class=as_written)
    add = made.add_argument
    add("cases", nargs="*", metavar="CASE", help="as --list tells, or what is before the '/', or a pattern ('*/16')")
    add("--list", action="store_true", help="tell what can be measured, and stop")
    add("--engines", nargs="+", choices=ENGINES, metavar="ENGINE", default=chosen, help=f"of {' '.join(chosen)}")
    add("--threads", nargs="+", type=int, default=[2], metavar="N", help="one after the other (default 2)")
    precisions = ("f32", "bf16", "int8")
    add("--precision", nargs="+", choices=precisions, default=["f32"], help="one after the other (default f32)")
    add("--rounds", type=int, default=9, help="(default 9)")
    add("--seconds", type=float, default=0.5, help="least time of a round (default 0.5)")
    add("--timeout", type=float, default=900, help="seconds for an engine until its first answers (default 900)")
    add("--quick", action="store_true", help="one short round: whether everything works, not how fast")
    add("--output", type=Path, metavar="FILE", help="FILE.json and FILE.md (default build/benchmarks/...)")
    add("--preset", default=os.environ.get("NACRE_PRESET", "release"), help="the build of Nacre")
    return made


def choose(available: list[Case], patterns: list[str]) -> list[Case]:
    """Those that a pattern names, in the order of what is available."""
    unknown = [p for p in patterns if not any(named(case, p) for case in available)]
    if unknown:
        raise SystemExit(f"no case '{unknown[0]}'; --list tells them")
    return [case for case in available if not patterns or any(named(case, p) for p in patterns)]


def named(case: Case, pattern: str) -> bool:
    return fnmatch(case.id, pattern) or case.id.split("/")[0] == pattern


def compare(chosen: list[Case], options: argparse.Namespace, prepare: Prepare) -> int:
    """Measures the cases, and writes what there is after each."""
    timing = rounds.Timing(options.rounds, options.seconds, options.timeout)
    timing = QUICK if options.quick else timing
    tasks = {case.task for case in chosen}
    engines = [e for e in options.engines if any(ENGINES[e].precisions(task) for task in tasks)]
    for engine in engines:
        python_of(ENGINES[engine].environment)  # installs before anything is timed
    made: dict[str, Any] = {
        "version": 1,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "machine": machine.describe(options.threads),
        "engines": {e: {"title": ENGINES[e].title, "packages": versions(e)} for e in engines},
        "rounds": timing.rounds,
        "round_seconds": timing.seconds,
        "results": [],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for threads, precision, case in product(options.threads, options.precision, chosen):
        try:
            result = measure(case, threads, precision, options, timing, prepare)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        if result:
            made["results"].append(result)
            print(report.line(result), flush=True)
            options.output.with_suffix(".json").write_text(json.dumps(made, indent=1) + "\n")
            options.output.with_suffix(".md").write_text(report.markdown(made))
    print(f"written: {options.output.with_suffix('.json')}, {options.output.with_suffix('.md')}")
    return 0


def measure(
    case: Case,
    threads: int,
    precision: str,
    options: argparse.Namespace,
    timing: rounds.Timing,
    prepare: Prepare,
) -> dict[str, Any] | None:
    """None if no engine does such a thing."""
    engines = [e for e in options.engines if precision in ENGINES[e].precisions(case.task)]
    if not engines:
        return None
    told = {
        "case": case.id,
        "task": case.task,
        "sizes": case.sizes,
        **({"occurs": case.occurs} if case.task == "operator" else {}),
        "shapes": "dynamic" if case.dynamic else "static",
        "threads": threads,
        "precision": precision,
    }
    with tempfile.TemporaryDirectory(prefix="nacre-benchmark-") as folder:
        try:
            files = prepare(case, precision, options.optimizer, Path(folder))
        except Exception as error:
            print(f"{case.id}: {error}", file=sys.stderr, flush=True)
            failed = {"failed": f"the model cannot be made: {str(error)[-300:]}"}
            return told | {"flops": 0, "peak_gflops": 0.0, "engines": dict.fromkeys(engines, failed)}
        job = cases.job(case, files, Path(folder), threads, precision, options.optimizer, options.preset)
        measured = rounds.measure(job, engines, timing, files.losses)
    return told | {"flops": files.flops} | measured


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
