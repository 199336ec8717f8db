"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator

from functools import partial

import numpy as np

from operators.node import Node, Numbers, node, run_node

DATA = Numbers(10)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def clipped_lstm(x: np.ndarray, w: np.ndarray, r: np.ndarray, b: np.ndarray, limit: float) -> list[np.ndarray]:
    """Bounds what goes into every activation, as the standard says: also the cell's state, which ONNX Runtime does not bound."""
    size = r.shape[2]
    h = c = np.zeros((x.shape[1], size), np.float32)
    states = []
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    for row in x:
        gates = row @ w[0].T + h @ r[0].T + b[0, : 4 * size] + b[0, 4 * size :]
        i, o, f, g = np.split(gates.clip(-limit, limit), 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c.clip(-limit, limit))
        states.append(h)
    return [np.stack(states)[:, None], h[None], c[None]]


def nodes() -> Iterator[Node]:
    steps, batch, size, hidden = 4, 2, 3, 5
    for op, gates in GATES.items():
        both, states = op == "LSTM", 3 if op == "LSTM" else 2

        def weights(directions: int, gates: int = gates) -> list[np.ndarray]:
            return [DATA.normal(directions, gates * hidden, n, scale=0.5) for n in (size, hidden)]

        x = DATA.normal(steps, batch, size)
        lengths = np.array([4, 2], np.int32)
        forms: list[tuple[str, list[np.ndarray | None], dict]] = []
        w, r = weights(1)
        forms.append(("", [x, w, r], {}))
        bias, h, c = DATA.normal(1, 2 * gates * hidden), DATA.normal(1, batch, hidden), DATA.normal(1, batch, hidden)
        start = [h, c] if both else [h]
        forms.append(("all", [x, w, r, bias, lengths, *start], {}))
        if both:
            forms.append(("peepholes", [x, w, r, bias, lengths, h, c, DATA.normal(1, 3 * hidden)], {}))
            forms.append(("input_forget", [x, w, r, bias], {"input_forget": 1}))
        forms.append(("reverse", [x, w, r, bias, lengths], {"direction": "reverse"}))
        w2, r2 = weights(2)
        forms.append(("two_ways", [x, w2, r2, DATA.normal(2, 2 * gates * hidden)], {"direction": "bidirectional"}))
        forms.append(("clip", [x, w, r, bias], {"clip": 0.5}))
        few = {"RNN": ["Relu"], "GRU": ["HardSigmoid", "Softsign"], "LSTM": ["HardSigmoid", "Softsign", "Tanh"]}[op]
        forms.append(("activations", [x, w, r, bias], {"activations": few}))
        if op == "GRU":
            forms.append(("after_product", [x, w, r, bias], {"linear_before_reset": 1}))
        for label, inputs, more in forms:
            modern = partial(run_node, op, 7, *inputs, outputs=states, hidden_size=hidden, **more)
            if (op, label) == ("LSTM", "clip"):
                modern = partial(clipped_lstm, *inputs, more["clip"])
            yield node(op, *inputs, label=label, outputs=states, hidden_size=hidden, since=7, atol=1e-5, expected=modern, **more)
            yield node(op, *inputs, label=label, outputs=states, hidden_size=hidden, until=6, atol=1e-5, expected=modern, **more)
            # Whether all steps are wanted, which the outputs say as well.
            yield node(op, *inputs, label=f"{label}_sequence", outputs=states, hidden_size=hidden, until=6, atol=1e-5, expected=modern, output_sequence=1, **more)
        yield node(op, *forms[0][1], label="last", outputs=(1,), hidden_size=hidden, atol=1e-5, output_sequence=0,
                   expected=lambda f=forms[0][1], op=op, n=states: run_node(op, 7, *f, outputs=n, hidden_size=hidden)[1])  # fmt: skip
        yield node(op, x.transpose(1, 0, 2).copy(), w, r, label="batch_first", outputs=states, hidden_size=hidden, layout=1,
                   expected=lambda op=op, x=x, w=w, r=r, n=states: [v.transpose(2, 0, 1, 3) if i == 0 else v.transpose(1, 0, 2)
                                                        for i, v in enumerate(run_node(op, 7, x, w, r, outputs=n, hidden_size=hidden))])  # fmt: skip
