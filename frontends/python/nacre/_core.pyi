"""The extension module; use the package `nacre`."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._profile import Profile

__version__: str

# An input: an array of NumPy's or of any package with __dlpack__; lists of arrays are
# sequences, a dict is a map, None is an optional without an element.
Map = dict[int, Any] | dict[str, Any]
Input = Any | ArrayLike | list[ArrayLike] | Map | None
# An output: an array, a sequence of arrays, a map, a sequence of maps, or an optional without an element.
Value = NDArray[Any] | list[NDArray[Any]] | Map | list[Map] | None

class Error(Exception):
    """Any failure of Nacre"""

class CompileError(Error):
    """A model that cannot be compiled, and all reasons"""

class WriteError(CompileError, OSError):
    """A file that cannot be written"""

class GraphError(CompileError, ValueError):
    """A graph that is being written has a node that does not fit"""

class InternalError(Error):
    """A fault of the compiler's own: please report it"""

class LoadError(Error):
    """A file that is no artefact for this machine, or no checkpoint of the model"""

class MissingFileError(LoadError, FileNotFoundError):
    """There is no such file"""

class RunError(Error):
    """Inputs that do not fit, or a failure during a run"""

class InputError(RunError, ValueError):
    """Inputs or outputs that do not fit: their number, names, types, shapes or values"""

class OutOfMemoryError(RunError, MemoryError):
    """A run needs more memory than there is"""

class Cancelled(Error):
    """A run or a compilation that was cancelled"""

class TensorInfo:
    """What an input or an output must look like"""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Of a tensor; strings are objects. None of other values"""
    @property
    def shape(self) -> tuple[int | str | None, ...]:
        """Sizes; names of dynamic dimensions, or None"""
    @property
    def elements(self) -> list[TensorInfo] | None:
        """Of a sequence: its tensors. Of maps: their keys and values. None of a tensor, and of an optional
        without an element"""

class Signature:
    """What a model takes and gives"""

    @property
    def inputs(self) -> list[TensorInfo]: ...
    @property
    def outputs(self) -> list[TensorInfo]: ...

class Model:
    """A compiled model with threads and memory: made by nacre.compile or nacre.load.

    Thread-safe: runs may overlap, and other Python threads go on meanwhile.
    """

    @property
    def inputs(self) -> list[TensorInfo]: ...
    @property
    def outputs(self) -> list[TensorInfo]: ...
    @property
    def signature(self) -> Signature:
        """What the model takes and gives: inputs and outputs; printed as one line"""

    @property
    def threads(self) -> int:
        """How many threads a run uses at most"""

    @property
    def target_cpu(self) -> str:
        """LLVM's name of the CPU that the code is for; of a file for several, what was chosen"""

    @property
    def target_cpus(self) -> list[str]:
        """The CPUs that there is code for, the best first"""

    @property
    def provenance(self) -> dict[str, Any]:
        """What the model was compiled from, and with which options and decisions"""

    @property
    def functions(self) -> list[str]:
        """The names of the model's functions: main; step and evaluate if it can be trained"""

    @property
    def signatures(self) -> dict[str, Signature]:
        """What each function takes and gives, by its name"""

    @property
    def parameters(self) -> list[str]:
        """The names of the model's parameters"""

    def read_parameter(self, name: str) -> NDArray[Any]:
        """A copy of a parameter's value, made between runs"""

    def view_parameter(self, name: str) -> NDArray[Any]:
        """The parameter itself as a read-only array, without a copy: it shows what runs make of it, and
        must not be looked at during one"""

    def write_parameter(self, name: str, value: ArrayLike) -> None:
        """Gives a parameter that training changes another value, between runs"""

    def set_seed(self, seed: int) -> None:
        """Sets what random numbers (RandomNormal, Dropout, ...) are drawn from, and begins to count
        the runs anew. They depend on the seed, 0 at first, and on how many runs began before"""

    @property
    def random_state(self) -> tuple[int, int]:
        """What the next run's random numbers depend on: a tuple of the seed and of how many runs
        began since it was set"""
    @random_state.setter
    def random_state(self, state: tuple[int, int], /) -> None: ...
    def save_parameters(self, path: str | os.PathLike[str], metadata: dict[str, str] = ...) -> None:
        """Writes the parameters that training changes (weights, running statistics, the optimizer's
        state, moving averages) by their names as a .safetensors file, between runs. metadata: texts
        that go with them. The file appears complete or not at all. Raises WriteError."""

    def load_parameters(
        self, path: str | os.PathLike[str], allow_missing_state: bool = False, allow_others: bool = False
    ) -> dict[str, str]:
        """Sets them to what a .safetensors file has, whoever wrote it, between runs; returns the
        metadata. The file is checked before anything changes: it must have exactly these parameters
        with their types and shapes. allow_missing_state: what training keeps beside the weights may
        be missing, and stays; allow_others: the file may have tensors of other names. Raises LoadError."""

    def run(
        self,
        inputs: Sequence[Input] | dict[str, Input],
        function: str = "main",
        out: Sequence[Any] | dict[str, Any] | None = None,
    ) -> list[Any]:
        """Runs a function of the model. Inputs: a sequence of arrays, or a dict of them by name;
        a list of arrays for a sequence, a dict for a map, None for an optional without an element.
        Strings are arrays of Python strings. Arrays are NumPy's, or anything with __dlpack__
        (PyTorch, JAX) in this machine's memory; both are read where they are, unless they have
        gaps or another order: then a copy is.
        out: arrays to write outputs into, of their shapes, row-major: a sequence (None where the
        run shall make an array) or a dict by name.

        Returns a list of all outputs in order; a sequence is a list of arrays, a map a dict, an
        optional without an element None; with `out`, the arrays given there. Raises InputError,
        OutOfMemoryError, Cancelled or another RunError; the model can be used on.
        """

    def cancel(self) -> None:
        """Ends the runs in flight within a second: they raise Cancelled. From any thread;
        Ctrl-C does the same to a run on the main thread, which raises KeyboardInterrupt"""

    def new_session(self, threads: int = 0, cpus: Sequence[int] = ...) -> Model:
        """Another model with threads and memory of its own, and the same code and weights, which
        are in memory once; parameters that training changes begin anew"""

    def profile(self) -> Profile:
        """A context manager that measures the runs inside of it: its `kernels` say how long each
        took, its `write_trace(path)` writes a Chrome trace"""

    def _set_profiling(self, mode: int, /) -> None: ...
    def _reset_profile(self) -> None: ...
    def _kernel_times(self) -> list[dict[str, Any]]: ...
    def _write_trace(self, path: str, /) -> None: ...

    def __call__(
        self, *inputs: Input, **named_inputs: Input
    ) -> Value | tuple[Value, ...]:
        """Runs the model on arrays by position, or by name as keywords.

        Returns the output, or a tuple of them if the model has not exactly one.
        """

class Schedule:
    """A learning rate over a training: `model.run(..., function="step")` takes it as an input.

    `text` is as in "cosine:warmup=100" (docs/training.md lists what there is); `steps` is the
    number of steps in all, `steps_per_epoch` those of an epoch. Not thread-safe.
    """

    def __init__(self, text: str, steps: int, steps_per_epoch: int = 1) -> None: ...
    def rate(self, lr: float, step: int) -> float:
        """The rate of a step, counted from 0; lr is the optimiser's"""

    def observe(self, lr: float, metric: float) -> None:
        """Tells the schedule `plateau` how good an epoch was; others do not mind"""

class _Trainer:
    def __init__(
        self,
        program: Model,
        data: dict[str, NDArray[Any]] | Callable[[int, int], dict[str, NDArray[Any]] | None],
        validation: dict[str, NDArray[Any]],
        metrics: list[str],
        batch_size: int,
        seed: int,
        learning_rate: float,
        epochs: int,
        schedule: str,
        settings: dict[str, str],
        steps: int,
        read_ahead: bool,
        /,
    ) -> None: ...
    def run_epoch(
        self, index: int, progress: Callable[[int, int, float], object] | None
    ) -> tuple[float, list[float], int, float, float, tuple[float, list[float], int] | None]: ...
    def keep(
        self, folder: str, every: str, newest: int, resumes: bool, patience: int, monitor: str, /
    ) -> int: ...
    @property
    def is_done(self) -> bool: ...
    @property
    def history(self) -> list[str]: ...
    @property
    def steps(self) -> int: ...
    def finish(self) -> int: ...
    def release(self) -> None: ...

class _Exporter:
    def __init__(self, source: str | bytes, program: Model, /) -> None: ...
    @property
    def parameters(self) -> list[str]: ...
    def write(self, program: Model, path: str, /) -> None: ...
    def serialize(self, program: Model, /) -> bytes: ...

def _evaluate(
    program: Model,
    columns: dict[str, NDArray[Any]],
    metrics: list[str],
    batch_size: int,
    settings: dict[str, str],
    /,
) -> tuple[float, list[float], int]: ...
def _predict(program: Model, columns: dict[str, NDArray[Any]], batch_size: int, /) -> list[NDArray[Any]]: ...
def _use_averages(program: Model, /) -> None: ...
def _write_file(path: str, data: bytes, /) -> None: ...
def _learning_rate(settings: dict[str, str], /) -> float: ...

class _Request:
    dims: dict[str, int]
    input_shapes: dict[str, list[int]]
    input_lengths: dict[str, int | None]
    precision: str
    exact_conv: bool
    specialize: dict[str, list[int]]
    tune_seconds: float | None
    tune_threads: int
    tune_sizes: dict[str, int]
    decisions: dict[str, str] | None
    target_cpu: str
    target_triple: str
    train: dict[str, str] | None
    cache_dir: str | None
    cache_bytes: int
    reproducer: str
    progress: Callable[[str, int, int], object] | None
    log: Callable[[str], object] | None

def compile(
    source: str | bytes,
    request: _Request,
    examples: dict[str, list[list[int]] | None],
    threads: int,
    cpus: list[int],
    /,
) -> Model: ...
def list_inputs(source: str | bytes, /) -> list[tuple[str, bool, bool]]: ...
def compile_to_file(model: str, path: str, emit: list[str], request: _Request, /) -> None: ...
def load(path: str, threads: int, cpus: list[int], copy_parameters: bool, /) -> Model: ...
