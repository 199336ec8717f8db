"""Nacre compiles neural networks into native code, and runs them.

    import nacre

    model = nacre.compile("model.onnx")            # in memory, just in time
    (y,) = model.run([x])                          # NumPy arrays in and out, no copies
    (y,) = model.run({"x": x})

    nacre.compile_to_file("model.onnx", "model.so")    # one file for later
    model = nacre.load("model.so", threads=2)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Union

from ._core import CompileError, Error, LoadError, Program, RunError, TensorInfo, __version__
from . import _core

__all__ = [
    "CompileError",
    "Error",
    "LoadError",
    "Program",
    "RunError",
    "TensorInfo",
    "__version__",
    "compile",
    "compile_to_file",
    "load",
]

Path = Union[str, "os.PathLike[str]"]
Dims = Mapping[str, int]
Shapes = Mapping[str, Sequence[int]]


def compile(  # noqa: A001 - the natural name, always used as nacre.compile
    model: Path | bytes,
    *,
    dims: Dims | None = None,
    input_shapes: Shapes | None = None,
    threads: int = 0,
) -> Program:
    """Compiles an ONNX model, given as a path or as bytes, to be run in this process.

    `dims` fixes dynamic dimensions by their names, `input_shapes` whole shapes by
    the inputs' names. The program runs on `threads` threads (0: all cores).
    Raises CompileError, whose message lists everything that cannot be compiled.
    """
    source = model if isinstance(model, bytes) else os.fspath(model)
    return _core.compile(source, dict(dims or {}), _shapes(input_shapes), threads)


def compile_to_file(
    model: Path,
    path: Path,
    *,
    dims: Dims | None = None,
    input_shapes: Shapes | None = None,
    target_cpu: str = "",
) -> None:
    """Compiles an ONNX file into one self-contained shared library at `path`.

    For this machine's CPU, or for `target_cpu` by LLVM's name.
    """
    _core.compile_to_file(
        os.fspath(model), os.fspath(path), dict(dims or {}), _shapes(input_shapes), target_cpu
    )


def load(path: Path, *, threads: int = 0) -> Program:
    """Loads what compile_to_file (or `nacre compile`) made. It is code: load none that
    you do not trust. Raises LoadError."""
    return _core.load(os.fspath(path), threads)


def _shapes(shapes: Shapes | None) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in (shapes or {}).items()}
