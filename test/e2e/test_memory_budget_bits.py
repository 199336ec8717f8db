"""A training step has the same bits whatever its memory budget is: which is why checkpoints need not agree on it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from support import NACRE, module
from test_memory_budget import BATCH, compiled, model, refused, sequence  # noqa: F401
from torch import nn


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


def test_the_same_bits_with_several_open_sizes(sequence: tuple[Path, np.ndarray]) -> None:
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
