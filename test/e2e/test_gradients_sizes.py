"""Gradients of loops that carry tensors whose sizes change; as in test_gradients.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import numpy_helper, parser

import small_models
from support import module
from test_gradients import Tensor, Term, build, check


def loop(count: str, states: list[tuple[str, str]], body: str, names: list[str], first: str) -> str:
    """A loop that carries tensors (name, shape) from values given as `first`; `body` makes {t}n0, {t}n1..."""
    inputs = ", ".join(f"double[{shape}] {{t}}{name}" for name, shape in states)
    outputs = ", ".join(f"double[{shape.replace('a', 'c').replace('b', 'd')}] {{t}}n{i}" for i, (_, shape) in enumerate(states))
    return (
        f"{', '.join(names)} = Loop ({count}, {first}) <body = b{{t}} (int64 {{t}}i, bool {{t}}q, {inputs})"
        f" => (bool {{t}}q1, {outputs}) {{{{ {body} }}}}>"
    )


THREE = "{t}k = Constant <value = int64 {{3}}> ()"
GO = "{t}q1 = Identity ({t}q)"
# Twice as many rows in each iteration; what is carried is needed again.
DOUBLED = Term(
    f"{THREE} " + loop('{t}k, ""', [("v", "a, 4")], f"{GO} {{t}}d = Concat <axis = 0> ({{t}}v, {{t}}v) {{t}}m = Mul ({{t}}d, {{w}}) {{t}}n0 = Sin ({{t}}m)", ["{out}"], "x"),
    lambda x, y, w: [v := x] and [v := torch.sin(torch.cat([v, v]) * w) for _ in range(3)][-1],
)
# A sum of shrinking parts, and a state that keeps its size.
SHRUNK = Term(
    "{t}k = Constant <value = int64 {{4}}> () {t}z = Sub ({w1}, {w1}) {t}m0 = Mul (x, {w}) "
    + loop(
        '{t}k, ""', [("v", "a, 4"), ("s", "4")],
        f"{GO} {{t}}b = Constant <value_ints = [1]> () {{t}}e = Constant <value_ints = [1000]> ()"
        " {t}c = Slice ({t}v, {t}b, {t}e) {t}m = Mul ({t}c, {w1}) {t}n0 = Tanh ({t}m)"
        " {t}ax = Constant <value_ints = [0]> () {t}r = ReduceSum <keepdims = 0> ({t}n0, {t}ax) {t}p = Mul ({t}r, {t}s) {t}n1 = Add ({t}p, {t}r)",
        ["{t}last", "{out}"], "{t}m0, {t}z",
    ),
    lambda x, y, w, u: shrink(x * w, u),
    ((4,), (4,)),
)
# Rows are gathered until their sum is above a bound: a loop of unknown length.
GATHERED = Term(
    "{t}y = Constant <value = bool {{1}}> () {t}l = Constant <value = double {{9.0}}> () {t}z = Constant <value_ints = [0, 4]> () {t}x0 = Constant <value_ints = [0]> ()"
    " {t}o = ConstantOfShape <value = double[1] {{0.0}}> ({t}z) {t}f = ReduceMean <keepdims = 1> (x, {t}x0) {t}g = Mul ({t}f, {w}) "
    + loop(
        '"", {t}y', [("v", "a, 4"), ("h", "b, 4")],
        "{t}m = Mul ({t}h, {w1}) {t}n1 = Add ({t}m, {t}f) {t}n0 = Concat <axis = 0> ({t}v, {t}n1)"
        " {t}sq = Mul ({t}n0, {t}n0) {t}s = ReduceSum <keepdims = 0> ({t}sq) {t}q1 = Less ({t}s, {t}l)",
        ["{out}", "{t}last"], "{t}o, {t}g",
    ),
    lambda x, y, w, u: gather(x, w, u),
    ((4,), (4,)),
)
# ONNX's own way to gather, of unknown length.
SCANNED = Term(
    "{t}y = Constant <value = bool {{1}}> () {t}l = Constant <value = double {{30.0}}> ()"
    ' {t}last, {out} = Loop ("", {t}y, x) <body = b (int64 {t}i, bool {t}q, double[M, 4] {t}v) => (bool {t}q1, double[M, 4] {t}u, double[M, 4] {t}r)'
    " {{ {t}m = Mul ({t}v, {w}) {t}u = Add ({t}m, x) {t}s = ReduceSum <keepdims = 0> ({t}u) {t}q1 = Less ({t}s, {t}l) {t}r = Sin ({t}u) }}>",
    lambda x, y, w: scan(x, w),
    low=1.3,
    high=1.5,
)
# A product inside, of a matrix that grows in both dimensions.
SQUARED = Term(
    f"{THREE} {{t}}t = Transpose (x) {{t}}m0 = MatMul ({{t}}t, x) {{t}}a0 = Mul ({{t}}m0, {{w}}) "
    + loop(
        '{t}k, ""', [("v", "a, a")],
        f"{GO} {{t}}d = Concat <axis = 1> ({{t}}v, {{t}}v) {{t}}e = Concat <axis = 0> ({{t}}d, {{t}}d)"
        " {t}p = MatMul ({t}e, {t}e) {t}th = Tanh ({t}p) {t}f = Add ({t}th, {t}e) {t}b = Constant <value_ints = [0, 0]> () {t}g = Constant <value_ints = [-1, -1]> ()"
        " {t}n0 = Slice ({t}f, {t}b, {t}g)",
        ["{out}"], "{t}a0",
    ),
    lambda x, y, w: square(x.T @ x * w),
)
# A loop that keeps its sizes in one that does not, and one that does not in one that does.
NESTED = Term(
    "{t}k = Constant <value = int64 {{2}}> () {t}k3 = Constant <value = int64 {{3}}> ()"
    ' {out} = Loop ({t}k, "", x) <body = b (int64 i, bool q, double[a, 4] {t}v) => (bool {t}q, double[c, 4] {t}u) {{ {t}q = Identity (q)'
    " {t}d = Concat <axis = 0> ({t}v, {w1})"
    ' {t}u = Loop ({t}k3, "", {t}d) <body = c (int64 j, bool r, double[e, 4] {t}a) => (bool {t}r, double[e, 4] {t}b)'
    " {{ {t}r = Identity (r) {t}m = Mul ({t}a, {w}) {t}h = Sin ({t}m) {t}b = Add ({t}h, {t}d) }}> }}>",
    lambda x, y, w, u: nest(x, w, u),
    ((4,), (2, 4)),
)
INSIDE = Term(
    "{t}k = Constant <value = int64 {{2}}> () {t}k3 = Constant <value = int64 {{3}}> () {t}ax = Constant <value_ints = [0]> ()"
    ' {out} = Loop ({t}k, "", {w1}) <body = b (int64 i, bool q, double[1, 4] {t}v) => (bool {t}q, double[1, 4] {t}u) {{ {t}q = Identity (q)'
    ' {t}g = Loop ({t}k3, "", {t}v) <body = c (int64 j, bool r, double[e, 4] {t}a) => (bool {t}r, double[f, 4] {t}b)'
    " {{ {t}r = Identity (r) {t}m = Mul ({t}a, {w}) {t}h = Sin ({t}m) {t}b = Concat <axis = 0> ({t}h, {t}v) }}>"
    " {t}u = ReduceMean <keepdims = 1> ({t}g, {t}ax) }}>",
    lambda x, y, w, u: [v := u] and [v := grow(v, w).mean(0, keepdim=True) for _ in range(2)][-1],
    ((4,), (1, 4)),
)
# A branch in the loop chooses whether it grows.
CHOSEN = Term(
    "{t}k = Constant <value = int64 {{4}}> () {t}two = Constant <value = int64 {{2}}> () {t}zero = Constant <value = int64 {{0}}> ()"
    ' {out} = Loop ({t}k, "", x) <body = b (int64 {t}i, bool q, double[a, 4] {t}v) => (bool {t}q, double[c, 4] {t}u) {{ {t}q = Identity (q)'
    " {t}rest = Mod ({t}i, {t}two) {t}even = Equal ({t}rest, {t}zero)"
    " {t}u = If ({t}even) <then_branch = g () => (double[M, 4] {t}a) {{ {t}p = Mul ({t}v, {w}) {t}a = Concat <axis = 0> ({t}p, {t}v) }},"
    " else_branch = h () => (double[L, 4] {t}b) {{ {t}b = Sin ({t}v) }}> }}>",
    lambda x, y, w: [v := x] and [v := torch.cat([v * w, v]) if i % 2 == 0 else torch.sin(v) for i in range(4)][-1],
)
# Booleans and whole numbers grow as well, and choose and scale what is carried.
MASKED = Term(
    "{t}k = Constant <value = int64 {{3}}> () {t}z = Constant <value = double {{0.5}}> () {t}b0 = Greater (x, {t}z) {t}i0 = Cast <to = 7> ({t}b0)"
    ' {out}, {t}e1, {t}e2 = Loop ({t}k, "", x, {t}b0, {t}i0) <body = b (int64 i, bool q, double[a, 4] {t}v, bool[b, 4] {t}m, int64[c, 4] {t}n)'
    " => (bool {t}q, double[d, 4] {t}u, bool[e, 4] {t}o, int64[f, 4] {t}p) {{ {t}q = Identity (q) {t}w = Mul ({t}v, {w}) {t}s = Sin ({t}w)"
    " {t}y = Where ({t}m, {t}s, {t}v) {t}f = Cast <to = 11> ({t}n) {t}g = Mul ({t}y, {t}f) {t}h = Add ({t}g, {t}v) {t}u = Concat <axis = 0> ({t}h, {t}v)"
    " {t}om = Less ({t}y, {t}z) {t}o = Concat <axis = 0> ({t}om, {t}m) {t}p = Concat <axis = 0> ({t}n, {t}n) }}>",
    lambda x, y, w: mask(x, w),
)
# The iteration's number says which row is read, and the number of rows how many there are; another
# state, whose size changes by others, has a product with a weight.
READ = Term(
    "{t}one = Constant <value_ints = [1]> () {t}first = Constant <value_ints = [0]> () {t}ax = Constant <value = int64 {{0}}> ()"
    " {t}sh = Shape (x) {t}n = Gather ({t}sh, {t}ax)"
    ' {t}e, {out} = Loop ({t}n, "", x, {w1}) <body = b (int64 i, bool q, double[a, 4] {t}v, double[c, 4] {t}g)'
    " => (bool {t}q, double[d, 4] {t}u, double[e, 4] {t}h) {{ {t}q = Identity (q) {t}iv = Unsqueeze (i, {t}first) {t}i1 = Add ({t}iv, {t}one)"
    " {t}r = Slice ({t}v, {t}iv, {t}i1) {t}m = Mul ({t}r, {w}) {t}th = Tanh ({t}m) {t}u = Concat <axis = 0> ({t}v, {t}th)"
    " {t}mm = MatMul ({t}u, {w2}) {t}red = ReduceSum <keepdims = 1> ({t}mm, {t}first) {t}h = Concat <axis = 0> ({t}red, {t}g) }}>",
    lambda x, y, w, g, a: read(x, w, g, a),
    ((4,), (1, 4), (4, 4)),
)


def mask(v: Tensor, w: Tensor) -> Tensor:
    m = v > 0.5
    n = m.long()
    for _ in range(3):
        y = torch.where(m, torch.sin(v * w), v)
        v, m, n = torch.cat([y * n.double() + v, v]), torch.cat([y < 0.5, m]), torch.cat([n, n])
    return v


def read(x: Tensor, w: Tensor, g: Tensor, a: Tensor) -> Tensor:
    v = x
    for i in range(x.shape[0]):
        v = torch.cat([v, torch.tanh(v[i : i + 1] * w)])
        g = torch.cat([(v @ a).sum(0, keepdim=True), g])
    return g


def shrink(v: Tensor, u: Tensor) -> Tensor:
    s = torch.zeros(4, dtype=v.dtype)
    for _ in range(4):
        v = torch.tanh(v[1:] * u)
        r = v.sum(0)
        s = r * s + r
    return s


def gather(x: Tensor, w: Tensor, u: Tensor) -> Tensor:
    f = x.mean(0, keepdim=True)
    v, h = x.new_zeros(0, 4), f * w
    while True:
        h = h * u + f
        v = torch.cat([v, h])
        if not (v * v).sum() < 9:
            return v


def scan(x: Tensor, w: Tensor) -> Tensor:
    v, rows = x, []
    while True:
        v = v * w + x
        rows.append(torch.sin(v))
        if not v.sum() < 30:
            return torch.stack(rows)


def square(v: Tensor) -> Tensor:
    for _ in range(3):
        e = torch.cat([torch.cat([v, v], 1)] * 2, 0)
        v = (torch.tanh(e @ e) + e)[:-1, :-1]
    return v


def nest(x: Tensor, w: Tensor, u: Tensor) -> Tensor:
    v = x
    for _ in range(2):
        v = d = torch.cat([v, u])
        for _ in range(3):
            v = torch.sin(v * w) + d
    return v


def grow(v: Tensor, w: Tensor) -> Tensor:
    a = v
    for _ in range(3):
        a = torch.cat([torch.sin(a * w), v])
    return a


TERMS = {
    "doubled": DOUBLED, "shrunk": SHRUNK, "gathered": GATHERED, "scanned": SCANNED, "squared": SQUARED, "nested": NESTED,
    "inside": INSIDE, "chosen": CHOSEN, "masked": MASKED, "read": READ,
}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", TERMS)
def test_sizes(name: str, dynamic: bool) -> None:
    check([TERMS[name]], dynamic)


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_counts_of_the_run(count: int, rows: int) -> None:
    """No iteration, and nothing that is carried: the number of rows and of iterations are inputs."""
    text = """m (double[n, 2] x, int64 k) => (double l) {
      v = Loop (k, "", x) <body = b (int64 i, bool q, double[a, 2] v) => (bool p, double[c, 2] u)
        { p = Identity (q) m = Mul (v, w) s = Sin (m) u = Concat <axis = 0> (s, f) }>
      l = ReduceSum <keepdims = 0> (v) }"""
    model = parser.parse_model(small_models.HEAD + text)
    random = np.random.default_rng(0)
    before = {"w": random.uniform(0.3, 0.9, 2), "f": random.uniform(0.3, 0.9, (1, 2))}
    for name, value in before.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    program = module().compile(model.SerializeToString(), train={"loss": "output:l"}, threads=2)
    x = random.normal(size=(rows, 2))
    w, f = (torch.tensor(a, requires_grad=True) for a in before.values())
    v = torch.tensor(x)
    for _ in range(count):
        v = torch.cat([torch.sin(v * w), f])
    loss = v.sum()
    if count:
        loss.backward()
    _, value = program.run([x, np.int64(count), np.float32(1)], function="step")
    np.testing.assert_allclose(value, loss.item(), rtol=1e-12, atol=1e-12)
    for name, tensor in (("w", w), ("f", f)):
        wanted = np.zeros_like(before[name]) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(before[name] - program.read_parameter(name), wanted, rtol=1e-10, atol=1e-12)


def test_same_bits_on_all_threads() -> None:
    model, _, inputs = build([DOUBLED, SHRUNK, CHOSEN], dynamic=True)
    results = []
    for threads in (1, 2):
        program = module().compile(model, train={"loss": "output:l"}, threads=threads)
        losses = [program.run([inputs["x"], inputs["y"], np.float32(0.01)], function="step")[0] for _ in range(4)]
        results.append([losses, *(program.read_parameter(n) for n in program.parameters)])
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)
