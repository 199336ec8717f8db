"""The examples in Python: each trains to the quality that it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from support import BUILD, ROOT

FOLDER = ROOT / "examples/python"
ACCURACY = {"functional": 97.0, "sequential": 97.0, "convolutional": 97.0, "sequence": 99.0}


def run(name: str, *arguments: str | Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(BUILD / "python")}
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", ACCURACY)
def test_example(name: str) -> None:
    last = run(name).splitlines()[-1]
    assert last.startswith("accuracy ")
    assert float(last.split()[1].rstrip("%")) >= ACCURACY[name]


def test_saved_model(tmp_path: Path) -> None:
    run("functional", tmp_path / "mlp.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "mlp.onnx"), full_check=True)


def test_every_example_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - {"digits"} == set(ACCURACY)
