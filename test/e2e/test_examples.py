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
# What each prints at its end, and the least that it may be.
QUALITY = {
    "functional": {"accuracy": 97.0},
    "sequential": {"accuracy": 98.5},
    "convolutional": {"accuracy": 98.5},
    "sequence": {"accuracy": 99.0},
    "language_model": {"accuracy": 99.0},
    "attention": {"accuracy": 99.0},
    "recommender": {"area under the ROC curve:": 0.95, "accuracy": 90.0},
    "policy_gradient": {"steps": 190.0},
    "segmentation": {"dice": 93.0},
    "knowledge_graph": {"TransE": 90.0, "DistMult": 95.0},
}


def run(name: str, *arguments: str | Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(BUILD / "python")}
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", QUALITY)
def test_example(name: str) -> None:
    lines = run(name).splitlines()[-len(QUALITY[name]) :]
    for line, (what, least) in zip(lines, QUALITY[name].items(), strict=True):
        assert line.startswith(f"{what} ")
        assert float(line.split()[-1].rstrip("%")) >= least


def test_saved_model(tmp_path: Path) -> None:
    run("functional", tmp_path / "mlp.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "mlp.onnx"), full_check=True)


def test_every_example_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - {"digits"} == set(QUALITY)
