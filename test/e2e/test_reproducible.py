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


KINDS = {"perceptron": "shared,static-library,object,header,mlir,llvm-ir,assembly", "squeezenet": "shared,header"}


def compiled(model: Path, folder: Path, prefix: tuple[str, ...] = (), *, kinds: str, **environment: str) -> dict[str, str]:
    """A hash of each file."""
    folder.mkdir()
    shutil.copy(model, folder / model.name)
    # Also relative paths instead of absolute ones.
    for options in (["-o", "m.so", "--emit", kinds], ["-o", "m", "--emit", "executable"]):
        command = [*prefix, str(NACRE), "compile", model.name, *options]
        subprocess.run(command, cwd=folder, check=True, env={**os.environ, **environment})
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("m*") if path.suffix != ".onnx"}
    assert len(files) == kinds.count(",") + 2
    return files


@pytest.mark.parametrize("name", ["perceptron", "squeezenet"])
def test_bytes_are_the_same(tmp_path: Path, name: str) -> None:
    if name == "perceptron":
        model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    else:
        model = LIGHT / "light_squeezenet.onnx"
    kinds = KINDS[name]
    first = compiled(model, tmp_path / "a", kinds=kinds)
    assert compiled(model, tmp_path / "another folder", kinds=kinds, TZ="Asia/Tokyo", LC_ALL="C.UTF-8") == first
    assert compiled(model, tmp_path / "one cpu", ("taskset", "-c", "0"), kinds=kinds) == first
    for run in range(3):  # threads that meet in another order
        assert compiled(model, tmp_path / f"run{run}", kinds=kinds) == first
