"""Whole training steps: loss, update and parameters, against PyTorch and across forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper, parser

import small_models
from support import module

CROSS_ENTROPY = {"loss": "softmax-cross-entropy", "optimizer": "sgd"}


def model(text: str, **weights: np.ndarray) -> bytes:
    made = parser.parse_model(small_models.HEAD + text)
    for number, node in enumerate(made.graph.node):
        node.name = f"node{number}"
    for name, value in weights.items():
        made.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.checker.check_model(made)
    return made.SerializeToString()


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


MLP = """mlp (float[N, 8] x) => (float[N, 5] logits) {
  h = Gemm (x, w0, b0) a = Relu (h) logits = Gemm <transB = 1> (a, w1, b1) }"""


def mlp_weights() -> dict[str, np.ndarray]:
    return {"w0": draw(8, 16), "b0": draw(16), "w1": draw(5, 16), "b1": draw(5)}


def test_steps_against_pytorch() -> None:
    weights = mlp_weights()
    program = module().compile(model(MLP, **weights), train=CROSS_ENTROPY, threads=2)
    assert program.functions == ["main", "step", "evaluate"]
    tensors = {n: torch.tensor(a, requires_grad=True) for n, a in weights.items()}
    optimizer = torch.optim.SGD(tensors.values(), lr=0.25)
    random = np.random.default_rng(1)
    for batch in (32, 7, 1, 64, 33):
        x = random.normal(size=(batch, 8)).astype(np.float32)
        labels = random.integers(0, 5, batch)
        optimizer.zero_grad()
        hidden = torch.relu(torch.tensor(x) @ tensors["w0"] + tensors["b0"])
        expected = hidden @ tensors["w1"].T + tensors["b1"]
        wanted = torch.nn.functional.cross_entropy(expected, torch.tensor(labels))
        wanted.backward()
        optimizer.step()
        loss, logits = program.run([x, labels, np.float32(0.25)], function="step")
        assert loss.shape == () and loss.dtype == np.float32
        np.testing.assert_allclose(loss, wanted.item(), rtol=1e-5)
        np.testing.assert_allclose(logits, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
        for name, tensor in tensors.items():
            np.testing.assert_allclose(
                program.read_parameter(name), tensor.detach().numpy(), rtol=1e-4, atol=1e-6
            )
    # Inference reads what training made.
    (logits,) = program.run([x])
    hidden = torch.relu(torch.tensor(x) @ tensors["w0"] + tensors["b0"])
    expected = hidden @ tensors["w1"].T + tensors["b1"]
    np.testing.assert_allclose(logits, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3, 6), ("N", 3, "D")], ids=["static", "dynamic"])
def test_labels_at_places(shape: tuple[int | str, ...]) -> None:
    text = f"places (float{list(shape)} x) => (float{list(shape)} y) {{ y = Mul (x, w) }}"
    weight = draw(3, 1)
    program = module().compile(model(text.replace("'", ""), w=weight), train=CROSS_ENTROPY)
    x, labels = draw(4, 3, 6, seed=1), np.random.default_rng(2).integers(0, 3, (4, 6))
    loss, _ = program.run([x, labels, np.float32(1)], function="step")
    tensor = torch.tensor(weight, requires_grad=True)
    wanted = torch.nn.functional.cross_entropy(torch.tensor(x) * tensor, torch.tensor(labels))
    wanted.backward()
    np.testing.assert_allclose(loss, wanted.item(), rtol=1e-5)
    expected = weight - tensor.grad.numpy()
    np.testing.assert_allclose(program.read_parameter("w"), expected, rtol=1e-5, atol=1e-6)


def test_a_weight_used_twice_is_one_parameter() -> None:
    text = """tied (float[N, 6] x) => (float[N, 6] y) {
      h = MatMul (x, w) a = Tanh (h) t = Transpose <perm = [1, 0]> (w) y = MatMul (a, t) }"""
    weight, x, labels = draw(6, 4), draw(5, 6, seed=1), np.array([0, 5, 2, 2, 1])
    program = module().compile(model(text, w=weight), train=CROSS_ENTROPY)
    program.run([x, labels, np.float32(1)], function="step")
    tensor = torch.tensor(weight, requires_grad=True)
    y = torch.tanh(torch.tensor(x) @ tensor) @ tensor.T
    torch.nn.functional.cross_entropy(y, torch.tensor(labels)).backward()
    expected = weight - tensor.grad.numpy()
    np.testing.assert_allclose(program.read_parameter("w"), expected, rtol=1e-5, atol=1e-6)


def test_outputs_are_of_the_old_values() -> None:
    # The parameter itself, a view and a function of it are outputs, beside the loss.
    text = """outputs (float[3] x) => (float[1] l, float[3] w, float[3, 1] v, float[3] e) {
      s = Constant <value_ints = [3, 1]> () p = Mul (x, w) l = ReduceSum (p)
      v = Reshape (w, s) e = Exp (w) }"""
    made = onnx.load_from_string(model(text, w=np.array([1, 2, 3], np.float32)))
    program = module().compile(made, train={"loss": "output:l"})
    x = np.array([10, 20, 30], np.float32)
    for start in (np.array([1, 2, 3], np.float32), np.array([-9, -18, -27], np.float32)):
        loss, same, w, v, e = program.run([x, np.float32(1)], function="step")
        np.testing.assert_allclose(loss, (x * start).sum())
        np.testing.assert_allclose(same, [loss])
        np.testing.assert_array_equal(w, start)
        np.testing.assert_array_equal(v, start[:, None])
        np.testing.assert_allclose(e, np.exp(start), rtol=1e-6)
        np.testing.assert_array_equal(program.read_parameter("w"), start - x)


def test_bits_do_not_depend_on_threads_or_form(tmp_path: Path) -> None:
    weights = {"w0": draw(8, 200), "b0": draw(200), "w1": draw(5, 200), "b1": draw(5)}
    path = tmp_path / "mlp.onnx"
    path.write_bytes(model(MLP, **weights))
    module().compile_to_file(path, tmp_path / "mlp.so", train=CROSS_ENTROPY)
    programs = [
        module().compile(path, train=CROSS_ENTROPY, threads=1),
        module().compile(path, train=CROSS_ENTROPY, threads=2),
        module().load(tmp_path / "mlp.so", threads=1),
        module().load(tmp_path / "mlp.so", threads=2),
    ]
    random = np.random.default_rng(1)
    for _ in range(5):
        x = random.normal(size=(150, 8)).astype(np.float32)
        labels = random.integers(0, 5, 150)
        first, *others = [p.run([x, labels, np.float32(0.1)], function="step") for p in programs]
        for other in others:
            for a, b in zip(first, other):
                np.testing.assert_array_equal(a, b)
    for name in weights:
        first, *others = [p.read_parameter(name) for p in programs]
        for other in others:
            np.testing.assert_array_equal(first, other)


def test_refused_labels_change_nothing() -> None:
    weights = mlp_weights()
    program = module().compile(model(MLP, **weights), train=CROSS_ENTROPY)
    x, rate = draw(4, 8, seed=1), np.float32(0.1)
    for labels in (np.array([0, 1, 5, 0]), np.array([0, -1, 0, 0]), np.array([0, 1, 2])):
        with pytest.raises(module().RunError):
            program.run([x, labels, rate], function="step")
    for name, value in weights.items():
        np.testing.assert_array_equal(program.read_parameter(name), value)


def test_names_give_way() -> None:
    text = "names (float[N, 3] labels) => (float[N, 3] loss) { loss = Mul (labels, w) }"
    program = module().compile(model(text, w=draw(3)), train=CROSS_ENTROPY)
    x = {"labels": draw(2, 3), "labels_1": np.array([0, 1]), "learning_rate": np.float32(0)}
    first, second = program.run(x, function="step")
    assert first.shape == () and second.shape == (2, 3)


def test_only_initializers_are_trained() -> None:
    text = """constants (float[N, 3] x) => (float[N, 3] y) {
      c = Constant <value = float[3] {1, 2, 3}> () t = Mul (x, c) i = Cast <to = 7> (k)
      z = Cast <to = 1> (i) u = Add (t, z) y = Mul (u, w) }"""
    frozen = np.array([1.5, 2, 3], np.float32)
    program = module().compile(model(text, w=draw(3), k=frozen), train=CROSS_ENTROPY)
    program.run([draw(2, 3), np.array([0, 1]), np.float32(1)], function="step")
    assert not np.array_equal(program.read_parameter("w"), draw(3))
    with pytest.raises(module().RunError):  # no gradient flows through integers
        program.write_parameter("k", frozen)


def test_errors() -> None:
    def refuse(text: str, pattern: str, **options: str) -> None:
        with pytest.raises(module().CompileError, match=pattern):
            module().compile(model(text, w=draw(3)), train=options)

    linear = "linear (float[N, 3] x) => (float[N, 3] y) { y = Mul (x, w) }"
    refuse(linear, "unknown loss 'mean', expected softmax-cross-entropy, .* or output:NAME", loss="mean")
    refuse(linear, "unknown optimizer 'adem', expected sgd, adam, .* or lion", optimizer="adem")
    refuse(linear, "no output is called 'z'.*: the outputs are y", loss="output:z")
    refuse(linear, "the loss 'y' is not one floating-point number", loss="output:y")
    refuse("unused (float[N, 3] x) => (float[N, 3] y) { y = Neg (x) }", "nothing to train")
    chosen = "chosen (float[N, 3] x) => (float[N, 3] y) { p = Mul (x, w) y = Hardmax (p) }"
    refuse(chosen, "nothing to train")
