"""The Markdown page of a run: `python -m benchmarks.report FILE.json` prints it again."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Told = dict[str, Any]  # what a process told of its engine, with the times
Cell = Callable[[Told, dict[str, Any]], str]
FIRST = "nacre"  # whom the others are compared with
FAILED = "✗"


def figure(value: float, count: int = 3) -> str:
    """So many digits."""
    if not math.isfinite(value):
        return "–"
    digits = count - 1 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(0, min(digits, 6))}f}"


def ratio(result: dict[str, Any], engine: str) -> float:
    """Below 1 Nacre is faster; not a number if one of them has no time."""
    first, other = (result["engines"].get(e, {}).get("ms", math.nan) for e in (FIRST, engine))
    return first / other


def mean_ratio(results: list[dict[str, Any]], engine: str) -> float:
    ratios = [r for result in results if math.isfinite(r := ratio(result, engine))]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def share(told: Told, result: dict[str, Any]) -> float:
    return result["flops"] / (told["ms"] * 1e6) / result["peak_gflops"]


def megabytes(told: Told, *keys: str) -> str:
    found = [told[key] for key in keys if key in told]
    return figure(max(found) / 1e6) if found else ""


def percent(told: Told, result: dict[str, Any]) -> str:
    return f"{100 * share(told, result):.0f}" if result["flops"] else ""


TABLES: dict[str, Cell] = {
    "% of the FMA peak": percent,
    "Compiling until the first answer, s": lambda told, _: figure(told["compile_s"]),
    "The same from the process's start, s": lambda told, _: figure(told["first_s"]),
    "Peak memory of compiling, MB": lambda told, _: megabytes(told, "compile_bytes", "compile_children_bytes"),
    "Peak memory of running, MB": lambda told, _: megabytes(told, "run_bytes"),
    "Artefact, MB": lambda told, _: megabytes(told, "artefact_bytes"),
    "Tensors at once, MB": lambda told, _: megabytes(told, "tensor_bytes"),
    "Largest error, of the range": lambda told, _: "".join(
        f"{form['error']:.1e}" for name, form in told["forms"].items() if name == told["form"] and "error" in form
    ),
}


TASKS = {"inference": "Inference", "training": "Training steps", "operator": "Operators"}


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def matrix(results: list[dict[str, Any]], engines: dict[str, str], cell: Cell) -> str:
    """Empty if there is nothing in any cell."""
    rows, anything = [], False
    for result in results:
        told = [result["engines"].get(engine, {"failed": ""}) for engine in engines]
        cells = [FAILED if "failed" in t else cell(t, result) for t in told]
        anything = anything or any(c not in ("", FAILED) for c in cells)
        rows.append([result["case"], *cells])
    return table(["", *engines.values()], rows) if anything else ""


def latencies(results: list[dict[str, Any]], engines: dict[str, str]) -> str:
    def cell(result: dict[str, Any], engine: str) -> str:
        told = result["engines"].get(engine, {"failed": ""})
        if "failed" in told:
            return FAILED
        compared = ratio(result, engine)
        return figure(told["ms"]) + (f" ({figure(compared, 2)})" if engine != FIRST and math.isfinite(compared) else "")

    rows = [[r["case"], figure(r["flops"] / 1e9), *(cell(r, e) for e in engines)] for r in results]
    means = ["" if e == FIRST else figure(mean_ratio(results, e), 2) for e in engines]
    return table(["", "GFLOP", *engines.values()], [*rows, ["geometric mean of ratios", "", *means]])


def failures(results: list[dict[str, Any]], engines: dict[str, str]) -> str:
    lines = [
        f"- {result['case']}, {title}: {result['engines'][engine]['failed']}"
        for result in results
        for engine, title in engines.items()
        if "failed" in result["engines"].get(engine, {})
    ]
    return "\n".join([f"{FAILED} says that there is no figure:\n", *lines]) + "\n" if lines else ""


def sums(results: list[dict[str, Any]], engines: dict[str, str]) -> str:
    """Of a model's operators, each as often as it occurs, those that all engines can."""
    totals: dict[str, dict[str, float]] = {}
    for result in results:
        if all("ms" in result["engines"].get(engine, {}) for engine in engines):
            for model, count in result.get("occurs", {}).items():
                total = totals.setdefault(model, dict.fromkeys(engines, 0.0))
                for engine in engines:
                    total[engine] += count * result["engines"][engine]["ms"]
    rows = [[model, *(figure(total[engine]) for engine in engines)] for model, total in totals.items()]
    title = "### All operators of a model, as often as they occur, ms\n\n"
    return title + table(["", *engines.values()], rows) if rows else ""


def of_machine(machine: dict[str, Any]) -> str:
    caches = ", ".join(f"{level} {size >> 10} KiB" for level, size in machine["caches"].items())
    text = f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_bytes'] / 1e9:.0f} GB of memory; {caches}; "
    text += f"{machine['system']}; load before the run {machine['load_before']:.1f}. Measured before the run:\n\n"
    places = list(next(iter(machine["reached"].values()))["read_gbs"])
    rows = [
        [count, figure(reached["fma_gflops"]), *(figure(reached["read_gbs"][place]) for place in places)]
        for count, reached in machine["reached"].items()
    ]
    return text + table(["threads", "FMA peak, GFLOP/s", *(f"reading {p}, GB/s" for p in places)], rows)


def markdown(made: dict[str, Any]) -> str:
    parts = [f"# Nacre {made['commit']} beside its peers, {made['date']}\n", of_machine(made["machine"])]
    versions = [f"{p} {v}" for engine in made["engines"].values() for p, v in engine["packages"].items()]
    parts.append(", ".join(dict.fromkeys(versions)) + f". Rounds: {made['rounds']} of {made['round_seconds']} s.\n")
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for result in made["results"]:
        groups.setdefault((result["task"], result["precision"], result["threads"]), []).append(result)
    for (task, precision, threads), results in groups.items():
        concerned = {e for result in results for e in result["engines"]}
        engines = {e: told["title"] for e, told in made["engines"].items() if e in concerned}
        plural = "thread" if threads == 1 else "threads"
        parts.append(f"## {TASKS[task]}, {precision}, {threads} {plural}\n")
        parts.append("Milliseconds, in brackets Nacre's over theirs: below 1 Nacre is faster.\n")
        parts += [latencies(results, engines), failures(results, engines), sums(results, engines)]
        for title, cell in TABLES.items():
            if found := matrix(results, engines, cell):
                parts.append(f"### {title}\n\n{found}")
    return "\n".join(part for part in parts if part)


def line(result: dict[str, Any]) -> str:
    """One result, as it is told meanwhile."""
    cells = [
        f"{engine} " + (FAILED if "failed" in told else f"{figure(told['ms'])} ms")
        for engine, told in result["engines"].items()
    ]
    what = f"{result['case']} {result['precision']} {result['threads']}t"
    reasons = [f"\n    {e}: {told['failed']}" for e, told in result["engines"].items() if "failed" in told]
    return f"{what:31} " + ", ".join(cells) + "".join(reasons)


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text())))
