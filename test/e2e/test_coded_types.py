"""Integers below a byte and floats of at most 8 bits: casts against ml_dtypes, bit by bit,
packed initializers, quantisation against onnx's reference, and the ways in and out.
"""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from support import module, nacre

FLOATS6 = (TensorProto.FLOAT6E2M3, TensorProto.FLOAT6E3M2)  # which ONNX has in casts and quantisation alone
FLOATS = {
    TensorProto.FLOAT8E4M3FN: ml_dtypes.float8_e4m3fn,
    TensorProto.FLOAT8E4M3FNUZ: ml_dtypes.float8_e4m3fnuz,
    TensorProto.FLOAT8E5M2: ml_dtypes.float8_e5m2,
    TensorProto.FLOAT8E5M2FNUZ: ml_dtypes.float8_e5m2fnuz,
    TensorProto.FLOAT8E8M0: ml_dtypes.float8_e8m0fnu,
    TensorProto.FLOAT6E2M3: ml_dtypes.float6_e2m3fn,
    TensorProto.FLOAT6E3M2: ml_dtypes.float6_e3m2fn,
    TensorProto.FLOAT4E2M1: ml_dtypes.float4_e2m1fn,
}
INTS = {
    TensorProto.INT4: ml_dtypes.int4,
    TensorProto.UINT4: ml_dtypes.uint4,
    TensorProto.INT2: ml_dtypes.int2,
    TensorProto.UINT2: ml_dtypes.uint2,
}
NARROW = FLOATS | INTS
WIDE = {
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
    TensorProto.BFLOAT16: ml_dtypes.bfloat16,
    TensorProto.DOUBLE: np.float64,
}
name_of = TensorProto.DataType.Name
E8M0 = TensorProto.FLOAT8E8M0
SIGNED_FLOATS = [t for t in FLOATS if t != E8M0]


def bits_of(dtype: type) -> int:
    return (ml_dtypes.finfo if dtype in FLOATS.values() else ml_dtypes.iinfo)(dtype).bits


def all_codes(onnx_type: int) -> np.ndarray:
    dtype = NARROW[onnx_type]
    if onnx_type in INTS:
        info = ml_dtypes.iinfo(dtype)
        return np.arange(int(info.min), int(info.max) + 1).astype(dtype)
    return np.arange(2 ** bits_of(dtype), dtype=np.uint8).view(dtype)


def has_nan(onnx_type: int) -> bool:
    return bool(np.isnan(all_codes(onnx_type).astype(np.float32)).any())


def codes(array: np.ndarray) -> np.ndarray:
    """Bits, with one NaN for all; integers as they are (ml_dtypes leaves bits above them open)."""
    if array.dtype.itemsize != 1:
        return array
    if array.dtype in [np.dtype(t) for t in INTS.values()]:
        return array.astype(np.int64)
    result = array.view(np.uint8).copy()
    if array.dtype in [np.dtype(t) for t in FLOATS.values()]:
        result[np.isnan(array.astype(np.float32))] = 0x7F
    return result


def make_model(nodes: list[onnx.NodeProto], inputs: list, outputs: list, initializers: list = ()) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "narrow", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)], ir_version=13)


def info(name: str, onnx_type: int, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx_type, shape)


def cast(x: np.ndarray, source: int, target: int, folded: bool = False, **attributes: object) -> np.ndarray:
    """What a Cast gives at run time, or at compile time."""
    node = helper.make_node("Cast", ["x"], ["y"], to=target, **attributes)
    inputs, weights = [info("x", source, ["N"])], []
    if folded:
        inputs, weights = [info("n", 1, [1])], [numpy_helper.from_array(x, "x")]
    model = make_model([node], inputs, [info("y", target, ["N"])], weights)
    program = module().compile(model.SerializeToString())
    return program(np.zeros(1, np.float32) if folded else x)


def interesting(onnx_type: int, wide: type) -> np.ndarray:
    """All numbers of a type, what lies in the middle of two and beside it, and what overflows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numbers = all_codes(onnx_type).astype(np.float64)
        numbers = np.unique(numbers[np.isfinite(numbers)])
        middles = (numbers[1:] + numbers[:-1]) / 2
        most = np.abs(numbers).max()
        points = np.concatenate([numbers, middles, most * np.array([1.01, 1.0625, 1.125, 1.25, 1.5, 2, -1.0625, -1.25, -2])])
        points = points.astype(wide).astype(np.float64)
        near = [np.nextafter(points.astype(t), t(s * np.inf)) for t in (np.float32, wide) for s in (1, -1) if t != ml_dtypes.bfloat16]
        rng = np.random.default_rng(0)
        random = rng.normal(size=4000) * 2.0 ** rng.integers(-20, 20, 4000)
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 1e-40, 3e38, -3e38, 1e300])
        return np.concatenate([np.asarray(a, np.float64) for a in (points, *near, random, special)]).astype(wide)


def round_doubles(x: np.ndarray, onnx_type: int, saturate: bool) -> np.ndarray:
    """By the distance to each number: ml_dtypes rounds doubles twice, by way of float32."""
    every = all_codes(onnx_type)
    numbers = every.astype(np.float64)
    positive = np.flatnonzero((numbers >= 0) & np.isfinite(numbers) & ~np.signbit(numbers))
    numbers = numbers[positive]  # rising, as codes are
    middles = (numbers[1:] + numbers[:-1]) / 2
    above = np.searchsorted(middles, np.abs(x), side="left")
    tie = (above < len(middles)) & (middles[np.minimum(above, len(middles) - 1)] == np.abs(x))
    result = every[positive[above + (tie & (above % 2 == 1))]].astype(np.float32)
    step = numbers[-1] - numbers[-2]
    if not saturate:
        over = np.abs(x) >= numbers[-1] + step / 2  # a tie goes up: the largest is odd, or has no successor
        top_is_even = every[positive[-1]].view(np.uint8) % 2 == 0
        over &= ~((np.abs(x) == numbers[-1] + step / 2) & top_is_even)
        result[over] = np.inf  # or what stands for it
    return np.where(np.isnan(x), np.nan, np.copysign(result, x)).astype(np.float32).astype(FLOATS[onnx_type])


def convert(x: np.ndarray, onnx_type: int, saturate: bool) -> np.ndarray:
    """ml_dtypes' conversion, after onnx's saturation."""
    dtype = FLOATS[onnx_type]
    saturate = saturate or bits_of(dtype) < 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if x.dtype == np.float64:
            return round_doubles(x, onnx_type, saturate)
        if saturate:
            most = np.array(ml_dtypes.finfo(dtype).max, dtype).astype(np.float32)
            x = np.where(np.abs(x.astype(np.float32)) > most, np.copysign(most, x.astype(np.float32)).astype(x.dtype), x)
        return x.astype(dtype)


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("source", WIDE, ids=name_of)
@pytest.mark.parametrize("target", SIGNED_FLOATS, ids=name_of)
def test_floats_are_rounded_once(target: int, source: int, saturate: bool) -> None:
    x = interesting(target, WIDE[source])
    if not has_nan(target):
        assert (cast(np.array([np.nan, -np.nan], x.dtype), source, target).astype(np.float32) == 0).all()
        x = x[~np.isnan(x.astype(np.float32))]
    got = cast(x, source, target, saturate=int(saturate))
    want = convert(x, target, saturate)
    assert got.dtype == want.dtype
    wrong = np.flatnonzero(codes(got) != codes(want))
    assert not wrong.size, [(x[i], got[i], want[i]) for i in wrong[:10]]
    part = np.concatenate([x[:500], x[-12:]])
    np.testing.assert_array_equal(codes(cast(part, source, target, True, saturate=int(saturate))), codes(convert(part, target, saturate)))


@pytest.mark.parametrize("target", [*WIDE, TensorProto.INT8, TensorProto.INT32, TensorProto.UINT8, TensorProto.BOOL, *NARROW], ids=name_of)
@pytest.mark.parametrize("source", NARROW, ids=name_of)
def test_every_code_becomes_its_number(source: int, target: int) -> None:
    x = all_codes(source)
    dtype = helper.tensor_dtype_to_np_dtype(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        number = x.astype(np.float32)
        if target in FLOATS:
            # What is not specified, or not the same everywhere: test_powers_of_two has it.
            good = (number > 2.0**-127) & np.isfinite(number) if target == E8M0 else np.isfinite(number) | has_nan(target)
            x, number = x[good], number[good]
        if target in (*INTS, TensorProto.INT8, TensorProto.INT32, TensorProto.UINT8):  # others are undefined
            least, most = (np.iinfo if np.dtype(dtype).isbuiltin == 1 else ml_dtypes.iinfo)(dtype).min, None
            most = (np.iinfo if np.dtype(dtype).isbuiltin == 1 else ml_dtypes.iinfo)(dtype).max
            good = (number > float(int(least)) - 1) & (number < float(int(most)) + 1)
            x, number = x[good], number[good]
            want = np.trunc(number).astype(np.int64).astype(dtype)
        elif target == E8M0:
            want = numpy_helper.to_float8e8m0(number, True, "up").astype(dtype)
        elif target == TensorProto.BOOL:
            want = number != 0
        elif target in FLOATS:
            want = convert(number, target, True)
        else:
            want = number.astype(dtype)
    for folded in (False, True):
        got = cast(x, source, target, folded)
        assert got.dtype == want.dtype
        if want.dtype.itemsize == 1:
            np.testing.assert_array_equal(codes(got), codes(want))
        else:
            np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))
            finite = ~np.isnan(number)
            assert np.array_equal(np.signbit(got.astype(np.float64))[finite], np.signbit(want.astype(np.float64))[finite])


@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_powers_of_two(mode: str) -> None:
    """In the range of normal numbers as onnx's reference has it, around it as its table."""
    rng = np.random.default_rng(1)
    x = np.abs(rng.normal(size=4000) * 2.0 ** rng.integers(-120, 120, 4000)).astype(np.float32)
    powers = (2.0 ** np.arange(-126, 128)).astype(np.float32)
    x = np.concatenate([x, powers, powers * np.float32(1.5), np.nextafter(powers, np.float32(0)), np.nextafter(powers, np.float32(np.inf))])
    x = x[(x >= 2.0**-126) & np.isfinite(x)]
    for saturate in (True, False):
        want = numpy_helper.to_float8e8m0(x, saturate, mode).view(np.uint8)
        for folded in (False, True):
            some = x[-512:] if folded else x
            got = cast(some, TensorProto.FLOAT, E8M0, folded, saturate=int(saturate), round_mode=mode)
            np.testing.assert_array_equal(got.view(np.uint8), want[-len(some) :])
    # From 0 to what 2^-126 is next.
    small = np.array([0, 2.0**-149, 0.74 * 2.0**-127, 0.76 * 2.0**-127, 2.0**-127, 1.25 * 2.0**-127, 1.5 * 2.0**-127, np.inf, np.nan], np.float32)
    saturated = {"up": [0, 0, 0, 0, 0, 1, 1], "down": [0] * 7, "nearest": [0, 0, 0, 0, 0, 0, 1]}[mode]
    exact = {"up": [255, 0, 0, 0, 0, 1, 1], "down": [255] * 4 + [0] * 3, "nearest": [255] * 3 + [0, 0, 0, 1]}[mode]
    for saturate, want in ((1, [*saturated, 254, 255]), (0, [*exact, 255, 255])):
        got = cast(small, TensorProto.FLOAT, E8M0, saturate=saturate, round_mode=mode)
        assert got.view(np.uint8).tolist() == want
    # No rounding on the way from wider types.
    large = np.array([2**24 + 1, 2**52 + 1], np.int64)
    expected = [127 + 24, 127 + 52] if mode != "up" else [127 + 25, 127 + 53]
    assert cast(large, TensorProto.INT64, E8M0, round_mode=mode).view(np.uint8).tolist() == expected
    assert cast(large.astype(np.float64), TensorProto.DOUBLE, E8M0, round_mode=mode).view(np.uint8).tolist() == expected


@pytest.mark.parametrize("source", [TensorProto.INT64, TensorProto.INT8, TensorProto.UINT8, TensorProto.BOOL], ids=name_of)
@pytest.mark.parametrize("target", NARROW, ids=name_of)
def test_integers_become_narrow(target: int, source: int) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(source)
    x = np.arange(2 if source == TensorProto.BOOL else 200).astype(dtype)
    if dtype == np.int64:
        x = np.concatenate([x, -x, np.array([2**40, -(2**40), 2**62, 65504, 57344, 61440, 448, 464, 465, 15, 16, 7, 8, -8, -9])])
    if target in INTS:
        bits = bits_of(NARROW[target])
        low = x.astype(np.int64) & ((1 << bits) - 1)
        signed = np.where(low >> (bits - 1), low - (1 << bits), low)
        want = (signed if target in (TensorProto.INT4, TensorProto.INT2) else low).astype(NARROW[target])
    elif target == E8M0:
        x = x[x > 0]
        want = numpy_helper.to_float8e8m0(x, True, "up")
    else:
        want = convert(x.astype(np.float64), target, True)
    np.testing.assert_array_equal(codes(cast(x, source, target)), codes(want))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 300, 301, 1025])
@pytest.mark.parametrize("onnx_type", NARROW, ids=name_of)
def test_packed_initializers(onnx_type: int, count: int) -> None:
    """Raw and typed, small and large, of odd sizes too; as they are and as numbers."""
    every = all_codes(onnx_type)
    array = np.resize(every, count) if count else every[:0]
    raw = numpy_helper.from_array(array, "w")
    typed = onnx.TensorProto(name="w", data_type=onnx_type, dims=[count])
    if bits_of(NARROW[onnx_type]) == 6:
        typed.int32_data.extend(int(v) for v in array.view(np.uint8))
    else:
        typed.int32_data.extend(raw.raw_data)
    for tensor in (raw, typed):
        np.testing.assert_array_equal(codes(numpy_helper.to_array(tensor)), codes(array))
        moves = [("Cast", ["w"], {"to": onnx_type})] * 2
        if onnx_type not in FLOATS6:
            moves = [("Identity", ["w"], {}), ("Reshape", ["w", "shape"], {})]
        nodes = [
            *(helper.make_node(op, inputs, [name], **more) for (op, inputs, more), name in zip(moves, ("same", "back"))),
            helper.make_node("Cast", ["w"], ["numbers"], to=TensorProto.FLOAT),
        ]
        model = make_model(
            nodes,
            [info("shape", TensorProto.INT64, [1])],
            [info("same", onnx_type, [count]), info("back", onnx_type, ["M"]), info("numbers", TensorProto.FLOAT, [count])],
            [tensor],
        )
        same, back, numbers = module().compile(model.SerializeToString())(np.array([count]))
        np.testing.assert_array_equal(codes(same), codes(array))
        np.testing.assert_array_equal(codes(back), codes(array))
        np.testing.assert_array_equal(numbers, array.astype(np.float32))


@pytest.mark.parametrize("field", ["raw_data", "int32_data"])
@pytest.mark.parametrize("onnx_type", NARROW, ids=name_of)
def test_initializers_of_another_size_are_refused(onnx_type: int, field: str) -> None:
    for off in (-1, 1):
        tensor = numpy_helper.from_array(np.resize(all_codes(onnx_type), 5), "w")
        data = tensor.raw_data
        data = data[:off] if off < 0 else data + b"\0"
        if field == "raw_data":
            tensor.raw_data = data
        else:
            tensor.ClearField("raw_data")
            count = 5 + off if bits_of(NARROW[onnx_type]) == 6 else len(data)
            tensor.int32_data.extend([1] * count)
        model = make_model([helper.make_node("Cast", ["w"], ["y"], to=1)], [], [info("y", 1, [5])], [tensor])
        with pytest.raises(module().CompileError, match="its data has . bytes, its type needs .|element . of its data"):
            module().compile(model.SerializeToString())


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3, 5), (4, 33)])
@pytest.mark.parametrize("onnx_type", [t for t in NARROW if t not in FLOATS6], ids=name_of)
def test_elements_are_moved(onnx_type: int, shape: tuple[int, int]) -> None:
    """With sizes that are known at run time alone, against NumPy."""
    rng = np.random.default_rng(2)
    x = rng.choice(all_codes(onnx_type), shape)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("Pad", ["x", "pads"], ["p"]),
        helper.make_node("Flatten", ["x"], ["f"], axis=0),
        helper.make_node("Unsqueeze", ["x", "axes"], ["u"]),
        helper.make_node("Size", ["x"], ["s"]),
    ]
    weights = [numpy_helper.from_array(np.array([1, 0, 0, 2]), "pads"), numpy_helper.from_array(np.array([1]), "axes")]
    model = make_model(
        nodes,
        [info("x", onnx_type, ["A", "B"])],
        [info("t", onnx_type, ["B", "A"]), info("p", onnx_type, ["C", "D"]), info("f", onnx_type, [1, "E"]),
         info("u", onnx_type, ["A", 1, "B"]), info("s", TensorProto.INT64, [])],
        weights,
    )
    t, p, f, u, s = module().compile(model.SerializeToString())(x)
    bits = codes(x)
    for got, want in ((t, bits.T), (p, np.pad(bits, [(1, 0), (0, 2)])), (f, bits.reshape(1, -1)), (u, bits[:, None])):
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(codes(got), want)
    assert s == x.size


@pytest.mark.parametrize("block", [0, 3])
@pytest.mark.parametrize("onnx_type", [t for t in NARROW if t != E8M0], ids=name_of)
def test_quantisation_against_the_reference(onnx_type: int, block: int) -> None:
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(4, 8)) * 20).astype(np.float32)
    x[0, 0], x[1, 1] = 1e6, -1e6
    scale = np.full((4, 3) if block else (4,), 0.5, np.float32) * 2.0 ** rng.integers(-1, 2, (4, 3) if block else 4).astype(np.float32)
    attributes = {"axis": 1 if block else 0, **({"block_size": block} if block else {})}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale"], ["q"], output_dtype=onnx_type, **attributes),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["y"], **attributes),
    ]
    inputs = [info("x", 1, ["A", "B"]), info("scale", 1, ["A", "C"] if block else ["A"])]
    model = make_model(nodes, inputs, [info("q", onnx_type, ["A", "B"]), info("y", 1, ["A", "B"])])
    q, y = module().compile(model.SerializeToString())(x, scale)
    want_q, want_y = ReferenceEvaluator(model).run(None, {"x": x, "scale": scale})
    np.testing.assert_array_equal(codes(q), codes(np.asarray(want_q, NARROW[onnx_type])))
    np.testing.assert_array_equal(y, want_y)


def test_scales_that_are_powers_of_two() -> None:
    """The microscaling formats: blocks with an f8E8M0 scale each."""
    rng = np.random.default_rng(4)
    x = rng.choice(all_codes(TensorProto.FLOAT4E2M1), (3, 64))
    scale = rng.integers(120, 134, (3, 2)).astype(np.uint8).view(ml_dtypes.float8_e8m0fnu)
    node = helper.make_node("DequantizeLinear", ["x", "s"], ["y"], axis=1, block_size=32, output_dtype=1)
    inputs = [info("x", TensorProto.FLOAT4E2M1, ["A", "B"]), info("s", E8M0, ["A", "C"])]
    program = module().compile(make_model([node], inputs, [info("y", 1, ["A", "B"])]).SerializeToString())
    want = x.astype(np.float32) * np.repeat(scale.astype(np.float32), 32, axis=1)
    np.testing.assert_array_equal(program(x, scale), want)


@pytest.mark.parametrize("onnx_type", [TensorProto.INT4, TensorProto.FLOAT8E4M3FN], ids=name_of)
def test_arithmetic_is_refused(onnx_type: int) -> None:
    model = make_model(
        [helper.make_node("Add", ["x", "x"], ["y"], name="sum")], [info("x", onnx_type, [2])], [info("y", onnx_type, [2])]
    )
    with pytest.raises(module().CompileError, match=r"node 'sum' \(Add\): input 0 \(A\) has the element type"):
        module().compile(model.SerializeToString())


def test_operators_that_calculate_with_8_bit_floats() -> None:
    """IsNaN, IsInf, Dropout and QLinearMatMul, by way of f32."""
    x = all_codes(TensorProto.FLOAT8E5M2)
    nodes = [
        helper.make_node("IsNaN", ["x"], ["nan"]),
        helper.make_node("IsInf", ["x"], ["inf"]),
        helper.make_node("IsInf", ["x"], ["negative"], detect_positive=0),
        helper.make_node("Dropout", ["x"], ["kept"]),
    ]
    outputs = [info(name, TensorProto.BOOL, ["N"]) for name in ("nan", "inf", "negative")]
    model = make_model(nodes, [info("x", TensorProto.FLOAT8E5M2, ["N"])], [*outputs, info("kept", TensorProto.FLOAT8E5M2, ["N"])])
    nan, inf, negative, kept = module().compile(model.SerializeToString())(x)
    wide = x.astype(np.float32)
    np.testing.assert_array_equal(nan, np.isnan(wide))
    np.testing.assert_array_equal(inf, np.isinf(wide))
    np.testing.assert_array_equal(negative, np.isneginf(wide))
    np.testing.assert_array_equal(codes(kept), codes(x))

    rng = np.random.default_rng(5)
    f8 = TensorProto.FLOAT8E4M3FN
    a, b = (rng.normal(size=s).astype(ml_dtypes.float8_e4m3fn) for s in ((3, 8), (8, 5)))
    zero, scale = np.zeros((), ml_dtypes.float8_e4m3fn), np.float32(0.5)
    names = ["a", "s", "z", "b", "s", "z", "t", "z"]
    graph_inputs = [info("a", f8, [3, 8]), info("b", f8, [8, 5]), info("z", f8, []), info("s", 1, []), info("t", 1, [])]
    model = make_model([helper.make_node("QLinearMatMul", names, ["y"])], graph_inputs, [info("y", f8, [3, 5])])
    got = module().compile(model.SerializeToString())(a, b, zero, scale, np.float32(0.25))
    want = a.astype(np.float32) @ b.astype(np.float32)  # 0.5 * 0.5 / 0.25
    np.testing.assert_array_equal(got, want.astype(ml_dtypes.float8_e4m3fn))


@pytest.mark.parametrize("onnx_type", [TensorProto.INT4, TensorProto.UINT2, TensorProto.FLOAT8E4M3FNUZ, E8M0], ids=name_of)
def test_control_flow_and_caches(onnx_type: int) -> None:
    """Codes through If, Loop, Scan, ConstantOfShape and sequences."""
    rng = np.random.default_rng(6)
    x, y = rng.choice(all_codes(onnx_type), (2, 5)), rng.choice(all_codes(onnx_type), (2, 5))
    one = numpy_helper.from_array(all_codes(onnx_type)[1:2], "one")
    branch = [helper.make_graph([helper.make_node("Identity", [n], [f"{n}_out"])], n, [], [info(f"{n}_out", onnx_type, ["A", "B"])]) for n in "xy"]
    flip = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Transpose", ["v"], ["w"], perm=[1, 0])],
        "flip", [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("v", onnx_type, None)],
        [info("go_on", TensorProto.BOOL, []), info("w", onnx_type, None)],
    )
    rows = helper.make_graph([helper.make_node("Identity", ["row"], ["same"])], "rows", [info("row", onnx_type, ["B"])], [info("same", onnx_type, ["B"])])
    nodes = [
        helper.make_node("If", ["c"], ["chosen"], then_branch=branch[0], else_branch=branch[1]),
        helper.make_node("Loop", ["n", "", "x"], ["turned"], body=flip),
        helper.make_node("Scan", ["x"], ["scanned"], body=rows, num_scan_inputs=1),
        helper.make_node("ConstantOfShape", ["shape"], ["filled"], value=one),
    ]
    inputs = [info("c", TensorProto.BOOL, []), info("n", TensorProto.INT64, []), info("shape", TensorProto.INT64, [2]),
              info("x", onnx_type, ["A", "B"]), info("y", onnx_type, ["A", "B"])]
    outputs = [info(n, onnx_type, ["P", "Q"]) for n in ("chosen", "turned", "scanned", "filled")]
    outputs[1] = info("turned", onnx_type, None)
    program = module().compile(make_model(nodes, inputs, outputs).SerializeToString())
    for choice, turns in ((True, 3), (False, 0)):
        chosen, turned, scanned, filled = program(np.array(choice), np.array(turns), np.array([3, 3]), x, y)
        np.testing.assert_array_equal(codes(chosen), codes(x if choice else y))
        np.testing.assert_array_equal(codes(turned), codes(x.T if turns % 2 else x))
        np.testing.assert_array_equal(codes(scanned), codes(x))
        np.testing.assert_array_equal(codes(filled), np.full((3, 3), codes(all_codes(onnx_type))[1]))


def test_strings_of_coded_types() -> None:
    texts = np.array(["1.5", "-3", "1000", "nan"], object)
    got = cast(texts, TensorProto.STRING, TensorProto.FLOAT8E4M3FN)
    np.testing.assert_array_equal(codes(got), codes(np.array([1.5, -3, 448, np.nan]).astype(ml_dtypes.float8_e4m3fn)))
    assert cast(np.array(["7", "-8"], object), TensorProto.STRING, TensorProto.INT4).astype(int).tolist() == [7, -8]
    assert cast(np.array([7, -8]).astype(ml_dtypes.int4), TensorProto.INT4, TensorProto.STRING).tolist() == ["7", "-8"]
    assert cast(np.array([1.5, -3]).astype(ml_dtypes.float8_e5m2), TensorProto.FLOAT8E5M2, TensorProto.STRING).tolist() == ["1.5", "-3.0"]


def make_echo(onnx_type: int) -> onnx.ModelProto:
    return make_model([helper.make_node("Cast", ["x"], ["y"], to=onnx_type)], [info("x", onnx_type, ["N"])], [info("y", onnx_type, ["N"])])


@pytest.mark.parametrize("onnx_type", NARROW, ids=name_of)
def test_files(onnx_type: int, tmp_path: Path) -> None:
    """`nacre run` by ONNX's files, an executable by NumPy's, which has a byte for each element."""
    x = all_codes(onnx_type)[:-1]
    x = x[np.isfinite(x.astype(np.float32))]
    onnx.save(make_echo(onnx_type), tmp_path / "echo.onnx")
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(x, "x").SerializeToString())
    nacre("run", tmp_path / "echo.onnx", "--input", f"x={tmp_path / 'x.pb'}", "--output-dir", tmp_path)
    got = onnx.TensorProto.FromString((tmp_path / "y.pb").read_bytes())
    assert got.data_type == onnx_type
    np.testing.assert_array_equal(codes(numpy_helper.to_array(got)), codes(x))
    if onnx_type in (TensorProto.FLOAT6E2M3, TensorProto.UINT2):
        typed = onnx.TensorProto(data_type=onnx_type, dims=[len(x)])
        packed = numpy_helper.from_array(x).raw_data
        typed.int32_data.extend(x.view(np.uint8).tolist() if onnx_type == TensorProto.FLOAT6E2M3 else packed)
        (tmp_path / "x.pb").write_bytes(typed.SerializeToString())
        nacre("run", tmp_path / "echo.onnx", "--input", f"x={tmp_path / 'x.pb'}", "--output-dir", tmp_path)
        got = onnx.TensorProto.FromString((tmp_path / "y.pb").read_bytes())
        np.testing.assert_array_equal(codes(numpy_helper.to_array(got)), codes(x))
    nacre("run", tmp_path / "echo.onnx", "--random", "1", "--size", "N=9", "--output-dir", tmp_path)
    if onnx_type not in (TensorProto.INT4, TensorProto.FLOAT4E2M1, TensorProto.FLOAT8E5M2):
        return
    nacre("compile", tmp_path / "echo.onnx", "--emit=executable", "-o", tmp_path / "echo")
    np.save(tmp_path / "x.npy", x)
    subprocess.run([tmp_path / "echo", "--input", f"x={tmp_path / 'x.npy'}", "--output-dir", tmp_path], check=True)
    np.testing.assert_array_equal(codes(np.load(tmp_path / "y.npy").view(x.dtype)), codes(x))


def test_a_header_packs_too(tmp_path: Path) -> None:
    onnx.save(make_echo(TensorProto.INT4), tmp_path / "echo.onnx")
    nacre("compile", tmp_path / "echo.onnx", "-o", tmp_path / "echo.so", "--emit=shared,header")
    (tmp_path / "main.c").write_text(
        """
#include "echo.h"
int main(void) {
  const uint8_t packed[3] = {0x87, 0xf1, 0x0e}; /* 7, -8, 1, -1, -2 */
  uint8_t result[3] = {0};
  echo *model = echo_create(1);
  echo_run_args args = {.N = 5, .x = packed, .y = result};
  int failed = !model || echo_run(model, &args) != 0;
  echo_destroy(model);
  return failed || result[0] != packed[0] || result[1] != packed[1] || result[2] != packed[2];
}
"""
    )
    assert "const uint8_t *x; /* in: i4[N] */" in (tmp_path / "echo.h").read_text()
    subprocess.run(["cc", "-Wall", "-Werror", "main.c", "./echo.so", "-o", "main"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "main"], check=True)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"])
def test_dlpack(name: str) -> None:
    torch = pytest.importorskip("torch")
    dtype = getattr(ml_dtypes, name)
    onnx_type = next(t for t in FLOATS if FLOATS[t] == dtype)
    tensor = torch.arange(100, dtype=torch.uint8).view(getattr(torch, name))
    program = module().compile(make_echo(onnx_type).SerializeToString())
    np.testing.assert_array_equal(program(tensor).view(np.uint8), np.arange(100))


def test_trained_models_keep_coded_weights() -> None:
    """They are constants; what they are converted to passes gradients to the others."""
    w = np.array([[1, -2], [3, 4]], np.float32)
    weights = [numpy_helper.from_array(w.astype(ml_dtypes.float8_e4m3fn), "w"), numpy_helper.from_array(np.ones((2, 2), np.float32), "v")]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"]),
        helper.make_node("MatMul", ["x", "d"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["y"]),
    ]
    weights.append(numpy_helper.from_array(np.float32(0.5), "s"))
    model = make_model(nodes, [info("x", 1, [3, 2])], [info("y", 1, [3, 2])], weights)
    x, labels = np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32)
    program = module().compile(model.SerializeToString(), train={"loss": "mse", "optimizer": "sgd"})
    program.run([x, labels, np.float32(0.1)], function="step")
    v = np.ones((2, 2), np.float32)
    h = x @ (w * 0.5)
    v -= 0.1 * h.T @ (2 / 6 * (h @ v))
    np.testing.assert_allclose(program.read_parameter("v"), v, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_packed_elements_in_another_file(size: int, tmp_path: Path) -> None:
    """Five elements of four bits need three bytes, no more and no less."""
    x = all_codes(TensorProto.UINT4)[:5]
    tensor = numpy_helper.from_array(x, "w")
    (tmp_path / "weights").write_bytes((tensor.raw_data + b"\0")[:size])
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    tensor.external_data.add(key="length", value=str(size))
    model = make_model([helper.make_node("Cast", ["w"], ["y"], to=1)], [], [info("y", 1, [5])], [tensor])
    onnx.save(model, tmp_path / "model.onnx")
    if size == 3:
        np.testing.assert_array_equal(module().compile(tmp_path / "model.onnx")(), np.arange(5))
        return
    with pytest.raises(module().CompileError, match=f"its data has {size} bytes, its type needs 3"):
        module().compile(tmp_path / "model.onnx")
