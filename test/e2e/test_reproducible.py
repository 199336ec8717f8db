"""The same model, options and version make the same bytes, wherever and however it is compiled."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import onnx.backend.test
import pytest
import small_models
from support import NACRE

LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"


def compiled(model: Path, folder: Path, prefix: tuple[str, ...] = (), **environment: str) -> str:
    folder.mkdir()
    shutil.copy(model, folder / model.name)
    # Also relative paths instead of absolute ones.
    command = [*prefix, str(NACRE), "compile", model.name, "-o", "m.so"]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, **environment})
    return hashlib.sha256((folder / "m.so").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["perceptron", "squeezenet"])
def test_bytes_are_the_same(tmp_path: Path, name: str) -> None:
    if name == "perceptron":
        model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    else:
        model = LIGHT / "light_squeezenet.onnx"
    first = compiled(model, tmp_path / "a")
    assert compiled(model, tmp_path / "another folder", TZ="Asia/Tokyo", LC_ALL="C.UTF-8") == first
    assert compiled(model, tmp_path / "one cpu", ("taskset", "-c", "0")) == first
    for run in range(3):  # threads that meet in another order
        assert compiled(model, tmp_path / f"run{run}") == first
