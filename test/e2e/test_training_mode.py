"""Dropout and batch normalisation: one thing in a training step, another in inference."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, parser

from support import module

nacre = module()
nn = nacre.nn


def build_batch_norm(training_mode: bool) -> bytes:
    """conv, batch norm, relu, mean over places, dense: what is made in the file with or without training mode."""
    graph = nn.Graph(seed=2)
    x = graph.input("x", ["batch", 3, 6, 5])
    h = nn.Conv2D(4, 3, channels_first=True)(x)
    h = nn.BatchNormalization(epsilon=1e-5, momentum=0.9, channels_first=True)(h)
    y = nn.Dense(5)(nn.GlobalAveragePooling(channels_first=True)(nn.Activation("relu")(h)))
    model = onnx.load_from_string(graph.serialize([x], [y]))
    if training_mode:
        (node,) = [n for n in model.graph.node if n.op_type == "BatchNormalization"]
        node.attribute.append(helper.make_attribute("training_mode", 1))
        node.output.extend(["running_mean", "running_variance"])
    return model.SerializeToString()


class Reference(torch.nn.Module):
    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.dense = torch.nn.Linear(4, 5)
        with torch.no_grad():
            self.conv.weight.copy_(torch.from_numpy(weights["conv2d.kernel"].copy()))
            self.conv.bias.copy_(torch.from_numpy(weights["conv2d.bias"].copy()))
            self.dense.weight.copy_(torch.from_numpy(weights["dense.kernel"].T.copy()))
            self.dense.bias.copy_(torch.from_numpy(weights["dense.bias"].copy()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


@pytest.mark.parametrize("training_mode", [False, True], ids=["inference_file", "training_file"])
def test_batch_norm_trains(training_mode: bool) -> None:
    data = build_batch_norm(training_mode)
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load_from_string(data).graph.initializer}
    reference = Reference(weights)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.2)
    model = nacre.compile(data, train={"loss": "softmax-cross-entropy", "optimizer": "sgd"})
    rng = np.random.default_rng(0)
    mean, variance = np.zeros(4), np.ones(4)
    for batch in (8, 5, 8, 3, 8, 8):
        x = rng.standard_normal((batch, 3, 6, 5)).astype(np.float32) * 2 + 1
        labels = rng.integers(0, 5, batch)
        with torch.no_grad():  # ONNX's running variance is the batch's own, PyTorch's the population's estimate
            hidden = reference.conv(torch.from_numpy(x)).numpy()
        mean = 0.9 * mean + 0.1 * hidden.mean((0, 2, 3))
        variance = 0.9 * variance + 0.1 * hidden.var((0, 2, 3))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(reference(torch.from_numpy(x)), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        feeds = {"x": x, "labels": labels, "learning_rate": np.float32(0.2)}
        got = model.run(feeds, function="step")[0]
        np.testing.assert_allclose(got, loss.item(), rtol=2e-5)
    np.testing.assert_allclose(model.read_parameter("conv2d.kernel"), reference.conv.weight.detach(), rtol=1e-3, atol=2e-5)
    np.testing.assert_allclose(model.read_parameter("batch_normalization.gamma"), reference.norm.weight.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.read_parameter("batch_normalization.moving_mean"), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.read_parameter("batch_normalization.moving_variance"), variance, rtol=1e-4, atol=1e-5)
    # Inference, with the statistics of the training.
    with torch.no_grad():
        reference.norm.running_mean.copy_(torch.from_numpy(mean))
        reference.norm.running_var.copy_(torch.from_numpy(variance))
    reference.eval()
    x = rng.standard_normal((4, 3, 6, 5)).astype(np.float32)
    got = model.run({"x": x})[0]
    np.testing.assert_allclose(got, reference(torch.from_numpy(x)).detach(), rtol=1e-3, atol=1e-4)


HEAD = '<ir_version: 10, opset_import: ["" : 21]>\n'


@pytest.mark.parametrize("mode", ["", "yes", "no"], ids=["absent", "training", "inference"])
def test_dropout_drops_in_training_alone(mode: str) -> None:
    """Whatever the file says: the step's gradient shows what was dropped."""
    declared = {"": "", "yes": "bool t = {1},", "no": "bool t = {0},"}[mode]
    text = f"""m (float[n] x) => (float loss, float[n] y) <{declared} float r = {{0.3}}, float[4000] w = {{{",".join(["1"] * 4000)}}}>
    {{ p = Mul (x, w) y = Dropout (p, r{", t" if mode else ""}) loss = ReduceSum <keepdims = 0> (y) }}"""
    data = parser.parse_model(HEAD + text).SerializeToString()
    x = np.ones(4000, np.float32)

    def train(threads: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
        model = nacre.compile(data, train={"loss": "output:loss", "optimizer": "sgd"}, threads=threads)
        model.set_seed(seed)
        masks = []
        for _ in range(2):
            before = model.read_parameter("w")
            loss, *_ = model.run({"x": x, "learning_rate": np.float32(1)}, function="step")
            gradient = before - model.read_parameter("w")
            masks.append(gradient)
            np.testing.assert_allclose(loss, (gradient * before).sum(), rtol=1e-4)
        (_, y) = model.run({"x": x})  # nothing is dropped
        np.testing.assert_array_equal(y, model.read_parameter("w"))
        return masks, y

    masks, _ = train(1, 5)
    for mask in masks:
        assert set(np.round(np.unique(mask), 4)) == {0, np.float32(np.round(1 / 0.7, 4))}
        assert abs((mask == 0).mean() - 0.3) < 5 * (0.21 / 4000) ** 0.5
    assert not np.array_equal(masks[0], masks[1])
    for a, b in zip(masks, train(2, 5)[0]):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(masks[0], train(1, 6)[0][0])


def test_inference_of_a_training_file_is_onnx() -> None:
    """Compiled for inference alone, the file means what ONNX says."""
    data = build_batch_norm(True)
    x = np.random.default_rng(0).standard_normal((4, 3, 6, 5)).astype(np.float32)
    from onnx.reference import ReferenceEvaluator

    want = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"x": x})[0]
    np.testing.assert_allclose(nacre.compile(data)(x), want, rtol=1e-4, atol=1e-5)


def test_statistics_of_two_nodes() -> None:
    text = """m (float[n, 2] x) => (float loss) <float[2] s = {1, 1}, float[2] b = {0, 0}, float[2] mean = {0, 0}, float[2] var = {1, 1}>
    { p = BatchNormalization (x, s, b, mean, var) q = BatchNormalization (p, s, b, mean, var) loss = ReduceSum <keepdims = 0> (q) }"""
    model = parser.parse_model(HEAD + text)
    for i, node in enumerate(model.graph.node):
        node.name = f"norm{i}"
    with pytest.raises(nacre.CompileError, match=r"node 'norm1' \(BatchNormalization\).*'mean', which another node updates"):
        nacre.compile(model.SerializeToString(), train={"loss": "output:loss", "optimizer": "sgd"})
