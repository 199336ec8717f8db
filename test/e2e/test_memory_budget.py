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


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


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


_PEAK = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import nacre
path, budget = sys.argv[2:4]
with np.load(sys.argv[4]) as file:
    data = dict(file)
shapes = {key: value.shape for key, value in data.items()}
train = {"optimizer": "adam", "memory_budget": budget, "batch_shapes": shapes}
program = nacre.compile(path, train=train, threads=1, cache_dir="")
def batch(rows):
    return {key: value[:rows].copy() for key, value in data.items()} | {"learning_rate": np.float32(0)}
def read(key):
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith(key))
program.run(batch(1), function="step")  # what runs hold once and for all
feed = batch(None)
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
    check_what_is_said(path, np.ones((rows, *shape), np.float32), budget, tmp_path)


def check_what_is_said(path: Path, x: np.ndarray, budget: float, tmp_path: Path, packs: bool = False) -> None:
    rows = len(x)
    data = {"x": x, "labels": np.zeros(rows, np.int64)}
    text = ""
    flags: list[str] = []
    if budget:
        text = f"{budget * refused(path, 1, batch_shapes={key: value.shape for key, value in data.items()}):.1f}MB"
        flags = ["--memory-budget", text]
    (np.savez_compressed if packs else np.savez)(tmp_path / "data.npz", **data)
    command = [NACRE, "train", path, "--data", tmp_path / "data.npz", "-o", tmp_path / "out.onnx", "--optimizer",
               "adam", "--batch-size", str(rows), "--steps", "1", "--threads", "1", *flags]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    first = ran.stdout.splitlines()[0]
    found = re.fullmatch(r"memory: ([\d.]+) (MB|kB), ([\d.]+) (MB|kB) of them parameters and the optimizer's state", first)
    assert found, first
    unit = {"MB": 1e6, "kB": 1e3}
    step = float(found[1]) * unit[found[2]] - float(found[3]) * unit[found[4]]
    measure = [sys.executable, "-c", _PEAK, str(BUILD / "python"), str(path), text or "0", str(tmp_path / "data.npz")]
    held = float(subprocess.run(measure, capture_output=True, text=True, check=True).stdout)
    assert step == pytest.approx(held, rel=0.05)


# Models with more open sizes than the batch, and an input of theirs.
OPEN = {
    "attention": (Attention, {0: "N", 1: "T"}, np.ones((600, 24), np.int64)),
    "recurrent": (Recurrent, {0: "N", 1: "T"}, np.ones((1000, 30, 16), np.float32)),
    "convolutions": (Convolutions, {0: "N", 2: "H", 3: "W"}, np.ones((400, 1, 20, 12), np.float32)),
}


@pytest.fixture(scope="module", params=list(OPEN))
def sequence(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    torch.manual_seed(3)
    build, axes, x = OPEN[request.param]
    path = tmp_path_factory.mktemp("models") / f"{request.param}.onnx"
    torch.onnx.export(
        build().train(), (torch.from_numpy(x[:4]),), path, dynamo=False, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": axes, "y": {0: "N"}}, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
    )  # fmt: skip
    return path, x


@pytest.mark.parametrize("budget", [0, 1.2])
def test_several_open_sizes(sequence: tuple[Path, np.ndarray], budget: float, tmp_path: Path) -> None:
    """The data's headers say what they are, of a packed archive too."""
    check_what_is_said(*sequence, budget, tmp_path, packs=True)


def test_sizes_that_values_decide(tmp_path: Path) -> None:
    """Nothing is said of memory that nobody knows, and no budget is kept to."""
    helper = onnx.helper
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("NonZero", ["positive"], ["places"]),  # [1, as many as there are]
        helper.make_node("Cast", ["places"], ["numbers"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "w"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled"], ["mean"], keepdims=0),
        helper.make_node("Add", ["x", "mean"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", 1, ["N"])], [value("y", 1, ["N"])],
                              [helper.make_tensor("w", 1, [1], [0.5])])  # fmt: skip
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    np.savez(tmp_path / "data.npz", x=np.ones(64, np.float32), targets=np.zeros(64, np.float32))
    command = [NACRE, "train", path, "--data", tmp_path / "data.npz", "-o", tmp_path / "out.onnx", "--loss", "mse"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "memory" not in ran.stdout
    ran = subprocess.run([*command, "--memory-budget", "1GB"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and "some depend on values that it computes" in ran.stderr, ran


def test_mistakes(model: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, _ = model
    with pytest.raises(module().CompileError, match="a memory budget needs the size of a batch"):
        module().compile(path, train={"memory_budget": "1GB"})
    with pytest.raises(ValueError, match="batch_shapes 'x=5xy': expected shapes by the names of inputs and targets"):
        module().compile(path, train={"batch_shapes": "x=5xy"})
    with pytest.raises(ValueError, match="memory_budget 'much': expected a number of bytes: 500MB, 2GiB"):
        module().compile(path, train={"memory_budget": "much"})
    ran = subprocess.run([NACRE, "compile", path, "--train", "mse", "--memory-budget", "-5MB", "-o", tmp_path / "m.so"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 2 and "--memory-budget" in ran.stderr
