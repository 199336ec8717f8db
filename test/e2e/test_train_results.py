"""What `nacre train` writes: files that other runtimes infer with, artefacts; and what it says of what it trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from support import module, nacre

MODES = torch.onnx.TrainingMode


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.drop, self.head = nn.Dropout(0.4), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(torch.relu(self.norm(self.conv(x))).mean((2, 3))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits, as x and labels; the model as exporters write it for training, and for inference, old and new."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("results")
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    np.savez(folder / "digits.npz", x=images[:600], labels=labels[:600])
    np.save(folder / "images.npy", images[600:700])
    torch.manual_seed(2)
    model, x = Net(), torch.zeros(2, 1, 8, 8)
    for name, mode in (("training", MODES.TRAINING), ("inference", MODES.EVAL)):
        torch.onnx.export(
            model.train(mode == MODES.TRAINING), (x,), folder / f"{name}.onnx", dynamo=False, input_names=["x"],
            output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, training=mode,
            do_constant_folding=mode != MODES.TRAINING,
        )  # fmt: skip
    shapes = ({0: torch.export.Dim("N")},)
    program = torch.onnx.export(model.eval(), (x,), dynamo=True, input_names=["x"], output_names=["y"], dynamic_shapes=shapes)
    program.save(folder / "dynamo.onnx")
    return folder


def train(folder: Path, name: str, out: Path, *more: str | Path, **options: Any) -> Any:
    data = ["--data", folder / "digits.npz", "--epochs", "2", "--optimizer", "adam:lr=0.01"]
    return nacre("train", folder / f"{name}.onnx", *data, "-o", out, *more, **options)


@pytest.mark.parametrize("name", ["training", "inference", "dynamo"])
def test_other_runtimes_give_the_same(folder: Path, tmp_path: Path, name: str) -> None:
    """Nothing is dropped, and what is normalised is so with the running statistics that have been trained."""
    out = tmp_path / "out.onnx"
    train(folder, name, out)
    before, after = onnx.load(folder / f"{name}.onnx"), onnx.load(out)
    onnx.checker.check_model(after, full_check=True)
    types = [node.op_type for node in after.graph.node]
    assert types == [node.op_type for node in before.graph.node if node.op_type != "Constant" or list(node.output)[0] in {
        name for kept in after.graph.node for name in kept.output}]
    names = [tensor.name for tensor in before.graph.initializer]
    assert [tensor.name for tensor in after.graph.initializer] == names
    for node, old in zip([n for n in after.graph.node if n.op_type not in ("Constant", "BatchNormalization", "Dropout")],
                         [n for n in before.graph.node if n.op_type not in ("Constant", "BatchNormalization", "Dropout")], strict=True):  # fmt: skip
        assert node == old
    assert types.count("BatchNormalization") == types.count("Dropout") == (name == "training")
    x = np.load(folder / "images.npy")
    wanted = ReferenceEvaluator(after).run(None, {"x": x})[0]
    theirs = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    ours = module().compile(out).run({"x": x})[0]
    np.testing.assert_allclose(theirs, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5)
    # And that is what was trained: the session's own predictions.
    with np.load(folder / "digits.npz") as file:
        trainer = module().Trainer(folder / f"{name}.onnx", optimizer="adam:lr=0.01")
        trainer.fit(file["x"], file["labels"], epochs=2, verbose=False)
    np.testing.assert_allclose(trainer.predict(x), wanted, rtol=1e-4, atol=1e-5)
    assert trainer.serialize() == out.read_bytes()
    # What was trained can be trained on: the same nodes train again.
    again = nacre("train", out, "--data", folder / "digits.npz", "--epochs", "1", "-o", tmp_path / "again.onnx").out
    assert ("in training mode: 1 BatchNormalization, 1 Dropout" in again) == (name == "training")


def test_it_says_what_trains(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    assert "in training mode: 1 BatchNormalization, 1 Dropout\n" in train(folder, "training", out).out
    for name in ("inference", "dynamo"):
        said = train(folder, name, out).out
        assert "the exporter has folded BatchNormalization into 1 convolution: these are trained, without it\n" in said
    weight = numpy_helper.from_array(np.eye(64, 10, dtype=np.float32), "w")
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, ["N", 1, 8, 8])],
                              [helper.make_tensor_value_info("y", 1, ["N", 10])], [weight])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "plain.onnx")
    assert "no BatchNormalization, no Dropout: if the model had any, its exporter has folded" in train(folder, "plain", out).out
    summary = json.loads(train(folder, "dynamo", out, "--json").out)
    assert summary["nodes_in_training_mode"] == {"BatchNormalization": 0, "Dropout": 0, "folded BatchNormalization": 1}


def build(opset: int, **has: bool) -> onnx.ModelProto:
    """x * w, normalised and dropped as files of that version have it."""
    tensors = {"w": np.ones(3, np.float32), "scale": np.ones(3, np.float32), "bias": np.zeros(3, np.float32),
               "mean": np.zeros(3, np.float32), "var": np.ones(3, np.float32)}  # fmt: skip
    outputs = ["n", "m1", "v1"] if opset >= 14 else ["n", "m1", "v1", "m2", "v2"]
    training = {"training_mode": 1} if opset >= 14 else {}
    nodes = [helper.make_node("Mul", ["x", "w"], ["h"]),
             helper.make_node("BatchNormalization", ["h", "scale", "bias", "mean", "var"], outputs, **training)]  # fmt: skip
    results, inputs = ["y"], [helper.make_tensor_value_info("x", 1, ["N", 3])]
    flag = "flag"
    if has.get("asked"):
        inputs.append(helper.make_tensor_value_info("flag", TensorProto.BOOL, []))
    elif opset >= 12:
        tensors["flag"] = np.array(True)
    if opset >= 12:
        tensors["ratio"] = np.array(0.5, np.float32)
        nodes.append(helper.make_node("Dropout", ["n", "ratio", flag], ["y", "mask"]))
    else:
        nodes.append(helper.make_node("Dropout", ["n"], ["y"], ratio=0.5))
    if has.get("read"):
        results.append("m1")
    if has.get("twice"):
        nodes.append(helper.make_node("Cast", ["flag"], ["number"], to=1))
        nodes.append(helper.make_node("Add", ["y", "number"], ["z"]))
        results = ["z"]
    values = [helper.make_tensor_value_info(name, 1, [3] if name == "m1" else ["N", 3]) for name in results]
    graph = helper.make_graph(nodes, "g", inputs, values, [numpy_helper.from_array(v, k) for k, v in tensors.items()],
                              value_info=[helper.make_tensor_value_info("v1", 1, [3])])  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", [9, 13, 14, 15, 21])
def test_every_version(tmp_path: Path, opset: int) -> None:
    model = build(opset)
    onnx.save(model, tmp_path / "m.onnx")
    random = np.random.default_rng(opset)
    data = {"x": random.standard_normal((64, 3)).astype(np.float32), "targets": np.zeros((64, 3), np.float32)}
    np.savez(tmp_path / "data.npz", **data)
    nacre("train", tmp_path / "m.onnx", "--data", tmp_path / "data.npz", "--loss", "mse", "--epochs", "2", "-o", tmp_path / "out.onnx")
    after = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(after, full_check=True)
    norm = next(node for node in after.graph.node if node.op_type == "BatchNormalization")
    assert list(norm.output) == ["n"] and not norm.attribute
    drop = next(node for node in after.graph.node if node.op_type == "Dropout")
    assert list(drop.input) == (["n", "ratio"] if opset >= 12 else ["n"])
    # No other node and no weight is missing; what nobody reads is.
    assert [tensor.name for tensor in after.graph.initializer] == [
        tensor.name for tensor in model.graph.initializer if tensor.name != "flag"]
    assert not after.graph.value_info
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in after.graph.initializer}
    assert (weights["mean"] != 0).any() and (weights["w"] != 1).any()
    scaled = (data["x"] * weights["w"] - weights["mean"]) / np.sqrt(weights["var"] + 1e-5)
    wanted = scaled * weights["scale"] + weights["bias"]
    if opset >= 14:  # ONNX's evaluator takes the batch's statistics in older versions, whatever the outputs say
        np.testing.assert_allclose(ReferenceEvaluator(after).run(None, {"x": data["x"]})[0], wanted, rtol=1e-4, atol=1e-5)
    theirs = onnxruntime.InferenceSession(tmp_path / "out.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(theirs.run(None, {"x": data["x"]})[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [9, 13])
def test_statistics_of_old_versions(opset: int) -> None:
    """Which have them as five outputs: the running ones, moved, and the batch's. In inference it is as the file says; in
    a step the running ones are trained."""
    x = np.random.default_rng(opset).standard_normal((50, 3)).astype(np.float32) * 2 + 1
    model = build(opset)
    del model.graph.node[2:]  # no Dropout
    del model.graph.output[:]
    model.graph.output.extend([helper.make_tensor_value_info(name, 1, ["N", 3] if name == "n" else [3])
                               for name in ("n", "m1", "v1", "m2", "v2")])  # fmt: skip
    model.graph.node[1].attribute.append(helper.make_attribute("momentum", 0.7))
    outputs = module().compile(model).run({"x": x})
    wanted = torch.nn.functional.batch_norm(torch.from_numpy(x), None, None, training=True).numpy()
    np.testing.assert_allclose(outputs[0], wanted, rtol=1e-4, atol=1e-5)
    mean, variance = x.mean(0), x.var(0)
    for found, expected in zip(outputs[1:], (0.3 * mean, 0.7 + 0.3 * variance, mean, variance), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    trainer = module().Trainer(model, loss="mse")
    trainer.step((x, np.zeros((50, 3), np.float32)))
    np.testing.assert_allclose(trainer.parameters["mean"], 0.3 * mean, rtol=1e-4, atol=1e-5)
    # Its outputs are read: it stays as it is.
    after = onnx.load_from_string(trainer.serialize())
    assert list(after.graph.node[1].output) == ["n", "m1", "v1", "m2", "v2"]


def serialized(model: onnx.ModelProto) -> onnx.ModelProto:
    trainer = module().Trainer(model, loss="mse")
    return onnx.load_from_string(trainer.serialize())


def test_what_stays_as_it_is() -> None:
    """A run decides whether to drop, or reads the batch's statistics; a constant that others read, too."""
    after = serialized(build(15, twice=True))
    assert [node.op_type for node in after.graph.node] == ["Mul", "BatchNormalization", "Dropout", "Cast", "Add"]
    assert list(after.graph.node[2].input) == ["n", "ratio"]
    assert "flag" in [tensor.name for tensor in after.graph.initializer]


@pytest.mark.parametrize("ending", [".so", ".a", ".o"])
def test_straight_to_an_artefact(folder: Path, tmp_path: Path, ending: str) -> None:
    """Which is what compiling the trained file comes to."""
    out = tmp_path / f"net{ending}"
    assert train(folder, "training", out).out.splitlines()[-1].startswith(f"{out}: 600 examples, 2 epochs")
    assert {path.name for path in tmp_path.iterdir()} == {f"net{ending}", "net.h"}
    train(folder, "training", tmp_path / "training.onnx")
    nacre("compile", tmp_path / "training.onnx", "-o", tmp_path / f"compiled{ending}")
    header = (tmp_path / "net.h").read_text().replace("net", "compiled").replace("NET", "COMPILED")
    assert header == (tmp_path / "compiled.h").read_text()
    if ending == ".so":
        x = np.load(folder / "images.npy")
        loaded, compiled = module().load(out), module().load(tmp_path / "compiled.so")
        assert [name for name in loaded.signatures] == ["main"]
        np.testing.assert_array_equal(loaded.run({"x": x})[0], compiled.run({"x": x})[0])
    refused = train(folder, "training", tmp_path / "net.ll", ok=False)
    assert refused.status == 2 and "expected a name that ends in .onnx, or in .so, .o or .a" in refused.err


def test_an_artefact_that_cannot_be_made_costs_no_training(folder: Path, tmp_path: Path) -> None:
    """What takes the artefact's header's place does not show before it is written."""
    (tmp_path / "net.h").mkdir()
    ran = train(folder, "inference", tmp_path / "net.so", ok=False)
    assert ran.status == 1 and "net.h" in ran.err and "epoch 2/2" in ran.out
    kept = Path(ran.err.splitlines()[-1].removeprefix("the trained model is kept: "))
    train(folder, "inference", tmp_path / "net.onnx")
    assert kept.read_bytes() == (tmp_path / "net.onnx").read_bytes()


def test_what_cannot_be_written_is_told_before_the_training(folder: Path, tmp_path: Path) -> None:
    for out, message in ((tmp_path / "none/out.onnx", "No such file or directory"), (tmp_path, "is a folder")):
        ran = train(folder, "training", out, ok=False)
        assert ran.status == 1 and message in ran.err and "epoch" not in ran.out
    assert not list(tmp_path.iterdir())


def test_both_sides_are_listed(folder: Path, tmp_path: Path) -> None:
    """Arrays that the model does not take, too; in examples that are only measured with as well."""
    x, labels = np.zeros((5, 1, 8, 8), np.float32), np.zeros(5, np.int64)
    np.savez_compressed(tmp_path / "data.npz", image=x, labels=labels, names=np.array(["a", "b"]))
    out = tmp_path / "out.onnx"
    for flags in (["--data", tmp_path / "data.npz"], ["--data", folder / "digits.npz", "--valid", tmp_path / "data.npz"]):
        ran = nacre("train", folder / "training.onnx", *flags, "-o", out, ok=False)
        assert ran.status == 1
        for line in ("the data has no array 'x'", "  x: f32[N, 1, 8, 8]", "  labels: i64[N]", "  image: f32[5, 1, 8, 8]",
                     "  labels: i64[5]", "  names: string[2]"):  # fmt: skip
            assert line in ran.err, ran.err
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy/x.0.npy", x)
    np.save(tmp_path / "npy/label.0.npy", labels)
    ran = nacre("train", folder / "training.onnx", "--data", tmp_path / "npy", "-o", out, ok=False)
    assert "the data has no array 'labels'" in ran.err and "  label.0: i64[5]" in ran.err and "  x: f32[5, 1, 8, 8]" in ran.err


def test_an_array_alone(tmp_path: Path) -> None:
    """Of a model that is compared with what it takes."""
    weight = numpy_helper.from_array(np.zeros((4, 4), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, ["N", 4])],
                              [helper.make_tensor_value_info("y", 1, ["N", 4])], [weight])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    x = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    results = []
    for name, batch in (("x.npy", "--batch"), ("x.npz", "--batch-size")):
        options = ["--loss", "mse:target=x", "--optimizer", "sgd:lr=0.5", batch, "50", "--epochs", "20"]
        nacre("train", tmp_path / "m.onnx", "--data", tmp_path / name, "--valid", tmp_path / name, *options, "-o", tmp_path / "out.onnx")
        results.append((tmp_path / "out.onnx").read_bytes())
    assert results[0] == results[1]
    trained = numpy_helper.to_array(onnx.load(tmp_path / "out.onnx").graph.initializer[0])
    np.testing.assert_allclose(trained, np.eye(4), atol=1e-2)


def test_a_loss_that_is_no_number_names_the_way_to_its_cause(folder: Path, tmp_path: Path) -> None:
    with np.load(folder / "digits.npz") as file:
        x, labels = file["x"], file["labels"]
    x[5, 0, 3, 3] = np.nan
    np.savez(tmp_path / "data.npz", x=x, labels=labels)
    line = ["train", folder / "training.onnx", "--data", tmp_path / "data.npz", "-o", tmp_path / "out.onnx"]
    ran = nacre(*line, ok=False)
    assert ran.status == 1 and "--detect-anomaly names what makes it so" in ran.err
    ran = nacre(*line, "--detect-anomaly", ok=False)
    assert ran.status == 1 and "the input 'x' has a NaN" in ran.err
