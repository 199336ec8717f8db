"""The architectures of test/e2e/training as functions of their weights, for JAX and TensorFlow.

Weights are PyTorch's by name, in layouts that suit the libraries: convolutions have images [N, H, W, C] and
kernels [H, W, I, O], dense layers [I, O]. What differs between the libraries is `Ops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

Array = Any
Weights = Mapping[str, Array]


class Ops(Protocol):
    """What the libraries call differently."""

    def matmul(self, a: Array, b: Array) -> Array: ...
    def conv(self, x: Array, kernel: Array, stride: int, pad: int) -> Array: ...
    def max_pool(self, x: Array, size: int, stride: int, pad: int) -> Array: ...
    def relu(self, x: Array) -> Array: ...
    def gelu(self, x: Array) -> Array: ...
    def tanh(self, x: Array) -> Array: ...
    def sigmoid(self, x: Array) -> Array: ...
    def softmax(self, x: Array) -> Array: ...
    def rsqrt(self, x: Array) -> Array: ...
    def mean(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array: ...
    def take(self, table: Array, indices: Array) -> Array: ...
    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array: ...
    def transpose(self, x: Array, order: tuple[int, ...]) -> Array: ...
    def concat(self, parts: list[Array], axis: int) -> Array: ...
    def where(self, condition: Array, a: Array, b: float) -> Array: ...
    def scan(self, cell: Callable[[Any, Array], Any], state: Any, xs: Array, reverse: bool) -> Any: ...
    def zeros(self, shape: tuple[int, ...]) -> Array: ...


def arrange(name: str, value: np.ndarray) -> np.ndarray:
    """A weight of PyTorch's in the layout used here."""
    if value.ndim == 4:
        value = value.transpose(2, 3, 1, 0)
    elif value.ndim == 2 and "embedding" not in name:
        value = value.T
    return np.ascontiguousarray(value)


def arrange_input(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if value.ndim == 4 else value


def dense(f: Ops, w: Weights, name: str, x: Array) -> Array:
    return f.matmul(x, w[name + ".weight"]) + w[name + ".bias"]


def mlp(f: Ops, w: Weights, state: Weights, x: Array) -> tuple[Array, dict[str, Array]]:
    return dense(f, w, "4", f.relu(dense(f, w, "2", f.relu(dense(f, w, "0", x))))), {}


def convnet(f: Ops, w: Weights, state: Weights, x: Array) -> tuple[Array, dict[str, Array]]:
    for name in ("0", "3"):
        x = f.max_pool(f.relu(f.conv(x, w[name + ".weight"], 1, 0) + w[name + ".bias"]), 2, 2, 0)
    x = f.transpose(x, (0, 3, 1, 2))  # the head's weight is of channels first
    return dense(f, w, "7", f.reshape(x, (-1, 1024))), {}


def resnet18(f: Ops, w: Weights, state: Weights, x: Array) -> tuple[Array, dict[str, Array]]:
    moved: dict[str, Array] = {}

    def conv_bn(x: Array, name: str, stride: int) -> Array:
        kernel = w[name + ".0.weight"]
        y = f.conv(x, kernel, stride, kernel.shape[0] // 2)
        mean = f.mean(y, (0, 1, 2), False)
        centred = y - mean
        variance = f.mean(centred * centred, (0, 1, 2), False)
        for kind, value in (("mean", mean), ("var", variance)):
            running = f"{name}.1.running_{kind}"
            moved[running] = 0.9 * state[running] + 0.1 * value
        return centred * (w[name + ".1.weight"] * f.rsqrt(variance + 1e-5)) + w[name + ".1.bias"]

    x = f.max_pool(f.relu(conv_bn(x, "0", 2)), 3, 2, 1)
    for block in range(3, 11):
        stride = 2 if block in (5, 7, 9) else 1
        y = conv_bn(f.relu(conv_bn(x, f"{block}.first", stride)), f"{block}.second", 1)
        x = f.relu(y + (conv_bn(x, f"{block}.shortcut", stride) if stride == 2 else x))
    return dense(f, w, "13", f.mean(x, (1, 2), False)), moved


def lstm(f: Ops, w: Weights, state: Weights, tokens: Array) -> tuple[Array, dict[str, Array]]:
    x = f.transpose(f.take(w["embedding.weight"], tokens), (1, 0, 2))
    last = []
    for end in ("_l0", "_l0_reverse"):
        # All products with the inputs at once; the recurrence has only those with the state.
        bias = w["lstm.bias_ih" + end] + w["lstm.bias_hh" + end]
        projected = f.matmul(x, w["lstm.weight_ih" + end]) + bias
        recurrent = w["lstm.weight_hh" + end]
        units = recurrent.shape[0]

        def cell(state: tuple[Array, Array], step: Array, recurrent: Array = recurrent, units: int = units) -> Any:
            h, c = state
            gates = step + f.matmul(h, recurrent)
            i, forget, new, o = (gates[:, k * units : (k + 1) * units] for k in range(4))
            c = f.sigmoid(forget) * c + f.sigmoid(i) * f.tanh(new)
            return f.sigmoid(o) * f.tanh(c), c

        zero = f.zeros((tokens.shape[0], units))
        last.append(f.scan(cell, (zero, zero), projected, end.endswith("reverse"))[0])
    return dense(f, w, "head", f.concat(last, 1)), {}


def bert(f: Ops, w: Weights, state: Weights, tokens: Array, mask: Array) -> tuple[Array, dict[str, Array]]:
    def norm(x: Array, name: str) -> Array:
        centred = x - f.mean(x, (-1,), True)
        scale = f.rsqrt(f.mean(centred * centred, (-1,), True) + 1e-12)
        return centred * scale * w[name + ".weight"] + w[name + ".bias"]

    embed = "model.bert.embeddings."
    batch, length = tokens.shape
    width = w[embed + "word_embeddings.weight"].shape[1]
    heads = width // 64
    x = f.take(w[embed + "word_embeddings.weight"], tokens) + w[embed + "token_type_embeddings.weight"][0]
    x = norm(x + w[embed + "position_embeddings.weight"][:length], embed + "LayerNorm")
    seen = f.reshape(mask, (batch, 1, 1, length)) > 0
    layer = 0
    while (name := f"model.bert.encoder.layer.{layer}") + ".output.dense.weight" in w:
        q, k, v = (
            f.reshape(dense(f, w, f"{name}.attention.self.{n}", x), (batch, length, heads, 64))
            for n in ("query", "key", "value")
        )
        scores = f.matmul(f.transpose(q, (0, 2, 1, 3)), f.transpose(k, (0, 2, 3, 1))) / 8.0
        weights = f.softmax(f.where(seen, scores, -1e30))
        y = f.transpose(f.matmul(weights, f.transpose(v, (0, 2, 1, 3))), (0, 2, 1, 3))
        y = dense(f, w, name + ".attention.output.dense", f.reshape(y, (batch, length, width)))
        x = norm(x + y, name + ".attention.output.LayerNorm")
        y = f.gelu(dense(f, w, name + ".intermediate.dense", x))
        x = norm(x + dense(f, w, name + ".output.dense", y), name + ".output.LayerNorm")
        layer += 1
    pooled = f.tanh(dense(f, w, "model.bert.pooler.dense", x[:, 0]))
    return dense(f, w, "model.classifier", pooled), {}


MODELS: dict[str, Callable[..., tuple[Array, dict[str, Array]]]] = {
    "mlp": mlp, "convnet": convnet, "resnet18": resnet18, "lstm": lstm, "bert": bert,
}  # fmt: skip
