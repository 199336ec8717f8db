"""Gradients through time and through control flow: against PyTorch, and by finite differences of
inference, which computes recurrent layers in another way (see test_gradients.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import parser

import small_models
from support import module
from test_gradients import Tensor, Term, build, check

Cell = Callable[..., list[Tensor]]
LENGTHS = (5, 2, 4)  # of the three sequences of y[N = 5, 3, 4]


def through_time(cell: Cell, states: int, reverse: bool, lengths: tuple[int, ...] | None, gates: Tensor, *weights: Tensor,
                 initial: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
    """Runs a cell over gates[T, B, n * H]: all outputs, and the last states. As ONNX says."""
    count, batch = gates.shape[:2]
    size = weights[0].shape[1]
    state = initial or [torch.zeros(batch, size, dtype=gates.dtype) for _ in range(states)]
    rows: list[Tensor] = [torch.zeros(batch, size, dtype=gates.dtype)] * count
    for t in range(count - 1, -1, -1) if reverse else range(count):
        runs = torch.tensor([[t < n] for n in lengths or [count] * batch])
        state = [torch.where(runs, new, old) for new, old in zip(cell(gates[t], *state, *weights), state)]
        rows[t] = torch.where(runs, state[0], 0)
    return torch.stack(rows), state


def rnn(g: Tensor, h: Tensor, r: Tensor, *_: Tensor) -> list[Tensor]:
    return [torch.tanh(g + h @ r.T)]


def gru(linear: bool) -> Cell:
    def cell(g: Tensor, h: Tensor, r: Tensor, bias: Tensor) -> list[Tensor]:
        gz, gr, gn = g.chunk(3, 1)
        rz, rr, rn = r.chunk(3)
        z, reset = torch.sigmoid(gz + h @ rz.T), torch.sigmoid(gr + h @ rr.T)
        n = torch.tanh(gn + (reset * (h @ rn.T + bias) if linear else (reset * h) @ rn.T + bias))
        return [(1 - z) * n + z * h]

    return cell


def lstm(peepholes: bool, couple: bool = False, clip: float = 1e9) -> Cell:
    def cell(g: Tensor, h: Tensor, c: Tensor, r: Tensor, *p: Tensor) -> list[Tensor]:
        gi, go, gf, gc = (a + b for a, b in zip(g.chunk(4, 1), (h @ r.T).chunk(4, 1)))
        pi, po, pf = p[0].chunk(3) if peepholes else (0, 0, 0)
        i = torch.sigmoid((gi + pi * c).clamp(-clip, clip))
        f = 1 - i if couple else torch.sigmoid((gf + pf * c).clamp(-clip, clip))
        new = f * c + i * torch.tanh(gc.clamp(-clip, clip))
        o = torch.sigmoid((go + po * new).clamp(-clip, clip))
        return [o * torch.tanh(new.clamp(-clip, clip)), new]

    return cell


def layer(op: str, cell: Cell, gates: int, attributes: str = "", lengths: bool = False, peepholes: bool = False,
          initial: bool = False, size: int = 3) -> Term:
    """Both directions of a layer on y as [time, batch, features]; all of its outputs."""
    states = 2 if op == "LSTM" else 1
    shapes: list[tuple[int, ...]] = [(2, gates * size, 4), (2, gates * size, size), (2, 2 * gates * size)]
    inputs = ["y", "{w}", "{w1}", "{w2}", "{t}n" if lengths else ""]
    for _ in range(states):
        inputs.append(f"{{w{len(shapes)}}}" if initial else "")
        if initial:
            shapes.append((2, 3, size))
    if peepholes:
        inputs.append(f"{{w{len(shapes)}}}")
        shapes.append((2, 3 * size))
    while not inputs[-1]:
        inputs.pop()
    names = ["{t}y", "{t}h", "{t}c"][: 1 + states]
    nodes = f"{{t}}n = Constant <value = int32[3] {{{{{', '.join(map(str, LENGTHS))}}}}}> () " if lengths else ""
    quoted = ", ".join(name or '""' for name in inputs)
    nodes += f'{", ".join(names)} = {op} <hidden_size = {size}, direction = "bidirectional"{attributes}> ({quoted})'
    # Both directions side by side, then the last states.
    nodes += " {t}k = Constant <value_ints = [-1]> ()" + "".join(f" {n}f = Reshape ({n}, {{t}}k)" for n in names)
    nodes += f" {{out}} = Concat <axis = 0> ({', '.join(n + 'f' for n in names)})"

    def reference(x: Tensor, y: Tensor, w: Tensor, r: Tensor, b: Tensor, *others: Tensor) -> Tensor:
        rows, lasts = [], []
        for d in range(2):
            wb, rb = b[d].chunk(2)
            bias = wb + rb
            own = [r[d]]
            if op == "GRU":  # the hidden gate's recurrent bias is inside
                bias = torch.cat([bias[: 2 * size], wb[2 * size :]])
                own.append(rb[2 * size :])
            if peepholes:
                own.append(others[-1][d])
            row, last = through_time(cell, states, d == 1, LENGTHS if lengths else None, y @ w[d].T + bias, *own,
                                     initial=[s[d] for s in others[:states]] if initial else None)
            rows.append(row)
            lasts.append(last)
        outputs = [torch.stack(rows, 1)] + [torch.stack([last[i] for last in lasts]) for i in range(states)]
        return torch.cat([o.flatten() for o in outputs])

    return Term(nodes, reference, tuple(shapes), low=-0.9)


RECURRENT = {
    "rnn": layer("RNN", rnn, 1),
    "rnn_lengths": layer("RNN", rnn, 1, lengths=True, initial=True),
    "gru": layer("GRU", gru(False), 3),
    "gru_linear": layer("GRU", gru(True), 3, ", linear_before_reset = 1", lengths=True),
    "lstm": layer("LSTM", lstm(False), 4),
    "lstm_lengths": layer("LSTM", lstm(False), 4, lengths=True, initial=True),
    "lstm_peepholes": layer("LSTM", lstm(True), 4, peepholes=True, initial=True),
    "lstm_coupled": layer("LSTM", lstm(False, couple=True), 4, ", input_forget = 1"),
    "lstm_clipped": layer("LSTM", lstm(False, clip=0.5), 4, ", clip = 0.5"),
}

ACTIVATIONS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "Relu": ("", torch.relu),
    "Affine": (", activation_alpha = [0.5, 0.5], activation_beta = [0.25, 0.25]", lambda x: 0.5 * x + 0.25),
    "LeakyRelu": (", activation_alpha = [0.5, 0.5]", lambda x: torch.nn.functional.leaky_relu(x, 0.5)),
    "ThresholdedRelu": (", activation_alpha = [0.25, 0.25]", lambda x: torch.where(x > 0.25, x, 0)),
    "ScaledTanh": (", activation_alpha = [0.5, 0.5], activation_beta = [2.0, 2.0]", lambda x: 0.5 * torch.tanh(2 * x)),
    "HardSigmoid": (", activation_alpha = [0.25, 0.25], activation_beta = [0.5, 0.5]", lambda x: (0.25 * x + 0.5).clamp(0, 1)),
    "Elu": (", activation_alpha = [0.5, 0.5]", lambda x: torch.where(x < 0, 0.5 * (torch.exp(x) - 1), x)),
    "Softsign": ("", torch.nn.functional.softsign),
    "Softplus": ("", torch.nn.functional.softplus),
}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent(name: str, dynamic: bool) -> None:
    check([RECURRENT[name]], dynamic)


def test_recurrent_activations() -> None:
    terms = []
    for name, (attributes, function) in ACTIVATIONS.items():
        attributes += f', activations = ["{name}", "{name}"]'
        terms.append(layer("RNN", lambda g, h, r, f=function: [f(g + h @ r.T)], 1, attributes))
    check(terms, dynamic=True)


# --- control flow ---

BRANCH = Term(
    "{t}s = ReduceSum <keepdims = 0> (x) {t}z = Constant <value = double {{0.0}}> () {t}c = Greater ({t}s, {t}z)"
    " {out} = If ({t}c) <then_branch = g () => (double[M, 4] {t}a) {{ {t}p = Mul (x, {w}) {t}a = Sin ({t}p) }},"
    " else_branch = h () => (double[M, 4] {t}b) {{ {t}b = Add (x, {w1}) }}>",
    lambda x, y, w, v: torch.sin(x * w),
    ((4,), (4,)),
)
OTHER_BRANCH = Term(
    BRANCH.nodes.replace("Greater", "Less"), lambda x, y, w, v: x + v, ((4,), (4,)),
)
COUNTED = Term(
    "{t}n = Constant <value = int64 {{3}}> () {t}i = Mul (x, {w1})"
    ' {out} = Loop ({t}n, "", {t}i) <body = b (int64 i, bool q, double[M, 4] {t}v) => (bool {t}q, double[M, 4] {t}u)'
    " {{ {t}q = Identity (q) {t}m = MatMul ({t}v, {w}) {t}h = Tanh ({t}m) {t}u = Add ({t}h, x) }}>",
    lambda x, y, w, v: [h := x * v] and [h := torch.tanh(h @ w) + x for _ in range(3)][-1],
    ((4, 4), (4,)),
)
# Until the sum is above a bound: a loop of unknown length.
SEARCH = Term(
    "{t}y = Constant <value = bool {{1}}> () {t}l = Constant <value = double {{60.0}}> ()"
    ' {out} = Loop ("", {t}y, x) <body = b (int64 i, bool q, double[M, 4] {t}v) => (bool {t}q, double[M, 4] {t}u)'
    " {{ {t}m = Mul ({t}v, {w}) {t}u = Add ({t}m, x) {t}s = ReduceSum <keepdims = 0> ({t}u) {t}q = Less ({t}s, {t}l) }}>",
    lambda x, y, w: search(x, w),
    low=1.3,
    high=1.5,
)
NESTED = Term(
    "{t}n = Constant <value = int64 {{2}}> () {t}k = Constant <value = int64 {{3}}> ()"
    ' {out} = Loop ({t}n, "", x) <body = b (int64 i, bool q, double[M, 4] {t}v) => (bool {t}q, double[M, 4] {t}u)'
    ' {{ {t}q = Identity (q) {t}u = Loop ({t}k, "", {t}v) <body = c (int64 j, bool r, double[M, 4] {t}a) => (bool {t}r, double[M, 4] {t}b)'
    " {{ {t}r = Identity (r) {t}m = Mul ({t}a, {w}) {t}h = Sin ({t}m) {t}b = Add ({t}h, {w1}) }}> }}>",
    lambda x, y, w, v: [h := x] and [h := torch.sin(h * w) + v for _ in range(6)][-1],
    ((4,), (4,)),
)


def search(x: Tensor, w: Tensor) -> Tensor:
    v = x
    while True:
        v = v * w + x
        if not v.sum() < 60:
            return v


# Gathers a slice of known sizes in each of a known number of iterations.
GATHERED = Term(
    "{t}n = Constant <value = int64 {{3}}> ()"
    ' {t}z, {out} = Loop ({t}n, "", {w}) <body = b (int64 i, bool q, double[4] {t}v) => (bool {t}q, double[4] {t}u, double[4] {t}s)'
    " {{ {t}q = Identity (q) {t}u = Mul ({t}v, {w1}) {t}s = Sin ({t}u) }}>",
    lambda x, y, w, v: torch.stack([torch.sin(w * v ** (i + 1)) for i in range(3)]),
    ((4,), (4,)),
)
CONTROL = {"gathered": GATHERED, "if_true": BRANCH, "if_false": OTHER_BRANCH, "loop": COUNTED, "while": SEARCH, "nested": NESTED}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", CONTROL)
def test_control_flow(name: str, dynamic: bool) -> None:
    check([CONTROL[name]], dynamic)


def test_loss_of_a_loop() -> None:
    """The loss is what a loop gives, which the gradient replaces by one that keeps what it carries."""
    text = "m (double[3, 3] x) => (double l) { t = Mul (x, w) l = Det (t) }"
    model = parser.parse_model(small_models.HEAD + text)
    before, x = np.random.default_rng(0).normal(size=(2, 3, 3))
    model.graph.initializer.append(onnx.numpy_helper.from_array(before, "w"))
    program = module().compile(model.SerializeToString(), train={"loss": "output:l"})
    w = torch.tensor(before, requires_grad=True)
    wanted = torch.linalg.det(torch.tensor(x) * w)
    wanted.backward()
    loss, value = program.run([x, np.float32(1)], function="step")
    np.testing.assert_allclose(value, wanted.item(), rtol=1e-12)
    np.testing.assert_allclose(loss, value, rtol=1e-7)
    np.testing.assert_allclose(before - program.read_parameter("w"), w.grad.numpy(), rtol=1e-12)


def test_same_bits_on_all_threads() -> None:
    model, _, inputs = build([RECURRENT["lstm_lengths"], NESTED], dynamic=True)
    results = []
    for threads in (1, 2):
        program = module().compile(model, train={"loss": "output:l"}, threads=threads)
        losses = [program.run([inputs["x"], inputs["y"], np.float32(0.1)], function="step")[0] for _ in range(4)]
        results.append([losses, *(program.read_parameter(n) for n in program.parameters)])
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)
