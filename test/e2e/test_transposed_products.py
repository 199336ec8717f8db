"""Products with a transposed left side: where its rows are moved into a buffer before they are read."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from onnx import parser

from support import module

# Steps of the reduction, rows, columns: those that are staged, with rests in each; and some that are not.
SIZES = [
    (64, 128, 32), (300, 130, 70), (257, 128, 33), (1024, 516, 64), (513, 16, 100), (129, 1031, 40), (63, 200, 64),
    (640, 132, 31), (300, 1031, 70), (520, 640, 300), (2050, 260, 520),
]  # fmt: skip


@pytest.mark.parametrize("type_", ["float", "double", "float16"])
@pytest.mark.parametrize("sizes", ["k, m, n", "k", "static"])
def test_gemm(type_: str, sizes: str) -> None:
    generator = np.random.default_rng(5)
    dtype = {"float": np.float32, "double": np.float64, "float16": np.float16}[type_]
    program = None
    for k, m, n in SIZES:
        if program is None or sizes != "k, m, n":
            s = {"static": (k, m, n), "k": ("k", m, n), "k, m, n": ("k", "m", "n")}[sizes]
            text = f"""<ir_version: 10, opset_import: ["" : 23]>
            m ({type_}[{s[0]}, {s[1]}] a, {type_}[{s[0]}, {s[2]}] b, {type_}[{s[1]}, {s[2]}] c) => ({type_}[{s[1]}, {s[2]}] y) {{
              p = Gemm <transA = 1> (a, b)
              q = Add (p, c)
              y = Relu (q)
            }}"""
            program = module().compile(parser.parse_model(text).SerializeToString())
        a, b, c = (generator.standard_normal(shape).astype(dtype) for shape in ((k, m), (k, n), (m, n)))
        (got,) = program.run({"a": a, "b": b, "c": c})
        wanted = np.maximum(a.T.astype(np.float64) @ b.astype(np.float64) + c, 0)
        bound = {np.float32: 1e-4, np.float64: 1e-11, np.float16: 0.1}[dtype] * max(1, k / 1024)
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=bound / 10, atol=bound)


@pytest.mark.parametrize("type_", ["float", "double"])
def test_a_caller_needs_one_mib_of_stack(type_: str) -> None:
    text = f"""<ir_version: 10, opset_import: ["" : 23]>
    m ({type_}[1024, 2048] a, {type_}[1024, 512] b) => ({type_}[2048, 512] y) {{
      y = Gemm <transA = 1> (a, b)
    }}"""
    program = module().compile(parser.parse_model(text).SerializeToString(), threads=1)
    generator = np.random.default_rng(6)
    dtype = {"float": np.float32, "double": np.float64}[type_]
    a, b = (generator.standard_normal(shape).astype(dtype) for shape in ((1024, 2048), (1024, 512)))
    got = []
    before = threading.stack_size(1 << 20)
    try:
        thread = threading.Thread(target=lambda: got.append(program.run({"a": a, "b": b})[0]))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    np.testing.assert_allclose(got[0], a.T.astype(np.float64) @ b.astype(np.float64), rtol=1e-4, atol=1e-3)
