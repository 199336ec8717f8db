"""Training from the command line, in its simplest case."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import small_models
from support import NACRE, nacre

OPTIONS = ["--loss", "softmax-cross-entropy", "--optimizer", "sgd:lr=0.1"]


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int64)


def test_digits_are_learnt(tmp_path: Path) -> None:
    images, labels = digits()
    split = 1500
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    np.savez(tmp_path / "digits.npz", data=images[:split], labels=labels[:split])
    trained = tmp_path / "trained.onnx"
    data = tmp_path / "digits.npz"
    nacre("train", model, *OPTIONS, "--data", data, "--epochs", "10", "-o", trained)
    (logits,) = ReferenceEvaluator(str(trained)).run(None, {"data": images[split:]})
    assert (logits.argmax(axis=1) == labels[split:]).mean() >= 0.85
    # Only the weights have changed.
    before, after = onnx.load(model), onnx.load(trained)
    assert [n.op_type for n in before.graph.node] == [n.op_type for n in after.graph.node]
    assert before.graph.input == after.graph.input
    assert before.graph.output == after.graph.output


def test_one_step_against_pytorch(tmp_path: Path) -> None:
    """One batch, one step: the new weights are those of torch.optim.SGD."""
    import torch

    images, labels = (a[:32] for a in digits())
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    np.savez(tmp_path / "batch.npz", data=images, labels=labels)
    trained = tmp_path / "trained.onnx"
    steps = ["--epochs", "1", "--batch-size", "32"]
    nacre("train", model, *OPTIONS, "--data", tmp_path / "batch.npz", *steps, "-o", trained)

    start = weights(model)
    tensors = {n: torch.tensor(a, dtype=torch.float64, requires_grad=True) for n, a in start.items()}
    hidden = torch.relu(torch.tensor(images).double() @ tensors["w0"] + tensors["b0"])
    logits = hidden @ tensors["w1"] + tensors["b1"]
    torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()
    torch.optim.SGD(tensors.values(), lr=0.1).step()

    end = weights(trained)
    assert end.keys() == start.keys()
    for name, tensor in tensors.items():
        expected = tensor.detach().numpy()
        assert not np.array_equal(end[name], start[name]), f"{name} did not change"
        np.testing.assert_allclose(end[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_optimizer_schedule_and_average(tmp_path: Path) -> None:
    """Two epochs of one batch each: the file has the averages of AdamW along a schedule."""
    import torch

    images, labels = (a[:32].copy() for a in digits())
    labels[5] = 3000  # which the loss shall not mind
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    np.savez(tmp_path / "batch.npz", data=images, labels=labels.astype(np.uint16))
    trained = tmp_path / "trained.onnx"
    options = ["--loss", "softmax-cross-entropy:ignore_index=3000", "--optimizer", "adamw:lr=0.01,weight_decay=0.1"]
    options += ["--schedule", "cosine:warmup=1,warmup_start=0.5", "--average", "0.8", "--group", "b*:weight_decay=0"]
    nacre("train", model, *options, "--data", tmp_path / "batch.npz", "--epochs", "3", "-o", trained)

    tensors = {n: torch.tensor(a, dtype=torch.float64, requires_grad=True) for n, a in weights(model).items()}
    groups = [{"params": [t], "weight_decay": 0.1 if n[0] == "w" else 0} for n, t in tensors.items()]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    averages: dict[str, np.ndarray] = {}
    for rate in (0.005, 0.01, 0.005):  # the cosine has two steps
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        hidden = torch.relu(torch.tensor(images).double() @ tensors["w0"] + tensors["b0"])
        logits = hidden @ tensors["w1"] + tensors["b1"]
        torch.nn.functional.cross_entropy(logits, torch.tensor(labels), ignore_index=3000).backward()
        optimizer.step()
        for name, tensor in tensors.items():
            now = tensor.detach().numpy().copy()
            averages[name] = 0.8 * averages[name] + 0.2 * now if name in averages else now
    for name, value in weights(trained).items():
        np.testing.assert_allclose(value, averages[name], rtol=1e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
def test_targets_of_any_type(tmp_path: Path, dtype: type) -> None:
    """Whatever the file's type is, the same weights come out."""
    images, labels = digits()
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    targets = np.eye(10)[labels]
    files = []
    for kind in (np.float32, dtype):
        np.savez(tmp_path / "data.npz", data=images, targets=targets.astype(kind))
        files.append(tmp_path / f"{len(files)}.onnx")
        options = ["--data", tmp_path / "data.npz", "--loss", "bce-with-logits", "--epochs", "1", "-o", files[-1]]
        nacre("train", model, *options)
    assert files[0].read_bytes() == files[1].read_bytes()


def weights(path: Path) -> dict[str, np.ndarray]:
    graph = onnx.load(path).graph
    return {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    images, labels = digits()
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    for name, wrong in (
        ("short", {"data": images, "labels": labels[:-1]}),
        ("large", {"data": images, "labels": labels + 100}),
        ("none", {"data": images}),
        ("narrow", {"data": images[:, :63], "labels": labels}),
    ):
        np.savez(tmp_path / f"{name}.npz", **wrong)
        data = ["--data", tmp_path / f"{name}.npz", "--epochs", "1"]
        out = tmp_path / f"{name}.onnx"
        ran = nacre("train", model, *OPTIONS, *data, "-o", out, ok=False)
        assert ran.status == 1, ran.text()
        assert not out.exists()
        if name != "large":  # what the model takes, and what the data has
            assert "data: f32[N, 64]" in ran.err and "labels: i64[N]" in ran.err, ran.err
            assert f"data: f32[1797, {wrong['data'].shape[1]}]" in ran.err, ran.err
    assert "found 100" in _refused_labels(tmp_path, model, images, labels)


def _refused_labels(folder: Path, model: Path, images: np.ndarray, labels: np.ndarray) -> str:
    np.savez(folder / "one.npz", data=images, labels=np.where(labels == 0, 100, labels))
    data = ["--data", folder / "one.npz"]
    return nacre("train", model, *OPTIONS, *data, "-o", folder / "no.onnx", ok=False).err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mlp.onnx and digits.npz."""
    folder = tmp_path_factory.mktemp("train")
    images, labels = digits()
    small_models.save_perceptron(folder / "mlp.onnx", 64, 10)
    np.savez(folder / "digits.npz", data=images, labels=labels)
    return folder


def train(folder: Path, out: Path, *options: str | Path, model: str = "mlp.onnx") -> dict:
    """The summary of a training."""
    data = ["--data", folder / "digits.npz"]
    out_options = ["-o", out, "--json"]
    return json.loads(nacre("train", folder / model, *OPTIONS, *data, *options, *out_options).out)


def test_same_seed_same_file(folder: Path, tmp_path: Path) -> None:
    """Whatever the number of threads; another seed, other bits."""
    for name, options in (
        ("one", ["--threads", "1"]),
        ("two", ["--threads", "2"]),
        ("again", ["--threads", "2"]),
        ("other", ["--seed", "5"]),
    ):
        train(folder, tmp_path / name, "--epochs", "2", *options)
    one, two, again, other = (
        (tmp_path / name).read_bytes() for name in ("one", "two", "again", "other")
    )
    assert one == two == again
    assert one != other


def test_dropout(folder: Path, tmp_path: Path) -> None:
    """A model that drops out learns, and the seed alone decides what it drops."""
    model = onnx.load(folder / "mlp.onnx")
    nodes = {node.output[0]: node for node in model.graph.node}
    constants = [
        onnx.helper.make_node("Constant", [], ["ratio"], value_float=0.2),
        onnx.helper.make_node("Constant", [], ["training"], value=onnx.numpy_helper.from_array(np.array(True))),
    ]
    drop = onnx.helper.make_node("Dropout", ["a", "ratio", "training"], ["dropped"])
    nodes["logits"].input[0] = "dropped"
    ordered = [*constants, nodes["h"], nodes["a"], drop, nodes["logits"]]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    onnx.save(model, folder / "dropout.onnx")
    files = []
    for number, options in enumerate((["--threads", "1"], ["--threads", "2"], ["--seed", "5"])):
        out = tmp_path / f"{number}.onnx"
        summary = train(folder, out, "--epochs", "10", *options, model="dropout.onnx")
        losses = [epoch["loss"] for epoch in summary["epochs"]]
        assert losses[-1] < 0.5 * losses[0]
        files.append(out.read_bytes())
    assert files[0] == files[1] != files[2]


def test_summary_and_lines(folder: Path, tmp_path: Path) -> None:
    summary = train(folder, tmp_path / "a.onnx", "--epochs", "3", "--batch-size", "100")
    assert summary["examples"] == 1797 and summary["batch_size"] == 100
    losses = [epoch["loss"] for epoch in summary["epochs"]]
    assert losses == sorted(losses, reverse=True) and len(losses) == 3
    assert all(epoch["examples_per_second"] > 0 for epoch in summary["epochs"])
    data = ["--data", folder / "digits.npz", "--epochs", "3", "-o", tmp_path / "b.onnx"]
    lines = nacre("train", folder / "mlp.onnx", *OPTIONS, *data).out.splitlines()
    assert lines[1].startswith("no BatchNormalization, no Dropout: ")
    assert [line.split(":")[0] for line in lines[:1] + lines[2:5]] == ["memory", *(f"epoch {n}/3" for n in (1, 2, 3))]
    assert "b.onnx" in lines[5]


def test_labels_of_any_integer_type(folder: Path, tmp_path: Path) -> None:
    images, labels = digits()
    train(folder, tmp_path / "wide.onnx", "--epochs", "1")
    for kind in (np.int32, np.uint8):
        np.savez_compressed(tmp_path / "digits.npz", data=images, labels=labels.astype(kind))
        data = ["--data", tmp_path / "digits.npz", "--epochs", "1"]
        nacre("train", folder / "mlp.onnx", *OPTIONS, *data, "-o", tmp_path / "narrow.onnx")
        assert (tmp_path / "narrow.onnx").read_bytes() == (tmp_path / "wide.onnx").read_bytes()


def test_a_fixed_batch(folder: Path, tmp_path: Path) -> None:
    """Then no other size is taken; the examples left over wait for another epoch."""
    model = onnx.load(folder / "mlp.onnx")
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 50
    onnx.save(model, tmp_path / "fixed.onnx")
    data = ["--data", folder / "digits.npz", "--epochs", "1", "-o", tmp_path / "out.onnx"]
    ran = nacre("train", tmp_path / "fixed.onnx", *OPTIONS, *data, "--json")
    assert json.loads(ran.out)["batch_size"] == 50
    ran = nacre("train", tmp_path / "fixed.onnx", *OPTIONS, *data, "--batch-size", "32", ok=False)
    assert ran.status == 1 and "fixed at 50" in ran.err and "32" in ran.err
    # The same by the command line.
    ran = nacre("train", folder / "mlp.onnx", *OPTIONS, *data, "--dim", "N=50", "--json")
    assert json.loads(ran.out)["batch_size"] == 50


def test_external_data_stays_external(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / "mlp.onnx")
    (tmp_path / "in").mkdir()
    external = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 512}
    onnx.save(model, tmp_path / "in/mlp.onnx", **external)
    data = ["--data", folder / "digits.npz", "--epochs", "1"]
    out = tmp_path / "out.onnx"
    nacre("train", tmp_path / "in/mlp.onnx", *OPTIONS, *data, "-o", out)
    train(folder, tmp_path / "inside.onnx", "--epochs", "1")
    assert (tmp_path / "out.onnx.data").stat().st_size >= 64 * 32 * 4
    onnx.checker.check_model(out)
    moved, inside = weights(out), weights(tmp_path / "inside.onnx")
    for name, value in inside.items():
        np.testing.assert_array_equal(moved[name], value, err_msg=name)


def test_a_loss_that_diverges_writes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    options = ["--data", folder / "digits.npz", "--optimizer", "sgd:lr=1e30", "-o", out]
    ran = nacre("train", folder / "mlp.onnx", *options, ok=False)
    assert ran.status == 1 and "learning rate" in ran.err, ran.text()
    assert not out.exists()


def test_interrupt(folder: Path, tmp_path: Path) -> None:
    """Ctrl-C: gone within a second, and no file left, whole or half."""
    out = tmp_path / "out.onnx"
    command = [NACRE, "train", folder / "mlp.onnx", *OPTIONS, "--data", folder / "digits.npz"]
    command += ["--epochs", "1000000", "-o", out]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert running.stdout and running.stdout.readline().startswith("memory: ")
    assert running.stdout.readline().startswith("no BatchNormalization")
    assert running.stdout.readline().startswith("epoch 1/")
    running.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, message = running.communicate(timeout=60)
    assert time.monotonic() - start < 1
    assert running.returncode == -signal.SIGINT
    assert "nothing was written" in message
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    data = ["--data", folder / "digits.npz", "--epochs", "1"]
    for out in (tmp_path / "absent/out.onnx", tmp_path):
        ran = nacre("train", folder / "mlp.onnx", *data, "-o", out, ok=False)
        assert ran.status == 1 and str(out) in ran.err, ran.text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--optimizer", "adam3"],
        ["--optimizer", "sgd:moment=0.9"],
        ["--optimizer", "sgd:lr=-1"],
        ["--loss", "hinges"],
        ["--loss", "mse:reduction=none"],
        ["--schedule", "cosinus"],
        ["--group", "w0"],
        ["--clip-norm", "-1"],
        ["--accumulate", "0"],
        ["--average", "1"],
        ["--epochs", "0"],
        ["--batch-size", "0"],
    ],
)
def test_usage(folder: Path, tmp_path: Path, options: list[str]) -> None:
    data = ["--data", folder / "digits.npz", "-o", tmp_path / "out.onnx"]
    ran = nacre("train", folder / "mlp.onnx", *data, *options, ok=False)
    assert ran.status == 2, ran.text()
    assert options[0] in ran.err


def test_validation_and_metrics(tmp_path: Path) -> None:
    """What is printed for the last epoch is what the written model comes to."""
    images, labels = digits()
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    np.savez(tmp_path / "train.npz", data=images[:1000], labels=labels[:1000])
    np.savez(tmp_path / "valid.npz", data=images[1000:], labels=labels[1000:].astype(np.int32))
    command = ["train", model, *OPTIONS, "--data", tmp_path / "train.npz", "--valid", tmp_path / "valid.npz",
               "--metric", "accuracy", "--metric", "top-k:k=3", "--epochs", "3", "-o", tmp_path / "trained.onnx"]  # fmt: skip
    lines = nacre(*command).out.splitlines()
    assert lines[4].startswith("epoch 3/3: loss ")
    assert ", val_accuracy 0." in lines[4]
    last = json.loads(nacre(*command, "--json").out)["epochs"][-1]
    assert set(last) == {"epoch", "examples_per_second", "loss", "accuracy", "top-k:k=3", "val_loss", "val_accuracy",
                         "val_top-k:k=3"}  # fmt: skip
    (logits,) = ReferenceEvaluator(str(tmp_path / "trained.onnx")).run(None, {"data": images[1000:]})
    order = np.argsort(-logits, axis=1)
    assert last["val_accuracy"] == pytest.approx((order[:, 0] == labels[1000:]).mean())
    assert last["val_top-k:k=3"] == pytest.approx((order[:, :3] == labels[1000:, None]).any(axis=1).mean())
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(shifted)), labels[1000:]]
    assert last["val_loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_validation_that_does_not_fit(tmp_path: Path) -> None:
    images, labels = (a[:32] for a in digits())
    model = small_models.save_perceptron(tmp_path / "mlp.onnx", 64, 10)
    np.savez(tmp_path / "train.npz", data=images, labels=labels)
    np.savez(tmp_path / "valid.npz", data=images)
    command = ["train", model, *OPTIONS, "--data", tmp_path / "train.npz", "-o", tmp_path / "trained.onnx"]
    ran = nacre(*command, "--valid", tmp_path / "valid.npz", ok=False)
    assert ran.status == 1
    assert "validation: the data has no array 'labels'" in ran.err
    ran = nacre(*command, "--metric", "acuracy", ok=False)
    assert ran.status == 2
    assert "--metric: unknown metric 'acuracy', expected accuracy, top-k" in ran.err
    assert not (tmp_path / "trained.onnx").exists()
