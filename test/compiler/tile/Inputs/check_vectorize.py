"""Runs random structured ops after vectorize-tiles and after convert-linalg-to-loops alone.

Every array ends, then begins, at a page that must not be touched.
"""
import argparse
import ctypes
import mmap
import random
import sys

import numpy as np

from native import build, descriptor
from random_ops import RandomOp

TYPES = {"f16": np.float16, "f32": np.float32, "f64": np.float64,
         "i8": np.int8, "i32": np.int32, "i64": np.int64}
EPSILON = {"f16": 2e-3, "f32": 2e-6, "f64": 1e-14}
PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Guarded:
    """A copy of an array between pages without access."""

    def __init__(self, array, at_end):
        pages = -(-array.nbytes // PAGE)
        self.memory = mmap.mmap(-1, (pages + 2) * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc.mprotect(base, PAGE, 0)
        libc.mprotect(base + (pages + 1) * PAGE, PAGE, 0)
        offset = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
        self.array = np.frombuffer(self.memory, array.dtype, array.size, offset)
        self.array[:] = array
        self.address = base + offset


def make_data(operand, random_state, special):
    dtype = TYPES[operand.element]
    if operand.element[0] == "i":
        return random_state.integers(-100, 100, operand.extent).astype(dtype)
    data = random_state.standard_normal(operand.extent).astype(dtype)
    if special:
        chance = random_state.random(operand.extent)
        data[chance < 0.02] = np.nan
        data[(0.02 < chance) & (chance < 0.04)] = np.inf
        data[(0.04 < chance) & (chance < 0.05)] = -0.0
    return data


def run(function, op, data, at_end):
    arrays = [Guarded(array, at_end) for array in data]
    arguments = []
    for operand, array in zip(op.operands, arrays):
        arguments += descriptor(array.address, operand.offset, operand.shape, operand.strides)
    function(*arguments)
    return [array.array.copy() for array in arrays]


def differs(operand, expected, got, reduced):
    if operand.element[0] == "i":
        return not np.array_equal(expected, got)
    tolerance = EPSILON[operand.element] * (8 * reduced**0.5 + 8)
    finite = np.abs(expected[np.isfinite(expected)]).astype(np.float64)
    scale = 1 + 0.5 * finite.max(initial=0)
    return not np.allclose(expected.astype(np.float64), got.astype(np.float64), rtol=tolerance,
                           atol=tolerance * scale, equal_nan=True)


def check_batch(seed, count, passes, cpu):
    rng, random_state = random.Random(seed), np.random.default_rng(seed)
    ops = [RandomOp(rng, f"f{k}") for k in range(count)]
    text = "".join(op.text for op in ops)
    reference, vectorized = build(text, []), build(text, passes, cpu=cpu)
    wrong = 0
    for op in ops:
        special = rng.random() < 0.2
        data = [make_data(o, random_state, special and o in op.inputs) for o in op.operands]
        expected = run(getattr(reference, op.name), op, data, True)
        for at_end in (True, False):
            print(f"\r{seed}:{op.name} ", end="", file=sys.stderr, flush=True)  # names a crash
            got = run(getattr(vectorized, op.name), op, data, at_end)
            for operand, e, g in zip(op.operands, expected, got):
                if differs(operand, e, g, op.reduced):
                    wrong += 1
                    print(f"\nseed {seed}, operand {operand.name} {operand.shape}: "
                          f"{e[:8]} expected, got {g[:8]}\n{op.text}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--batches", type=int, default=1)
    parser.add_argument("--options", default="vector-bits=512 registers=32")
    parser.add_argument("--cpu", default="native")
    options = parser.parse_args()
    passes = [f"--vectorize-tiles={options.options}", "--approximate-math"]
    wrong = sum(check_batch(options.seed + k, options.count, passes, options.cpu)
                for k in range(options.batches))
    print(f"\n{options.batches * options.count} ops, {wrong} wrong")
    sys.exit(wrong > 0)


main()
