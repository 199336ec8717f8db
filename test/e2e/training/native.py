"""The architectures of architectures.py written with nacre.nn, and PyTorch's weights under their names.

A layer is called like the module that it stands for, so that a weight's name tells whose copy it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from support import module as nacre_module

nn = nacre_module().nn
Tensor = Any  # of nacre.nn


def join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


# ---- Images: channels first, as PyTorch has them ---------------------------------------------------


def mlp(*widths: int) -> Any:
    x = h = nn.Input([widths[0]])
    for number, width in enumerate(widths[1:]):
        h = nn.Dense(width, activation="relu" if number < len(widths) - 2 else None, name=str(2 * number))(h)
    return nn.Model(x, h)


def pool(x: Tensor) -> Tensor:
    return nn.MaxPooling2D(channels_first=True)(x)


def convnet() -> Any:
    x = h = nn.Input([1, 28, 28])
    for number, filters in (("0", 32), ("3", 64)):
        h = pool(nn.Conv2D(filters, 5, activation="relu", channels_first=True, name=number)(h))
    return nn.Model(x, nn.Dense(10, name="7")(nn.Flatten()(h)))


def normalize(x: Tensor, name: str) -> Tensor:
    return nn.BatchNormalization(epsilon=1e-5, momentum=0.9, channels_first=True, name=name)(x)


def convolve(x: Tensor, filters: int, kernel: int, stride: int, name: str, bias: bool = False) -> Tensor:
    """With PyTorch's padding, which is not "same" where there are strides."""
    if pad := kernel // 2:
        x = x.graph.op("Pad", [x, np.array([0, 0, pad, pad] * 2)])
    return nn.Conv2D(filters, kernel, stride, use_bias=bias, channels_first=True, name=name)(x)


def conv_bn(x: Tensor, filters: int, kernel: int, stride: int, name: str) -> Tensor:
    return normalize(convolve(x, filters, kernel, stride, name + ".0"), name + ".1")


def relu(x: Tensor) -> Tensor:
    return nn.Activation("relu")(x)


def basic_block(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    h = relu(conv_bn(x, filters, 3, stride, name + ".first"))
    h = conv_bn(h, filters, 3, 1, name + ".second")
    same = x.shape[1] == filters and stride == 1
    return relu(h + (x if same else conv_bn(x, filters, 1, stride, name + ".shortcut")))


def resnet18(classes: int) -> Any:
    x = nn.Input([3, 64, 64])
    h = relu(conv_bn(x, 64, 7, 2, "0"))
    h = h.graph.op("MaxPool", [h], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})
    for block in range(8):
        h = basic_block(h, 64 << block // 2, 2 if block % 2 == 0 and block else 1, str(3 + block))
    return nn.Model(x, nn.Dense(classes, name="13")(nn.GlobalAveragePooling(channels_first=True)(h)))


def unet(widths: Sequence[int]) -> Any:
    def block(x: Tensor, filters: int, name: str) -> Tensor:
        for number in (0, 3):
            x = convolve(x, filters, 3, 1, f"{name}.{number}", bias=True)
            x = relu(normalize(x, f"{name}.{number + 1}"))
        return x

    x = h = nn.Input([1, 32, 32])
    seen = []
    for number, filters in enumerate(widths):
        h = block(pool(h) if number else h, filters, f"down.{number}")
        seen.append(h)
    seen.pop()
    for number, filters in enumerate(widths[-2::-1]):
        h = nn.Conv2DTranspose(filters, 2, 2, channels_first=True, name=f"up.{number}")(h)
        h = block(nn.Concatenate(axis=1)(seen.pop(), h), filters, f"merge.{number}")
    return nn.Model(x, nn.Conv2D(1, 1, channels_first=True, name="head")(h))


# ---- Sequences -----------------------------------------------------------------------------------


def lstm(words: int, width: int, units: int, classes: int, length: int) -> Any:
    x = nn.Input([length], dtype="int64", name="tokens")
    h = nn.Bidirectional(nn.LSTM(units), name="lstm")(nn.Embedding(words, width, name="embedding")(x))
    return nn.Model(x, nn.Dense(classes, name="head")(h))


def feed_forward(x: Tensor, first: str, second: str, activation: Callable[[Tensor], Tensor]) -> Tensor:
    width = x.shape[-1]
    return nn.Dense(width, name=second)(activation(nn.Dense(4 * width, name=first)(x)))


def gelu(x: Tensor) -> Tensor:
    return nn.Activation("gelu")(x)


def tanh_gelu(x: Tensor) -> Tensor:
    return x.graph.op("Gelu", [x], {"approximate": "tanh"})


def layer_norm(x: Tensor, name: str, epsilon: float = 1e-12) -> Tensor:
    return nn.LayerNormalization(epsilon=epsilon, name=name)(x)


def bert(words: int, width: int, layers: int, heads: int, classes: int, places: int, length: int) -> Any:
    tokens = nn.Input([length], dtype="int64", name="tokens")
    graph = tokens.graph
    mask = nn.Input([length], dtype="int64", name="mask", graph=graph)
    counts = graph.op("Cast", [graph.op("Unsqueeze", [mask, np.array([1, 2])])], {"to": 9})  # bool
    embed = "model.bert.embeddings."
    table = graph.parameter(embed + "position_embeddings.embeddings", [places, width])
    kinds = graph.parameter(embed + "token_type_embeddings.embeddings", [2, width])
    h = nn.Embedding(words, width, name=embed + "word_embeddings")(tokens)
    h = h + graph.op("Gather", [kinds, np.array(0)]) + graph.op("Gather", [table, np.arange(length)])
    h = layer_norm(h, embed + "LayerNorm")
    for layer in range(layers):
        name = f"model.bert.encoder.layer.{layer}."
        q, k, v = (nn.Dense(width, name=f"{name}attention.self.{n}")(h) for n in ("query", "key", "value"))
        seen = graph.op("Attention", [q, k, v, counts], {"q_num_heads": heads, "kv_num_heads": heads})
        seen = nn.Dense(width, name=name + "attention.output.dense")(seen)
        h = layer_norm(h + seen, name + "attention.output.LayerNorm")
        deep = feed_forward(h, name + "intermediate.dense", name + "output.dense", gelu)
        h = layer_norm(h + deep, name + "output.LayerNorm")
    first = graph.op("Gather", [h, np.array(0)], {"axis": 1})
    pooled = nn.Dense(width, activation="tanh", name="model.bert.pooler.dense")(first)
    return nn.Model([tokens, mask], nn.Dense(classes, name="model.classifier")(pooled))


def gpt(words: int, width: int, layers: int, heads: int, places: int) -> Any:
    x = nn.Input([places], dtype="int64", name="tokens")
    table = x.graph.parameter("model.transformer.wte.embeddings", [words, width])
    h = x.graph.op("Gather", [table, x]) + x.graph.parameter("model.transformer.wpe.embeddings", [places, width])
    for layer in range(layers):
        name = f"model.transformer.h.{layer}."
        seen = layer_norm(h, name + "ln_1", 1e-5)
        h = h + nn.MultiHeadAttention(heads, width // heads, causal=True, name=name + "attn")(seen)
        seen = layer_norm(h, name + "ln_2", 1e-5)
        h = h + feed_forward(seen, name + "mlp.c_fc", name + "mlp.c_proj", tanh_gelu)
    h = layer_norm(h, "model.transformer.ln_f", 1e-5)
    head = x.graph.op("Transpose", [table], {"perm": [1, 0]})  # the table again
    return nn.Model(x, nn.Permute((2, 1))(h @ head))


def vit(size: int, patch: int, width: int, layers: int, heads: int, classes: int) -> Any:
    x = nn.Input([3, size, size])
    graph, places = x.graph, (size // patch) ** 2
    embed = "model.vit.embeddings."
    h = nn.Conv2D(width, patch, patch, channels_first=True, name=embed + "patch_embeddings.projection")(x)
    h = nn.Permute((2, 1))(nn.Reshape([width, places])(h))
    batch = graph.op("Shape", [x], {"end": 1})
    first = graph.parameter(embed + "cls_token", [1, 1, width])
    first = graph.op("Expand", [first, graph.op("Concat", [batch, np.array([1, width])], {"axis": 0})])
    h = nn.Concatenate(axis=1)(first, h) + graph.parameter(embed + "position_embeddings", [1, places + 1, width])
    for layer in range(layers):
        name = f"model.vit.layers.{layer}."
        seen = layer_norm(h, name + "layernorm_before")
        h = h + nn.MultiHeadAttention(heads, width // heads, name=name + "attention")(seen)
        seen = layer_norm(h, name + "layernorm_after")
        h = h + feed_forward(seen, name + "mlp.fc1", name + "mlp.fc2", gelu)
    h = graph.op("Gather", [layer_norm(h, "model.vit.layernorm"), np.array(0)], {"axis": 1})
    return nn.Model(x, nn.Dense(classes, name="model.classifier")(h))


def recommender(users: int, items: int, features: int, width: int, hidden: int) -> Any:
    graph = nn.Graph()
    user = nn.Input([], dtype="int64", name="user", graph=graph)
    item = nn.Input([], dtype="int64", name="item", graph=graph)
    dense = nn.Input([features], name="features", graph=graph)
    u, i = nn.Embedding(users, width, name="users")(user), nn.Embedding(items, width, name="items")(item)
    dot = graph.op("ReduceSum", [u * i, np.array([1])], {"keepdims": 1})
    deep = nn.Dense(hidden, activation="relu", name="deep.0")(nn.Concatenate()(u, i, dense))
    return nn.Model([user, item, dense], dot + nn.Dense(1, name="deep.2")(deep))


# ---- The weights -----------------------------------------------------------------------------------

Pick = Callable[[torch.nn.Parameter], torch.Tensor]


def arrange(module: torch.nn.Module, pick: Pick) -> dict[str, np.ndarray]:
    """What `pick` takes of each of the module's parameters (values, gradients), named and laid out as here."""
    from transformers.pytorch_utils import Conv1D

    found: dict[str, np.ndarray] = {}
    done: set[torch.nn.Parameter] = set()
    for path, part in module.named_modules():
        own = dict(part.named_parameters(recurse=False))
        if not own or done.issuperset(own.values()):  # a tied table is one weight
            continue
        done.update(own.values())
        values = {name: pick(parameter).detach().numpy() for name, parameter in own.items()}
        if isinstance(part, torch.nn.LSTM):
            named = arrange_lstm(values)
        elif isinstance(part, (torch.nn.Linear, Conv1D)):
            kernel = values["weight"] if isinstance(part, Conv1D) else values["weight"].T
            named = {"kernel": kernel} | {n: v for n, v in values.items() if n == "bias"}
        elif isinstance(part, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            named = {("kernel" if n == "weight" else n): v for n, v in values.items()}
        elif isinstance(part, torch.nn.Embedding):
            named = {"embeddings": values["weight"]}
        elif isinstance(part, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
            named = {"gamma": values["weight"], "beta": values["bias"]}
        else:
            named = values
        for name, value in named.items():
            found |= rename(join(path, name), value)
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def arrange_lstm(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """ONNX's gates are input, output, forget, cell; PyTorch's are input, forget, cell, output."""

    def gates(name: str) -> np.ndarray:
        i, f, c, o = np.split(values[name], 4)
        return np.concatenate([i, o, f, c])

    ends = ("_l0", "_l0_reverse")
    named = {"kernel": np.stack([gates("weight_ih" + end) for end in ends])}
    named["bias"] = np.stack([np.concatenate([gates("bias_ih" + end), gates("bias_hh" + end)]) for end in ends])
    return named | {f"recurrent_kernel.{d}": gates("weight_hh" + end) for d, end in enumerate(ends)}


def rename(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """The projections of MultiHeadAttention, which the libraries call in their ways."""
    before, _, kind = name.rpartition(".")
    if before.endswith(".c_attn"):  # three side by side
        parts = np.split(value, 3, axis=-1)
        return {f"{before[:-7]}.{which}.{kind}": part for which, part in zip(("query", "key", "value"), parts)}
    if before.endswith(".attn.c_proj"):
        return {f"{before[:-7]}.output.{kind}": value}
    for short, long in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("o_proj", "output")):
        if before.endswith("." + short):
            return {f"{before[: -len(short)]}{long}.{kind}": value}
    return {name: value}


# Of the sizes of architectures.SMALL.
SMALL: dict[str, Callable[[], Any]] = {
    "mlp": lambda: mlp(784, 256, 128, 10),
    "convnet": convnet,
    "resnet18": lambda: resnet18(10),
    "lstm": lambda: lstm(200, 32, 48, 5, 20),
    "bert": lambda: bert(500, 64, 2, 4, 3, 32, 24),
    "gpt": lambda: gpt(300, 64, 3, 4, 24),
    "vit": lambda: vit(32, 8, 64, 3, 4, 10),
    "unet": lambda: unet((8, 16, 32)),
    "recommender": lambda: recommender(100, 80, 4, 16, 32),
}
