"""How long the node cases of ONNX's suite take to compile in process, each once, with nothing cached.

    benchmarks/compile_cases [--form static|dynamic] [--filter REGEX]

Prints the median, the slowest ten, and where the time goes. Beside the wall clock stands what all threads had of the
CPU, which tells on a machine that others use too.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test" / "conformance"), str(ROOT / "build" / os.environ.get("NACRE_PRESET", "release") / "python")]

import nacre  # noqa: E402
from cases import FORMS, Case, load_cases  # noqa: E402

PHASE = re.compile(r"\] (\w+): ([\d.]+) s")


class Compiled(NamedTuple):
    wall: float
    cpu: float
    case: str
    phases: dict[str, float]


def compile_case(case: Case, form: str) -> Compiled | None:
    """None where the case is refused."""
    data = case.model(form).SerializeToString()
    example = dict(zip(case.input_names(), case.data_sets()[0][0]))
    lines: list[str] = []
    shapes = case.element_shapes() if form == "static" else {}
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        nacre.compile(data, threads=1, example=example, input_shapes=shapes, cache_dir="", log=lines.append)
    except nacre.CompileError:
        return None
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    phases = {m[1]: float(m[2]) for line in lines if (m := PHASE.search(line))}
    return Compiled(wall, cpu, case.key, phases)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=FORMS, default="static")
    parser.add_argument("--filter", metavar="REGEX", default="", help="cases whose name matches")
    options = parser.parse_args()
    cases = [c for c in load_cases() if c.group == "node" and re.search(options.filter, c.key)]
    found = [compiled for case in cases if (compiled := compile_case(case, options.form))]
    if not found:
        print(f"no case that compiles matches '{options.filter}'", file=sys.stderr)
        return 2
    print(f"{len(found)} of {len(cases)} cases, {options.form} form, on {os.cpu_count()} CPUs")
    wall, cpu = (statistics.median(getattr(c, name) for c in found) for name in ("wall", "cpu"))
    print(f"median {1e3 * wall:.1f} ms, of the CPU {1e3 * cpu:.1f} ms")
    totals: dict[str, float] = defaultdict(float)
    for compiled in found:
        for phase, seconds in compiled.phases.items():
            totals[phase] += seconds
    print("phases in the mean:", ", ".join(f"{p} {1e3 * s / len(found):.1f} ms" for p, s in totals.items()))
    print("slowest:")
    for compiled in sorted(found, reverse=True)[:10]:
        print(f"{1e3 * compiled.wall:9.1f} ms {1e3 * compiled.cpu:9.1f} ms   {compiled.case}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
