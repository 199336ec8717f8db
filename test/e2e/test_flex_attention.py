"""FlexAttention with graphs that change scores and probabilities, against ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import module

HEAD = '<ir_version: 13, opset_import: ["": 26, "ai.onnx.preview": 1]>\n'
SCORES = """score_mod = s (%(t)s[B, H, L, S] a) => (%(t)s[B, H, L, S] b) {
    cap = Constant <value_float = 2.0> ()
    wide = CastLike (cap, a)
    d = Div (a, wide)
    b = Tanh (d)
}"""
PROBABILITIES = """prob_mod = p (%(t)s[B, H, L, S] a) => (%(t)s[B, H, L, S] b) { b = Mul (a, a) }"""


def model(shapes: str, attributes: str, dtype: str) -> onnx.ModelProto:
    q, k, v = (f"{dtype}[{s}]" for s in shapes.split(";"))
    text = f"""g ({q} q, {k} k, {v} v) => ({dtype}[A, B, C, D] y) {{
        y = ai.onnx.preview.FlexAttention <{attributes}> (q, k, v)
    }}"""
    return parser.parse_model(HEAD + text)


@pytest.mark.parametrize("shapes", ["2, 6, 5, 4;2, 2, 3, 4;2, 2, 3, 7", "N, H, S, D;N, K, T, D;N, K, T, E"])
@pytest.mark.parametrize("dtype", ["float", "double", "float16"])
@pytest.mark.parametrize("heads", [2, 6])
@pytest.mark.parametrize("modifiers", ["s", "p", "sp"])
def test_modifiers(shapes: str, dtype: str, heads: int, modifiers: str) -> None:
    if heads != 2:
        shapes = shapes.replace("2, 2", "2, 6").replace("N, K", "N, H")
    softmax = {"float16": "float"}.get(dtype, dtype)
    attributes = ", ".join({"s": SCORES, "p": PROBABILITIES}[m] % {"t": softmax} for m in modifiers)
    made = model(shapes, attributes + ", scale = 0.7", dtype)
    random = np.random.default_rng(1)
    kind = {"float": np.float32, "double": np.float64, "float16": np.float16}[dtype]
    sizes = [(2, 6, 5, 4), (2, heads, 3, 4), (2, heads, 3, 7)]
    inputs = [random.standard_normal(size).astype(kind) for size in sizes]
    (expected,) = ReferenceEvaluator(made).run(None, dict(zip("qkv", inputs)))
    actual = module().compile(made)(*inputs)
    tolerance = {"float": 1e-5, "double": 1e-5, "float16": 1e-2}[dtype]  # its scale is an f32
    np.testing.assert_allclose(actual, expected, tolerance, tolerance / 10)


def test_what_is_refused() -> None:
    error = module().CompileError
    with pytest.raises(error, match="the graph 'score_mod' does not give one tensor of its input's rank and type"):
        module().compile(model("2, 2, 5, 4;2, 2, 3, 4;2, 2, 3, 4", "score_mod = s (float[B, H, L, S] a) => (int64[4] b) { b = Shape (a) }", "float"))  # fmt: skip
    text = "score_mod = s (float[B, H, L, S] a) => (float[B, H, L, S] b) { b = Transpose <perm = [0, 1, 3, 2]> (a) }"
    with pytest.raises(error, match="the graph 'score_mod' does not give its input's shape"):
        module().compile(model("2, 2, 5, 4;2, 2, 3, 4;2, 2, 3, 4", text, "float"))
    free = module().compile(model("N, H, S, D;N, K, T, D;N, K, T, E", text, "float"))
    x = [np.ones(size, np.float32) for size in ((1, 2, 5, 4), (1, 2, 3, 4), (1, 2, 3, 4))]
    with pytest.raises(module().RunError, match="the graph 'score_mod' does not give its input's shape"):
        free(*x)
    cap = model("N, H, S, D;N, K, T, D;N, K, T, E", SCORES % {"t": "float"}, "float")
    x[0] = np.ones((1, 3, 5, 4), np.float32)  # three heads that share two
    with pytest.raises(module().RunError, match="node 'y' \\(FlexAttention\\)"):
        module().compile(cap)(*x)
