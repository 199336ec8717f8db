"""What the machine is and reaches: its peak of f32 multiply-adds and its bandwidths, measured by machine.c."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from .engines import ROOT

WORK = ROOT / "build" / "benchmarks"
MEMORY_BYTES = 512 << 20  # a thread's share of what no cache holds


def program() -> Path:
    made, source = WORK / "machine", Path(__file__).with_suffix(".c")
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        WORK.mkdir(parents=True, exist_ok=True)
        options = ["-O2", "-march=native", "-ffp-contract=fast", "-pthread"]
        subprocess.run(["clang-22", *options, str(source), "-o", str(made)], check=True)
    return made


def measure(threads: int, *sizes: int) -> list[float]:
    command = [str(program()), str(threads), *map(str, sizes)]
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus)
    )
    return [float(line) for line in ran.stdout.split()]


def fma_peak(threads: int) -> float:
    """GFLOP/s of f32, now."""
    return measure(threads)[0]


def caches() -> dict[str, int]:
    """The sizes of the data caches, by level."""
    found = {}
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        kind, level, size = ((folder / name).read_text().strip() for name in ("type", "level", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = int(size.rstrip("K")) << 10
    return dict(sorted(found.items()))


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def describe(threads: list[int]) -> dict[str, Any]:
    sizes = caches()
    # Half of a cache fits into it beside all else; the last one is shared, with other machines too.
    places = {level: min(size // 2, 8 << 20) for level, size in sizes.items()} | {"memory": MEMORY_BYTES}
    reached = {}
    for count in threads:
        peak, *bandwidths = measure(count, *places.values())
        reached[str(count)] = {"fma_gflops": peak, "read_gbs": dict(zip(places, bandwidths))}
    return {
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "caches": sizes,
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": os.getloadavg()[0],
        "reached": reached,
    }
