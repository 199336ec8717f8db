"""Nacre compiles neural networks into native code, and runs them.

    import nacre

    model = nacre.compile("model.onnx")            # in memory, just in time
    y = model(x)                                   # NumPy arrays in and out, no copies
    (y,) = model.run({"x": x})                     # by name; a list of all outputs

    nacre.compile_to_file("model.onnx", "model.so")    # one file for later
    model = nacre.load("model.so", threads=2)

    y = model(torch_tensor)                        # anything with __dlpack__ is read in place
    model.run([x], out=[y])                        # outputs into memory that is there
    with model.profile() as profile:               # times per kernel, Chrome traces
        model(x)

    trainer = nacre.Trainer("model.onnx", loss="mse", optimizer="adam")
    trainer.fit(x, y, epochs=10)
    trainer.save("trained.onnx")

Failures are exceptions: Error and its subclasses, which are ValueError, MemoryError, OSError
as well where that fits. Ctrl-C ends a compilation or a run within a second.

Types that NumPy lacks (bfloat16, float8, int4, ...) travel as arrays of ml_dtypes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union

from . import _core, nn
from ._core import (
    Cancelled,
    CompileError,
    Error,
    GraphError,
    InputError,
    InternalError,
    LoadError,
    MissingFileError,
    Model,
    OutOfMemoryError,
    RunError,
    Schedule,
    Signature,
    TensorInfo,
    WriteError,
    __version__,
)
from ._open import OpenModel, shapes_of
from ._profile import KernelTime, Profile
from ._training import History, Trainer

if TYPE_CHECKING:
    import onnx

__all__ = [
    "Cancelled",
    "CompileError",
    "Error",
    "GraphError",
    "History",
    "InputError",
    "InternalError",
    "KernelTime",
    "LoadError",
    "MissingFileError",
    "Model",
    "OpenModel",
    "OutOfMemoryError",
    "Profile",
    "RunError",
    "Schedule",
    "Signature",
    "TensorInfo",
    "Trainer",
    "WriteError",
    "__version__",
    "compile",
    "compile_to_file",
    "load",
    "nn",
]

Path = Union[str, "os.PathLike[str]"]
Dims = Mapping[str, int]
Shapes = Mapping[str, Sequence[int]]
Sizes = Mapping[str, Sequence[int]]
Lengths = Mapping[str, Union[int, None]]
Progress = Callable[[str, int, int], object]
Log = Callable[[str], object]
Precision = Literal["f32", "bf16", "f16"]
Emit = Literal["shared", "object", "static-library", "executable", "header", "mlir", "llvm-ir", "assembly"]

_logger = logging.getLogger("nacre")


def compile(  # noqa: A001 - the natural name, always used as nacre.compile
    model: Path | bytes | onnx.ModelProto,
    dims: Dims | None = None,
    input_shapes: Shapes | None = None,
    threads: int = 0,
    target_cpu: str | None = None,
    train: Mapping[str, str | float] | None = None,
    input_lengths: Lengths | None = None,
    example: Mapping[str, Any] | None = None,
    cpus: Sequence[int] | None = None,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    cache_bytes: int | None = None,
    log: Log | None = None,
    reproducer: Path | None = None,
    precision: Precision = "f32",
    exact_conv: bool = False,
    specialize: Sizes | None = None,
    tune: float | None = None,
    tune_sizes: Dims | None = None,
    decisions: Mapping[str, str] | None = None,
) -> Model | OpenModel:
    """Compiles an ONNX model to be run in this process.

    The model is a path, the bytes of a file, or an onnx.ModelProto; only a path can have
    its weights in other files. `dims` fixes dynamic dimensions by their names,
    `input_shapes` whole shapes by the inputs' names (-1 keeps a size open). With
    `specialize`, {"batch": [1, 8]} ("x[0]" where there is no name), there is faster code for these sizes of open dimensions beside
    that for all: a version for each combination, in which any of them may stay open; a run takes
    the one with most sizes that its inputs have, and all share the weights. Runs use `threads`
    threads (0: as many as cores). The code is for this machine's CPU, or for `target_cpu` by LLVM's
    name. Products of f32 are computed in `precision`, "f32", "bf16" or
    "f16", with sums in f32; inputs, outputs and what rounding would harm stay as they are
    (docs/training.md). With `exact_conv` no convolution is computed by Winograd's transforms, whose
    results are about twice as far from exact ones. With `train`, a dict of options (`loss`, `optimizer`,
    `groups`, `clip_norm`, `clip_value`, `accumulate`, `average`, `detect_anomaly`,
    `precision`, `memory_budget`, `open_size`, `batch_shapes`: docs/training.md), it has a function `step` as well,
    which changes the parameters.

    The ranks of inputs are fixed here, and whether an optional input has an element. What the model does
    not say of them, `input_shapes` says, and `input_lengths` (None: an optional without an element; 1:
    an optional tensor that is there), or `example`, values for a run by name. If none does, the result
    is an OpenModel, which is compiled when it is first run, once for each rank that it meets. Where a rank
    depends on the length of a vector (the shape of Reshape, the axes of Unsqueeze), the same options say it;
    else there is code for each length up to 8, but in what is trained, where one has to say it.
    A sequence has any number of elements of
    one rank, or as many as `input_lengths` says; then they are called `x[0]`, `x[1]`, ..., and
    `input_shapes` takes either name.

    With `tune`, so many seconds at most go into measuring, on this machine, tiles and algorithms that
    the cost models are unsure of, with random inputs whose open sizes are those of `tune_sizes`, or 1;
    what makes a run faster is used, within the same bounds of error. What is learnt is kept in the
    cache, and used where `tune` is given: with 0 nothing is measured. The model's `provenance` has the
    decisions, `model.provenance["tuning"]["decisions"]`; given as `decisions` they make the same code
    without measuring.

    With `cpus`, thread i stays on CPU cpus[i % len(cpus)], but for the first, which is the
    caller's. `progress` is called with each phase that has begun: its name, its number and
    how many there are. What it raises ends the compilation, as Ctrl-C does. Compiled kernels
    are kept in `cache_dir` ("": nowhere; by default in NACRE_CACHE_DIR or ~/.cache/nacre), about
    `cache_bytes` of them (0: without limit; by default 1 GiB).

    `log` is called with a line for each event: phases and their times, what happens to the
    model's nodes, the cache. Without it the lines are records of the logger "nacre", of level
    DEBUG, if that is on. What it raises ends the compilation. Where the compiler itself is at
    fault, it leaves a small module that shows that at `reproducer`, a file or a folder; the
    exception's message says what to run on it.

    Raises CompileError, whose message lists everything that cannot be compiled;
    InternalError, which is none of these, for a fault of the compiler's own.
    """
    source = _serialize(model) if hasattr(model, "SerializeToString") else model
    if not isinstance(source, bytes):
        source = os.fspath(source)
    request = _request(
        dims, input_shapes, input_lengths, specialize, precision, exact_conv, target_cpu, train, progress,
        cache_dir, cache_bytes, log, reproducer,
    )
    _set_tuning(request, tune, threads, tune_sizes, decisions)

    def make(values: Mapping[str, Any]) -> Model:
        shapes = {name: shapes_of(value) for name, value in values.items()}
        return _core.compile(source, request, shapes, threads, list(cpus or []))

    shown = example or {}
    inputs = _core.list_inputs(source) if train is None else []
    open_inputs = {
        name: lacks_element
        for name, lacks_rank, lacks_element in inputs
        if name not in shown
        and ((lacks_rank and not _has_shape(name, request)) or (lacks_element and name not in request.input_lengths))
    }
    if open_inputs:
        return OpenModel([name for name, *_ in inputs], open_inputs, lambda values: make({**shown, **values}))
    return make(shown)


def compile_to_file(
    model: Path,
    path: Path,
    dims: Dims | None = None,
    input_shapes: Shapes | None = None,
    target_cpu: str | None = None,
    train: Mapping[str, str | float] | None = None,
    input_lengths: Lengths | None = None,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    cache_bytes: int | None = None,
    log: Log | None = None,
    reproducer: Path | None = None,
    emit: Emit | Sequence[Emit] = "shared",
    target_triple: str | None = None,
    precision: Precision = "f32",
    exact_conv: bool = False,
    specialize: Sizes | None = None,
    tune: float | None = None,
    tune_sizes: Dims | None = None,
    tune_threads: int = 0,
    decisions: Mapping[str, str] | None = None,
) -> None:
    """Compiles an ONNX file into one self-contained shared library at `path`, and its header.

    `emit` asks for another kind of file, or several: "shared" (.so), "object" (.o),
    "static-library" (.a), "executable", "header" (.h), "mlir", "llvm-ir" (.ll), "assembly" (.s).
    The first is written to `path`, the others beside it with endings of their own; a library has
    its header always. Files can be for another machine: `target_triple`, "aarch64-linux-gnu"
    (linked ones where its C library is installed, as cross compilers have it). With several CPUs, `target_cpu="x86-64-v3,x86-64-v4"`, it has code for each,
    and the best that the machine can run is chosen when it is loaded.

    `tune` measures on `tune_threads` threads (0: as many as cores). Where nothing says whether an optional
    input has an element, each run does.

    The other options and the errors are those of `compile`; also WriteError (a CompileError) if
    a file cannot be written. Each appears complete or not at all.
    """
    request = _request(
        dims, input_shapes, input_lengths, specialize, precision, exact_conv, target_cpu, train, progress,
        cache_dir, cache_bytes, log, reproducer,
    )
    _set_tuning(request, tune, tune_threads, tune_sizes, decisions)
    request.target_triple = target_triple or ""
    kinds = [emit] if isinstance(emit, str) else list(emit)
    _core.compile_to_file(os.fspath(model), os.fspath(path), kinds, request)


def load(path: Path, threads: int = 0, cpus: Sequence[int] | None = None, copy_parameters: bool = False) -> Model:
    """Loads what compile_to_file (or `nacre compile`) made, to be run on `threads` threads,
    which stay on `cpus` as `compile` says.

    With `copy_parameters` the weights are copied to huge pages first: what waits for them runs faster, but
    loading takes as long as the copy, and the memory is not shared with other processes.

    An artefact is code: load none that you do not trust. Raises LoadError, MissingFileError.
    """
    return _core.load(os.fspath(path), threads, list(cpus or []), copy_parameters)


def _serialize(model: onnx.ModelProto) -> bytes:
    try:
        return model.SerializeToString()
    except ValueError as error:  # Protobuf's limit of 2 GiB
        raise CompileError(
            f"the model cannot be serialized ({error}); save it with external data "
            "(onnx.save_model(..., save_as_external_data=True)) and compile the file"
        ) from None


def _request(
    dims: Dims | None,
    input_shapes: Shapes | None,
    input_lengths: Lengths | None,
    specialize: Sizes | None,
    precision: Precision,
    exact_conv: bool,
    target_cpu: str | None,
    train: Mapping[str, str | float] | None,
    progress: Progress | None,
    cache_dir: Path | None,
    cache_bytes: int | None,
    log: Log | None,
    reproducer: Path | None,
) -> _core._Request:
    request = _core._Request()
    request.dims = dict(dims or {})
    request.input_shapes = {name: list(shape) for name, shape in (input_shapes or {}).items()}
    request.input_lengths = dict(input_lengths or {})
    request.specialize = {name: list(sizes) for name, sizes in (specialize or {}).items()}
    request.precision = precision
    request.exact_conv = exact_conv
    request.target_cpu = target_cpu or ""
    request.train = None if train is None else _train_settings(train)
    request.progress = progress
    request.cache_dir = None if cache_dir is None else os.fspath(cache_dir)
    if cache_bytes is not None:
        if cache_bytes < 0:
            raise ValueError(f"cache_bytes is {cache_bytes}, expected 0 or more")
        request.cache_bytes = cache_bytes
    # Without a listener no line is made: remarks take time.
    request.log = log or (_logger.debug if _logger.isEnabledFor(logging.DEBUG) else None)
    request.reproducer = "" if reproducer is None else os.fspath(reproducer)
    return request


def _set_tuning(
    request: _core._Request,
    tune: float | None,
    threads: int,
    sizes: Dims | None,
    decisions: Mapping[str, str] | None,
) -> None:
    if tune is None and sizes:
        raise ValueError("tune_sizes says what `tune` measures, which is not asked for")
    request.tune_seconds = None if tune is None else float(tune)
    request.tune_threads = threads
    request.tune_sizes = dict(sizes or {})
    request.decisions = None if decisions is None else dict(decisions)


def _has_shape(name: str, request: _core._Request) -> bool:
    """Whether it, or its elements if they are counted, have one; what is not there needs none."""
    if request.input_lengths.get(name, 1) is None:
        return True
    return any(given == name or given.startswith(f"{name}[") for given in request.input_shapes)


def _train_settings(train: Mapping[str, Any]) -> dict[str, str]:
    """Options of training as text: shapes as "x=32x128,labels=32"."""

    def text(value: Any) -> str:
        if isinstance(value, Mapping):
            return ",".join(f"{name}={'x'.join(map(str, shape))}" for name, shape in value.items())
        return str(value)

    return {key: text(value) for key, value in train.items()}
