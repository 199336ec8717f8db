"""Training what is written as text of the nn dialect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import small_models
from support import module, nacre

TEXT = """// A comment, which goes.
nn.parameter trainable @w = dense<[[0.5, -1.0], [0.25, 2.0], [1.5, 0.125]]> : tensor<3x2xf32>
nn.parameter trainable @b = dense<0.0> : tensor<2xf32>
nn.parameter trainable @big = dense_resource<shared> : tensor<2xf32>
nn.parameter @same = dense_resource<shared> : tensor<2xf32>
func.func @main(%x: tensor<?x3xf32> {nn.name = "x", nn.symbols = ["N", ""]}) -> (tensor<?x2xf32> {nn.name = "y"}) {
  %w = nn.get_parameter @w : tensor<3x2xf32>
  %b = nn.get_parameter @b : tensor<2xf32>
  %big = nn.get_parameter @big : tensor<2xf32>
  %same = nn.get_parameter @same : tensor<2xf32>
  %0 = nn.matmul %x, %w : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  %1 = nn.add %0, %b : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %2 = nn.mul %1, %big : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %3 = nn.add %2, %same : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %3 : tensor<?x2xf32>
}
{-# dialect_resources: {builtin: {shared: "0x40000000000000400000A03F"}} #-}
"""
START = {"w": [[0.5, -1.0], [0.25, 2.0], [1.5, 0.125]], "b": [0.0, 0.0], "big": [2.0, 1.25], "same": [2.0, 1.25]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """m.mlir, and data.npz: one batch for it."""
    (tmp_path / "m.mlir").write_text(TEXT)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 3)).astype(np.float32), rng.standard_normal((16, 2)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, targets=y)
    return tmp_path


def compute(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    return (x @ weights["w"] + weights["b"]) * weights["big"] + weights["same"]


OPTIONS = ["--loss", "mse", "--optimizer", "sgd:lr=0.1", "--epochs", "1", "--batch-size", "16"]


def test_a_step_against_pytorch(folder: Path) -> None:
    """The text has new values in it; what is not trained, and shares its bytes with a weight, has not."""
    data = np.load(folder / "data.npz")
    nacre("train", folder / "m.mlir", *OPTIONS, "--data", folder / "data.npz", "-o", folder / "trained.mlir")
    weights = {name: torch.tensor(value, requires_grad=name != "same") for name, value in START.items()}
    x = torch.from_numpy(data["x"])
    torch.nn.functional.mse_loss(compute(weights, x), torch.from_numpy(data["targets"])).backward()
    torch.optim.SGD([w for w in weights.values() if w.requires_grad], lr=0.1).step()
    model = module().compile(folder / "trained.mlir")
    np.testing.assert_allclose(model(data["x"]), compute(weights, x).detach(), rtol=1e-5, atol=1e-6)
    # And each by itself: they are still parameters to be trained.
    trainer = module().Trainer(folder / "trained.mlir", loss="mse")
    assert set(trainer.parameters) == {"w", "b", "big"}
    for name, value in trainer.state_dict().items():
        assert not np.array_equal(value, np.float32(START[name])), f"{name} did not change"
        np.testing.assert_allclose(value, weights[name].detach(), rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_same_as_from_onnx(tmp_path: Path) -> None:
    """A model in either form is trained to the same bits, and to the same again from what was written."""
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    nacre("compile", model, "--train", "softmax-cross-entropy", "--emit", "mlir", "-o", tmp_path / "mlp.mlir")
    rng = np.random.default_rng(1)
    images, labels = rng.random((100, 64), dtype=np.float32), rng.integers(0, 10, 100)
    np.savez(tmp_path / "data.npz", data=images, labels=labels)
    for ending in ("onnx", "mlir"):
        for source, target in (("mlp", "once"), ("once", "twice")):
            paths = [tmp_path / f"{source}.{ending}", "-o", tmp_path / f"{target}.{ending}"]
            nacre("train", *paths, "--data", tmp_path / "data.npz", "--optimizer", "sgd:lr=0.1", "--epochs", "2")
    first = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "twice.onnx").graph.initializer}
    second = module().Trainer(tmp_path / "twice.mlir").state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    assert 'loc("h (Gemm)")' in (tmp_path / "twice.mlir").read_text(), "the nodes have lost their names"


def test_trainers(folder: Path) -> None:
    """The file may be replaced, and has what the session has, to the bit."""
    data = np.load(folder / "data.npz")
    trainer = module().Trainer(folder / "m.mlir", loss="mse", optimizer="adam")
    trainer.fit(data["x"], data["targets"], epochs=3)
    trainer.save(folder / "m.mlir")
    assert (folder / "m.mlir").read_bytes() == trainer.serialize()
    again = module().Trainer(folder / "m.mlir", loss="mse", optimizer="adam")
    for name, value in trainer.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], value, err_msg=name)


def test_what_is_refused(folder: Path) -> None:
    data = ["--data", folder / "data.npz"]
    constants = TEXT.replace(" trainable", "")
    (folder / "constants.mlir").write_text(constants)
    (folder / "broken.mlir").write_text("func.func @main(")
    onnx_model = small_models.save_perceptron(folder / "mlp.onnx", 3, 2)
    for model, out, status, expected in (
        ("m.mlir", "trained.onnx", 2, "expected a name that ends in .mlir, or in .so, .o or .a"),
        (onnx_model, "trained.ll", 2, "expected a name that ends in .onnx, or in .so, .o or .a"),
        (onnx_model, "trained.mlir", 2, "expected a name that ends in .onnx"),
        ("m.so", "trained.mlir", 2, "expected a model.onnx, or a module.mlir"),
        ("constants.mlir", "trained.mlir", 1, "that is trainable, as in `nn.parameter trainable @w"),
        ("broken.mlir", "trained.mlir", 1, "broken.mlir"),
        ("absent.mlir", "trained.mlir", 1, "cannot be read"),
        ("m.mlir", "absent/trained.mlir", 1, "cannot write"),
    ):
        before = sorted(folder.iterdir())
        ran = nacre("train", folder / model, *OPTIONS, *data, "-o", folder / out, ok=False)
        assert ran.status == status and expected in ran.err, ran.text()
        assert sorted(folder.iterdir()) == before
