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


def test_the_same_bits_in_less_memory(model: tuple[Path, dict[str, Any]]) -> None:
    """Which is why checkpoints need not agree on a budget."""
    path, batch = model
    least = refused(path, 1, open_size=BATCH)
    wanted = compiled(path, 0)
    losses = [wanted.run(batch, function="step")[0] for _ in range(4)]
    for budget in (f"{least + 0.01:.2f}MB", f"{1.3 * least:.2f} MB", f"{2 * least:.2f}MB"):
        program = compiled(path, budget)
        assert [program.run(batch, function="step")[0] for _ in range(4)] == losses
        for name in wanted.parameters:
            assert program.read_parameter(name).tobytes() == wanted.read_parameter(name).tobytes(), name
    # Of known sizes, whose loops may be others, to rounding.
    program = compiled(path, f"{least + 0.01:.2f}MB", N=BATCH)
    np.testing.assert_allclose([program.run(batch, function="step")[0] for _ in range(4)], losses, rtol=2e-6)
    refused(path, f"{least - 0.01:.2f}MB", open_size=BATCH)


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


def test_the_same_numbers_with_several_open_sizes(sequence: tuple[Path, np.ndarray]) -> None:
    path, x = sequence
    batch = {"x": x[:64], "labels": np.arange(64) % 10}
    shapes = {key: value.shape for key, value in batch.items()}
    least = refused(path, 1, batch_shapes=shapes)
    feed = batch | {"learning_rate": np.float32(1e-2)}
    program = module().compile(path, train={"optimizer": "adam"})
    losses = [program.run(feed, function="step")[0] for _ in range(4)]
    trainer = module().Trainer(path, optimizer="adam", memory_budget=f"{least + 0.01:.2f}MB", batch_shapes=shapes)
    assert [trainer.step(batch, 1e-2) for _ in range(4)] == losses
    for name in program.parameters:
        assert trainer.model.read_parameter(name).tobytes() == program.read_parameter(name).tobytes(), name


class Mixture(nn.Module):
    """Products that are summed along rows and along columns, read several times, and kept in part: whatever a fused
    multiply-add could round in another way where it is computed again."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.kinds = np.random.default_rng(seed).permutation(np.arange(12) % 6).tolist()
        self.scales = nn.ParameterList(nn.Parameter(torch.randn(48)) for _ in self.kinds)
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(48, 48) / 7) for _ in self.kinds)
        self.head = nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for kind, scale, weight in zip(self.kinds, self.scales, self.weights, strict=True):
            h = x * scale
            y = [
                lambda: torch.sin(h) * h.mean(1, keepdim=True),
                lambda: torch.sin(h) + torch.sigmoid(h.mean(0, keepdim=True)),
                lambda: torch.tanh(h @ weight) + torch.exp(torch.tanh(h.mean(1, keepdim=True))),
                lambda: nn.functional.layer_norm(torch.sin(h) * h, (48,)) @ weight,
                lambda: torch.softmax(h * h, 1) * torch.tanh((h * x).sum(1, keepdim=True)),
                lambda: nn.functional.gelu(x @ weight) * scale,
            ][kind]()
            x = torch.tanh(x * 0.5 + y)
        return self.head(x)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_bits_of_mixtures(seed: int, precision: str, tmp_path: Path) -> None:
    torch.manual_seed(seed)
    x = torch.randn(200, 48)
    torch.onnx.export(
        Mixture(seed).train(), (x[:4],), tmp_path / "m.onnx", dynamo=False, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
    )  # fmt: skip
    batch = {"x": x.numpy(), "labels": np.arange(200) % 10}
    feed = batch | {"learning_rate": np.float32(1e-3)}
    settings = {"batch_shapes": {key: value.shape for key, value in batch.items()}, "precision": precision}
    least = refused(tmp_path / "m.onnx", 1, **settings)
    wanted = None
    for budget in ("0", f"{least + 0.01:.2f}MB", f"{1.2 * least:.2f}MB", f"{1.6 * least:.2f}MB"):
        program = module().compile(tmp_path / "m.onnx", train={"optimizer": "adam", "memory_budget": budget, **settings})
        found = [float(program.run(feed, function="step")[0]) for _ in range(4)]
        found += [program.read_parameter(name).tobytes() for name in program.parameters]
        assert np.isfinite(found[:4]).all()
        wanted = wanted or found
        assert found == wanted


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
    assert results[1] == results[0]


def test_a_training_goes_on_with_another_budget(model: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """What ran out of memory goes on with less, to the same file."""
    path, batch = model
    np.savez(tmp_path / "data.npz", **{key: value for key, value in batch.items() if key != "learning_rate"})
    shapes = {key: (128, *value.shape[1:]) for key, value in batch.items() if key != "learning_rate"}
    budget = f"{refused(path, 1, batch_shapes=shapes) + 0.01:.2f}MB"

    def train(name: str, steps: int, *more: str | Path) -> bytes:
        out = tmp_path / f"{name}.onnx"
        command = [NACRE, "train", path, "--data", tmp_path / "data.npz", "-o", out, "--optimizer", "adam", "--batch-size"]
        subprocess.run([*command, "128", "--steps", str(steps), *more], capture_output=True, check=True)
        return out.read_bytes()

    kept = ["--checkpoint", tmp_path / "run", "--checkpoint-every", "1step", "--resume"]
    whole = train("whole", 9)
    assert train("budget", 9, "--memory-budget", budget) == whole
    train("first", 3, *kept)
    train("second", 6, *kept, "--memory-budget", budget)
    assert train("third", 9, *kept) == whole
