"""Small models in ONNX's text form, for tests of the tools around the compiler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

HEAD = '<ir_version: 10, opset_import: ["" : 21]>\n'

# Two inputs that share a dynamic dimension, and an output with a slash in its name.
SUM = HEAD + "sum (float[N, 4] x, float[N, 4] y) => (float[N, 4] z) { z = Add (x, y) }"

# What the compiler cannot know: two nodes of them, among others.
UNKNOWN = (
    '<ir_version: 10, opset_import: ["" : 21, "com.example" : 1]>\n'
    """unknown (float[2] x) => (float[2] y) {
         a = Relu (x)
         b = com.example.Strange (a)
         c = com.example.Odd (b)
         y = Neg (c)
    }"""
)

# Every output as a file: NumPy has no bfloat16.
TYPES = HEAD + (
    "types (float[3] x) => (float[3] plain, bfloat16[3] short, bool[3] truth) {"
    " plain = Neg (x) short = Cast <to = 16> (x) truth = Greater (x, plain) }"
)

# A module that no importer made: the kernel's tiling names one loop of two, which only a
# fault of the compiler's own can do.
BROKEN_INSIDE = """
func.func @main(%x: tensor<4x8xf32> {nn.name = "x"}) -> (tensor<4x8xf32> {nn.name = "y"}) {
  %0 = tensor.empty() : tensor<4x8xf32>
  %1 = kern.call @exp ins(%x : tensor<4x8xf32>) outs(%0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}
kern.func @exp(%x: tensor<4x8xf32>, %d: tensor<4x8xf32>) -> tensor<4x8xf32>
    attributes {nodes = [], tiling = #kern.tiling<[1], grain = 1>} {
  %0 = nn.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  kern.return %0 : tensor<4x8xf32>
}
"""


def save(text: str, path: Path, rename: dict[str, str] | None = None) -> Path:
    """Writes a model; `rename` gives values names that the text form does not allow."""
    model = parser.parse_model(text)
    for number, node in enumerate(model.graph.node):
        node.name = f"node{number}"
    for old, new in (rename or {}).items():
        for info in [*model.graph.input, *model.graph.output]:
            info.name = new if info.name == old else info.name
        for node in model.graph.node:
            node.input[:] = [new if n == old else n for n in node.input]
            node.output[:] = [new if n == old else n for n in node.output]
    onnx.save(model, path)
    return path


def add_weights(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], random: np.random.Generator, scale: float = 0.2) -> None:
    """Normal ones of these shapes; a variance is above 0."""
    for name, shape in shapes.items():
        value = random.uniform(0.5, 1.5, shape) if name == "variance" else random.normal(0, scale, shape)
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))


def save_with_weights(path: Path, text: str, shapes: dict[str, tuple[int, ...]]) -> Path:
    model = parser.parse_model(text)
    add_weights(model, shapes, np.random.default_rng(1))
    onnx.save(model, path)
    return path


def save_perceptron(path: Path, inputs: int, classes: int) -> Path:
    """data[N, inputs] to logits[N, classes], with weights drawn from a fixed seed."""
    random = np.random.default_rng(0)
    text = HEAD + (
        f"mlp (float[N, {inputs}] data) => (float[N, {classes}] logits) {{"
        " h = Gemm (data, w0, b0) a = Relu (h) logits = Gemm (a, w1, b1) }"
    )
    model = parser.parse_model(text)
    hidden = 32
    for layer, (rows, columns) in enumerate(((inputs, hidden), (hidden, classes))):
        weight = random.normal(0, (2 / rows) ** 0.5, (rows, columns)).astype(np.float32)
        bias = np.zeros(columns, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weight, f"w{layer}"))
        model.graph.initializer.append(numpy_helper.from_array(bias, f"b{layer}"))
    onnx.save(model, path)
    return path


def save_digits(folder: Path) -> None:
    """m.onnx, a perceptron that drops out, digits.npz and valid.npz: 15 steps of 48 an epoch."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    np.savez(folder / "digits.npz", data=images[:700], labels=labels[:700])
    np.savez(folder / "valid.npz", data=images[700:900], labels=labels[700:900])
    model = onnx.load(save_perceptron(folder / "m.onnx", 64, 10))
    *hidden, logits = model.graph.node
    constant = onnx.helper.make_node("Constant", [], ["ratio"], value_float=0.2)
    drop = onnx.helper.make_node("Dropout", ["a", "ratio"], ["dropped"])
    logits.input[0] = "dropped"
    nodes = [constant, *hidden, drop, logits]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, folder / "m.onnx")
