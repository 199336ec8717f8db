"""Gradients of every differentiable op: against PyTorch, and by finite differences.

One model has many ops, each with parameters of its own whose gradients tell it apart. A
step with rate 1 gives the gradient as the old value less the new one. In float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper, parser

import small_models
from support import module

Arrays = dict[str, np.ndarray]
Tensor = torch.Tensor


@dataclass(frozen=True)
class Term:
    """One summand of the loss: `nodes` make {out} of {w} and x[N, 4] or y[N, 3, 4]."""

    nodes: str
    reference: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...], ...] = ((4,),)
    low: float = 0.3
    high: float = 0.9
    smooth: bool = True  # finite differences mean something
    tolerance: float = 1e-7
    value: float = 1e-8  # how close the loss is


def build(
    terms: list[Term], dynamic: bool, elements: str = "double", open_sizes: bool = False, head: str = small_models.HEAD
) -> tuple[bytes, Arrays, Arrays]:
    """The model, its parameters, and inputs; with `open_sizes`, y's last size is dynamic too."""
    random = np.random.default_rng(0)
    batch = "N" if dynamic else "5"
    size = "L" if open_sizes else "4"
    x, y = random.uniform(0.3, 0.9, (5, 4)), random.uniform(-1, 1, (5, 3, 4))
    lines, parameters, partial = [], {}, []
    for number, term in enumerate(terms):
        names = {"out": f"out{number}", "t": f"t{number}"}
        for index, shape in enumerate(term.shapes):
            name = f"p{number}_{index}"
            names["w" if index == 0 else f"w{index}"] = name
            parameters[name] = random.uniform(term.low, term.high, shape)
        lines.append(term.nodes.format(**names))
        # Weighted, so that no two elements have the same gradient.
        lines.append(
            f"s{number} = Sin (out{number}) l{number} = ReduceSum <keepdims = 0> (s{number})"
        )
        partial.append(f"l{number}")
    total = f"l = Sum ({', '.join(partial)})"
    text = head + (
        f"terms ({elements}[{batch}, 4] x, {elements}[{batch}, 3, {size}] y) => ({elements} l)"
        f" {{ {' '.join(lines)} {total} }}"
    )
    model = parser.parse_model(text)
    for name, value in parameters.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.checker.check_model(model)
    return model.SerializeToString(), parameters, {"x": x, "y": y}


def reference(terms: list[Term], parameters: Arrays, inputs: Arrays) -> tuple[float, Arrays]:
    tensors = {n: torch.tensor(a, requires_grad=True) for n, a in parameters.items()}
    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    total = torch.zeros((), dtype=torch.float64)
    for number, term in enumerate(terms):
        own = [tensors[f"p{number}_{i}"] for i in range(len(term.shapes))]
        total = total + torch.sin(term.reference(x, y, *own)).sum()
    total.backward()
    gradients = {n: (t.grad if t.grad is not None else torch.zeros_like(t)) for n, t in tensors.items()}
    return total.item(), {n: g.numpy() for n, g in gradients.items()}


def check(terms: list[Term], dynamic: bool, open_sizes: bool = False, head: str = small_models.HEAD) -> None:
    model, parameters, inputs = build(terms, dynamic, open_sizes=open_sizes, head=head)
    program = module().compile(model, train={"loss": "output:l"}, threads=2)
    feed = [inputs["x"], inputs["y"]]
    expected_loss, expected = reference(terms, parameters, inputs)
    _, value = program.run([*feed, np.float32(1)], function="step")
    np.testing.assert_allclose(value, expected_loss, rtol=max(term.value for term in terms))
    gradients = {n: a - program.read_parameter(n) for n, a in parameters.items()}
    for number, term in enumerate(terms):
        for index in range(len(term.shapes)):
            name = f"p{number}_{index}"
            np.testing.assert_allclose(
                gradients[name], expected[name], rtol=term.tolerance, atol=1e-9, err_msg=term.nodes
            )
    # Finite differences, along one random direction for each term.
    random = np.random.default_rng(1)
    step = 1e-6
    for number, term in enumerate(terms):
        if not term.smooth:
            continue
        names = [f"p{number}_{i}" for i in range(len(term.shapes))]
        directions = {n: random.normal(size=parameters[n].shape) for n in names}
        losses = []
        for sign in (1, -1):
            for name, value in parameters.items():
                moved = value + sign * step * directions[name] if name in directions else value
                program.write_parameter(name, moved)
            losses.append(program.run(feed)[0])
        slope = float(losses[0] - losses[1]) / (2 * step)
        wanted = sum(float((gradients[n] * directions[n]).sum()) for n in names)
        np.testing.assert_allclose(wanted, slope, rtol=1e-5, atol=1e-6, err_msg=term.nodes)


def unary(op: str, function: Callable[[Tensor], Tensor]) -> Term:
    """Of x broadcast against w."""
    return Term(f"{{t}} = Mul (x, {{w}}) {{out}} = {op} ({{t}})", lambda x, y, w: function(x * w))


FUNCTIONS = [
    unary(op, function)
    for op, function in [
        ("Sqrt", torch.sqrt),
        ("Reciprocal", torch.reciprocal),
        ("Exp", torch.exp),
        ("Log", torch.log),
        ("Sin", torch.sin),
        ("Cos", torch.cos),
        ("Tan", torch.tan),
        ("Asin", torch.asin),
        ("Acos", torch.acos),
        ("Atan", torch.atan),
        ("Sinh", torch.sinh),
        ("Cosh", torch.cosh),
        ("Tanh", torch.tanh),
        ("Asinh", torch.asinh),
        ("Atanh", torch.atanh),
        ("Erf", torch.erf),
        ("Sigmoid", torch.sigmoid),
        ("Softplus", torch.nn.functional.softplus),
        ("Softsign", torch.nn.functional.softsign),
        ("Neg", torch.neg),
    ]
] + [
    Term(
        "{t} = Add (x, {w}) {t}b = Exp ({t}) {out} = Acosh ({t}b)",
        lambda x, y, w: torch.acosh(torch.exp(x + w)),
    )
]

F = torch.nn.functional


def activation(op: str, function: Callable[[Tensor], Tensor]) -> Term:
    """On both sides of 0."""
    return Term(
        f"{{t}} = Mul (y, {{w}}) {{out}} = {op} ({{t}})",
        lambda x, y, w: function(y * w),
        ((3, 1),),
    )


ACTIVATIONS = [
    activation("Relu", torch.relu),
    activation("LeakyRelu <alpha = 0.1>", lambda t: F.leaky_relu(t, 0.10000000149011612)),
    activation("Elu", F.elu),
    activation(
        "Selu <alpha = 1.5, gamma = 1.25>", lambda t: 1.25 * torch.where(t > 0, t, 1.5 * torch.expm1(t))
    ),
    Term(  # of float32 only
        "{t} = Mul (y, {w}) {t}f = Cast <to = 1> ({t}) {t}c = Celu <alpha = 0.5> ({t}f)"
        " {out} = Cast <to = 11> ({t}c)",
        lambda x, y, w: F.celu((y * w).float(), 0.5).double(),
        ((3, 1),),
        smooth=False,
        tolerance=1e-5,
    ),
    activation("Gelu", F.gelu),
    activation('Gelu <approximate = "tanh">', lambda t: F.gelu(t, approximate="tanh")),
    activation(
        "HardSigmoid <alpha = 0.75, beta = 0.5>", lambda t: torch.clamp(0.75 * t + 0.5, 0, 1)
    ),
    activation("HardSwish", F.hardswish),
    activation("Mish", F.mish),
    activation("Abs", torch.abs),
    Term(
        "{t} = Mul (y, {w}) {out} = PRelu ({t}, {w1})",
        lambda x, y, w, w1: torch.where(y * w > 0, y * w, y * w * w1),
        ((4,), (3, 1)),
    ),
    Term(
        "{t} = Mul (y, {w}) {t}f = Floor ({t}) {out} = Sub ({t}, {t}f)",
        lambda x, y, w: y * w - torch.floor(y * w),
    ),
]

ARITHMETIC = [
    Term("{out} = Add (y, {w})", lambda x, y, w: y + w, ((3, 1),)),
    Term("{out} = Sub ({w}, y)", lambda x, y, w: w - y, ((1, 4),)),
    Term("{t} = Mul ({w}, y) {out} = Mul ({t}, {w1})", lambda x, y, w, w1: w * y * w1, ((4,), (1,))),
    Term("{t} = Div (x, {w}) {out} = Div ({w1}, {t})", lambda x, y, w, w1: w1 / (x / w), ((4,), ())),
    Term("{out} = Pow ({w}, x)", lambda x, y, w: w**x),
    Term("{out} = Pow (x, {w})", lambda x, y, w: x**w),
    Term("{out} = Max (x, {w})", lambda x, y, w: torch.maximum(x, w)),
    Term("{out} = Min (y, {w})", lambda x, y, w: torch.minimum(y, w), low=-0.5, high=0.5),
    # Ties: each gets half.
    Term("{t} = Mul ({w}, x) {out} = Max ({t}, {t})", lambda x, y, w: torch.maximum(w * x, w * x)),
    Term(
        "{t}c = Less (y, {w}) {t} = Mul (y, {w}) {out} = Where ({t}c, {t}, {w1})",
        lambda x, y, w, w1: torch.where(y < w, y * w, w1),
        ((4,), (3, 1)),
    ),
    Term(
        "{t} = Mul (x, {w}) {t}f = Cast <to = 1> ({t}) {out} = Cast <to = 11> ({t}f)",
        lambda x, y, w: (x * w).float().double(),
        smooth=False,
        tolerance=1e-6,
    ),
    # Several uses, one of them through others.
    Term(
        "{t} = Mul (x, {w}) {t}e = Exp ({t}) {t}a = Add ({t}e, {t}) {out} = Mul ({t}a, {w})",
        lambda x, y, w: (torch.exp(x * w) + x * w) * w,
    ),
]

CONTRACTIONS = [
    Term("{out} = MatMul (x, {w})", lambda x, y, w: x @ w, ((4, 6),)),
    Term("{out} = MatMul ({w}, y)", lambda x, y, w: w @ y, ((2, 3),)),
    Term("{out} = MatMul (y, {w})", lambda x, y, w: y @ w, ((4, 6),)),
    Term(
        "{t} = MatMul (y, {w}) {out} = MatMul ({t}, {w1})",
        lambda x, y, w, w1: y @ w @ w1,
        ((1, 4, 6), (1, 6, 2)),
    ),
    Term(
        "{t} = Mul (y, {w}) {t}t = Transpose <perm = [0, 2, 1]> ({t}) {out} = MatMul ({t}, {t}t)",
        lambda x, y, w: (y * w) @ (y * w).transpose(1, 2),
    ),
    Term(
        "{out} = Gemm <transB = 1, alpha = 0.5, beta = 2.0> (x, {w}, {w1})",
        lambda x, y, w, w1: 0.5 * x @ w.T + 2 * w1,
        ((3, 4), (3,)),
    ),
    Term(
        "{t} = Mul (x, {w}) {out} = Gemm <transA = 1> ({t}, x)",
        lambda x, y, w: (x * w).T @ x,
    ),
    Term(
        "{t} = Mul (x, {w}) {out} = Gemm <transA = 1, transB = 1> ({t}, {w1})",
        lambda x, y, w, w1: (x[:5] * w).T @ w1.T,
        ((4,), (2, 5)),
    ),
    Term(
        '{out} = Einsum <equation = "nij, kj -> nik"> (y, {w})',
        lambda x, y, w: torch.einsum("nij,kj->nik", y, w),
        ((6, 4),),
    ),
    Term(
        '{t} = Mul (y, {w}) {out} = Einsum <equation = "nij, nj, k -> nik"> ({t}, x, {w1})',
        lambda x, y, w, w1: torch.einsum("nij,nj,k->nik", y * w, x, w1),
        ((4,), (2,)),
    ),
]

LAST = "{t}a = Constant <value_ints = [-1]> ()"
REDUCTIONS = [
    Term(
        f"{LAST} {{t}} = Mul (y, {{w}}) {{out}} = {op} ({{t}}, {{t}}a)",
        lambda x, y, w, f=function: f(y * w),
    )
    for op, function in [
        ("ReduceSum", lambda t: t.sum(-1, keepdim=True)),
        ("ReduceMean <keepdims = 0>", lambda t: t.mean(-1)),
        ("ReduceMax", lambda t: t.amax(-1, keepdim=True)),
        ("ReduceMin <keepdims = 0>", lambda t: t.amin(-1)),
        ("ReduceL2", lambda t: t.norm(dim=-1, keepdim=True)),
        ("ReduceLogSumExp", lambda t: t.logsumexp(-1, keepdim=True)),
    ]
] + [
    Term(
        "{t}a = Constant <value_ints = [0, 2]> () {t} = Mul (y, {w})"
        " {out} = ReduceMean <keepdims = 0> ({t}, {t}a)",
        lambda x, y, w: (y * w).mean((0, 2)),
        ((3, 4),),
    ),
    # Equal extremes share.
    Term(
        f"{LAST} {{out}} = ReduceMax ({{w}}, {{t}}a)",
        lambda x, y, w: w.amax(-1, keepdim=True),
        low=0.5,
        high=0.5,
        smooth=False,
    ),
    Term("{t} = Mul (y, {w}) {out} = Softmax ({t})", lambda x, y, w: (y * w).softmax(-1)),
    Term(
        "{t} = Mul (y, {w}) {out} = Softmax <axis = 1> ({t})",
        lambda x, y, w: (y * w).softmax(1),
        ((3, 4),),
    ),
    Term("{t} = Mul (y, {w}) {out} = LogSoftmax ({t})", lambda x, y, w: (y * w).log_softmax(-1)),
    Term(
        "{t} = Mul (y, {w}) {out} = LayerNormalization ({t}, {w1}, {w2})",
        lambda x, y, w, w1, w2: F.layer_norm(y * w, (4,), w1, w2, float(np.float32(1e-5))),
        ((4,), (4,), (4,)),
    ),
]

SHAPES = [
    Term(
        "{t}s = Constant <value_ints = [0, -1]> () {t} = Mul (y, {w}) {out} = Reshape ({t}, {t}s)",
        lambda x, y, w: (y * w).reshape(5, -1),
    ),
    Term("{t} = Mul (y, {w}) {out} = Flatten ({t})", lambda x, y, w: (y * w).reshape(5, -1)),
    Term(
        "{t} = Mul (y, {w}) {t}t = Transpose <perm = [2, 0, 1]> ({t}) {out} = MatMul ({t}t, {w1})",
        lambda x, y, w, w1: (y * w).permute(2, 0, 1) @ w1,
        ((4,), (3, 2)),
    ),
    Term(
        "{t}a = Constant <value_ints = [1]> () {t} = Mul (x, {w}) {t}u = Unsqueeze ({t}, {t}a)"
        " {t}m = Mul ({t}u, y) {out} = Squeeze ({t}u, {t}a)",
        lambda x, y, w: x * w,
    ),
    Term(
        "{t}s = Constant <value_ints = [2, 3, 4]> () {out} = Expand ({w}, {t}s)",
        lambda x, y, w: w.expand(2, 3, 4),
        ((3, 1),),
    ),
    Term(
        "{t} = Mul (x, {w}) {out} = Concat <axis = 1> (x, {t}, {t})",
        lambda x, y, w: torch.cat([x, x * w, x * w], 1),
    ),
    Term(
        "{t} = Mul (x, {w}) {out} = Concat <axis = 0> ({w1}, {t}, x)",
        lambda x, y, w, w1: torch.cat([w1, x * w, x], 0),
        ((4,), (2, 4)),
    ),
    Term(
        "{t}n = Constant <value_ints = [1, 3]> () {t} = Mul (x, {w})"
        " {t}a, {t}b = Split <axis = 1> ({t}, {t}n) {out} = Mul ({t}a, {t}b)",
        lambda x, y, w: (x * w)[:, :1] * (x * w)[:, 1:],
    ),
    Term(
        "{t}s = Constant <value_ints = [1, -3]> () {t}e = Constant <value_ints = [3, 100]> ()"
        " {t} = Mul (x, {w}) {out} = Slice ({t}, {t}s, {t}e)",
        lambda x, y, w: (x * w)[1:3, -3:],
    ),
    Term(
        "{t}p = Constant <value_ints = [0, 1, 2, -1]> () {t} = Mul (x, {w}) {out} = Pad ({t}, {t}p)",
        lambda x, y, w: F.pad((x * w)[:, :3], (1, 0, 0, 2)),
    ),
    Term(
        "{t}i = Constant <value = int64[2, 2] {{0, 2, -1, 0}}> () {t} = Gather ({w}, {t}i)"
        " {out} = Mul ({t}, {w1})",
        lambda x, y, w, w1: w[torch.tensor([[0, 2], [-1, 0]])] * w1,
        ((3, 4), (4,)),
    ),
    Term(
        "{t}i = Constant <value = int64[3] {{3, 0, 3}}> () {t} = Mul (x, {w})"
        " {out} = Gather <axis = 1> ({t}, {t}i)",
        lambda x, y, w: (x * w)[:, [3, 0, 3]],
    ),
    Term(
        "{t}i = Constant <value = int64[2, 2] {{1, 0, 1, 2}}> ()"
        " {out} = GatherElements <axis = 1> ({w}, {t}i)",
        lambda x, y, w: w.gather(1, torch.tensor([[1, 0], [1, 2]])),
        ((2, 4),),
    ),
]

PLACED = [
    Term(
        "{t}i = Constant <value = int64[3, 2] {{0, 1, 2, 0, 0, 1}}> () {out} = GatherND ({w}, {t}i)",
        lambda x, y, w: w[torch.tensor([0, 2, 0]), torch.tensor([1, 0, 1])],
        ((3, 2, 4),),
    ),
    Term(
        "{t}i = Constant <value = int64[2, 2] {{1, 0, 2, 1}}> ()"
        " {out} = ScatterElements <axis = 1> ({w}, {t}i, {w1})",
        lambda x, y, w, w1: w.scatter(1, torch.tensor([[1, 0], [2, 1]]), w1),
        ((3, 4), (2, 2)),
    ),
    Term(
        '{t}i = Constant <value = int64[2, 2] {{1, 1, 2, 1}}> ()'
        ' {out} = ScatterElements <axis = 1, reduction = "add"> ({w}, {t}i, {w1})',
        lambda x, y, w, w1: w.scatter_add(1, torch.tensor([[1, 1], [2, 1]]), w1),
        ((3, 4), (2, 2)),
    ),
    Term(
        "{t}i = Constant <value = int64[2, 1] {{2, 0}}> () {out} = ScatterND ({w}, {t}i, {w1})",
        lambda x, y, w, w1: w.index_put((torch.tensor([2, 0]),), w1),
        ((3, 4), (2, 4)),
    ),
    Term(
        '{t}i = Constant <value = int64[3, 1] {{2, 0, 2}}> () {out} = ScatterND <reduction = "add"> ({w}, {t}i, {w1})',
        lambda x, y, w, w1: w.index_put((torch.tensor([2, 0, 2]),), w1, accumulate=True),
        ((3, 4), (3, 4)),
    ),
    Term(
        "{t}a = Constant <value = int64 {{1}}> () {t} = Mul (y, {w}) {out} = CumSum ({t}, {t}a)",
        lambda x, y, w: (y * w).cumsum(1),
        ((3, 1),),
    ),
    Term(
        "{t}a = Constant <value = int64 {{0}}> ()"
        " {out} = CumSum <exclusive = 1, reverse = 1> ({w}, {t}a)",
        lambda x, y, w: w.flip(0).cumsum(0).flip(0) - w,
        ((4, 2),),
    ),
]

# y as an image: [N, 3, L, L].
IMAGE = (
    "{t}l = Constant <value_ints = [3]> () {t}u = Unsqueeze (y, {t}l)"
    " {t}v = Transpose <perm = [0, 1, 3, 2]> ({t}u) {t}m = Mul ({t}u, {t}v) {t} = Mul ({t}m, {w})"
)


def image(y: Tensor, w: Tensor) -> Tensor:
    return y[:, :, :, None] * y[:, :, None, :] * w


def spatial(
    node: str, function: Callable[..., Tensor], *shapes: tuple[int, ...], before: str = "", **options: object
) -> Term:
    """Of the image times a parameter, and of the node's own parameters."""
    return Term(
        f"{IMAGE} {before} {{out}} = {node}", lambda x, y, w, *own: function(image(y, w), *own), ((3, 1, 1), *shapes), **options
    )


CONVOLUTIONS = [
    Term(
        "{t} = Mul (y, {w}) {out} = Conv <pads = [1, 1]> ({t}, {w1}, {w2})",
        lambda x, y, w, w1, w2: F.conv1d(y * w, w1, w2, padding=1),
        ((3, 1), (5, 3, 3), (5,)),
    ),
    spatial("Conv ({t}, {w1})", F.conv2d, (4, 3, 2, 3)),
    spatial(
        "Conv <strides = [2, 3], pads = [1, 2, 1, 2]> ({t}, {w1}, {w2})",
        lambda t, w, b: F.conv2d(t, w, b, stride=(2, 3), padding=(1, 2)),
        (4, 3, 3, 3),
        (4,),
    ),
    spatial(  # elements at the end that no window reaches, and padding on one side
        "Conv <strides = [3, 2], pads = [0, 0, 1, 2]> ({t}, {w1})",
        lambda t, w: F.conv2d(F.pad(t, (0, 2, 0, 1)), w, stride=(3, 2)),
        (2, 3, 2, 2),
    ),
    spatial(
        "Conv <dilations = [2, 1], strides = [1, 2], pads = [2, 0, 2, 0]> ({t}, {w1})",
        lambda t, w: F.conv2d(t, w, dilation=(2, 1), stride=(1, 2), padding=(2, 0)),
        (2, 3, 3, 2),
    ),
    spatial("Conv <group = 3> ({t}, {w1}, {w2})", lambda t, w, b: F.conv2d(t, w, b, groups=3), (3, 1, 2, 2), (3,)),
    spatial(
        "Conv <group = 3, strides = [2, 2], pads = [1, 1, 1, 1]> ({t}, {w1})",
        lambda t, w: F.conv2d(t, w, groups=3, stride=2, padding=1),
        (6, 1, 3, 3),
    ),
    Term(
        "{t} = Concat <axis = 1> (y, y) {t}m = Mul ({t}, {w}) {out} = Conv <group = 2> ({t}m, {w1})",
        lambda x, y, w, w1: F.conv1d(torch.cat([y, y], 1) * w, w1, groups=2),
        ((6, 1), (4, 3, 2)),
    ),
    spatial("ConvTranspose ({t}, {w1}, {w2})", F.conv_transpose2d, (3, 2, 2, 3), (2,)),
    spatial(
        "ConvTranspose <strides = [2, 3], pads = [1, 0, 1, 0], output_padding = [1, 2]> ({t}, {w1})",
        lambda t, w: F.conv_transpose2d(t, w, stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
        (3, 2, 3, 3),
    ),
    spatial(
        "ConvTranspose <group = 3, dilations = [2, 2]> ({t}, {w1})",
        lambda t, w: F.conv_transpose2d(t, w, groups=3, dilation=2),
        (3, 2, 2, 2),
    ),
]

POOLING = [
    spatial("MaxPool <kernel_shape = [2, 2], strides = [2, 2]> ({t})", lambda t: F.max_pool2d(t, 2)),
    spatial(
        "MaxPool <kernel_shape = [3, 2], strides = [1, 2], pads = [1, 0, 1, 0]> ({t})",
        lambda t: F.max_pool2d(t, (3, 2), (1, 2), (1, 0)),
    ),
    spatial(  # windows that overlap, and hang over the end
        "MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1> ({t})",
        lambda t: F.max_pool2d(t, 3, 2, 1, ceil_mode=True),
    ),
    spatial(  # between them is what no window has
        "MaxPool <kernel_shape = [2, 1], strides = [3, 2]> ({t})", lambda t: F.max_pool2d(t, (2, 1), (3, 2))
    ),
    spatial(
        "MaxPool <kernel_shape = [2, 2], strides = [1, 2], dilations = [2, 3]> ({t})",
        lambda t: F.max_pool2d(t, 2, (1, 2), 0, (2, 3)),
    ),
    spatial(
        "AveragePool <kernel_shape = [2, 2], strides = [2, 1]> ({t})", lambda t: F.avg_pool2d(t, 2, (2, 1))
    ),
    spatial(
        "AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> ({t})",
        lambda t: F.avg_pool2d(t, 3, 2, 1, count_include_pad=False),
    ),
    spatial(
        "AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> ({t})",
        lambda t: F.avg_pool2d(t, 3, 1, 1),
    ),
    spatial("GlobalAveragePool ({t})", lambda t: t.mean((2, 3), keepdim=True)),
]

EPSILON = float(np.float32(1e-5))


# Batch normalisation is another thing in training: test_training_mode.py.
NORMALISATIONS = [
    spatial(
        "InstanceNormalization ({t}, {w1}, {w2})", lambda t, s, b: F.instance_norm(t, weight=s, bias=b, eps=EPSILON),
        (3,), (3,), tolerance=1e-6,
    ),
    spatial(
        "GroupNormalization <num_groups = 3> ({t}, {w1}, {w2})",
        lambda t, s, b: F.group_norm(t, 3, s, b, eps=EPSILON),
        (3,), (3,), tolerance=1e-6,
    ),
]

THEMES = {
    "functions": FUNCTIONS,
    "activations": ACTIVATIONS,
    "arithmetic": ARITHMETIC,
    "contractions": CONTRACTIONS,
    "reductions": REDUCTIONS,
    "shapes": SHAPES,
    "placed": PLACED,
    "convolutions": CONVOLUTIONS,
    "pooling": POOLING,
    "normalisations": NORMALISATIONS,
}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("theme", THEMES)
def test_gradients(theme: str, dynamic: bool) -> None:
    check(THEMES[theme], dynamic)


@pytest.mark.parametrize("theme", ["convolutions", "pooling", "normalisations"])
def test_gradients_of_open_sizes(theme: str) -> None:
    """Also the spatial sizes are known only in the run."""
    check(THEMES[theme], dynamic=True, open_sizes=True)
