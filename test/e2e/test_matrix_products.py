"""Products of bf16, which run on tiles of the matrix unit where the CPU has one: sizes around those of tiles."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from onnx import helper, parser

from support import module

BF16 = ml_dtypes.bfloat16
# Rows, steps, columns. A tile has 16 rows, 32 steps, 16 columns; 2050 and 5000 steps do not fit a buffer.
SIZES = [
    (64, 64, 64), (33, 100, 70), (7, 33, 17), (20, 48, 40), (100, 2050, 96), (5, 31, 9), (16, 5000, 130), (300, 8, 24),
    (50, 21, 300), (1, 64, 48), (17, 40, 1000), (4, 16, 8), (130, 640, 257), (0, 32, 32), (31, 1, 16),
]  # fmt: skip


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(shape).astype(BF16)


def close(got: np.ndarray, wanted: np.ndarray) -> None:
    """Sums in f32 that are rounded to 8 bits once."""
    largest = np.abs(wanted).max(initial=0)
    np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=2**-8, atol=2**-17 * largest + 1e-30)


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize("form", ["static", "rows", "all", "constant"])
def test_gemm(form: str, transposed: str) -> None:
    generator = np.random.default_rng(7)
    program = None
    for m, k, n in SIZES:
        if form == "constant" and k * n == 0:
            continue
        a, b = normal(generator, (k, m) if "a" in transposed else (m, k)), normal(generator, (n, k) if "b" in transposed else (k, n))
        c = normal(generator, (n,))
        if program is None or form != "all":
            s = {"static": (m, k, n), "constant": (m, k, n), "rows": ("m", k, n), "all": ("m", "k", "n")}[form]
            shapes = [(s[1], s[0]) if "a" in transposed else (s[0], s[1]), (s[2], s[1]) if "b" in transposed else (s[1], s[2])]
            inputs = ", ".join(f"bfloat16[{x}, {y}] {name}" for name, (x, y) in zip("ab", shapes))
            text = f"""<ir_version: 10, opset_import: ["" : 23]>
            m ({inputs}, bfloat16[{s[2]}] c) => (bfloat16[{s[0]}, {s[2]}] y) {{
              p = Gemm <transA = {int("a" in transposed)}, transB = {int("b" in transposed)}> (a, b)
              q = Add (p, c)
              y = Relu (q)
            }}"""
            model = parser.parse_model(text)
            if form == "constant":
                model.graph.initializer.append(helper.make_tensor("b", 16, b.shape, b.astype(np.float32).ravel()))
                del model.graph.input[1]
            program = module().compile(model.SerializeToString())
        (got,) = program.run({"a": a, "c": c} if form == "constant" else {"a": a, "b": b, "c": c})
        left, right = (a.T if "a" in transposed else a).astype(np.float64), (b.T if "b" in transposed else b).astype(np.float64)
        product = (left @ right).astype(BF16).astype(np.float64)  # each op rounds
        wanted = np.maximum((product + c.astype(np.float64)).astype(BF16).astype(np.float64), 0)
        largest = np.abs(product).max(initial=0)
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=2**-7, atol=2**-8 * largest + 1e-30)


@pytest.mark.parametrize("form", ["static", "dynamic"])
@pytest.mark.parametrize("shapes", [((3, 50, 64), (3, 64, 50)), ((2, 4, 65, 127), (2, 4, 127, 63)), ((2, 1, 40, 32), (5, 32, 24)),
                                    ((64,), (64, 48)), ((6, 33, 64), (64, 100))])  # fmt: skip
def test_matmul_of_batches(shapes: tuple[tuple[int, ...], ...], form: str) -> None:
    generator = np.random.default_rng(8)
    a, b = (normal(generator, shape) for shape in shapes)
    sizes = [[f"{name}{i}" for i in range(len(x.shape))] if form == "dynamic" else x.shape for name, x in (("a", a), ("b", b))]
    inputs = ", ".join(f"bfloat16[{', '.join(map(str, s))}] {name}" for name, s in zip("ab", sizes))
    text = f"""<ir_version: 10, opset_import: ["" : 23]> m ({inputs}) => (bfloat16 y) {{ y = MatMul (a, b) }}"""
    if form == "static":
        text = text.replace("(bfloat16 y)", f"(bfloat16[{', '.join(map(str, np.matmul(a, b).shape))}] y)")
    else:
        text = text.replace("(bfloat16 y)", f"(bfloat16[{', '.join(f'y{i}' for i in range(np.matmul(a, b).ndim))}] y)")
    (got,) = module().compile(parser.parse_model(text).SerializeToString()).run({"a": a, "b": b})
    close(got, np.matmul(a.astype(np.float64), b.astype(np.float64)))


CONVOLUTIONS = [
    # batch, channels, image, features, kernel, strides, pads, dilations, groups
    (1, 3, (30, 30), 32, (7, 7), (2, 2), 3, 1, 1),
    (2, 64, (14, 14), 48, (3, 3), (1, 1), 1, 1, 1),
    (1, 32, (9, 7), 40, (1, 1), (1, 1), 0, 1, 1),
    (16, 24, (5, 5), 16, (3, 3), (2, 2), 1, 1, 1),
    (1, 36, (12, 12), 64, (3, 2), (1, 2), 2, 2, 1),
    (2, 64, (8, 8), 64, (3, 3), (1, 1), 1, 1, 2),
    (1, 512, (7, 7), 512, (3, 3), (1, 1), 1, 1, 1),
]


@pytest.mark.parametrize("form", ["static", "dynamic", "weights"])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case: tuple, form: str) -> None:
    batch, channels, image, features, kernel, strides, pads, dilation, groups = case
    generator = np.random.default_rng(9)
    x, w = normal(generator, (batch, channels, *image)), normal(generator, (features, channels // groups, *kernel))
    size = ["n", channels, "h", "w"] if form == "dynamic" else x.shape
    out = ["n", features, "oh", "ow"]
    text = f"""<ir_version: 10, opset_import: ["" : 23]>
    m (bfloat16[{", ".join(map(str, size))}] x, bfloat16[{", ".join(map(str, w.shape))}] w) => (bfloat16[{", ".join(map(str, out))}] y) {{
      y = Conv <strides = [{strides[0]}, {strides[1]}], pads = [{pads}, {pads}, {pads}, {pads}],
                dilations = [{dilation}, {dilation}], group = {groups}> (x, w)
    }}"""
    model = parser.parse_model(text)
    if form != "weights":
        model.graph.initializer.append(helper.make_tensor("w", 16, w.shape, w.astype(np.float32).ravel()))
        del model.graph.input[1]
    program = module().compile(model.SerializeToString())
    (got,) = program.run({"x": x, "w": w} if form == "weights" else {"x": x})
    wanted = torch.nn.functional.conv2d(
        torch.from_numpy(x.astype(np.float64)), torch.from_numpy(w.astype(np.float64)), stride=strides, padding=pads,
        dilation=dilation, groups=groups,
    )  # fmt: skip
    close(got, wanted.numpy())


@pytest.mark.parametrize(("target", "flag"), [("x86-64-v3", "avx2"), ("cooperlake", "avx512_bf16")])
@pytest.mark.parametrize("form", ["static", "dynamic"])
def test_on_other_cpus(target: str, flag: str, form: str) -> None:
    """Two products at once (AVX512-BF16), or one after the other."""
    if flag not in Path("/proc/cpuinfo").read_text().split():
        pytest.skip(f"this CPU does not run code for {target}")
    generator = np.random.default_rng(16)
    for m, k, n in SIZES:
        a, b = normal(generator, (m, k)), normal(generator, (k, n))
        s = ("m", "k", "n") if form == "dynamic" else (m, k, n)
        text = f"""<ir_version: 10, opset_import: ["" : 23]>
        m (bfloat16[{s[0]}, {s[1]}] a, bfloat16[{s[1]}, {s[2]}] b) => (bfloat16[{s[0]}, {s[2]}] y) {{ y = MatMul (a, b) }}"""
        (got,) = module().compile(parser.parse_model(text).SerializeToString(), target_cpu=target).run({"a": a, "b": b})
        close(got, a.astype(np.float64) @ b.astype(np.float64))


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_not_finite(threads: int) -> None:
    """Rests of tiles are zeros: infinities in the operands reach only the sums that they are in."""
    generator = np.random.default_rng(10)
    a, b = normal(generator, (37, 45)), normal(generator, (45, 41))
    a[36, 44], b[44, 40], b[0, 0] = np.inf, np.nan, -np.inf
    text = """<ir_version: 10, opset_import: ["" : 23]>
    m (bfloat16[m, k] a, bfloat16[k, n] b) => (bfloat16[m, n] y) { y = MatMul (a, b) }"""
    for source in (text, text.replace("m, k", "37, 45").replace("k, n", "45, 41").replace("m, n", "37, 41")):
        (got,) = module().compile(parser.parse_model(source).SerializeToString(), threads=threads).run({"a": a, "b": b})
        with np.errstate(invalid="ignore"):
            wanted = a.astype(np.float64) @ b.astype(np.float64)
        finite = np.isfinite(wanted)
        assert (np.isnan(got.astype(np.float64)) == np.isnan(wanted)).all()
        assert (np.isinf(got.astype(np.float64)) == np.isinf(wanted)).all()
        close(np.where(finite, got.astype(np.float64), 0), np.where(finite, wanted, 0))
