"""ONNX's Gradient: derivatives within a model, against PyTorch's autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper, parser

from support import module

HEAD = '<ir_version: 10, opset_import: ["" : 21, "ai.onnx.preview.training" : 1]>\n'


def gradient(
    y: str, xs: list[str], outputs: list[str], zs: list[str] = [], at: list[str] | None = None
) -> onnx.NodeProto:
    attributes = {"xs": xs, "y": y} | ({"zs": zs} if zs else {})
    return helper.make_node(
        "Gradient", at or xs + zs, outputs, name=f"grad_{y}", domain="ai.onnx.preview.training", **attributes
    )


def build(text: str, *nodes: onnx.NodeProto, initializers: dict[str, np.ndarray] = {}, head: str = HEAD) -> bytes:
    """The model of the text with nodes added, in order, at its end."""
    model = parser.parse_model(head + text)
    model.graph.node.extend(nodes)
    for name, value in initializers.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return model.SerializeToString()


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape)


def run(model: bytes, **inputs: np.ndarray) -> list[np.ndarray]:
    program = module().compile(model, threads=2)
    return program.run(inputs)


def check(actual: list[np.ndarray], expected: list[torch.Tensor | np.ndarray]) -> None:
    assert len(actual) == len(expected)
    for got, want in zip(actual, expected):
        value = want.detach().numpy() if isinstance(want, torch.Tensor) else want
        np.testing.assert_allclose(got, value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dynamic", [False, True])
def test_layers(dynamic: bool) -> None:
    """Two layers, the weights initializers, one of them small; y is no scalar."""
    batch = "N" if dynamic else "5"
    w0, b0, w1 = draw(4, 8), draw(8), draw(8, 3)
    model = build(
        f"""layers (double[{batch}, 4] x)
            => (double[{batch}, 3] y, double[{batch}, 4] dx, double[4, 8] dw0, double[8] db0, double[8, 3] dw1)
        {{ m = MatMul (x, w0) s = Add (m, b0) a = Relu (s) t = MatMul (a, w1) y = Tanh (t) }}""",
        gradient("y", ["x", "w0", "b0", "w1"], ["dx", "dw0", "db0", "dw1"]),
        initializers={"w0": w0, "b0": b0, "w1": w1},
    )
    x = draw(5, 4)
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, w0, b0, w1)]
    y = torch.tanh(torch.relu(tensors[0] @ tensors[1] + tensors[2]) @ tensors[3])
    check(run(model, x=x), [y, *torch.autograd.grad(y.sum(), tensors)])


def test_intermediate_value() -> None:
    """By a value on the way, which simplifications would otherwise look through."""
    model = build(
        """steps (double[3, 4] w) => (double[3, 4] y, double[4, 3] dh, double[3, 4] dw)
        { h = Transpose <perm = [1, 0]> (w) t = Transpose <perm = [1, 0]> (h) y = Mul (t, t) }""",
        gradient("y", ["h"], ["dh"]),
        gradient("y", ["w"], ["dw"]),
    )
    w = draw(3, 4)
    check(run(model, w=w), [w * w, 2 * w.T, 2 * w])


def test_equal_values_are_not_the_same() -> None:
    """a and b are computed alike; only a takes part. What y does not depend on: zeros."""
    model = build(
        "twins (double[N] x) => (double[N] da, double[N] db) { a = Exp (x) b = Exp (x) y = Mul (a, a) }",
        gradient("y", ["a", "b"], ["da", "db"]),
    )
    x = draw(6)
    check(run(model, x=x), [2 * np.exp(x), np.zeros(6)])


def test_higher_order() -> None:
    """The second derivative, and the derivative of a gradient by another variable."""
    model = build(
        "cubic (double[4] x, double[4] k) => (double[4] d, double[4] d2, double[4] dk)"
        " { s = Mul (x, x) c = Mul (s, x) e = Sin (c) y = Mul (e, k) }",
        gradient("y", ["x", "k"], ["d", ""]),
        gradient("d", ["x", "k"], ["d2", "dk"]),
    )
    x, k = draw(4), draw(2, 2).reshape(4)
    tx, tk = (torch.tensor(v, requires_grad=True) for v in (x, k))
    (d,) = torch.autograd.grad((torch.sin(tx**3) * tk).sum(), tx, create_graph=True)
    check(run(model, x=x, k=k), [d, *torch.autograd.grad(d.sum(), [tx, tk])])


@pytest.mark.parametrize("dynamic", [False, True])
def test_second_derivatives_of_products(dynamic: bool) -> None:
    """Also where the first ones are computed by a loop."""
    size = "N" if dynamic else "4"
    head = HEAD.replace("21", "26")
    model = build(
        f"""products (double[{size}] x) => (double[{size}] d, double[{size}] d2)
        {{ a = Constant <value = int64 {{0}}> () c = CumProd (x, a) s = Sin (c) p = ReduceProd <keepdims = 0> (x) y = Add (s, p) }}""",
        gradient("y", ["x"], ["d"]),
        gradient("d", ["x"], ["d2"]),
        head=head,
    )
    for values in ([0.5, -1.0, 2.0, 0.25], [0.5, 0.0, 2.0, 0.25], [0.0, 1.5, 0.0, 2.0]):
        x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        y = (torch.sin(torch.cumprod(x, 0)) + x.prod()).sum()
        (d,) = torch.autograd.grad(y, x, create_graph=True)
        weights = torch.autograd.grad(d.sum(), x)[0]
        check(run(model, x=np.array(values)), [d, weights])


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("attributes", "window"),
    [
        ("kernel_shape = [2, 2], strides = [2, 2]", (2, 2, 0, 1)),
        ("kernel_shape = [3, 2], strides = [2, 1], pads = [1, 0, 1, 0]", ((3, 2), (2, 1), (1, 0), 1)),
        ("kernel_shape = [2, 2], dilations = [2, 3]", (2, 1, 0, (2, 3))),
    ],
)
def test_second_derivative_of_max_pooling(attributes: str, window: tuple[Any, ...], dynamic: bool) -> None:
    sizes = "N, 3, H, W" if dynamic else "2, 3, 6, 7"
    model = build(
        f"""pooled (double[{sizes}] x) => (double[{sizes}] d, double[{sizes}] d2)
        {{ p = MaxPool <{attributes}> (x) s = Mul (p, p) y = Mul (s, p) }}""",
        gradient("y", ["x"], ["d"]),
        gradient("d", ["x"], ["d2"]),
    )
    x = torch.tensor(draw(2, 3, 6, 7), requires_grad=True)
    y = (torch.nn.functional.max_pool2d(x, *window) ** 3).sum()
    (d,) = torch.autograd.grad(y, x, create_graph=True)
    check(run(model, x=x.detach().numpy()), [d, torch.autograd.grad(d.sum(), x)[0]])


def test_batch_normalisation() -> None:
    """With given statistics, by these as well."""
    names = ["x", "s", "b", "m", "v"]
    model = build(
        """normal (double[N, 3, 4] x, double[3] s, double[3] b, double[3] m, double[3] v)
            => (double[N, 3, 4] dx, double[3] ds, double[3] db, double[3] dm, double[3] dv)
        { n = BatchNormalization (x, s, b, m, v) y = Sin (n) }""",
        gradient("y", names, [f"d{name}" for name in names]),
    )
    values = [draw(2, 3, 4), draw(3), draw(3), draw(3), draw(3) ** 2 + 0.5]
    x, s, b, m, v = tensors = [torch.tensor(value, requires_grad=True) for value in values]
    eps = float(np.float32(1e-5))
    y = (x - m[:, None]) / torch.sqrt(v[:, None] + eps) * s[:, None] + b[:, None]
    # PyTorch's own does not differentiate by the statistics.
    torch.testing.assert_close(y, torch.nn.functional.batch_norm(x, m.detach(), v.detach(), s, b, eps=eps))
    check(run(model, **dict(zip(names, values))), list(torch.autograd.grad(torch.sin(y).sum(), tensors)))


@pytest.mark.parametrize("dynamic", [False, True])
def test_shapes_on_the_way(dynamic: bool) -> None:
    """Sizes are computed from a value that the gradient is taken by."""
    batch = "N" if dynamic else "5"
    model = build(
        f"""shapes (double[{batch}, 4] x) => (double[4, 6] dw, double[{batch}, 4] dx) {{
          two = Constant <value_ints = [2, 3]> () wide = Constant <value_ints = [1, 3, 1]> ()
          p = MatMul (x, w) n = Shape <end = 1> (p) t = Concat <axis = 0> (n, two) r = Reshape (p, t)
          s = Softmax <axis = 2> (r) a, b = Split <axis = 1, num_outputs = 2> (s)
          e = Expand (a, wide) c = Concat <axis = 1> (e, b) u = Transpose <perm = [0, 2, 1]> (c) y = Sin (u) }}""",
        gradient("y", ["w", "x"], ["dw", "dx"]),
        initializers={"w": draw(4, 6)},
    )
    x, w = (torch.tensor(v, requires_grad=True) for v in (draw(5, 4), draw(4, 6)))
    s = torch.softmax((x @ w).reshape(5, 2, 3), 2)
    y = torch.sin(torch.cat([s[:, :1].expand(-1, 3, -1), s[:, 1:]], 1).transpose(1, 2))
    check(run(model, x=x.detach().numpy()), list(torch.autograd.grad(y.sum(), [w, x])))


def test_in_a_loop() -> None:
    """Gradient descent by the model itself: x ← x - d(x²)/dx / 4, twice."""
    model = parser.parse_model(
        HEAD
        + """descent (int64 n, double[3] x0) => (double[3] xn) {
          t = Constant <value = bool {1}> ()
          xn = Loop (n, t, x0) <body = step (int64 i, bool ci, double[3] x) => (bool co, double[3] xo) {
            co = Identity (ci)
            y = Mul (x, x)
          }>
        }"""
    )
    body = model.graph.node[1].attribute[0].g
    body.node.extend([gradient("y", ["x"], ["d"]), helper.make_node("Mul", ["d", "rate"], ["m"])])
    body.node.append(helper.make_node("Sub", ["x", "m"], ["xo"]))
    body.initializer.append(numpy_helper.from_array(np.array(0.25), "rate"))
    check(run(model.SerializeToString(), n=np.int64(2), x0=draw(3)), [draw(3) / 4])


def test_constants() -> None:
    """zs and what is named nowhere are constant, also where a constant must be known."""
    model = build(
        "constants (double[2, 3] x, double[2, 3] z, double[2, 3] other) => (double[2, 3] dx)"
        " { axes = Constant <value_ints = [1]> () p = Mul (x, z) q = Mul (p, other)"
        "   r = Mul (q, x) y = ReduceSum (r, axes) }",
        gradient("y", ["x"], ["dx"], zs=["z", "axes"]),
    )
    x, z, other = draw(2, 3), draw(3, 2).reshape(2, 3), draw(6).reshape(2, 3)
    check(run(model, x=x, z=z, other=other), [2 * x * z * other])


@pytest.mark.parametrize("dynamic", [False, True])
def test_at_other_values(dynamic: bool) -> None:
    """The function between xs, zs and y is evaluated at what the node is given."""
    size = "N" if dynamic else "3"
    model = build(
        f"elsewhere (double[{size}] x, double[{size}] z, double[{size}] other)"
        f" => (double[{size}] y, double[{size}] dx, double[{size}] own)"
        " { h = Mul (x, z) e = Exp (h) y = Mul (e, x) }",
        gradient("y", ["x"], ["dx"], zs=["z"], at=["other", "x"]),
        gradient("y", ["x"], ["own"]),
    )
    x, z, other = draw(3, 3)
    at = torch.tensor(other, requires_grad=True)
    (elsewhere,) = torch.autograd.grad((torch.exp(at * torch.tensor(x)) * at).sum(), at)
    own = (x * z + 1) * np.exp(x * z)
    check(run(model, x=x, z=z, other=other), [x * np.exp(x * z), elsewhere, own])


def test_in_a_function() -> None:
    """Names are those of the function, called twice."""
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21, "local" : 1]>\n'
        """calls (double[4] p, double[4] q) => (double[4] dp, double[4] dq)
           { dp = local.slope (p) dq = local.slope (q) }"""
    )
    function = helper.make_function(
        "local",
        "slope",
        ["x"],
        ["dx"],
        [helper.make_node("Sin", ["x"], ["y"]), gradient("y", ["x"], ["dx"])],
        [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.preview.training", 1)],
    )
    model.functions.append(function)
    p, q = draw(2, 4)
    check(run(model.SerializeToString(), p=p, q=q), [np.cos(p), np.cos(q)])


def test_each_call_has_variables_of_its_own() -> None:
    """y = s exp(w), twice: in the second call s is constant, although it came from an equal exp(w)."""
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21, "local" : 1]>\n'
        """calls (double[4] s, double[4] w) => (double[4] d, double[4] e)
           { y, d = local.product (s, w) z, e = local.product (y, w) }"""
    )
    model.functions.append(
        helper.make_function(
            "local",
            "product",
            ["s", "w"],
            ["y", "d"],
            [
                helper.make_node("Exp", ["w"], ["x"]),
                helper.make_node("Mul", ["s", "x"], ["y"]),
                gradient("y", ["x"], ["d"]),
            ],
            [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.preview.training", 1)],
        )
    )
    s, w = draw(2, 4)
    check(run(model.SerializeToString(), s=s, w=w), [s, s * np.exp(w)])


def test_in_training() -> None:
    """A loss that contains a gradient: the step differentiates through it."""
    model = build(
        "penalty (double[4] x) => (double l) { p = Mul (x, w) y = Sin (p) }",
        gradient("y", ["x"], ["dx"]),
        helper.make_node("Mul", ["dx", "dx"], ["s"]),
        helper.make_node("ReduceSum", ["s"], ["l"], keepdims=0),
        initializers={"w": draw(4)},
    )
    x, w = draw(4) + 0.5, draw(4)
    program = module().compile(model, train={"loss": "output:l"}, threads=2)
    loss = program.run([x, np.float32(1)], function="step")[0]
    tx, tw = (torch.tensor(v, requires_grad=True) for v in (x, w))
    (dx,) = torch.autograd.grad(torch.sin(tx * tw).sum(), tx, create_graph=True)
    total = (dx * dx).sum()
    (dw,) = torch.autograd.grad(total, tw)
    np.testing.assert_allclose(loss, total.item(), rtol=1e-6)
    check([w - program.read_parameter("w")], [dw])


REFUSED = {
    "no gradient": (  # of the second order, of windows of so many elements
        build(
            "m (float[1, 1, 12, 12] x) => (float[1, 1, 12, 12] d) { c = MaxPool <kernel_shape = [12, 12]> (x) y = Mul (c, c) }",
            gradient("y", ["x"], ["g"]),
            helper.make_node("Mul", ["g", "g"], ["h"]),
            gradient("h", ["x"], ["d"]),
        ),
        "(MaxPool)",
    ),
    "dependent": (
        build("m (float[4] x) => (float[4] d) { h = Exp (x) y = Mul (h, x) }", gradient("y", ["x", "h"], ["d", ""])),
        "expects independent variables, but 'h' is computed from another one",
    ),
    "integers": (
        build("m (int64[4] x) => (float[4] d) { y = Cast <to = 1> (x) }", gradient("y", ["x"], ["d"])),
        "xs names 'x', which is no tensor of floating-point numbers",
    ),
    "integer y": (
        build("m (float[4] x) => (float[4] d) { y = Cast <to = 7> (x) }", gradient("y", ["x"], ["d"])),
        "y names 'y', which is no tensor of floating-point numbers",
    ),
    "unknown": (
        build("m (float[4] x) => (float[4] d) { y = Exp (x) }", gradient("q", ["x"], ["d"])),
        "'q' is made by no node",
    ),
    "count": (
        build("m (float[4] x) => (float[4] d) { y = Exp (x) }", gradient("y", ["x"], ["d"], at=["x", "x"])),
        "it has 2 inputs and 1 outputs, but 1 names in xs and 0 in zs",
    ),
    "other shape": (
        build("m (float[N] x, float[M] o) => (float[N] d) { y = Exp (x) }", gradient("y", ["x"], ["d"], at=["o"])),
        "not known to have the shape",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    model, message = REFUSED[case]
    with pytest.raises(module().CompileError, match="node '") as caught:
        module().compile(model)
    assert message in str(caught.value)


def test_of_another_graph_is_refused() -> None:
    """A Gradient in a branch by a value from around it."""
    model = parser.parse_model(
        HEAD
        + """m (bool c, float[4] x) => (float[4] d) {
          y = Exp (x)
          d = If (c) <
            then_branch = then () => (float[4] t) { t = Neg (x) },
            else_branch = else () => (float[4] e) { e = Abs (x) }>
        }"""
    )
    branch = model.graph.node[1].attribute[0].g
    del branch.node[:]
    branch.node.append(gradient("y", ["x"], ["t"]))
    with pytest.raises(module().CompileError, match="node 'grad_y'.*of another graph"):
        module().compile(model.SerializeToString())
