"""Connectionist temporal classification: value and gradient against torch.nn.functional.ctc_loss,
finite differences, and what is out of range.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper, parser

import small_models
from support import module

# PyTorch's gradient of log-probabilities takes them for a softmax's, so the model has one.
NODES = "m = MatMul (x, w) a = Add (m, b) y = LogSoftmax <axis = 2> (a)"


def compile_model(loss: str, sizes: tuple[object, object, int], dtype: str) -> tuple[object, dict[str, np.ndarray]]:
    dims = ", ".join(str(s) for s in sizes)
    model = parser.parse_model(small_models.HEAD + f"net ({dtype}[{dims}] x) => ({dtype}[{dims}] y) {{ {NODES} }}")
    random = np.random.default_rng(5)
    classes = sizes[2]
    element = {"float": np.float32, "double": np.float64}[dtype]
    parameters = {"w": random.normal(size=(classes, classes)).astype(element), "b": random.normal(size=classes).astype(element)}
    for name, value in parameters.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    for number, node in enumerate(model.graph.node):
        node.name = f"node{number}"
    onnx.checker.check_model(model)
    return module().compile(model.SerializeToString(), train={"loss": loss, "optimizer": "sgd"}, threads=2), parameters


def step(program: object, x: np.ndarray, targets: np.ndarray, times: list[int], lengths: list[int]) -> float:
    feed = {"x": x, "targets": targets, "input_lengths": np.array(times), "target_lengths": np.array(lengths)}
    return float(program.run(feed | {"learning_rate": np.float32(1)}, function="step")[0])


def reference(loss: dict[str, object], x: np.ndarray, parameters: dict[str, np.ndarray], targets: np.ndarray,
              times: list[int], lengths: list[int], batch_first: bool = False) -> tuple[float, dict[str, np.ndarray]]:
    tensors = {n: torch.tensor(v, requires_grad=True) for n, v in parameters.items()}
    y = torch.log_softmax(torch.tensor(x) @ tensors["w"] + tensors["b"], 2)
    value = torch.nn.functional.ctc_loss(
        y.transpose(0, 1) if batch_first else y, torch.tensor(targets), torch.tensor(times), torch.tensor(lengths), **loss
    )
    value.backward()
    return value.item(), {n: t.grad.numpy() for n, t in tensors.items()}


# name: settings, PyTorch's, [T, N, C], targets, input lengths, target lengths
CASES = {
    "plain": ("", {}, (7, 3, 5), [[1, 2, 3], [4, 4, 1], [2, 1, 2]], [7, 7, 7], [3, 3, 3]),
    "lengths": ("", {}, (7, 4, 5), [[1, 2, 3], [4, 4, 9], [2, -7, 99], [3, 3, 3]], [7, 5, 2, 6], [3, 2, 1, 3]),
    "repeated": ("", {}, (6, 2, 3), [[1, 1, 1], [2, 2, 1]], [6, 6], [3, 3]),
    "tight": ("", {}, (5, 2, 3), [[1, 1, 1], [1, 2, 1]], [5, 3], [3, 3]),
    "blank": (":blank=4", {"blank": 4}, (7, 3, 5), [[1, 2, 3], [0, 0, 1], [2, 1, 2]], [7, 6, 5], [3, 3, 2]),
    "sum": (":reduction=sum", {"reduction": "sum"}, (7, 3, 5), [[1, 2, 3], [4, 4, 1], [2, 1, 2]], [7, 7, 4], [3, 2, 3]),
    "empty_target": ("", {}, (4, 2, 3), [[1, 2], [0, 0]], [4, 3], [2, 0]),
    "one": ("", {}, (1, 1, 2), [[1]], [1], [1]),
    "no_labels": ("", {}, (3, 2, 2), [[], []], [3, 2], [0, 0]),
    "zero_infinity": (":zero_infinity", {"zero_infinity": True}, (4, 3, 5), [[1, 1, 1], [1, 2, 3], [1, 1, 2]],
                      [4, 3, 2], [3, 3, 3]),
    "batch_first": (":batch_first", {}, (3, 7, 5), [[1, 2, 3], [4, 4, 1], [2, 1, 2]], [7, 5, 7], [3, 2, 3]),
    "long": ("", {}, (60, 2, 9), [list(range(1, 9)) * 2, [3] * 16], [60, 55], [16, 16]),
}


@pytest.mark.parametrize(
    ("name", "dynamic", "dtype"),
    [(name, True, dtype) for name in CASES for dtype in ("double", "float")]
    + [(name, False, "double") for name in ("plain", "lengths", "batch_first")],
)
def test_against_pytorch(name: str, dynamic: bool, dtype: str) -> None:
    settings, options, sizes, labels, times, lengths = CASES[name]
    targets = np.array(labels, dtype=np.int64)
    shape = ("A", "B", sizes[2]) if dynamic else sizes
    program, parameters = compile_model(f"ctc{settings}", shape, dtype)
    x = np.random.default_rng(7).normal(size=sizes).astype(parameters["w"].dtype)
    value = step(program, x, targets, times, lengths)
    wide = {n: v.astype(np.float64) for n, v in parameters.items()}  # PyTorch's own f32 is less exact than ours
    first = "batch_first" in settings
    wanted, gradients = reference(options, x.astype(np.float64), wide, targets, times, lengths, first)
    np.testing.assert_allclose(value, wanted, rtol=1e-7 if dtype == "double" else 1e-6)  # it is f32
    tolerance = 1e-10 if dtype == "double" else 1e-6
    for key, expected in gradients.items():
        got = parameters[key] - program.read_parameter(key)
        scale = max(np.abs(expected).max(), np.abs(parameters[key]).max())
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale, err_msg=key)


def test_finite_differences() -> None:
    _, _, sizes, labels, times, lengths = CASES["lengths"]
    targets, x = np.array(labels), np.random.default_rng(7).normal(size=sizes)
    program, parameters = compile_model("ctc", ("T", "N", sizes[2]), "double")
    step(program, x, targets, times, lengths)
    gradients = {n: v - program.read_parameter(n) for n, v in parameters.items()}
    for name, gradient in gradients.items():
        direction = np.random.default_rng(1).normal(size=gradient.shape)
        losses = []
        for sign in (1, -1):
            moved = {n: v + sign * 1e-5 * direction if n == name else v for n, v in parameters.items()}
            losses.append(reference({}, x, moved, targets, times, lengths)[0])
        np.testing.assert_allclose((gradient * direction).sum(), (losses[0] - losses[1]) / 2e-5, rtol=1e-7)


@pytest.fixture(scope="module")
def program() -> object:
    return compile_model("ctc", ("T", "N", 5), "double")[0]


def test_impossible_target_is_infinite(program: object) -> None:
    before = {name: program.read_parameter(name) for name in program.parameters}
    assert step(program, np.zeros((2, 1, 5)), np.array([[1, 1]]), [2], [2]) == np.inf
    for name, value in before.items():
        np.testing.assert_array_equal(program.read_parameter(name), value)


@pytest.mark.parametrize(
    ("labels", "times", "lengths"),
    [
        ([[1, 5], [1, 2]], [4, 4], [2, 2]),
        ([[1, -1], [1, 2]], [4, 4], [2, 2]),
        ([[1, 2], [1, 2**40]], [4, 4], [2, 2]),
        ([[1, 2], [1, 2]], [4, 5], [2, 2]),
        ([[1, 2], [1, 2]], [4, -1], [2, 2]),
        ([[1, 2], [1, 2]], [4, 4], [3, 2]),
        ([[1, 2], [1, 2]], [4, 4], [2, -1]),
    ],
)
def test_out_of_range(program: object, labels: list[list[int]], times: list[int], lengths: list[int]) -> None:
    with pytest.raises(module().RunError, match="an index is out of range"):
        step(program, np.zeros((4, 2, 5)), np.array(labels), times, lengths)


def test_other_batch(program: object) -> None:
    with pytest.raises(module().RunError, match="is 1, expected 2"):
        step(program, np.zeros((4, 2, 5)), np.array([[1, 2]]), [4, 4], [2, 2])


@pytest.mark.parametrize(
    ("loss", "message"),
    [("ctc:blank=5", "more classes than the number of the blank"), ("ctc:blank=-1", "blank"), ("ctc:zero", "zero")],
)
def test_refused(loss: str, message: str) -> None:
    with pytest.raises(module().CompileError, match=message):
        compile_model(loss, ("T", "N", 5), "double")
