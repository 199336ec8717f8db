#!/usr/bin/env python3
"""Runs ONNX's backend suite, and cases of our own, against the ledger.

    run.py [--form static|dynamic] [--filter REGEX] [--verbose] [--update]
    run.py --backend onnxruntime        (the harness on a peer; no ledger)

Every case runs as it is (static), and with every input dimension made symbolic
(dynamic). A case that does something else than its ledger says fails the run,
also if it does better; --update rewrites the ledger.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")  # workers are the parallelism

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import ledger  # noqa: E402
import table  # noqa: E402
from backends import BACKENDS  # noqa: E402
from cases import FORMS, GROUPS, Case, load_cases  # noqa: E402
from pool import FAULTS, STATUSES, Job, Pool, Result  # noqa: E402

LIGHT_LIMIT = 6  # times the limit of other cases: whole models with weights


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--form", choices=FORMS, help="one form only")
    parser.add_argument("--filter", metavar="REGEX", help="cases whose group/name matches")
    parser.add_argument("--update", action="store_true", help="rewrite the ledger")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table of operators that this run makes")
    parser.add_argument("--no-cache", action="store_true", help="compile each case's kernels anew, also those that others have")
    parser.add_argument("--verbose", action="store_true", help="print each case and its error")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--limit", type=float, default=20, metavar="S", help="seconds for a case")
    parser.add_argument(
        "--memory", type=float, default=10, metavar="GIB", help="limit of a worker; 0: none"
    )
    parser.add_argument("--backend", choices=BACKENDS, default="nacre")
    parser.add_argument("--ledger-dir", type=Path, metavar="DIR", help="where the ledgers lie")
    parser.add_argument(
        "--preset", default=os.environ.get("NACRE_PRESET", "release"), help="build tree to test"
    )
    options = parser.parse_args()
    if options.ledger_dir is None and options.backend == "nacre":
        options.ledger_dir = HERE
    if options.update and options.ledger_dir is None:
        parser.error("--update needs --ledger-dir with another backend")
    return options


def select(cases: list[Case], pattern: str | None) -> list[Case]:
    return [c for c in cases if pattern is None or re.search(pattern, c.key)]


def run(jobs: list[Job], options: argparse.Namespace) -> dict[tuple[str, str], Result]:
    """Runs all jobs and shows progress."""

    def limit(job: Job) -> float:
        return options.limit * (LIGHT_LIMIT if job.case.group == "light" else 1)

    pool = Pool(options.backend, options.jobs, limit, int(options.memory * 2**30))
    results: dict[tuple[str, str], Result] = {}
    start = time.monotonic()
    step = max(1, len(jobs) // 10)
    for result in pool.run(jobs):
        results[result.key] = result
        if options.verbose:
            print(f"{result.form} {result.case}: {result.status} ({result.seconds:.2f} s)")
            for line in result.detail.splitlines():
                print(f"    {line}")
        elif len(results) % step == 0 or len(results) == len(jobs):
            seconds = time.monotonic() - start
            print(f"{len(results)} of {len(jobs)} cases, {seconds:.0f} s", flush=True)
    return results


def print_summary(form: str, cases: list[Case], results: dict[tuple[str, str], Result]) -> None:
    print(f"\n{form + ' form':20}{'cases':>7}" + "".join(f"{s:>9}" for s in STATUSES) + "   pass %")
    total: Counter[str] = Counter()
    for group in GROUPS:
        counts = Counter(results[form, c.key].status for c in cases if c.group == group)
        if counts:
            print_row(group, counts)
            total += counts
    print_row("all", total)


def print_row(name: str, counts: Counter[str]) -> None:
    cases = sum(counts.values())
    cells = "".join(f"{counts[s]:9}" for s in STATUSES)
    print(f"{name:20}{cases:7}{cells}{100 * counts['pass'] / cases:9.1f}")


def print_faults(results: list[Result]) -> None:
    for result in results:
        if result.status in FAULTS:
            lines = result.detail.strip().splitlines() or [""]
            short = lines[-1] if result.status == "error" else lines[0]
            print(f"  {result.status}: {result.case}: {short[:300]}")


def check_form(form: str, results: list[Result], cases: set[str], folder: Path, rewrite: bool) -> int:
    """Compares with the ledger of a form; the number of differences."""
    path = folder / f"ledger-{form}.txt"
    entries = ledger.read(path)
    if rewrite:
        ledger.update(entries, results, cases)
        ledger.write(path, form, entries)
        print(f"wrote {path}")
    verdict = ledger.check(entries, results)
    for difference in verdict.differences:
        print(f"  {form}: {difference}")
    print(
        f"{form} ledger: {verdict.agree} cases as recorded, {len(verdict.differences)} differ"
    )
    return len(verdict.differences)


def describe_cpu() -> str:
    """Its name, as Linux has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def main() -> int:
    options = arguments()
    sys.path.insert(0, str(ROOT / "build" / options.preset / "python"))
    all_cases = load_cases()
    cases = select(all_cases, options.filter)
    if not cases:
        print(f"no case matches '{options.filter}'", file=sys.stderr)
        return 2
    forms = [options.form] if options.form else list(FORMS)
    print(
        f"{len(cases)} cases, {' and '.join(forms)} form, backend {options.backend}, "
        f"{options.jobs} workers",
        flush=True,
    )
    # The long cases first, so that no worker is alone with one at the end.
    order = sorted(cases, key=lambda c: c.group != "light")
    with tempfile.TemporaryDirectory() as kernels:
        # Many cases have kernels of others, and each is compiled once; what earlier runs compiled does not count.
        os.environ["NACRE_CACHE_DIR"] = "" if options.no_cache else kernels
        results = run([Job(form, case) for form in forms for case in order], options)

    failed = 0
    for form in forms:
        found = [results[form, c.key] for c in cases]
        print_summary(form, cases, results)
        print_faults(found)
        if options.ledger_dir is not None:
            keys = {c.key for c in all_cases}
            failed += check_form(form, found, keys, options.ledger_dir, options.update)
        else:
            failed += sum(r.status in FAULTS for r in found)
    if options.table:
        table.write(options.table, cases, results, f"{describe_cpu()}, {options.backend}")
    passed = sum(r.status == "pass" for r in results.values())
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
