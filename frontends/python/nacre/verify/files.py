"""Values in files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx


def load(path: Path) -> Any:
    """An .npy, or a tensor of ONNX's."""
    if path.suffix != ".pb":
        return np.load(path, allow_pickle=False)
    return onnx.numpy_helper.to_array(onnx.load_tensor(str(path)))


def save(archive: Path, values: Mapping[str, Any]) -> None:
    """An .npz, whatever the values are called (np.savez takes no 'file')."""
    with zipfile.ZipFile(archive, "w") as file:
        for name, value in values.items():
            with file.open(name + ".npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
