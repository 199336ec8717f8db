"""ONNX's cases with hostile input values, in code that checks every access: see test_sanitized.py.

    sanitized_run.py PROGRESS --seed N --share A/B [--filter TEXT] [--start N]

Runs where AddressSanitizer's runtime is in the process. Appends to the file PROGRESS
what it is about to do, so that who started it knows what a crash or a hang was in.
Errors of compilations and runs are fine here: that is what checks are for.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "conformance")]

from cases import Case, load_cases  # noqa: E402
from support import module  # noqa: E402

# A run that takes longer hangs: of the processor, as the machine may be busy, or waiting for something.
SECONDS = 60
WAITING = 20 * SECONDS
ROUNDS = 4
# What tells how often something happens is kept small: it may, and would take its time.
SLOW = ("loop", "range", "scan", "sequence_map", "expand", "tile", "resize", "upsample", "constantofshape")


def hostile(value: Any, random: np.random.Generator, small: bool) -> Any:
    """A value of the same type and shape that no model should be given."""
    if isinstance(value, list):
        return [hostile(v, random, small) for v in value]
    if not isinstance(value, np.ndarray) or value.size == 0 or random.random() < 0.25:
        return value
    if value.dtype.kind != "O" and value.dtype.isbuiltin != 1:  # a type of ml_dtypes: any bits
        bits = random.integers(0, 256, value.nbytes, np.uint8).view(value.dtype).reshape(value.shape)
        return np.where(random.random(value.shape) < 0.5, value, bits)
    if value.dtype.kind in "iu":
        limits = np.iinfo(value.dtype)
        pool = [-1, 0, 1, 2, 3, 5, 8, -2, -7, limits.max, limits.min, limits.max - 1, limits.min + 1, *value.shape]
        if not small:
            pool += [1 << 16, 1 << 31, 1 << 32, (1 << 33) + 1, 1 << 61, 1 << 62, -(1 << 31), -(1 << 62)]
        if small:
            pool = [v for v in pool if abs(v) < 100] + [limits.min]
        pool = [v for v in pool if limits.min <= v <= limits.max]
        values = np.array(random.choice(len(pool), value.shape)).reshape(-1)
        chosen = np.array([pool[i] for i in values], value.dtype).reshape(value.shape)
        near = value + random.integers(0, 2, value.shape).astype(value.dtype)
        return np.where(random.random(value.shape) < 0.5, near, chosen).astype(value.dtype)
    if value.dtype.kind == "f":
        limits = np.finfo(value.dtype)
        pool = [0, -0.0, 1, -1, 0.5, 2.5, np.nan, np.inf, -np.inf, limits.tiny, 1e-30]
        if not small:
            pool += [limits.max, -limits.max, 1e4, 1e9, 1e18, 1e30, -1e9]
        with np.errstate(all="ignore"):
            chosen = random.choice(np.array(pool).astype(value.dtype), value.shape)
        return np.where(random.random(value.shape) < 0.5, value, chosen).astype(value.dtype)
    if value.dtype.kind == "b":
        return random.random(value.shape) < 0.5
    return value


def run(case: Case, seed: int) -> None:
    random = np.random.default_rng([seed, crc32(case.name.encode())])
    nacre = module()
    names = case.input_names()
    inputs, _ = case.data_sets()[0]
    # A form at a time: the static one has other kernels.
    form = ("static", "dynamic")[int(random.integers(2))]
    example = dict(zip(names, inputs))
    try:
        program = nacre.compile(
            case.model(form).SerializeToString(), threads=1 + seed % 2, example=example, input_shapes=case.element_shapes()
        )
    except nacre.CompileError:
        return
    small = any(text in case.name for text in SLOW)
    for round_ in range(ROUNDS):
        values = {n: hostile(v, random, small) if round_ else v for n, v in example.items()}
        try:
            program.run(values)
        except nacre.RunError:
            pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("progress")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", default="0/1")
    parser.add_argument("--filter", default="")
    parser.add_argument("--start", type=int, default=0)
    options = parser.parse_args()
    part, parts = map(int, options.share.split("/"))
    warnings.simplefilter("ignore")
    cases = [c for c in load_cases() if c.group in ("node", "simple") and options.filter in c.name]
    cases = [c for c in cases if crc32(f"{options.seed} {c.name}".encode()) % parts == part]
    with open(options.progress, "a") as progress:
        for index, case in enumerate(cases[options.start :], options.start):
            print(index, case.name, file=progress, flush=True)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(WAITING)
            run(case, options.seed)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
        print(len(cases), "done", file=progress, flush=True)


main()
