"""Random models, compiled and run, against ONNX's reference: run.py --seed S --count N.

A seed says what a model is, whether it has symbols for sizes with --dynamic. Each model runs in a
process of its own, so that crashes and hangs are found too. What fails is made small and printed
as text; with --out its files are kept. See test/differential/README.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import queue
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper, printer

import defects
from executor import Executor
from generate import Generator, check
from graphs import Graph, peer
from shrink import shrink
from values import difference, same

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Outcome:
    """What became of a seed."""

    seed: int
    status: str  # pass, excused, wrong, refused, error, crash, hang, invalid; no model: none could be made
    detail: str = ""
    text: str = ""
    opinion: str = ""
    model: bytes = b""
    inputs: dict[str, Any] = field(default_factory=dict)
    nodes: int = 0
    used: Counter[str] = field(default_factory=Counter)
    seconds: float = 0


class Checker:
    """Judges models by running them."""

    def __init__(self, limit: float, versions: int = 0) -> None:
        self.executor = Executor(limit, versions)

    def judge(self, graph: Graph, outputs: list[str], dynamic: bool, backend: str = "nacre") -> tuple[str, str]:
        """Status and detail of a graph."""
        model = graph.model(outputs, dynamic)
        status, result = self.executor.run(backend, model, graph.inputs(), 1 + graph.seed % 2)
        if status in ("refused", "error") and (why := defects.of_refusal(result)):
            return "excused", why
        if status != "ran":
            return status, result
        first, second = result
        if len(first) != len(outputs):
            return "wrong", f"{len(first)} outputs, expected {len(outputs)}"
        for name, got, again in zip(outputs, first, second):
            value = graph.values[name]
            if found := difference(name, value.runs, got, value.coarse):
                return "wrong", found
            if isinstance(got, np.ndarray) and isinstance(again, np.ndarray) and not same(got, again):
                return "wrong", f"{name}: another result in a second run"
        return "pass", ""

    def examine(self, seed: int, dynamic: bool, only: str, shrink_seconds: float) -> Outcome:
        start = time.monotonic()
        generator = Generator(seed, only)
        graph, outputs = generator.generate(dynamic)
        if not outputs:
            return Outcome(seed, "pass")
        model = graph.model(outputs, dynamic)
        try:
            check(model)
        except Exception as error:
            return Outcome(seed, "invalid", str(error))
        status, detail = self.judge(graph, outputs, dynamic)
        nodes = len(graph.nodes)
        used = Counter(n.op_type for n in graph.nodes)
        if status in ("pass", "excused"):
            return Outcome(seed, status, detail, nodes=nodes, used=used, seconds=time.monotonic() - start)
        kind = _kind(status, detail)

        def fails(candidate: Graph, names: list[str]) -> bool:
            check(candidate.model(names, dynamic))
            return _kind(*self.judge(candidate, names, dynamic)) == kind

        if status != "hang":
            graph, outputs = shrink(graph, outputs, fails, shrink_seconds)
        status, detail = self.judge(graph, outputs, dynamic)
        opinion = ""
        if status == "wrong":
            opinion = self.second_opinion(graph, outputs, dynamic)
        model = graph.model(outputs, dynamic)
        return Outcome(
            seed, status, detail, _text(graph, outputs, dynamic), opinion, model.SerializeToString(), graph.inputs(),
            nodes, used, time.monotonic() - start,
        )  # fmt: skip


    def second_opinion(self, graph: Graph, outputs: list[str], dynamic: bool) -> str:
        """Whom ONNX Runtime agrees with."""
        model = graph.model(outputs, dynamic)
        (status, ours), (other, theirs) = (self.executor.run(b, model, graph.inputs()) for b in ("nacre", "onnxruntime"))
        if (status, other) != ("ran", "ran"):
            return f"ONNX Runtime: {theirs if other != 'ran' else 'ran'}"
        values = [graph.values[n] for n in outputs]
        with_reference = not any(difference("", v.runs, t, v.coarse) for v, t in zip(values, theirs[0]))
        with_us = not any(
            difference("", [t, *v.runs[1:]], o, v.coarse) for v, t, o in zip(values, theirs[0], ours[0])
        )
        if with_us != with_reference:
            return "ONNX Runtime agrees with " + ("Nacre" if with_us else "the reference")
        return "ONNX Runtime agrees with neither"


def _kind(status: str, detail: str) -> tuple[str, str]:
    """What must stay the same while a model shrinks: of messages, the words without names and numbers."""
    if status in ("refused", "error"):
        return status, re.sub(r"'[^']*'|\d+|\([A-Za-z]+\)", "", detail)[:120]
    return status, ""


def _text(graph: Graph, outputs: list[str], dynamic: bool) -> str:
    try:
        text = printer.to_text(graph.model(outputs, dynamic))
    except Exception as error:
        text = f"(no text: {error}) " + str(graph.model(outputs, dynamic).graph.node)[:2000]
    values = [
        f"  {v.name} = {v.value.dtype.name}{list(v.shape)} {v.value.tolist() if v.value.size <= 24 else '...'}"
        for v in graph.values.values()
        if v.source == "input"
    ]
    return "\n".join([text.strip(), *values])


def _drive(jobs: Any, results: Any, options: argparse.Namespace) -> None:
    checker = Checker(options.limit, options.specialize)
    for seed in iter(jobs.get, None):
        results.put((os.getpid(), seed))
        try:
            results.put(checker.examine(seed, options.dynamic, options.op, options.shrink))
        except Exception as error:  # a fault of this program
            import traceback

            results.put(Outcome(seed, "invalid", f"{error}\n{traceback.format_exc()}"))
    checker.executor.stop()
    peer().stop()


def examine(options: argparse.Namespace) -> Iterator[Outcome]:
    """Outcomes of all seeds, as they come."""
    context = multiprocessing.get_context("fork")
    jobs, results = context.Queue(), context.Queue()
    for seed in range(options.seed, options.seed + options.count):
        jobs.put(seed)
    drivers: dict[int | None, Any] = {}

    def start() -> None:
        driver = context.Process(target=_drive, args=(jobs, results, options))
        driver.start()
        drivers[driver.pid] = driver

    for _ in range(options.jobs):
        jobs.put(None)
        start()
    begun: dict[int, int] = {}  # what each process is at
    count = 0
    while count < options.count:
        try:
            result = results.get(timeout=5)
        except queue.Empty:  # has one ended, which cannot say so? ONNX's own code may crash
            for ended in [d for d in drivers.values() if d.exitcode is not None]:
                del drivers[ended.pid]
                if ended.pid not in begun:
                    continue
                result = Outcome(begun.pop(ended.pid), "no model", f"while it was made: exit status {ended.exitcode}")
                start()
                count += 1
                yield result
            if not drivers:
                raise RuntimeError("the processes that generate models have ended") from None
            continue
        if isinstance(result, tuple):
            begun[result[0]] = result[1]
        else:
            begun = {pid: seed for pid, seed in begun.items() if seed != result.seed}
            count += 1
            yield result
    for driver in drivers.values():
        driver.join()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=100, help="how many models")
    parser.add_argument("--dynamic", action="store_true", help="sizes of inputs are symbols")
    parser.add_argument("--specialize", type=int, default=0, metavar="N",
                        help="with --dynamic: versions for the sizes that the run has of N symbols")  # fmt: skip
    parser.add_argument("--op", default="", metavar="REGEX", help="operators that most nodes shall be")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit", type=float, default=60, help="seconds for a model, or it hangs")
    parser.add_argument("--shrink", type=float, default=40, help="seconds to make a failing model small")
    parser.add_argument("--out", type=Path, help="folder for models that fail, with their inputs")
    parser.add_argument("--verbose", action="store_true", help="how often each operator was tried")
    return parser.parse_args(arguments)


def save(outcome: Outcome, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{outcome.seed}.onnx").write_bytes(outcome.model)
    for name, value in outcome.inputs.items():
        if value.dtype != object:
            (folder / f"{outcome.seed}-{name}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    folder = str(ROOT / "build" / os.environ.get("NACRE_PRESET", "release") / "python")
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = folder + os.pathsep + os.environ.get("PYTHONPATH", "")
    statuses: Counter[str] = Counter()
    used: Counter[str] = Counter()
    start = time.monotonic()
    for outcome in examine(options):
        statuses[outcome.status] += 1
        used.update(outcome.used)
        if outcome.status in ("pass", "excused"):
            continue
        print(f"== seed {outcome.seed}: {outcome.status} ({outcome.nodes} nodes)\n{outcome.detail.strip()[:1500]}")
        print("\n".join(part for part in (outcome.opinion, outcome.text) if part), flush=True)
        if options.out and outcome.model:
            save(outcome, options.out)
    if options.verbose:
        print(", ".join(f"{name} {count}" for name, count in sorted(used.items())))
    form = "dynamic" if options.dynamic else "static"
    print(f"{form}: " + ", ".join(f"{n} {s}" for s, n in sorted(statuses.items())), f"in {time.monotonic() - start:.0f} s")
    # ONNX's own inference crashes on a model in some thousands.
    return 0 if set(statuses) <= {"pass", "excused", "no model"} and statuses["no model"] <= 1 + options.count // 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
