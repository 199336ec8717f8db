"""Products of quantised values with weights that have a scale for each block of steps run on integers: against ONNX's reference evaluator."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from support import module, nacre
from test_quantized_products import can_run

TYPES = {"int8": np.int8, "uint8": np.uint8, "int4": ml_dtypes.int4, "uint4": ml_dtypes.uint4}
FLOATS = {"float": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def integers(generator: np.random.Generator, type_: str, shape: tuple[int, ...]) -> np.ndarray:
    info = ml_dtypes.iinfo(TYPES[type_])
    return generator.integers(info.min, info.max + 1, shape).astype(TYPES[type_])


def build(
    rows: tuple[int | str, ...], k: int, n: int, block: int, weights: str, zeros: bool = False, transposed: bool = False,
    values: str = "uint8", middle: int | None = 131, float_: str = "float", scales: str = "", quantized: bool = False,
) -> ModelProto:  # fmt: skip
    """`scales`: the shape of those of the values, if not one for all."""
    generator = np.random.default_rng(21)
    shape, blocks = ((n, k), (n, -(-k // block))) if transposed else ((k, n), (-(-k // block), n))
    data = {"q": integers(generator, weights, shape), "s": generator.uniform(0.001, 0.01, blocks).astype(FLOATS[float_])}
    data |= {"zx": np.array(middle, TYPES[values])} if middle is not None else {}
    data |= {"zw": integers(generator, weights, blocks)} if zeros else {}
    outer = ", ".join(map(str, rows))
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
    m ({values}[{outer}, {k}] x, {float_}{scales} sx) => ({"uint8" if quantized else float_}[{outer}, {n}] y) {{
      xd = DequantizeLinear <axis = 0> (x, sx{", zx" if middle is not None else ""})
      wd = DequantizeLinear <axis = {int(transposed)}, block_size = {block}> (q, s{", zw" if zeros else ""})
      {"wt = Transpose <perm = [1, 0]> (wd)" if transposed else "wt = Identity (wd)"}
      {"f = MatMul (xd, wt)  y = QuantizeLinear (f, sy, zy)" if quantized else "y = MatMul (xd, wt)"}
    }}"""
    data |= {"sy": np.array(0.5, FLOATS[float_]), "zy": np.array(120, np.uint8)} if quantized else {}
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in data.items())
    return model


def check(model: ModelProto, sizes: list[tuple[int, ...]], target: str | None = None) -> None:
    """Against the product in f64 of what the reference dequantises: rounding grows with the magnitudes of what is
    summed. Of what is quantised, one unit."""
    generator = np.random.default_rng(22)
    compiled = module().compile(model, **({"target_cpu": target} if target else {}))
    reference = ReferenceEvaluator(model)
    x, sx = model.graph.input
    type_ = onnx.helper.tensor_dtype_to_np_dtype(x.type.tensor_type.elem_type)
    float_ = onnx.helper.tensor_dtype_to_np_dtype(sx.type.tensor_type.elem_type)
    for size in sizes:
        k = x.type.tensor_type.shape.dim[-1].dim_value
        info = np.iinfo(type_)
        scales = size[-1:] if sx.type.tensor_type.shape.dim else ()
        inputs = {
            "x": generator.integers(info.min, info.max + 1, (*size, k)).astype(type_),
            "sx": generator.uniform(0.01, 0.03, scales).astype(float_),
        }
        (wanted, xd, wt), (got,) = reference.run(["y", "xd", "wt"], inputs), compiled.run(inputs)
        assert got.shape == wanted.shape and got.dtype == wanted.dtype
        if got.dtype == np.uint8:
            assert np.abs(got.astype(int) - wanted.astype(int)).max(initial=0) <= 1
            assert wanted.size == 0 or np.ptp(wanted) > 20
            continue
        xd, wt = xd.astype(np.float64), wt.astype(np.float64)
        bound = 4 * float(ml_dtypes.finfo(float_).eps) * (np.abs(xd) @ np.abs(wt))
        assert (np.abs(got.astype(np.float64) - xd @ wt) <= bound).all()


def is_of_integers(model: ModelProto, path: Path, *options: str) -> bool:
    """Whether the model's one product is of bytes, in the kernel that sums blocks."""
    path.write_bytes(model.SerializeToString())
    text = nacre("compile", path, "--stop-after", "graph", *options).out
    products = [line for line in text.splitlines() if "nn.matmul" in line or "nn.contract" in line]
    assert len(products) == 1
    return "wide}" in products[0] and "xi32>" in products[0] and text.count("nn.reduce sum") >= 1


@pytest.mark.parametrize("block", [16, 32, 64, 128])
@pytest.mark.parametrize("weights", ["int8", "uint8", "int4", "uint4"])
@pytest.mark.parametrize("zeros", [False, True])
def test_blocks(tmp_path: Path, weights: str, zeros: bool, block: int) -> None:
    for rows, sizes in ((("m",), [(0,), (1,), (3,), (37,), (300,)]), ((37,), [(37,)]), ((1,), [(1,)])):
        model = build(rows, 384, 200, block, weights, zeros)
        assert is_of_integers(model, tmp_path / "m.onnx")
        check(model, sizes)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("values", "middle"), [("uint8", None), ("int8", None), ("int8", -7), ("uint8", 128)])
@pytest.mark.parametrize("rows", [(40,), ("m",), (2, 3, 20), ("b", 4, "m")])
def test_forms(tmp_path: Path, rows: tuple, values: str, middle: int | None, transposed: bool) -> None:
    """Both signs, any rank, transposed weights; and what is quantised behind is within one unit."""
    sizes = [rows] if "m" not in rows else [(1,), (65,)] if len(rows) == 1 else [(2, 4, 9), (1, 4, 0)]
    for quantized in (False, True):
        model = build(rows, 256, 72, 32, "int8", False, transposed, values, middle, quantized=quantized)
        assert is_of_integers(model, tmp_path / "m.onnx")
        check(model, sizes)


@pytest.mark.parametrize("float_", ["float16", "bfloat16"])
@pytest.mark.parametrize("weights", ["int8", "uint4"])
def test_narrow_scales(tmp_path: Path, weights: str, float_: str) -> None:
    """The sums are rounded once, at the end: as near to the exact result as the reference's roundings let it be."""
    model = build(("m",), 256, 80, 32, weights, False, float_=float_)
    assert is_of_integers(model, tmp_path / "m.onnx")
    check(model, [(1,), (50,)])


@pytest.mark.parametrize("rows", [33, "m"])
def test_scale_of_rows(rows: int | str) -> None:
    check(build((rows,), 256, 80, 32, "int8", False, scales=f"[{rows}]", middle=None), [(33,)])


@pytest.mark.parametrize("block", [32, 48])
def test_last_block_is_shorter(block: int) -> None:
    """The standard allows it."""
    check(build(("m",), 200, 72, block, "int8", True), [(1,), (70,)])


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "alderlake", "icelake-server"])
@pytest.mark.parametrize(("weights", "zeros"), [("int8", False), ("uint8", True), ("uint4", True)])
def test_on_other_cpus(tmp_path: Path, target: str, weights: str, zeros: bool) -> None:
    if not can_run(target):
        pytest.skip(f"this CPU does not run code for {target}")
    for rows, sizes in (((70,), [(70,)]), (("m",), [(1,), (5,), (129,)])):
        for values in ("uint8", "int8"):
            model = build(rows, 256, 200, 64, weights, zeros, values=values, middle=5)
            assert is_of_integers(model, tmp_path / "m.onnx", f"--target-cpu={target}")
            check(model, sizes, target)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("weights", "zeros"), [("int8", False), ("uint8", True), ("int4", False)])
@pytest.mark.parametrize("places", [(7, 9), ("h", "w"), (33,)])
def test_convolutions_of_one_place(tmp_path: Path, places: tuple, weights: str, zeros: bool, bias: bool) -> None:
    """Each place's channels are multiplied in blocks, whatever the number of dimensions."""
    generator, ones = np.random.default_rng(23), (1,) * len(places)
    channels, outputs, block = 128, 72, 32
    blocks = (outputs, channels // block, *ones)
    data = {"q": integers(generator, weights, (outputs, channels, *ones)), "s": generator.uniform(0.001, 0.01, blocks).astype(np.float32)}
    data |= {"zw": integers(generator, weights, blocks)} if zeros else {}
    data |= {"bias": generator.normal(size=outputs).astype(np.float32)} if bias else {}
    data |= {"sx": np.array(0.02, np.float32), "zx": np.array(131, np.uint8)}
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
    m (uint8[N, {channels}, {", ".join(map(str, places))}] x) => (float[N, {outputs}, {", ".join(map(str, places))}] y) {{
      xd = DequantizeLinear (x, sx, zx)
      wd = DequantizeLinear <axis = 1, block_size = {block}> (q, s{", zw" if zeros else ""})
      y = Conv (xd, wd{", bias" if bias else ""})
    }}""")
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in data.items())
    assert is_of_integers(model, tmp_path / "m.onnx")
    compiled = module().compile(model)
    for size in ((1,), (3,)):
        x = generator.integers(0, 256, (*size, channels, *(p if isinstance(p, int) else 5 + i for i, p in enumerate(places)))).astype(np.uint8)
        xd, wd = (value.astype(np.float64) for value in ReferenceEvaluator(model).run(["xd", "wd"], {"x": x}))
        matrix, flat = wd.reshape(outputs, channels), xd.reshape(*size, channels, -1)
        wanted = matrix @ flat + data.get("bias", np.zeros(outputs))[:, None]
        got = compiled(x)
        assert got.shape == (*size, outputs, *x.shape[2:])
        bound = 4 * np.finfo(np.float32).eps * (np.abs(matrix) @ np.abs(flat) + 4)
        assert (np.abs(got.reshape(wanted.shape) - wanted) <= bound).all()


def test_sums_of_blocks_stay_in_tiles(tmp_path: Path) -> None:
    """Those of all blocks would take 128 times the result: 128 MiB. The run takes little more than inputs and weights."""
    path, program = tmp_path / "m.onnx", tmp_path / "m.so"
    path.write_bytes(build(("m",), 4096, 512, 32, "int8").SerializeToString())
    nacre("compile", path, "-o", program)
    np.save(tmp_path / "sx.npy", np.float32(0.02))
    peaks = {}
    for rows in (1, 512):
        np.save(tmp_path / "x.npy", np.zeros((rows, 4096), np.uint8))
        arrays = [f"--input={name}={tmp_path / name}.npy" for name in ("x", "sx")]
        peaks[rows] = nacre("run", program, *arrays, "--output-dir", tmp_path).peak_bytes
    assert peaks[512] - peaks[1] < 32 << 20
