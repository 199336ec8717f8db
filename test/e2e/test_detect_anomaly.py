"""--detect-anomaly: the first node that makes a NaN, or a gradient that is not finite, is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

import small_models
from support import module, nacre

F = onnx.TensorProto.FLOAT
WEIGHT = np.float32([1, 2, 3])


def make(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: tuple = ("N", 3)) -> onnx.ModelProto:
    """A model of `x` whose output `y` is what the last node gives."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", F, shape)],
        [helper.make_tensor_value_info("y", F, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], name=f"the_{output}", **attributes)


X = np.float32([[1, 2, 3], [4, 5, 6]])
MODELS: dict[str, tuple[list[onnx.NodeProto], np.ndarray, str]] = {
    # Forward: the name of the node, among those that would be one kernel.
    "log": (
        [node("Mul", "x w", "a"), node("Neg", "a", "b"), node("Log", "b", "c"), node("Relu", "c", "d"), node("Exp", "d", "y")],
        X,
        r"node 'the_c' \(Log\): its result has a NaN",
    ),
    "zero by zero": (
        [node("Sub", "x x", "a"), node("Mul", "a w", "b"), node("Div", "b a", "c"), node("Add", "c w", "y")],
        X,
        r"node 'the_c' \(Div\): its result has a NaN",
    ),
    "infinities": (  # which are nothing wrong by themselves
        [node("Mul", "x w", "a"), node("Exp", "a", "b"), node("Neg", "b", "c"), node("Add", "b c", "d"), node("ReduceSum", "d", "y")],
        X * 100,
        r"node 'the_d' \(Add\): its result has a NaN",
    ),
    "a product": (
        [node("Mul", "x w", "a"), node("Exp", "a", "b"), node("Sub", "x x", "c"), node("MatMul", "b c", "y")],
        np.float32([[1000, 1, 1], [1, 1, 1], [1, 1, 1]]),
        r"node 'the_y' \(MatMul\): its result has a NaN",
    ),
    # Backward alone.
    "sqrt": (
        [node("Sub", "x x", "z"), node("Mul", "z w", "a"), node("Sqrt", "a", "b"), node("Add", "b w", "y")],
        X,
        r"node 'the_b' \(Sqrt\): the gradient of what it takes has a NaN or an infinity",
    ),
    "a mask": (  # the well-known one: what is masked has an infinite slope, and 0 times that is NaN
        [node("Sub", "x x", "z"), node("Mul", "x w", "m"), node("Mul", "z w", "a"), node("Cast", "z", "no", to=9),
         node("Sqrt", "a", "b"), node("Where", "no b m", "y")],
        X,
        r"node 'the_b' \(Sqrt\): the gradient of what it takes has a NaN or an infinity",
    ),
    "the norm": (
        [node("Sub", "x x", "z"), node("Mul", "z w", "a"), node("Pow", "a half", "b"), node("Add", "b w", "y")],
        X,
        r"node 'the_b' \(Pow\): the gradient of what it takes has a NaN or an infinity",
    ),
}  # fmt: skip
OPTIONS = {"loss": "mse", "optimizer": "adam"}


def feeds(x: np.ndarray, targets: np.ndarray | None = None) -> dict[str, np.ndarray]:
    targets = np.zeros_like(x) if targets is None else targets
    return {"x": x, "targets": targets, "learning_rate": np.float32(0.1)}


def compiled(model: onnx.ModelProto, **options: object) -> object:
    return module().compile(model, train={**OPTIONS, "detect_anomaly": True, **options}, cache_dir="")


@pytest.mark.parametrize("name", MODELS)
def test_the_node_is_named(name: str) -> None:
    nodes, x, expected = MODELS[name]
    weights = {"w": WEIGHT, "half": np.float32(0.5)}
    used = {word for entry in nodes for word in entry.input}
    model = make(nodes, {key: value for key, value in weights.items() if key in used})
    y = module().compile(model, cache_dir="")(x)
    training = compiled(model)
    before = {key: training.read_parameter(key) for key in training.parameters}
    with pytest.raises(module().InputError, match=expected):
        training.run(feeds(x, np.ones_like(y)), function="step")
    for key, value in before.items():  # it ended before any update
        np.testing.assert_array_equal(training.read_parameter(key), value, err_msg=key)
    # Nothing is wrong without the flag but the numbers.
    plain = module().compile(model, train=OPTIONS, cache_dir="")
    plain.run(feeds(x, np.ones_like(y)), function="step")
    assert not np.isfinite(plain.read_parameter("w")).all() or not np.isfinite(y).all()


def test_backward_is_where_pytorch_finds_it() -> None:
    nodes, x, _ = MODELS["a mask"]
    w = torch.tensor(WEIGHT, requires_grad=True)
    z = torch.tensor(x) * 0
    masked = torch.where(z != 0, torch.sqrt(z * w), torch.tensor(x) * w)
    with pytest.raises(RuntimeError, match="SqrtBackward0"), torch.autograd.set_detect_anomaly(True, check_nan=True):
        torch.nn.functional.mse_loss(masked, torch.ones(masked.shape)).backward()


def test_what_is_given() -> None:
    """A NaN that no node has made: in an input, a target, a weight, a constant."""
    model = make([node("Mul", "x w", "a"), node("Add", "a c", "y")], {"w": WEIGHT, "c": WEIGHT})
    bad = X.copy()
    bad[1, 2] = np.nan
    training = compiled(model, groups="c:frozen")
    with pytest.raises(module().InputError, match="the input 'x' has a NaN"):
        training.run(feeds(bad, X), function="step")
    with pytest.raises(module().InputError, match="the input 'targets' has a NaN"):
        training.run(feeds(X, bad), function="step")
    training.run(feeds(X, X), function="step")
    training.write_parameter("w", np.float32([1, np.inf, 1]))
    with pytest.raises(module().InputError, match="the parameter 'w' has a NaN or an infinity"):
        training.run(feeds(X, X), function="step")
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(bad[1], "c"))
    with pytest.raises(module().InputError, match="the parameter 'c' has a NaN, before"):
        compiled(model, groups="c:frozen").run(feeds(X, X), function="step")


@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_in_a_loop(kind: str) -> None:
    """In the third turn of a loop the state is 0, and its logarithm or the slope of its root infinite."""
    value = helper.make_tensor_value_info
    inner = [node("Sub", "state one", "next"), node("Sqrt", "next", "root")]
    if kind == "forward":
        inner = [node("Sub", "state one", "next"), node("Log", "next", "l"), node("Mul", "l next", "root")]
    body = helper.make_graph(
        [*inner, node("Mul", "root w", "used"), node("Add", "sum used", "more"), helper.make_node("Identity", ["on"], ["on_"])],
        "body",
        [value("i", onnx.TensorProto.INT64, []), value("on", onnx.TensorProto.BOOL, []), value("state", F, [3]), value("sum", F, [3])],
        [value("on_", onnx.TensorProto.BOOL, []), value("next", F, [3]), value("more", F, [3])],
    )  # fmt: skip
    loop = helper.make_node("Loop", ["count", "", "w", "zero"], ["last", "y"], name="the_loop", body=body)
    count = helper.make_node("Constant", [], ["count"], value_int=3)
    one = helper.make_node("Constant", [], ["one"], value_floats=[1.0, 1.0, 1.0])
    model = make([count, one, node("ReduceMin", "x", "least", keepdims=0), node("Sub", "least least", "none"),
                  node("Mul", "w none", "zero"), loop], {"w": np.float32([4, 5, 3])})  # fmt: skip
    training = compiled(model)
    expected = r"'the_root' \(Mul\): its result has a NaN"  # 0 times -inf
    if kind == "backward":
        expected = r"'the_root' \(Sqrt\): the gradient of what it takes"
    with pytest.raises(module().InputError, match=expected):
        training.run(feeds(X, np.ones(3, np.float32)), function="step")
    training.write_parameter("w", np.float32([4, 5, 6]))
    training.run(feeds(X, np.ones(3, np.float32)), function="step")


def test_in_a_branch() -> None:
    value = helper.make_tensor_value_info
    then = helper.make_graph([node("Sqrt", "a", "root")], "then", [], [value("root", F, None)])
    other = helper.make_graph([node("Neg", "a", "neg")], "other", [], [value("neg", F, None)])
    choose = helper.make_node("If", ["yes"], ["y"], name="the_if", then_branch=then, else_branch=other)
    zero = helper.make_node("Constant", [], ["none"], value_float=0.0)
    nodes = [zero, node("Mul", "x w", "a"), node("ReduceSum", "x", "s", keepdims=0), node("GreaterOrEqual", "s none", "yes"), choose]
    training = compiled(make(nodes, {"w": WEIGHT}))
    training.run(feeds(X), function="step")
    training.run(feeds(-X), function="step")
    with pytest.raises(module().InputError, match=r"'the_root' \(Sqrt\): the gradient of what"):
        training.run(feeds(X * 0), function="step")
    with pytest.raises(module().InputError, match=r"'the_root' \(Sqrt\): its result has a NaN"):
        training.run(feeds(np.float32([[-1, 1, 1]])), function="step")


def test_what_is_masked_inside_of_a_node() -> None:
    """Infinities in a mask, and what nodes and losses look for by themselves, are no anomalies."""
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    nodes = [node("MatMul", "x wq", "q"), node("MatMul", "x wk", "k"), node("Transpose", "k", "kt", perm=[0, 2, 1]),
             node("MatMul", "q kt", "scores"), node("Add", "scores mask", "masked"), node("Softmax", "masked", "p"),
             node("MatMul", "p x", "mixed"), node("LayerNormalization", "mixed g", "n"), node("Relu", "n", "y")]  # fmt: skip
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((8, 8)).astype(np.float32) for name in ("wq", "wk")}
    model = make(nodes, weights | {"mask": mask, "g": np.ones(8, np.float32)}, ("N", 4, 8))
    checked = compiled(model, groups="mask:frozen")
    plain = module().compile(model, train={**OPTIONS, "groups": "mask:frozen"}, cache_dir="")
    for step in range(3):
        x = np.random.default_rng(step).standard_normal((2, 4, 8)).astype(np.float32)
        losses = [m.run(feeds(x, x), function="step")[0] for m in (checked, plain)]
        np.testing.assert_allclose(*losses, rtol=1e-6)
    for name in plain.parameters:
        np.testing.assert_allclose(checked.read_parameter(name), plain.read_parameter(name), rtol=1e-4, atol=1e-6)


def test_a_module_without_nodes(tmp_path: Path) -> None:
    """Of what has no name the line is named."""
    (tmp_path / "m.mlir").write_text("""
nn.parameter trainable @w = dense<-1.0> : tensor<2xf32>
func.func @main(%x: tensor<?x2xf32> {nn.name = "x"}) -> (tensor<?x2xf32> {nn.name = "y"}) {
  %w = nn.get_parameter @w : tensor<2xf32>
  %0 = nn.mul %x, %w : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = nn.log %0 : (tensor<?x2xf32>) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}
""")
    with pytest.raises(module().InputError, match="'nn.log' in line 6: its result has a NaN"):
        compiled(tmp_path / "m.mlir").run(feeds(np.ones((1, 2), np.float32)), function="step")


def test_the_command(tmp_path: Path) -> None:
    model = make([node("Mul", "x w", "a"), node("Log", "a", "b"), node("Add", "b w", "y")], {"w": np.float32([1, 2, 3])})
    onnx.save(model, tmp_path / "m.onnx")
    x = np.float32(np.random.default_rng(0).uniform(1, 2, (64, 3)))
    np.savez(tmp_path / "data.npz", x=x, targets=-100 * np.ones_like(x))
    command = ["train", tmp_path / "m.onnx", "--data", tmp_path / "data.npz", "--loss", "mse", "-o", tmp_path / "t.onnx"]
    command += ["--optimizer", "sgd:lr=0.1"]
    ran = nacre(*command, ok=False)
    assert ran.status == 1 and "the loss became nan" in ran.err and "the_" not in ran.err, ran.text()
    ran = nacre(*command, "--detect-anomaly", ok=False)
    assert ran.status == 1 and "node 'the_b' (Log): its result has a NaN" in ran.err, ran.text()
    assert "; in step 1 of epoch 2" in ran.err or "; in step 2 of epoch 1" in ran.err, ran.text()
    assert not (tmp_path / "t.onnx").exists()


def test_a_trainer(tmp_path: Path) -> None:
    """What trains well trains as well with it."""
    path = small_models.save_perceptron(tmp_path / "mlp.onnx", 16, 4)
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((100, 16)).astype(np.float32), rng.integers(0, 4, 100)
    losses = []
    for checks in (False, True):
        trainer = module().Trainer(path, optimizer="adam", detect_anomaly=checks)
        losses.append(trainer.fit(x, labels, epochs=3)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    x[50, 3] = np.nan
    with pytest.raises(module().InputError, match="the input 'data' has a NaN"):
        trainer.fit(x, labels)
    with pytest.raises(ValueError, match="detect_anomaly 'maybe': expected true or false"):
        module().compile(path, train={"detect_anomaly": "maybe"})
