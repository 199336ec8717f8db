"""A static model that has run asks for no more memory."""

from __future__ import annotations

import subprocess
from pathlib import Path

import onnx.backend.test
import pytest
import small_models
from support import BUILD, ROOT, nacre

LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("steady") / "steady_state"
    source = ROOT / "test" / "e2e" / "Inputs" / "steady_state.c"
    archive = BUILD / "lib" / "libnacre-runtime.a"
    subprocess.run(["cc", "-std=gnu11", "-O1", f"-I{ROOT}", source, archive, "-o", path], check=True)
    return path


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("name", ["perceptron", "squeezenet"])
def test_no_memory_is_asked_for(program: Path, tmp_path: Path, name: str, threads: str) -> None:
    artifact = tmp_path / "m.so"
    if name == "perceptron":
        model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
        nacre("compile", model, "--dim", "N=8", "-o", artifact)
    else:
        nacre("compile", LIGHT / "light_squeezenet.onnx", "-o", artifact)
    ran = subprocess.run([program, artifact, threads], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0\n", "")
