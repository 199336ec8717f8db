"""Gradients of products, cumulative ones too, of reductions along axes known in the run, and of
norms and means of windows: as in test_gradients.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import numpy_helper, parser

from support import module
from test_gradients import F, LAST, Tensor, Term, build, check, spatial

# CumProd is of opset 26.
HEAD = '<ir_version: 13, opset_import: ["" : 26]>\n'

# Without a zero, with one and with two in a row, and with nothing else. The parameter is 0.5.
FACTORS = {
    "none": [0.75, -1.0, 1.5, 0.25],
    "one": [0.75, 0.0, -1.5, 0.25],
    "first": [0.0, -1.0, 1.5, 0.25],
    "last": [0.75, -1.0, 1.5, 0.0],
    "two": [0.75, 0.0, -1.5, 0.0],
    "all": [0.0, 0.0, 0.0, 0.0],
}
ROWS = torch.tensor(list(FACTORS.values()), dtype=torch.float64)
LIST = ", ".join(str(v - 0.5) for row in FACTORS.values() for v in row)
SHIFTED = f"{{t}}c = Constant <value = double[6, 4] {{{{{LIST}}}}}> () {{t}} = Add ({{w}}, {{t}}c)"


def of_rows(nodes: str, function: object) -> Term:
    """Of six rows of four numbers, some of them 0."""
    return Term(f"{SHIFTED} {nodes}", lambda x, y, w: function(w + ROWS - 0.5), ((6, 4),), low=0.5, high=0.5)


def prod(t: Tensor, *axes: int) -> Tensor:
    for axis in sorted(axes, reverse=True):
        t = t.prod(axis)
    return t


PRODUCTS = [
    of_rows(f"{LAST} {{out}} = ReduceProd ({{t}}, {{t}}a)", lambda t: t.prod(1, keepdim=True)),
    of_rows(
        "{t}a = Constant <value_ints = [0]> () {out} = ReduceProd <keepdims = 0> ({t}, {t}a)", lambda t: t.prod(0)
    ),
    of_rows("{out} = ReduceProd <keepdims = 0> ({t})", lambda t: t.prod()),
    Term(
        f"{LAST} {{t}} = Mul (y, {{w}}) {{out}} = ReduceProd ({{t}}, {{t}}a)",
        lambda x, y, w: (y * w).prod(-1, keepdim=True),
    ),
    Term(
        "{t}a = Constant <value_ints = [0, 2]> () {t} = Mul (y, {w}) {out} = ReduceProd <keepdims = 0> ({t}, {t}a)",
        lambda x, y, w: prod(y * w, 0, 2),
        ((3, 4),),
    ),
    Term(
        "{t}a = Constant <value_ints = [0]> () {out} = ReduceProd ({w}, {t}a)",
        lambda x, y, w: w.prod(0, keepdim=True),
        ((1, 3),),
    ),
    Term(f"{LAST} {{t}} = Mul (y, {{w}}) {{out}} = ReduceL1 ({{t}}, {{t}}a)", lambda x, y, w: (y * w).abs().sum(-1, True)),
    Term(
        f"{LAST} {{t}} = Mul (y, {{w}}) {{out}} = ReduceSumSquare ({{t}}, {{t}}a)",
        lambda x, y, w: (y * w).square().sum(-1, True),
    ),
    Term(f"{LAST} {{t}} = Mul (x, {{w}}) {{out}} = ReduceLogSum ({{t}}, {{t}}a)", lambda x, y, w: (x * w).sum(-1, True).log()),
]


def cumulative(t: Tensor, axis: int, exclusive: bool, reverse: bool) -> Tensor:
    if reverse:
        t = t.flip(axis)
    if exclusive:
        t = torch.cat([torch.ones_like(t.narrow(axis, 0, 1)), t.narrow(axis, 0, t.shape[axis] - 1)], axis)
    t = torch.cumprod(t, axis)
    return t.flip(axis) if reverse else t


def cumulate(axis: int, exclusive: int, reverse: int) -> str:
    attributes = f"exclusive = {exclusive}, reverse = {reverse}"
    return f"{{t}}a = Constant <value = int64 {{{{{axis}}}}}> () {{out}} = CumProd <{attributes}> ({{t}}, {{t}}a)"


CUMULATIVE = [
    term
    for e in (0, 1)
    for r in (0, 1)
    for term in [
        of_rows(cumulate(1, e, r), lambda t, e=e, r=r: cumulative(t, 1, e, r)),
        of_rows(cumulate(0, e, r), lambda t, e=e, r=r: cumulative(t, 0, e, r)),
        *(
            Term(f"{{t}} = Mul (y, {{w}}) {cumulate(a, e, r)}", lambda x, y, w, a=a, e=e, r=r: cumulative(y * w, a, e, r))
            for a in range(3)
        ),
        Term(
            f"{{t}} = Identity ({{w}}) {cumulate(0, e, r)}", lambda x, y, w, e=e, r=r: cumulative(w, 0, e, r), ((1, 3),)
        ),
    ]
]


def windows(op: str, function: object, **options: object) -> Term:
    return spatial(f"{op} ({{t}})", function, **options)


POOLING = [
    windows("LpPool <kernel_shape = [2, 2], strides = [2, 1]>", lambda t: F.lp_pool2d(t, 2, 2, (2, 1))),
    windows("LpPool <kernel_shape = [3, 2], p = 4>", lambda t: F.lp_pool2d(t, 4, (3, 2), 1)),
    windows("LpPool <kernel_shape = [2, 2], p = 1>", lambda t: F.avg_pool2d(t.abs(), 2, 1) * 4),
    windows("LpPool <kernel_shape = [2, 2], p = 3>", lambda t: (F.avg_pool2d(t.abs() ** 3, 2, 1) * 4) ** (1 / 3)),
    windows(
        "LpPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>",
        lambda t: F.lp_pool2d(F.pad(t, (1, 1, 1, 1)), 2, 3, 2),
    ),
    windows(
        "LpPool <kernel_shape = [3, 2], strides = [2, 3], ceil_mode = 1>",
        lambda t: F.lp_pool2d(F.pad(t, (0, 2, 0, 2)), 2, (3, 2), (2, 3))[:, :, :2, :2],
    ),
    windows("GlobalLpPool <p = 2>", lambda t: t.norm(dim=(2, 3), keepdim=True)),
    windows("GlobalLpPool <p = 3>", lambda t: (t.abs() ** 3).sum((2, 3), keepdim=True) ** (1 / 3)),
    # Windows of zeros alone: their norm has the gradient 0.
    Term(
        "{t}m = Relu (y) {t}z = Sub ({w}, {w}) {t} = Mul ({t}m, {t}z) {out} = LpPool <kernel_shape = [2]> ({t})",
        lambda x, y, w: torch.zeros(5, 3, 3, dtype=torch.float64) + 0 * w.sum(),
        smooth=False,
    ),
] + [
    windows(
        f"AveragePool <kernel_shape = [3, 2], strides = [2, 3], pads = [{p}, {q}, {p}, {q}], ceil_mode = 1,"
        f" count_include_pad = {count}>",
        lambda t, p=p, q=q, c=count: F.avg_pool2d(t, (3, 2), (2, 3), (p, q), ceil_mode=True, count_include_pad=bool(c)),
    )
    for p, q in [(0, 0), (1, 1), (1, 0)]
    for count in (0, 1)
]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_products(dynamic: bool) -> None:
    check(PRODUCTS, dynamic)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_cumulative_products(dynamic: bool) -> None:
    check(CUMULATIVE, dynamic, head=HEAD)


def test_cumulative_products_of_open_sizes() -> None:
    check(CUMULATIVE, dynamic=True, open_sizes=True, head=HEAD)


@pytest.mark.parametrize("sizes", ["static", "dynamic", "open"])
def test_pooling(sizes: str) -> None:
    check(POOLING, sizes != "static", open_sizes=sizes == "open")


@pytest.mark.parametrize("op", ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"])
@pytest.mark.parametrize("axes", [[1], [0, 2], [-1]])
def test_axes_of_the_run(op: str, axes: list[int]) -> None:
    """What is reduced along axes that are an input."""
    positive = "Abs" if op == "LogSum" else "Identity"
    model = parser.parse_model(
        HEAD + f"m (double[N, 3, 4] y, int64[{len(axes)}] axes) => (double l)"
        f" {{ m = Mul (y, w) t = {positive} (m) r = Reduce{op} (t, axes) s = Sin (r) l = ReduceSum <keepdims = 0> (s) }}"
    )
    random = np.random.default_rng(0)
    before, y = random.uniform(0.3, 0.9, 4), random.uniform(-1, 1, (5, 3, 4))
    model.graph.initializer.append(numpy_helper.from_array(before, "w"))
    program = module().compile(model.SerializeToString(), train={"loss": "output:l"}, threads=2)
    w = torch.tensor(before, requires_grad=True)
    t = torch.tensor(y) * w
    reduced = {
        "Sum": lambda: t.sum(axes),
        "Mean": lambda: t.mean(axes),
        "Max": lambda: t.amax(axes),
        "Min": lambda: t.amin(axes),
        "Prod": lambda: prod(t, *(a % 3 for a in axes)),
        "L1": lambda: t.abs().sum(axes),
        "L2": lambda: t.square().sum(axes).sqrt(),
        "SumSquare": lambda: t.square().sum(axes),
        "LogSum": lambda: t.abs().sum(axes).log(),
        "LogSumExp": lambda: t.logsumexp(axes),
    }[op]()
    torch.sin(reduced).sum().backward()
    program.run([y, np.array(axes), np.float32(1)], function="step")
    np.testing.assert_allclose(before - program.read_parameter("w"), w.grad.numpy(), rtol=1e-7, atol=1e-9)


def test_empty() -> None:
    """A batch of nothing has no gradient."""
    terms = [t for t in CUMULATIVE if "(y, {w})" in t.nodes]
    model, parameters, inputs = build(terms, dynamic=True, head=HEAD)
    program = module().compile(model, train={"loss": "output:l"}, threads=2)
    _, value = program.run([inputs["x"][:0], inputs["y"][:0], np.float32(1)], function="step")
    assert value == 0
    for name, before in parameters.items():
        np.testing.assert_array_equal(program.read_parameter(name), before)
