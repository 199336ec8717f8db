"""A training step's memory: said before it runs, and kept within a budget by computing again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn


from support import BUILD, NACRE, module

BATCH = 512


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(6):
            layers += [nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64)]
        self.layers = nn.Sequential(*layers, nn.Linear(64, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU()) for _ in range(4)
        )
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean((2, 3)))


MODELS = {"dense": (Dense, (64,)), "convolutions": (Convolutions, (1, 8, 8))}


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    torch.manual_seed(3)
    build, shape = MODELS[request.param]
    path = tmp_path_factory.mktemp("models") / f"{request.param}.onnx"
    torch.onnx.export(
        build().train(), (torch.randn(4, *shape),), path, dynamo=False, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
    )  # fmt: skip
    random = np.random.default_rng(1)
    x = random.standard_normal((BATCH, *shape), np.float32)
    return path, {"x": x, "labels": random.integers(0, 10, BATCH), "learning_rate": np.float32(1e-2)}


def compiled(path: Path, budget: str | int, **dims: int) -> Any:
    train = {"optimizer": "adam", "memory_budget": budget, "open_size": 0 if dims else BATCH}
    return module().compile(path, train=train, dims=dims, threads=1)


def refused(path: Path, budget: str | int, **train: Any) -> float:
    """What a step needs at least, in MB, as the error says it."""
    with pytest.raises(module().CompileError) as caught:
        module().compile(path, train={"optimizer": "adam", "memory_budget": budget, **train})
    found = re.search(r"a training step take ([\d.]+) MB of memory at least", str(caught.value))
    assert found, str(caught.value)
    return float(found[1])


def test_the_same_numbers_in_less_memory(model: tuple[Path, dict[str, Any]]) -> None:
    path, batch = model
    least = refused(path, 1, open_size=BATCH)
    wanted = compiled(path, 0)
    losses = [wanted.run(batch, function="step")[0] for _ in range(4)]
    for budget in (f"{least + 0.01:.2f}MB", f"{1.3 * least:.2f} MB", f"{2 * least:.2f}MB"):
        program = compiled(path, budget)
        np.testing.assert_allclose([program.run(batch, function="step")[0] for _ in range(4)], losses, rtol=2e-6)
        for name in wanted.parameters:
            np.testing.assert_allclose(program.read_parameter(name), wanted.read_parameter(name), rtol=1e-4, atol=2e-5)
    # Of known sizes as well.
    program = compiled(path, f"{least + 0.01:.2f}MB", N=BATCH)
    np.testing.assert_allclose([program.run(batch, function="step")[0] for _ in range(4)], losses, rtol=2e-6)
    refused(path, f"{least - 0.01:.2f}MB", open_size=BATCH)


_PEAK = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import nacre
path, budget, rows = sys.argv[2], sys.argv[3], int(sys.argv[4])
train = {"optimizer": "adam", "memory_budget": budget, "open_size": rows}
program = nacre.compile(path, train=train, threads=1, cache_dir="")
def batch(rows):
    return {"x": np.ones((rows, *map(int, sys.argv[5:])), np.float32), "labels": np.zeros(rows, np.int64),
            "learning_rate": np.float32(0)}
def read(key):
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith(key))
program.run(batch(1), function="step")  # what runs hold once and for all
feed = batch(rows)
inputs = sum(array.nbytes for array in feed.values())
with open("/proc/self/clear_refs", "w") as clear:
    clear.write("5")  # the peak begins anew
before = read("VmRSS")
program.run(feed, function="step")
print(read("VmHWM") - before + inputs)
"""


@pytest.mark.parametrize("budget", [0, 1.2])
def test_what_is_said_is_what_is_held(model: tuple[Path, dict[str, Any]], budget: float, tmp_path: Path) -> None:
    """The command says before the first step what a process then really holds, within 5 %."""
    path, batch = model
    shape = batch["x"].shape[1:]
    rows = 20_000 if len(shape) == 1 else 1000
    text = ""
    flags: list[str] = []
    if budget:
        text = f"{budget * refused(path, 1, open_size=rows):.1f}MB"
        flags = ["--memory-budget", text]
    np.savez(tmp_path / "data.npz", x=np.zeros((rows, *shape), np.float32), labels=np.zeros(rows, np.int64))
    command = [NACRE, "train", path, "--data", tmp_path / "data.npz", "-o", tmp_path / "out.onnx", "--optimizer",
               "adam", "--batch-size", str(rows), "--steps", "1", "--threads", "1", *flags]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    first = ran.stdout.splitlines()[0]
    found = re.fullmatch(r"memory: ([\d.]+) (MB|kB), ([\d.]+) (MB|kB) of them parameters and the optimizer's state", first)
    assert found, first
    unit = {"MB": 1e6, "kB": 1e3}
    step = float(found[1]) * unit[found[2]] - float(found[3]) * unit[found[4]]
    measure = [sys.executable, "-c", _PEAK, str(BUILD / "python"), str(path), text or "0", str(rows), *map(str, shape)]
    held = float(subprocess.run(measure, capture_output=True, text=True, check=True).stdout)
    assert step == pytest.approx(held, rel=0.05)


def test_mistakes(model: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, _ = model
    with pytest.raises(module().CompileError, match="a memory budget needs the size of a batch"):
        module().compile(path, train={"memory_budget": "1GB"})
    with pytest.raises(ValueError, match="memory_budget 'much': expected a number of bytes: 500MB, 2GiB"):
        module().compile(path, train={"memory_budget": "much"})
    ran = subprocess.run([NACRE, "compile", path, "--train", "mse", "--memory-budget", "-5MB", "-o", tmp_path / "m.so"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 2 and "--memory-budget" in ran.stderr


def test_random_numbers_are_drawn_again(tmp_path: Path) -> None:
    """A dropped element stays dropped where the forward pass is computed again."""
    torch.manual_seed(0)
    layers = [part for _ in range(4) for part in (nn.Linear(32, 32), nn.Dropout(0.5), nn.Tanh())]
    torch.onnx.export(nn.Sequential(*layers).train(), (torch.randn(64, 32),), tmp_path / "m.onnx", dynamo=False,
                      input_names=["x"], output_names=["y"], training=torch.onnx.TrainingMode.TRAINING,
                      do_constant_folding=False)  # fmt: skip
    assert any(node.op_type == "Dropout" for node in onnx.load(tmp_path / "m.onnx").graph.node)
    batch = {"x": np.ones((64, 32), np.float32), "targets": np.zeros((64, 32), np.float32),
             "learning_rate": np.float32(1)}  # fmt: skip
    least = refused(tmp_path / "m.onnx", 1, loss="mse", optimizer="sgd")
    results = []
    for budget in ("0", f"{least + 0.01:.2f}MB"):
        program = module().compile(tmp_path / "m.onnx", train={"loss": "mse", "memory_budget": budget})
        program.set_seed(5)
        results.append([program.run(batch, function="step")[0] for _ in range(3)])
    np.testing.assert_allclose(results[1], results[0], rtol=2e-6)
