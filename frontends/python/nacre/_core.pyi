"""The extension module; use the package `nacre`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

# An input; lists of arrays are sequences, None is an optional without an element.
Input = ArrayLike | list[ArrayLike] | None
# An output: an array, a sequence of arrays, or an optional without an element.
Value = NDArray[Any] | list[NDArray[Any]] | None

class Error(Exception):
    """Any failure of Nacre"""

class CompileError(Error):
    """A model that cannot be compiled, and all reasons"""

class InternalError(Error):
    """A fault of the compiler's own: please report it"""

class LoadError(Error):
    """A file that is no artefact for this machine"""

class RunError(Error):
    """Inputs that do not fit, or a failure during a run"""

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
        """Of a sequence: its tensors. None of a tensor, and of an optional without an element"""

class Model:
    """A compiled model with threads and memory: made by nacre.compile or nacre.load.

    Thread-safe: runs may overlap, and other Python threads go on meanwhile.
    """

    @property
    def inputs(self) -> list[TensorInfo]: ...
    @property
    def outputs(self) -> list[TensorInfo]: ...
    @property
    def threads(self) -> int:
        """How many threads a run uses at most"""

    @property
    def functions(self) -> list[str]:
        """The names of the model's functions: main, and step if it can be trained"""

    @property
    def parameters(self) -> list[str]:
        """The names of the model's parameters"""

    def read_parameter(self, name: str) -> NDArray[Any]:
        """A copy of a parameter's value, made between runs"""

    def write_parameter(self, name: str, value: ArrayLike) -> None:
        """Gives a parameter that training changes another value, between runs"""

    def set_seed(self, seed: int) -> None:
        """Sets what random numbers (RandomNormal, Dropout, ...) are drawn from, and begins to count
        the runs anew. They depend on the seed, 0 at first, and on how many runs began before"""

    def run(
        self, inputs: Sequence[Input] | dict[str, Input], function: str = "main"
    ) -> list[Value]:
        """Runs a function of the model. Inputs: a sequence of arrays, or a dict of them by name;
        a list of arrays for a sequence, None for an optional without an element.
        Strings are arrays of Python strings.

        Returns a list of all outputs in order; a sequence is a list of arrays, an optional
        without an element None. Raises RunError.
        """

    def __call__(
        self, *inputs: Input, **named_inputs: Input
    ) -> Value | tuple[Value, ...]:
        """Runs the model on arrays by position, or by name as keywords.

        Returns the output, or a tuple of them if the model has not exactly one.
        """

def compile(
    source: str | bytes,
    dims: dict[str, int],
    input_shapes: dict[str, list[int]],
    input_lengths: dict[str, int | None],
    examples: dict[str, list[int] | None],
    threads: int,
    target_cpu: str,
    train: dict[str, str] | None,
) -> Model: ...
def compile_to_file(
    model: str,
    path: str,
    dims: dict[str, int],
    input_shapes: dict[str, list[int]],
    input_lengths: dict[str, int | None],
    target_cpu: str,
    train: dict[str, str] | None,
) -> None: ...
def load(path: str, threads: int) -> Model: ...
