"""Products of 8-bit integers, from integer operators and from QuantizeLinear and DequantizeLinear around floats."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from support import module, nacre

TYPES = {"uint8": np.uint8, "int8": np.int8}


def integers(generator: np.random.Generator, type_: str, shape: tuple[int, ...]) -> np.ndarray:
    info = np.iinfo(TYPES[type_])
    return generator.integers(info.min, info.max + 1, shape).astype(TYPES[type_])


def build(text: str, constants: dict[str, np.ndarray]) -> ModelProto:
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


# Rows, steps, columns: a tile has 16 rows, 64 steps, 16 columns.
SIZES = [(64, 128, 32), (33, 100, 70), (7, 66, 17), (1, 64, 40), (20, 5000, 130), (50, 3, 9), (17, 67, 1000), (0, 8, 16),
         (3, 8, 1), (5, 8, 2), (2, 16, 1), (1, 24, 3), (1, 15, 18), (20, 62, 33)]

# Forms in which the right side is known; of one, how long the left side's rows are is not.
CONSTANT = ("constant", "open steps")


def sizes_of(form: str, m: int, k: int, n: int) -> tuple[int | str, ...]:
    return {"dynamic": ("m", "k", "n"), "open steps": (m, "k", n)}.get(form, (m, k, n))


@pytest.mark.parametrize("types", [("uint8", "int8"), ("int8", "uint8"), ("uint8", "uint8"), ("int8", "int8")])
@pytest.mark.parametrize("form", ["static", "dynamic", "constant", "open steps"])
@pytest.mark.parametrize("zeros", ["none", "scalars", "vectors"])
def test_matmul_integer(types: tuple[str, str], form: str, zeros: str) -> None:
    generator = np.random.default_rng(11)
    for m, k, n in SIZES:
        a, b = integers(generator, types[0], (m, k)), integers(generator, types[1], (k, n))
        size = {"none": ((0,), (0,)), "scalars": ((), ()), "vectors": ((m,), (n,))}[zeros]
        za, zb = (integers(generator, type_, shape) for type_, shape in zip(types, size))
        s = sizes_of(form, m, k, n)
        shape_of = lambda x, dims: f"[{', '.join(map(str, dims))}]" if x.ndim else ""  # noqa: E731
        inputs = [f"{types[0]}[{s[0]}, {s[1]}] a"] + ([] if form in CONSTANT else [f"{types[1]}[{s[1]}, {s[2]}] b"])
        operands = "a, b" if zeros == "none" else "a, b, za, zb"
        if zeros != "none":
            inputs += [f"{types[0]}{shape_of(za, s[:1])} za", f"{types[1]}{shape_of(zb, s[2:])} zb"]
        text = f"""<ir_version: 10, opset_import: ["" : 21]>
        m ({", ".join(inputs)}) => (int32[{s[0]}, {s[2]}] y) {{ y = MatMulInteger ({operands}) }}"""
        program = module().compile(build(text, {"b": b} if form in CONSTANT else {}))
        values = {"a": a, "b": b, "za": za, "zb": zb}
        (got,) = program.run({i.name: values[i.name] for i in program.inputs})
        left, right = a.astype(np.int64), b.astype(np.int64)
        if zeros != "none":
            left, right = left - (za[:, None] if za.ndim else za).astype(np.int64), right - zb.astype(np.int64)
        np.testing.assert_array_equal(got, left @ right)


def can_run(target: str) -> bool:
    """Whether this CPU has what LLVM's CPU of that name needs."""
    flags = Path("/proc/cpuinfo").read_text().split()
    needed = {"x86-64-v2": ["sse4_2"], "x86-64-v3": ["avx2", "fma"], "x86-64-v4": ["avx512bw", "avx512vl"],
              "alderlake": ["avx_vnni", "gfni", "vaes", "sha_ni", "vpclmulqdq", "movbe"], "icelake-server": ["avx512f", "avx512_vnni", "avx512vbmi", "sha_ni", "vpclmulqdq"]}
    return all(flag in flags for flag in needed[target])


@pytest.mark.parametrize(
    ("target", "form"),
    [("x86-64-v3", "static"), ("x86-64-v3", "dynamic"), ("icelake-server", "static"), ("icelake-server", "dynamic"),
     ("icelake-server", "open steps"), ("x86-64-v3", "open steps"),
     *((target, "constant") for target in ("x86-64-v2", "x86-64-v3", "x86-64-v4", "alderlake", "icelake-server"))],
)  # fmt: skip
@pytest.mark.parametrize("types", [("uint8", "int8"), ("int8", "uint8"), ("uint8", "uint8"), ("int8", "int8")])
def test_on_other_cpus(target: str, types: tuple[str, str], form: str) -> None:
    """Four products at once (VNNI), or two as i16. Rows of the least and of the greatest values are among them."""
    if not can_run(target):
        pytest.skip(f"this CPU does not run code for {target}")
    generator = np.random.default_rng(15)
    for m, k, n in SIZES:
        a, b = integers(generator, types[0], (m, k)), integers(generator, types[1], (k, n))
        for i, extreme in enumerate(("min", "max")):
            a[i : i + 1], b[:, i : i + 1] = (getattr(np.iinfo(TYPES[type_]), extreme) for type_ in types)
        s = sizes_of(form, m, k, n)
        right = "" if form in CONSTANT else f", {types[1]}[{s[1]}, {s[2]}] b"
        text = f"""<ir_version: 10, opset_import: ["" : 21]>
        m ({types[0]}[{s[0]}, {s[1]}] a{right}) => (int32[{s[0]}, {s[2]}] y) {{ y = MatMulInteger (a, b) }}"""
        program = module().compile(build(text, {"b": b} if form in CONSTANT else {}), target_cpu=target)
        (got,) = program.run({"a": a} if form in CONSTANT else {"a": a, "b": b})
        np.testing.assert_array_equal(got, a.astype(np.int64) @ b.astype(np.int64))


@pytest.mark.parametrize("form", ["static", "dynamic", "weights"])
@pytest.mark.parametrize(
    "case",
    [  # batch, channels, image, features, kernel, stride, pad, groups
        (1, 3, 20, 32, 7, 2, 3, 1), (2, 64, 14, 48, 3, 1, 1, 1), (1, 130, 7, 40, 1, 1, 0, 1), (3, 32, 9, 32, 3, 2, 1, 2),
        (1, 16, 12, 16, 3, 1, 1, 16),
    ],
)  # fmt: skip
@pytest.mark.parametrize("type_", ["uint8", "int8"])
def test_conv_integer(case: tuple[int, ...], form: str, type_: str) -> None:
    batch, channels, image, features, kernel, stride, pad, groups = case
    generator = np.random.default_rng(12)
    x = integers(generator, type_, (batch, channels, image, image))
    w = integers(generator, "int8", (features, channels // groups, kernel, kernel))
    zero = np.array(37, TYPES[type_])
    size = ("n", channels, "h", "w") if form == "dynamic" else x.shape
    weights = ", ".join(map(str, w.shape))
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
    m ({type_}[{", ".join(map(str, size))}] x{f", int8[{weights}] w" if form == "weights" else ""}) => (int32[n, {features}, oh, ow] y) {{
      y = ConvInteger <strides = [{stride}, {stride}], pads = [{pad}, {pad}, {pad}, {pad}], group = {groups}> (x, w, zero)
    }}"""
    constants = {"zero": zero} | ({} if form == "weights" else {"w": w})
    (got,) = module().compile(build(text, constants)).run({"x": x} | ({"w": w} if form == "weights" else {}))
    exact = torch.nn.functional.conv2d(
        torch.from_numpy(x.astype(np.float64) - 37), torch.from_numpy(w.astype(np.float64)), stride=stride, padding=pad, groups=groups
    )
    np.testing.assert_array_equal(got, exact.numpy().astype(np.int64))


def quantized_network(batch: int | str, activations: str, zero: int, weights: str = "int8") -> tuple[ModelProto, dict[str, np.ndarray]]:
    """Convolution with bias, a residual sum, a pool, and a classifier with a transposed weight: as exporters write QDQ."""
    generator = np.random.default_rng(13)
    scales = {"sx": 0.02, "s1": 0.03, "s2": 0.05, "s3": 0.04}
    constants = {name: np.float32(value) for name, value in scales.items()}
    middle = 0 if weights == "int8" else 128
    constants |= {"z": np.array(zero, TYPES[activations]), "z8": np.full(32, middle, weights), "zh": np.array(middle, weights)}
    for name, shape in (("w1", (32, 3, 3, 3)), ("w2", (32, 32, 3, 3)), ("wh", (10, 32))):
        constants[name] = (generator.integers(-127, 128, shape) + middle).astype(weights)
    constants |= {"sw1": generator.uniform(0.001, 0.004, 32).astype(np.float32), "sw2": generator.uniform(0.0005, 0.002, 32).astype(np.float32)}
    constants |= {"swh": np.float32(0.01), "b1": generator.standard_normal(32).astype(np.float32), "bh": generator.standard_normal(10).astype(np.float32)}
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
    m (float[{batch}, 3, 12, 12] x) => (float[{batch}, 10] y) {{
      xq = QuantizeLinear (x, sx, z)
      xd = DequantizeLinear (xq, sx, z)
      w1d = DequantizeLinear <axis = 0> (w1, sw1, z8)
      c1 = Conv <pads = [1, 1, 1, 1]> (xd, w1d, b1)
      r1 = Relu (c1)
      q1 = QuantizeLinear (r1, s1, z)
      d1 = DequantizeLinear (q1, s1, z)
      w2d = DequantizeLinear <axis = 0> (w2, sw2, z8)
      c2 = Conv <pads = [1, 1, 1, 1]> (d1, w2d)
      q2 = QuantizeLinear (c2, s2, z)
      d2 = DequantizeLinear (q2, s2, z)
      a = Add (d1, d2)
      g = GlobalAveragePool (a)
      f = Flatten (g)
      q3 = QuantizeLinear (f, s3, z)
      d3 = DequantizeLinear (q3, s3, z)
      whd = DequantizeLinear (wh, swh, zh)
      y = Gemm <transB = 1> (d3, whd, bh)
    }}"""
    return build(text, constants), {"x": generator.standard_normal((2, 3, 12, 12)).astype(np.float32)}


@pytest.mark.parametrize("batch", [2, "n"])
@pytest.mark.parametrize("weights", ["int8", "uint8"])
@pytest.mark.parametrize(("activations", "zero"), [("uint8", 128), ("uint8", 0), ("int8", 0), ("int8", -5)])
def test_network(batch: int | str, weights: str, activations: str, zero: int) -> None:
    model, inputs = quantized_network(batch, activations, zero, weights)
    (wanted,) = ReferenceEvaluator(model).run(None, inputs)
    (got,) = module().compile(model).run(inputs)
    # One unit of what the classifier reads, at most, in a few of 32 elements; each counts 127 * 0.01 * 0.04.
    assert np.abs(got - wanted).max() < 3 * 127 * 0.01 * 0.04
    assert np.abs(got - wanted).mean() < 0.03


@pytest.mark.parametrize("weights", ["int8", "uint8"])
@pytest.mark.parametrize(("activations", "zero"), [("uint8", 128), ("int8", -5)])
def test_products_are_of_integers(tmp_path: Path, weights: str, activations: str, zero: int) -> None:
    """No product of floats is left in the network; where the CPU multiplies unsigned by signed bytes they are such."""
    model, _ = quantized_network(2, activations, zero, weights)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    graph = nacre("compile", path, "--stop-after", "graph", "--target-cpu=icelake-server").out
    products = [line for line in graph.splitlines() if "nn.conv " in line or "nn.matmul " in line]
    assert len(products) == 3
    assert all("xi32>" in line and "xui8>" in line and "xi8>" in line for line in products)


@pytest.mark.parametrize("type_", [TensorProto.UINT8, TensorProto.INT8])
def test_qlinear(type_: int) -> None:
    """Within one unit of the reference."""
    generator = np.random.default_rng(14)
    name = {TensorProto.UINT8: "uint8", TensorProto.INT8: "int8"}[type_]
    x, w = integers(generator, name, (1, 16, 9, 9)), integers(generator, "int8", (24, 16, 3, 3))
    constants = {"w": w, "sx": np.float32(0.02), "zx": np.array(3, TYPES[name]), "sw": generator.uniform(0.001, 0.01, 24).astype(np.float32),
                 "zw": np.zeros(24, np.int8), "sy": np.float32(0.1), "zy": np.array(7, TYPES[name]), "b": generator.integers(-500, 500, 24).astype(np.int32)}  # fmt: skip
    node = helper.make_node("QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", type_, x.shape)], [helper.make_tensor_value_info("y", type_, (1, 24, 9, 9))],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (got,) = module().compile(model).run([x])
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    assert got.dtype == wanted.dtype
    assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize("scale", ["float16", "bfloat16"])
@pytest.mark.parametrize("rows", [8, "m"])
def test_sums_beyond_narrow_scales(scale: str, rows: int | str) -> None:
    """The sums of integers are larger than what f16 holds, scaled they are not."""
    dtype = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[scale]
    a, w = np.full((8, 768), 127, np.int8), np.full((768, 16), 100, np.int8)
    s, t = np.array(0.01, dtype), np.array(0.001, dtype)
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
    m (int8[{rows}, 768] a) => ({scale}[{rows}, 16] y) {{
      x = DequantizeLinear (a, s)
      v = DequantizeLinear (w, t)
      y = MatMul (x, v)
    }}"""
    (got,) = module().compile(build(text, {"w": w, "s": s, "t": t})).run([a])
    exact = 768 * 127 * 100 * float(s) * float(t)
    np.testing.assert_allclose(got.astype(np.float64), np.full((8, 16), exact), rtol=2**-7)


@pytest.mark.parametrize(("type_", "zero"), [("uint8", 0), ("uint8", 131), ("int8", 0), ("int8", -7), ("uint16", 500), (None, None)])
def test_rounding_is_exact(type_: str | None, zero: int | None) -> None:
    """Scales are constants, whose quotients are computed by other operations: near each tie, at the ends, beyond, and of NaN."""
    generator = np.random.default_rng(3)
    info = np.iinfo(type_ or "uint8")
    for scale in np.float32([1, 0.25, 0.1, 1 / 3, 0.0134735955, 57.3, *np.exp(generator.uniform(-12, 12, 6))]):
        ties = (np.arange(info.min - info.max - 1, info.max + 2, 1 if info.bits == 8 else 97) + 0.5) * np.float64(scale)
        near = ties.astype(np.float32)
        rows = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
        rows.append(np.float32([0, -0.0, np.inf, -np.inf, 3e38, -3e38, 1e-40, *generator.standard_normal(1000) * 100 * scale]))
        x = np.append(np.concatenate(rows), np.float32(np.nan))
        constants: dict[str, object] = {"s": scale} | ({} if type_ is None else {"z": np.array(zero, type_)})
        zeros = "" if type_ is None else ", z"
        text = f"""<ir_version: 10, opset_import: ["" : 21]> m (float[{x.size}] x) => ({type_ or "uint8"}[{x.size}] q, float[{x.size}] y) {{
          q = QuantizeLinear (x, s{zeros})
          d = QuantizeLinear (x, s{zeros})
          y = DequantizeLinear (d, s{zeros})
        }}"""
        q, y = module().compile(build(text, constants)).run({"x": x})
        with np.errstate(over="ignore"):
            wanted = np.clip(np.rint(x[:-1] / scale) + (zero or 0), info.min, info.max)
        np.testing.assert_array_equal(q[:-1], wanted.astype(info.dtype))
        numbers = wanted.astype(np.int32) - np.int32(zero or 0)
        np.testing.assert_array_equal(y[:-1], numbers.astype(np.float32) * scale)
        assert q[-1] == 0
        assert y[-1] == np.float32(-(zero or 0)) * scale
        assert not np.signbit(y[:-1][numbers == 0]).any()
