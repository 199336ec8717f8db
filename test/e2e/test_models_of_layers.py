"""nn.Model, nn.Sequential and nacre.Trainer: what fit, evaluate, predict and save come to, against
PyTorch, ONNX's reference evaluator, and the same steps done by hand."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

import small_models
from support import module

nacre = module()
nn = nacre.nn


def rings(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a square, and whether they lie in a ring."""
    points = np.random.default_rng(seed).uniform(-1, 1, (count, 2)).astype(np.float32)
    square = (points**2).sum(1)
    return points, ((square > 0.25) & (square < 0.8)).astype(np.int64)


def mlp(seed: int = 1, **options: Any) -> Any:
    model = nn.Sequential([nn.Input([2], seed=seed), nn.Dense(32, activation="relu"), nn.Dense(2, name="logits")])
    model.compile(**({"optimizer": "adam:lr=0.01", "metrics": ["accuracy"], "threads": 2} | options))
    return model


def weights(data: bytes) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load_from_string(data).graph.initializer}


def test_a_model_is_trained_measured_used_and_saved(tmp_path: Path) -> None:
    (x, y), (others, theirs) = rings(1000, 0), rings(500, 1)
    model = mlp()
    seen = []
    history = model.fit(x, y, batch_size=50, epochs=40, validation_data=(others, theirs),
                        callback=lambda epoch, values: seen.append((epoch, values["loss"])))  # fmt: skip
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert seen == list(enumerate(history["loss"]))
    assert history["loss"][-1] < history["loss"][0] / 2
    measured = model.evaluate(others, theirs, batch_size=50)
    assert measured == {"loss": history["val_loss"][-1], "accuracy": history["val_accuracy"][-1]}
    assert measured["accuracy"] > 0.9

    scores = model.predict(others, batch_size=64)
    assert measured["accuracy"] == pytest.approx((scores.argmax(1) == theirs).mean(), abs=1e-12)
    loss = torch.nn.functional.cross_entropy(torch.tensor(scores), torch.tensor(theirs))
    assert measured["loss"] == pytest.approx(loss.item(), rel=1e-5)

    model.save(tmp_path / "trained.onnx")
    proto = onnx.load(tmp_path / "trained.onnx")
    onnx.checker.check_model(proto, full_check=True)
    (again,) = ReferenceEvaluator(proto).run(None, {"x": others})
    np.testing.assert_allclose(scores, again, rtol=1e-4, atol=1e-5)
    assert model.serialize() == (tmp_path / "trained.onnx").read_bytes()


def test_training_against_pytorch() -> None:
    """Whole batches, so that the order does not matter: each epoch is one step."""
    x, y = rings(64, 3)
    model = mlp(optimizer="sgd:lr=0.5,momentum=0.9")
    start = weights(model.serialize())
    history = model.fit(x, y, batch_size=64, epochs=10)

    tensors = {n: torch.tensor(w, dtype=torch.float64, requires_grad=True) for n, w in start.items()}
    optimizer = torch.optim.SGD(tensors.values(), lr=0.5, momentum=0.9)
    losses = []
    for _ in range(10):
        hidden = torch.relu(torch.tensor(x).double() @ tensors["dense.kernel"] + tensors["dense.bias"])
        logits = hidden @ tensors["logits.kernel"] + tensors["logits.bias"]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-4)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, tensors[name].detach().numpy(), rtol=1e-3, atol=1e-4)


def test_same_seed_same_bits() -> None:
    x, y = rings(300, 4)
    results = []
    for threads in (1, 2):
        model = mlp(threads=threads)
        model.fit(x, y, batch_size=32, epochs=3, schedule="cosine")
        results.append(model.serialize())
    assert results[0] == results[1]


def test_compiled_again_a_model_keeps_its_weights() -> None:
    x, y = rings(200, 5)
    model = mlp()
    model.fit(x, y, epochs=3)
    before = model.state_dict()
    model.compile(optimizer="sgd", loss="softmax-cross-entropy:label_smoothing=0.1")
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    model.fit(x, y)
    assert any((value != before[name]).any() for name, value in model.state_dict().items())
    model.load_state_dict(before)
    for name, view in model.trainer.parameters.items():
        np.testing.assert_array_equal(view, before[name])


def test_a_model_that_is_not_compiled(tmp_path: Path) -> None:
    x = nn.Input([3], seed=2)
    model = nn.Model(x, [nn.Dense(4)(x), x.graph.op("Relu", [x])])
    data = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    first, second = model.predict(data, batch_size=2)
    assert first.shape == (7, 4)
    np.testing.assert_array_equal(second, np.maximum(data, 0))
    model.save(tmp_path / "model.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]
    with pytest.raises(ValueError, match=r"not compiled: call compile\(\) before fit\(\)"):
        model.fit(data, data)
    with pytest.raises(nacre.WriteError, match="cannot write"):
        model.save(tmp_path / "none/model.onnx")


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    x = nn.Input([28, 28, 1])
    shared = nn.Dense(10)
    h = nn.Flatten()(nn.MaxPooling2D()(nn.Conv2D(8, 3, activation="relu")(x)))
    model = nn.Model(x, shared(h) + shared(h))
    nn.Dense(3)(h)  # of no output
    text = model.summary()
    assert capsys.readouterr().out == text
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["name", "kind", "output", "parameters"]
    assert rows[1] == ["x", "input", "[?,", "28,", "28,", "1]"]
    assert rows[2] == ["conv2d", "Conv2D", "[?,", "26,", "26,", "8]", "80"]
    assert rows[5] == ["dense", "Dense", "[?,", "10]", "13,530"]
    assert rows[6] == ["dense", "Dense", "[?,", "10]", "shared"]
    assert text.splitlines()[-1].startswith("13,610 parameters, 0.05 MiB; ")


def test_several_inputs_and_outputs() -> None:
    graph = nn.Graph(seed=3)
    a, b = nn.Input([4], name="a", graph=graph), nn.Input([2], name="b", dtype="float64", graph=graph)
    h = nn.Dense(8, activation="tanh")(graph.op("Concat", [a, graph.op("Cast", [b], {"to": 1})], {"axis": 1}))
    model = nn.Model([a, b], [nn.Dense(1, name="price")(h), nn.Dense(3, name="kind")(h)])
    model.compile("adam", "mse + 0.5*softmax-cross-entropy@kind/Add", ["mae", "accuracy@kind/Add"])
    random = np.random.default_rng(0)
    x = [random.standard_normal((50, 4)), random.standard_normal((50, 2))]  # f64 becomes the input's f32
    price, kind = x[0].sum(1, keepdims=True), (x[1][:, 0] > 0).astype(np.int32)
    history = model.fit(x, [price, kind], epochs=40, batch_size=10)
    assert history["loss"][-1] < history["loss"][0] / 2
    by_name = {"a": x[0], "b": x[1], "targets": price, "kind/Add.labels": kind}
    assert model.evaluate(by_name) == model.evaluate(x, [price, kind])
    prices, kinds = model.predict({"a": x[0], "b": x[1]})
    assert model.evaluate(by_name)["mae"] == pytest.approx(np.abs(prices - price).mean(), rel=1e-5)
    assert model.evaluate(by_name)["accuracy@kind/Add"] == pytest.approx((kinds.argmax(1) == kind).mean())


def test_dropout_and_batch_normalisation_only_train() -> None:
    model = nn.Sequential([nn.Input([2], seed=1), nn.Dense(16), nn.BatchNormalization(), nn.Dropout(0.5), nn.Dense(2)])
    model.compile("adam:lr=0.01", metrics=["accuracy"])
    x, y = rings(100, 6)
    first = model.evaluate(x, y)
    assert model.evaluate(x, y) == first
    model.fit(x, y, epochs=2)
    means = [value for name, value in model.state_dict().items() if "mean" in name]
    assert means and all(np.abs(mean).max() > 0 for mean in means)


class TestTrainer:
    def test_of_a_file(self, tmp_path: Path) -> None:
        """Steps by hand are those of fit over whole batches in the data's order."""
        path = small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2)
        x, y = rings(16, 7)
        trainers = [nacre.Trainer(str(path), optimizer="adam:lr=0.01") for _ in range(2)]
        history = trainers[0].fit(x, y, batch_size=16, epochs=3)
        by_hand = [trainers[1].step((x, y) if i else {"data": x, "labels": y}) for i in range(3)]
        np.testing.assert_allclose(history["loss"], by_hand, rtol=1e-6)
        trainers[0].save(tmp_path / "trained.onnx")
        (scores,) = ReferenceEvaluator(str(tmp_path / "trained.onnx")).run(None, {"data": x})
        np.testing.assert_allclose(trainers[0].predict(x), scores, rtol=1e-4, atol=1e-5)

    def test_parameters_are_views(self, tmp_path: Path) -> None:
        path = small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2)
        trainer = nacre.Trainer(path)
        views, before = trainer.parameters, trainer.state_dict()
        trainer.step(rings(8, 8))
        assert any((views[name] != before[name]).any() for name in views)
        for name, value in trainer.state_dict().items():
            np.testing.assert_array_equal(views[name], value)
            assert not views[name].flags.writeable
        view = next(iter(views.values()))
        copy = view.copy()
        del trainer, views  # the view keeps the memory
        np.testing.assert_array_equal(view, copy)

    def test_a_rate_of_its_own(self, tmp_path: Path) -> None:
        path = small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2)
        trainer = nacre.Trainer(path, optimizer="sgd:lr=0.25")
        assert trainer.learning_rate == 0.25
        before = trainer.state_dict()
        trainer.step(rings(8, 8), learning_rate=0)
        for name, value in trainer.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda t, x, y: t.fit(x[:, :1], y), "array 'data' does not fit"),
            (lambda t, x, y: t.fit(x, y[:5]), "array 'labels' has 5 entries, 'data' has 8"),
            (lambda t, x, y: t.fit(x, y + 2), "labels must be from 0 to 1"),
            (lambda t, x, y: t.fit([x]), "found 0 targets, expected 1: labels"),
            (lambda t, x, y: t.fit([x, x], y), "found 2 inputs|does not fit"),
            (lambda t, x, y: t.fit({"data": x, "lables": y}), "there is no input 'lables': the model takes data, labels"),
            (lambda t, x, y: t.fit(x, y / 2), "target 'labels' is float64, expected int64"),
            (lambda t, x, y: t.fit(x * np.nan, y), "the loss became -?nan in step 1 of epoch 1"),
            (lambda t, x, y: t.fit(x, y, epochs=0), "epochs is 0"),
            (lambda t, x, y: t.fit(x, y, schedule="cosin"), "unknown schedule 'cosin'"),
            (lambda t, x, y: t.load_state_dict({}), "the weights are not the model's: missing"),
        ],
    )
    def test_what_does_not_fit(self, tmp_path: Path, call: Any, message: str) -> None:
        trainer = nacre.Trainer(small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2))
        state = trainer.state_dict()
        with pytest.raises(ValueError, match=message):
            call(trainer, *rings(8, 9))
        trainer.load_state_dict(state)  # can be used on
        trainer.fit(*rings(8, 9))

    def test_metrics_and_options_that_there_are_not(self, tmp_path: Path) -> None:
        path = small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2)
        with pytest.raises(ValueError, match="unknown metric 'acuracy'"):
            nacre.Trainer(path, metrics="acuracy").evaluate(*rings(8, 9))
        with pytest.raises(ValueError, match="unknown optimizer 'adamm'"):
            nacre.Trainer(path, optimizer="adamm")

    def test_moving_averages(self, tmp_path: Path) -> None:
        trainer = nacre.Trainer(small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2), average=0.5)
        trainer.fit(*rings(32, 1), batch_size=8)
        averages = {name: trainer.model.read_parameter(f"{name}.average") for name in trainer.state_dict()}
        trainer.use_averages()
        for name, value in trainer.state_dict().items():
            np.testing.assert_array_equal(value, averages[name])

    def test_a_callback_ends_it(self, tmp_path: Path) -> None:
        trainer = nacre.Trainer(small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2))
        assert len(trainer.fit(*rings(8, 1), epochs=9, callback=lambda epoch, _: epoch < 2)["loss"]) == 3

    def test_interrupt(self, tmp_path: Path) -> None:
        """Ctrl-C ends training within a second; the trainer can be used on."""
        trainer = nacre.Trainer(small_models.save_perceptron(tmp_path / "mlp.onnx", 2, 2))
        x, y = rings(1000, 1)
        for after in (0.3, *np.linspace(0.001, 0.02, 20)):  # at whatever place
            timer = threading.Timer(after, signal.raise_signal, [signal.SIGINT])
            start = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                timer.start()
                trainer.fit(x, y, epochs=10**6)
            assert time.monotonic() - start < 5
        trainer.fit(x, y)


def test_progress_is_printed_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    model = mlp()
    model.fit(*rings(100, 1), epochs=2)
    assert capsys.readouterr().out == ""
    model.fit(*rings(100, 1), epochs=2, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: loss 0.")
    assert ", accuracy 0." in lines[1]
