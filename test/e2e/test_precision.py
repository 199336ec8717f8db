"""Training in bf16 and f16 (`precision`): what is computed in which type, against PyTorch's autocast
and NumPy; loss scaling against its GradScaler; and that it learns what f32 learns."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from onnx import numpy_helper, parser

import small_models
from support import module, nacre

Arrays = dict[str, np.ndarray]
TORCH = {"bf16": torch.bfloat16, "f16": torch.float16}
NARROW = ["bf16", "f16"]
# This one; one that has no instructions for bf16; and one that adds pairs of products of bf16.
CPUS: list[str | None] = [None]
if platform.machine() == "x86_64":
    CPUS += ["haswell"] + ["cooperlake"] * ("avx512_bf16" in Path("/proc/cpuinfo").read_text())


def build(text: str, weights: Arrays) -> bytes:
    made = parser.parse_model(small_models.HEAD + text)
    for name, value in weights.items():
        made.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.checker.check_model(made)
    return made.SerializeToString()


# ---- What is computed in which type ---------------------------------------------------------

TEXT = """net (float[BATCH, 3, 12, 12] x) => (float[BATCH, 5] y) {
  c = Conv <pads = [1, 1, 1, 1]> (x, conv_w, conv_b)
  n = BatchNormalization <training_mode = 1> (c, bn_scale, bn_bias, bn_mean, bn_var)
  r = Relu (n)
  p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
  s = Constant <value_ints = [0, 8, 36]> ()
  t = Reshape (p, s)
  k = MatMul (t, key)
  kt = Transpose <perm = [0, 2, 1]> (k)
  scores = MatMul (t, kt)
  tenth = Constant <value_float = 0.1> ()
  scaled = Mul (scores, tenth)
  a = Softmax <axis = -1> (scaled)
  v = MatMul (a, t)
  res = Add (v, t)
  l = LayerNormalization <axis = -1> (res, ln_scale, ln_bias)
  f = Flatten (l)
  h0 = Gemm (f, w0, b0)
  h = Tanh (h0)
  y = Gemm (h, w1, b1) }"""


def draw_weights() -> Arrays:
    random = np.random.default_rng(0)
    shapes = {"conv_w": (8, 3, 3, 3), "conv_b": (8,), "bn_scale": (8,), "bn_bias": (8,), "key": (36, 36), "ln_scale": (36,),
              "ln_bias": (36,), "w0": (288, 16), "b0": (16,), "w1": (16, 5), "b1": (5,)}  # fmt: skip
    fans = {"conv_w": 27, "key": 36, "w0": 288, "w1": 16}
    made = {n: (random.normal(size=s) * fans.get(n, 10) ** -0.5).astype(np.float32) for n, s in shapes.items()}
    for name in ("bn_scale", "ln_scale"):
        made[name] += 1
    return made | {"bn_mean": np.zeros(8, np.float32), "bn_var": np.ones(8, np.float32)}


def forward(t: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    c = F.conv2d(x, t["conv_w"], t["conv_b"], padding=1)
    n = F.batch_norm(c, None, None, t["bn_scale"], t["bn_bias"], training=True)
    p = F.max_pool2d(F.relu(n), 2).reshape(-1, 8, 36)
    scores = torch.matmul(p, torch.matmul(p, t["key"]).transpose(1, 2)) * 0.1
    v = torch.matmul(torch.softmax(scores.float(), -1), p)
    f = F.layer_norm((v + p).float(), (36,), t["ln_scale"], t["ln_bias"]).flatten(1)
    return F.linear(torch.tanh(F.linear(f, t["w0"].T, t["b0"])), t["w1"].T, t["b1"])


def torch_gradients(weights: Arrays, x: np.ndarray, labels: np.ndarray, dtype: torch.dtype | None) -> tuple[float, Arrays]:
    t = {n: torch.tensor(a, requires_grad=True) for n, a in weights.items()}
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        y = forward(t, torch.tensor(x))
    loss = F.cross_entropy(y.float(), torch.tensor(labels))
    loss.backward()
    return loss.item(), {n: a.grad.numpy() for n, a in t.items() if a.grad is not None}


def step_gradients(weights: Arrays, data: bytes, feeds: Arrays, **train: Any) -> tuple[float, Arrays, Any]:
    program = module().compile(data, train={"optimizer": "sgd"} | train)
    loss, *_ = program.run(feeds | {"learning_rate": np.float32(1)}, function="step")
    moved = {n: weights[n] - program.read_parameter(n) for n in weights if n in program.parameters}
    return float(loss), moved, program


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("batch", ["N", "6"])
@pytest.mark.parametrize("precision", NARROW)
def test_loss_and_gradients_are_those_of_autocast(precision: str, batch: str) -> None:
    """Both differ from f32 by the narrow type's rounding, and from each other by no more."""
    weights, random = draw_weights(), np.random.default_rng(1)
    x, labels = random.normal(size=(6, 3, 12, 12)).astype(np.float32), random.integers(0, 5, 6)
    data = build(TEXT.replace("BATCH", batch), weights)
    loss, gradients, program = step_gradients(weights, data, {"x": x, "labels": labels}, precision=precision)
    exact_loss, exact = torch_gradients(weights, x, labels, None)
    torch_loss, expected = torch_gradients(weights, x, labels, TORCH[precision])
    unit = {"bf16": 2.0**-8, "f16": 2.0**-11}[precision]
    assert 1e-6 < abs(loss - exact_loss) < 8 * unit and abs(loss - torch_loss) < 8 * unit
    for name, gradient in expected.items():
        if name == "conv_b":
            continue  # zero, but for rounding: batch normalisation takes the mean off
        own, theirs = distance(gradients[name], exact[name]), distance(gradient, exact[name])
        assert unit / 50 < own < max(2 * theirs, 4 * unit), (name, own, theirs)
        assert distance(gradients[name], gradient) < 12 * unit, (name, own, theirs)
    # Evaluation computes alike; prediction is f32.
    again, *_ = program.run({"x": x, "labels": labels}, function="evaluate")
    assert np.isfinite(again) and program.run({"x": x})[0].dtype == np.float32


def narrow(values: np.ndarray, precision: str) -> np.ndarray:
    return torch.tensor(values).to(TORCH[precision]).float().numpy()


@pytest.mark.parametrize("shape", [(3, 1, 5), (17, 7, 9), (64, 1000, 40), (5, 4097, 33), (130, 513, 70)])
@pytest.mark.parametrize("precision", NARROW)
@pytest.mark.parametrize("cpu", CPUS)
def test_products_are_summed_in_f32_and_rounded_once(cpu: str | None, precision: str, shape: tuple[int, int, int]) -> None:
    """Small integers, whose products and sums f32 has: the result is the exact sum, rounded once."""
    m, k, n = shape
    random = np.random.default_rng(0)
    x, w = (random.integers(-9, 10, s).astype(np.float32) for s in ((m, k), (k, n)))
    data = build(f"net (float[M, {k}] x) => (float[M, {n}] y) {{ y = MatMul (x, w) }}", {"w": w})
    program = module().compile(data, train={"loss": "mse", "precision": precision}, target_cpu=cpu)
    feeds = {"x": x, "targets": np.zeros((m, n), np.float32)}
    exact = x.astype(np.float64) @ w.astype(np.float64)
    assert np.abs(exact).max() < 60000
    expected = narrow(exact.astype(np.float32), precision)
    loss, y = program.run(feeds, function="evaluate")
    assert_array_equal(y, expected)
    assert_allclose(loss, (expected.astype(np.float64) ** 2).mean(), rtol=1e-5)  # the loss is of f32
    if k > 512:
        assert not np.array_equal(exact, expected)
    assert_array_equal(program.run({"x": x})[0], exact.astype(np.float32))  # prediction is f32


@pytest.mark.parametrize("precision", NARROW)
@pytest.mark.parametrize("cpu", CPUS)
def test_random_products(cpu: str | None, precision: str) -> None:
    """Operands are rounded to the type, and nothing else: a sum of f32 in any order is so close."""
    random = np.random.default_rng(0)
    x, w = (random.normal(size=s).astype(np.float32) for s in ((33, 777), (777, 65)))
    data = build("net (float[M, 777] x) => (float[M, 65] y) { y = MatMul (x, w) }", {"w": w})
    program = module().compile(data, train={"loss": "mse", "precision": precision}, target_cpu=cpu)
    _, y = program.run({"x": x, "targets": np.zeros((33, 65), np.float32)}, function="evaluate")
    expected = narrow(x, precision).astype(np.float64) @ narrow(w, precision)
    unit = {"bf16": 2.0**-8, "f16": 2.0**-11}[precision]
    bound = unit * np.abs(expected) + 777 * 2.0**-24 * (np.abs(x).astype(np.float64) @ np.abs(w))
    assert (np.abs(y - expected) <= bound * 1.01).all()
    exact = x.astype(np.float64) @ w
    alone = np.abs(narrow(exact.astype(np.float32), precision) - exact).mean()
    assert np.abs(y - exact).mean() > 1.2 * alone  # the operands were rounded too


@pytest.mark.parametrize("precision", NARROW)
@pytest.mark.parametrize("cpu", CPUS)
def test_convolutions_are_summed_in_f32(cpu: str | None, precision: str) -> None:
    random = np.random.default_rng(0)
    x, w = random.integers(-5, 6, (2, 70, 9, 9)).astype(np.float32), random.integers(-5, 6, (24, 70, 3, 3)).astype(np.float32)
    data = build("net (float[N, 70, 9, 9] x) => (float[N, 24, 7, 7] y) { y = Conv (x, w) }", {"w": w})
    program = module().compile(data, train={"loss": "mse", "precision": precision}, target_cpu=cpu)
    _, y = program.run({"x": x, "targets": np.zeros((2, 24, 7, 7), np.float32)}, function="evaluate")
    exact = F.conv2d(torch.tensor(x).double(), torch.tensor(w).double()).numpy()
    assert_array_equal(y, narrow(exact.astype(np.float32), precision))


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
@pytest.mark.parametrize("precision", NARROW)
def test_recurrent_layers(precision: str, kind: str) -> None:
    """Products are narrow, and the state is not: after 60 steps no more is lost than in one."""
    nn = module().nn
    graph = nn.Graph(seed=3)
    x = graph.input("x", ["n", 60, 5])
    data = graph.serialize([x], [nn.Dense(3)(getattr(nn, kind)(16)(x))])
    random = np.random.default_rng(0)
    feeds = {"x": random.normal(size=(4, 60, 5)).astype(np.float32), "labels": np.array([0, 1, 2, 0])}
    weights = module().Trainer(data).state_dict()
    exact_loss, exact, _ = step_gradients(weights, data, feeds)
    loss, gradients, program = step_gradients(weights, data, feeds, precision=precision)
    unit = {"bf16": 2.0**-8, "f16": 2.0**-11}[precision]
    assert 1e-7 < abs(loss - exact_loss) < 4 * unit
    for name, gradient in exact.items():
        assert unit / 100 < distance(gradients[name], gradient) < 12 * unit, name
    evaluation = module().compile(data, train={"precision": precision}).run(feeds, function="evaluate")
    assert_array_equal(evaluation[0], np.float32(loss))


def test_what_cannot_be_narrow() -> None:
    wide = "net (double[N, 3] x) => (double[N, 2] y) { y = MatMul (x, w) }"
    none = "net (float[N, 3] x) => (float[N, 3] y) { y = Mul (x, w) }"
    for text, shape, dtype in ((wide, (3, 2), np.float64), (none, (3,), np.float32)):
        with pytest.raises(module().CompileError, match="there is nothing to compute in bf16: no matrix product"):
            module().compile(build(text, {"w": np.ones(shape, dtype)}), train={"loss": "mse", "precision": "bf16"})
    for value, pattern in (
        ("f8", "unknown precision 'f8', expected f32, bf16 or f16"),
        ("bf16:scale=2", "bf16"),
        ("f16:scale=0", "expected a number that f32 has, above 0"),
        ("f16:interval=0", "expected a whole number, a number from 1 up"),
        ("f16:backoff=2", "expected a number above 0 and up to 1"),
    ):
        with pytest.raises(ValueError, match=pattern):
            module().compile(build(none, {"w": np.ones(3, np.float32)}), train={"precision": value})


# ---- Loss scaling ---------------------------------------------------------------------------

# A product with a gradient that f16 only has if the loss is scaled: 3e-9 of x.
TINY = "net (float[N, 4] x) => (float loss) { y = MatMul (x, w) c = Constant <value_float = 1e-8> () z = Mul (y, c) loss = ReduceMean <keepdims = 0> (z) }"


def test_small_gradients_need_the_scale() -> None:
    w, x = np.ones((4, 3), np.float32), np.ones((5, 4), np.float32)
    data = build(TINY, {"w": w})
    for precision, works in (("f16", True), ("f16:scale=1", False)):
        _, moved, _ = step_gradients({"w": w}, data, {"x": x}, loss="output:loss", optimizer="adam:eps=0", precision=precision)
        if works:
            assert_allclose(moved["w"], 1, rtol=1e-5)
        else:
            assert np.isnan(moved["w"]).all() or not moved["w"].any()


SCALES = ["f16", "f16:scale=1024,growth=3,backoff=0.25,interval=2"]
SCALER: dict[str, dict[str, Any]] = {
    SCALES[0]: {"init_scale": 65536.0},
    SCALES[1]: {"init_scale": 1024.0, "growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 2},
}


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("precision", SCALES)
def test_scale_is_grad_scalers(precision: str, every: int) -> None:
    """Step for step, with gradients that overflow now and then, an optimizer that counts its steps,
    clipping, a moving average, and a running mean."""
    random = np.random.default_rng(2)
    w = random.normal(size=(4, 3)).astype(np.float32)
    text = """net (float[N, 4] x) => (float[N, 3] y) { m = MatMul (x, w)
      y = BatchNormalization <training_mode = 1, momentum = 0.5> (m, scale, bias, mean, var) }"""
    weights = {"w": w, "scale": np.ones(3, np.float32), "bias": np.zeros(3, np.float32), "mean": np.zeros(3, np.float32),
               "var": np.ones(3, np.float32)}  # fmt: skip
    train = {"loss": "mse:reduction=sum", "optimizer": "adam", "clip_norm": 1.0, "accumulate": every, "average": 0.9}
    program = module().compile(build(text, weights), train=train | {"precision": precision})
    t = {n: torch.tensor(weights[n], requires_grad=True) for n in ("w", "scale", "bias")}
    optimizer, scaler = torch.optim.Adam(t.values(), lr=0.01), torch.amp.GradScaler("cpu", **SCALER[precision])
    mean, skipped, updates, average = torch.zeros(3), 0, 0, None
    for step in range(24):
        x = random.normal(size=(8, 4)).astype(np.float32)
        # What the gradient of y is: large ones overflow when they are scaled.
        goal = random.normal(size=(8, 3)).astype(np.float32) * (3e4 if step % 7 in (3, 4) else 1)
        with torch.autocast("cpu", dtype=torch.float16):
            m = torch.matmul(torch.tensor(x), t["w"])
        m = m.float()
        y = F.batch_norm(m, None, None, t["scale"], t["bias"], training=True)
        mean = mean * 0.5 + m.detach().mean(0) * 0.5
        loss = F.mse_loss(y, torch.tensor(goal), reduction="sum")
        scaler.scale(loss / every).backward()
        if (step + 1) % every == 0:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(t.values(), 1.0)
            before = t["w"].detach().clone()
            finite = all(bool(torch.isfinite(p.grad).all()) for p in t.values())
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            assert finite or torch.equal(before, t["w"])
            skipped, updates = skipped + (not finite), updates + finite
            if finite:
                now = t["w"].detach().clone()
                average = now if average is None else 0.9 * average + 0.1 * now
        feeds = {"x": x, "targets": goal, "learning_rate": np.float32(0.01)}
        assert_allclose(program.run(feeds, function="step")[0], loss.item(), rtol=2e-3)  # as it is, not scaled
        assert program.read_parameter("optimizer.scale") == scaler.get_scale()
        assert program.read_parameter("optimizer.count") == updates
        assert_allclose(program.read_parameter("mean"), mean.numpy(), atol=2e-3)  # moves in each step, as PyTorch's
        for name, tensor in t.items():
            assert_allclose(program.read_parameter(name), tensor.detach().numpy(), atol=4e-3)
        if average is not None:
            assert_allclose(program.read_parameter("w.average"), average.numpy(), atol=4e-3)
    assert skipped >= 2 and updates >= 5
    assert np.isfinite(program.read_parameter("w.exp_avg")).all()


def test_a_skipped_step_changes_nothing_but_the_scale() -> None:
    w = np.full((4, 3), 0.25, np.float32)
    data = build("net (float[N, 4] x) => (float[N, 3] y) { y = MatMul (x, w) }", {"w": w})
    program = module().compile(data, train={"loss": "mse", "optimizer": "adamw", "average": 0.5, "precision": "f16"})
    feeds = {"x": np.ones((2, 4), np.float32), "targets": np.zeros((2, 3), np.float32), "learning_rate": np.float32(0.1)}
    program.run(feeds, function="step")
    state = {n: program.read_parameter(n) for n in program.parameters}
    program.run(feeds | {"x": np.full((2, 4), 60000, np.float32)}, function="step")  # y is infinite in f16
    for name, value in state.items():
        now = program.read_parameter(name)
        if name == "optimizer.scale":
            assert (value, now) == (65536, 32768)
        elif name == "optimizer.scale_steps":
            assert (value, now) == (1, 0)
        else:
            assert_array_equal(now, value, err_msg=name)


# ---- Learning -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int64)


def learn(kind: str, precision: str, data: tuple[np.ndarray, np.ndarray]) -> float:
    """The accuracy on what was not trained on."""
    nn = module().nn
    images, labels = data
    graph = nn.Graph(seed=1)
    if kind == "perceptron":
        x = graph.input("x", ["n", 64])
        y = nn.Dense(10)(nn.Dense(64, activation="relu")(x))
    elif kind == "convolutions":
        x = graph.input("x", ["n", 8, 8, 1])
        images = images.reshape(-1, 8, 8, 1)
        h = nn.BatchNormalization()(nn.Conv2D(16, 3, padding="same")(x))
        h = nn.MaxPooling2D(2)(nn.Activation("relu")(h))
        h = nn.Conv2D(32, 3, padding="same", activation="relu")(h)
        y = nn.Dense(10)(nn.Flatten()(h))
    else:
        x = graph.input("x", ["n", 8, 8])
        images = images.reshape(-1, 8, 8)
        h = nn.Dense(32)(x)
        for _ in range(2):
            n = nn.LayerNormalization()(h)
            h = h + nn.MultiHeadAttention(4, 8)(n)
            n = nn.LayerNormalization()(h)
            h = h + nn.Dense(32)(nn.Dense(64, activation="gelu")(n))
        y = nn.Dense(10)(nn.Flatten()(h))
    source = graph.serialize([x], [y])
    rate = {"perceptron": 3e-3, "convolutions": 2e-3, "transformer": 2e-3}[kind]
    trainer = module().Trainer(source, optimizer=f"adam:lr={rate}", metrics=["accuracy"], precision=precision)
    history = trainer.fit(images[:1300], labels[:1300], batch_size=64, epochs=6, verbose=False)
    assert history["loss"][-1] < history["loss"][0] / 3
    return trainer.evaluate(images[1300:], labels[1300:])["accuracy"]


@pytest.mark.parametrize("kind", ["perceptron", "convolutions", "transformer"])
def test_it_learns_what_f32_learns(kind: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    wide = learn(kind, "f32", digits)
    assert wide > 0.85
    for precision in NARROW:
        assert learn(kind, precision, digits) > wide - 0.02, (kind, precision, wide)


# ---- Training from outside ------------------------------------------------------------------


@pytest.mark.parametrize("precision", NARROW)
def test_bits_do_not_depend_on_threads_or_form(precision: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(build(TEXT.replace("BATCH", "N"), draw_weights()))
    train = {"optimizer": "adamw", "clip_norm": 1.0, "precision": precision}
    module().compile_to_file(path, tmp_path / "net.so", train=train)
    programs = [module().compile(path, train=train, threads=n) for n in (1, 2)]
    programs += [module().load(tmp_path / "net.so", threads=n) for n in (1, 2)]
    random = np.random.default_rng(1)
    for _ in range(3):
        feeds = {"x": random.normal(size=(40, 3, 12, 12)).astype(np.float32), "labels": random.integers(0, 5, 40)}
        outputs = [p.run(feeds | {"learning_rate": np.float32(0.01)}, function="step") for p in programs]
        for other in outputs[1:]:
            for a, b in zip(outputs[0], other, strict=True):
                assert_array_equal(a, b)
    for name in programs[0].parameters:
        first, *others = [p.read_parameter(name) for p in programs if name in p.parameters]
        for other in others:
            assert_array_equal(first, other, err_msg=name)


def test_a_training_of_f16_goes_on_bit_for_bit(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    """`nacre train`, with a scale so large that the first steps are skipped, and that grows again."""
    model = small_models.save_perceptron(tmp_path / "m.onnx", 64, 10)
    np.savez(tmp_path / "digits.npz", data=digits[0][:640], labels=digits[1][:640])
    command = ["train", model, "--data", tmp_path / "digits.npz", "--optimizer", "adam:lr=0.01", "--batch-size", "64"]
    command += ["--precision", "f16:scale=1e30,interval=4", "--seed", "3"]
    whole = nacre(*command, "-o", tmp_path / "whole.onnx", "--epochs", "30")
    assert "nan" not in whole.out.splitlines()[-1]
    checkpoints = ["--checkpoint", tmp_path / "c"]
    nacre(*command, "-o", tmp_path / "half.onnx", "--epochs", "13", *checkpoints)
    nacre(*command, "-o", tmp_path / "rest.onnx", "--epochs", "30", "--resume", *checkpoints)
    assert (tmp_path / "whole.onnx").read_bytes() == (tmp_path / "rest.onnx").read_bytes()
    from safetensors.numpy import load_file

    newest = load_file(max((tmp_path / "c").glob("step-*"), key=lambda p: int(p.stem.split("-")[1])))
    assert 0 < newest["optimizer.scale"] < 1e30
    refused = nacre(*command[:-4], "-o", tmp_path / "x.onnx", "--epochs", "31", "--resume", *checkpoints, ok=False)
    assert refused.status != 0 and "--precision" in refused.err


def test_a_loss_that_no_scale_helps_ends_the_training(tmp_path: Path) -> None:
    """The model itself overflows f16: steps are passed over until the scale is below 1."""
    data = build("net (float[N, 4] x) => (float[N, 3] y) { y = MatMul (x, w) }", {"w": np.ones((4, 3), np.float32)})
    trainer = module().Trainer(data, loss="mse", precision="f16")
    x, goal = np.full((64, 4), 60000, np.float32), np.zeros((64, 3), np.float32)
    with pytest.raises(module().InputError, match="the loss became"):
        trainer.fit(x, goal, batch_size=1, epochs=1)
    assert trainer.model.read_parameter("optimizer.scale") == 0.5


def test_steps_that_are_passed_over_do_not_end_it() -> None:
    weight = np.full((4, 3), 0.5, np.float32)
    data = build("net (float[N, 4] x) => (float[N, 3] y) { y = MatMul (x, w) }", {"w": weight})
    trainer = module().Trainer(data, loss="mse", precision="f16")
    x, goal = np.ones((8, 4), np.float32), np.ones((8, 3), np.float32)
    x[3] = 60000  # y is infinite in f16
    history = trainer.fit(x, goal, batch_size=1, epochs=1, learning_rate=0.0)
    assert history["loss"] == [1.0]  # of the others
    assert trainer.model.read_parameter("optimizer.scale") == 32768


def test_it_can_be_asked_for_everywhere(tmp_path: Path) -> None:
    nn = module().nn
    x = nn.Input([3])
    model = nn.Model(x, nn.Dense(2)(x))
    model.compile(precision="f16:scale=256")
    model.fit(np.ones((4, 3), np.float32), np.array([0, 1, 0, 1]), verbose=False)
    assert model.trainer is not None and model.trainer.model.read_parameter("optimizer.scale") == 256
    path = small_models.save_perceptron(tmp_path / "m.onnx", 4, 2)
    nacre("compile", path, "--train", "mse", "--precision", "f16", "-o", tmp_path / "m.so")
    assert "optimizer.scale" in module().load(tmp_path / "m.so").parameters
    for arguments, words in ((["--train", "mse", "--precision", "f8"], "unknown precision 'f8'"), (["--precision", "f16:scale=2"], "expected f32, bf16 or f16")):
        refused = nacre("compile", path, *arguments, "-o", tmp_path / "x.so", ok=False)
        assert refused.status != 0 and words in refused.err
