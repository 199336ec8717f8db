"""What a model of the catalogue is."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo

Sizes = dict[str, int]
PACKAGES = ("torch", "transformers", "diffusers", "onnxscript", "keras", "skl2onnx", "scikit-learn")


@dataclass(frozen=True)
class Input:
    """Its shape, with names for open sizes, and what makes its values."""

    shape: tuple[int | str, ...]
    values: Callable[[tuple[int, ...], Sizes], Any]

    def make(self, sizes: Sizes) -> Any:
        return self.values(tuple(sizes[d] if isinstance(d, str) else d for d in self.shape), sizes)

    def open(self) -> dict[int, str]:
        return {axis: d for axis, d in enumerate(self.shape) if isinstance(d, str)}


def floats(*shape: int | str, low: float = -1, high: float = 1) -> Input:
    return Input(shape, lambda s, _: torch.rand(s) * (high - low) + low)


def tokens(below: int, *shape: int | str) -> Input:
    return Input(shape, lambda s, _: torch.randint(0, below, s))


def mask(*shape: int | str) -> Input:
    """Ones, then zeros, in each row; the first row has no zeros."""

    def values(s: tuple[int, ...], _: Sizes) -> Tensor:
        lengths = torch.randint(max(1, s[-1] // 2), s[-1] + 1, (*s[:-1], 1))
        lengths[0] = s[-1]
        return (torch.arange(s[-1]).expand(s) < lengths).long()

    return Input(shape, values)


@dataclass(frozen=True)
class Model:
    name: str
    task: str
    exporter: str  # dynamo, torchscript, keras or skl2onnx: a function in exporters.py
    build: Callable[[], Any]
    inputs: dict[str, Input]
    outputs: list[str]
    sizes: tuple[Sizes, ...] = ({},)  # of each data set; the first is what is exported
    fast: bool = False  # part of the default run
    options: dict[str, Any] | None = None  # of the exporter
    theme: str = ""  # the file that it stands in

    def dynamic(self) -> dict[str, dict[int, str]]:
        """Input -> {axis: name} of its open sizes."""
        axes = {name: value.open() for name, value in self.inputs.items()}
        return {name: open_axes for name, open_axes in axes.items() if open_axes}

    def feeds(self, sizes: Sizes) -> dict[str, Any]:
        return {name: value.make(sizes) for name, value in self.inputs.items()}

    def get(self) -> zoo.Files:
        """The model's files, made now if they are missing or their sources changed."""
        folder = zoo.CACHE / "catalogue" / self.name

        def make() -> None:
            torch.manual_seed(7)
            getattr(import_module("catalogue.exporters"), self.exporter)(self, folder)

        zoo.keep(folder, self._key(), make)
        return zoo.Files(self.name, folder / "model.onnx")

    def _key(self) -> str:
        """Changes with the model's file, with what all models share, and with the packages; comments do not count."""
        digest = hashlib.sha256(repr((self.name, self.exporter, self.sizes, self.outputs, self.dynamic())).encode())
        here = Path(__file__).parent
        shared = [here / "model.py", here / "exporters.py", here / "parts.py", here.parent / "zoo" / "generate.py"]
        for file in (*shared, Path(self.theme)):
            digest.update(ast.dump(ast.parse(file.read_text())).encode())
        for package in PACKAGES:
            digest.update(metadata.version(package).encode())
        return digest.hexdigest()
