"""Compiles func.func on memrefs with nacre-opt passes and clang, and calls it."""
import ctypes
import subprocess
import tempfile

import numpy as np

LOWER = """--convert-linalg-to-loops --lower-affine --expand-strided-metadata --lower-affine
    --convert-scf-to-cf --convert-vector-to-llvm --convert-math-to-llvm --convert-math-to-libm
    --finalize-memref-to-llvm --convert-arith-to-llvm --convert-index-to-llvm
    --convert-func-to-llvm --convert-ub-to-llvm --convert-cf-to-llvm
    --reconcile-unrealized-casts --cse""".split()


def run(command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[:4000]}")
    return done.stdout


def build(text, passes, optimize="-O1", cpu="native"):
    """A library of the module's functions after `passes`."""
    lowered = run(["nacre-opt", *passes, *LOWER], text)
    ir = run(["mlir-translate", "--mlir-to-llvmir"], lowered)
    with tempfile.NamedTemporaryFile(suffix=".so") as library:
        run(["clang", optimize, f"-march={cpu}", "-shared", "-fPIC", "-Wno-override-module",
             "-x", "ir", "-", "-o", library.name, "-lm"], ir)
        return ctypes.CDLL(library.name)


def descriptor(address, offset, shape, strides):
    """The arguments that one memref becomes."""
    pointer = ctypes.c_void_p(address)
    return [pointer, pointer, ctypes.c_int64(offset),
            *map(ctypes.c_int64, shape), *map(ctypes.c_int64, strides)]


def call(function, *arrays):
    arguments = []
    for array in arrays:
        arguments += descriptor(array.ctypes.data, 0, array.shape,
                                [stride // array.itemsize for stride in array.strides])
    function(*arguments)
