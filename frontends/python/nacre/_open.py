"""Models that leave open what has to be known before they can be compiled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ._core import InputError, Model


def shapes_of(value: Any) -> list[list[int]] | None:
    """Of the elements of an input's value."""
    if value is None:
        return None
    if isinstance(value, dict):  # of a map: keys and values
        return [[len(value)], [len(value)]]
    return [list(np.shape(element)) for element in (value if isinstance(value, (list, tuple)) else [value])]


class OpenModel:
    """A model that is compiled when it is first run: its file says nothing about the rank of an input, or
    leaves open whether an optional input has an element. There is a nacre.Model for each that was met,
    made once and kept; sizes that are open stay so, but the length of a vector on which a rank depends.
    Thread-safe."""

    def __init__(
        self, names: Sequence[str], open_inputs: Mapping[str, bool], make: Callable[[Mapping[str, Any]], Model]
    ) -> None:
        self._names = list(names)
        self._open = dict(open_inputs)  # by name: whether it may be left out
        self._make = make
        self._models: dict[Any, list[Model]] = {}
        self._fixed: set[str] = set()  # vectors that have one length in every model
        self._lock = threading.Lock()

    @property
    def open_inputs(self) -> list[str]:
        """The inputs whose values decide what is compiled"""
        return list(self._open)

    def specialize(self, inputs: Sequence[Any] | Mapping[str, Any]) -> Model:
        """The model for such inputs, compiled if there is none yet."""
        if not isinstance(inputs, Mapping) and len(inputs) != len(self._names):
            raise InputError(f"the model has {len(self._names)} inputs, found {len(inputs)}")
        named = dict(inputs if isinstance(inputs, Mapping) else zip(self._names, inputs))
        for name, may_lack in self._open.items():
            if name not in named and not may_lack:
                raise InputError(f"input '{name}' is missing")
            named.setdefault(name, None)
        key = tuple(self._describe(named[name]) for name in self._open)
        with self._lock:
            models = self._models.setdefault(key, [])
            for model in models:
                if not self._list_others(model, named) - self._fixed:
                    return model
            made = self._make(named)
            # What was not compiled for the length that it has here cannot have it: running says so.
            self._fixed |= self._list_others(made, named)
            models.append(made)
            return made

    def run(
        self,
        inputs: Sequence[Any] | Mapping[str, Any],
        function: str = "main",
        out: Sequence[Any] | Mapping[str, Any] | None = None,
    ) -> list[Any]:
        """What Model.run does, of the model for these inputs."""
        return self.specialize(inputs).run(inputs, function, out)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """What Model's call does, of the model for these inputs."""
        if inputs and named:
            raise InputError("inputs are given by position or by name, not both")
        return self.specialize(named or inputs)(*inputs, **named)

    def __repr__(self) -> str:
        return f"<nacre.OpenModel ({', '.join(self._names)}), open: {', '.join(self._open)}>"

    @staticmethod
    def _describe(value: Any) -> Any:
        """What an input's value decides: the ranks of its elements, one for all if they are the same."""
        shapes = shapes_of(value)
        ranks = None if shapes is None else tuple(len(shape) for shape in shapes)
        return ("any number", ranks[0]) if isinstance(value, (list, tuple)) and ranks and len(set(ranks)) == 1 else ranks

    @staticmethod
    def _list_others(model: Model, named: Mapping[str, Any]) -> set[str]:
        """The vectors that have other lengths than those that it was compiled for."""
        others = set()
        for info in model.inputs:
            value = named.get(info.name)
            if len(info.shape) != 1 or not isinstance(info.shape[0], int) or not hasattr(value, "shape"):
                continue
            if len(value.shape) == 1 and value.shape[0] != info.shape[0]:
                others.add(info.name)
        return others
