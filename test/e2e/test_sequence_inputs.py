"""Inputs that are sequences of any length: one compiled model for all of them, against ONNX's reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import OptionalProto, SequenceProto, TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from support import module, nacre
from test_runtime_sequences import CASES, check

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + text)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape).astype(np.float32)


def lists(kind: str) -> list[list[np.ndarray]]:
    """Of one width where they are joined, of any sizes else."""
    widths = (3, 3, 3) if kind == "join" else (3, 1, 4)
    values = [floats(rows, width) for rows, width in zip((2, 0, 5), widths)]
    return [values[:1], values, values * 3, *([] if kind in ("at", "insert", "map", "join", "erase", "erase the last") else [[]])]


@pytest.mark.parametrize("kind", CASES)
def test_any_length(kind: str) -> None:
    declared, body = CASES[kind]
    made = model(f"g (seq(float[?, ?]) s, float[?, ?] x, bool t) => ({declared}) {{ {body} }}")
    program = module().compile(made, threads=1)
    assert isinstance(program, module().Model)
    x = floats(2, 3)
    for values in lists(kind):
        if kind in ("at", "erase") and len(values) < 2:
            continue
        for flag in (True, False) if kind == "branch" else (True,):
            feed = {"s": values, "x": x, "t": np.array(flag)}
            if kind == "map" and any(v.shape[1] != 3 for v in values):
                feed["x"] = x[:, :1].sum(axis=1, keepdims=True)  # broadcasts to any width
            if kind == "map":
                feed["x"] = feed["x"][:1]
            check(made, feed, program)


def test_in_a_loop() -> None:
    """The sum of all elements, whatever their number: a position that is the iteration's."""
    made = model(
        """g (seq(float[N]) s, float[N] start) => (float[N] y) {
        n = SequenceLength (s) yes = Constant <value = bool {1}> ()
        y = Loop (n, yes, start) <body = b (int64 i, bool c, float[N] a) => (bool c2, float[N] a2) {
            c2 = Identity (c) e = SequenceAt (s, i) a2 = Add (a, e)
        }>
    }"""
    )
    program = module().compile(made, threads=1)
    for count in (0, 1, 7):
        values = [floats(4) * (i + 1) for i in range(count)]
        np.testing.assert_allclose(program(values, np.ones(4, np.float32)), np.sum([np.ones(4), *values], axis=0), 1e-5)


@pytest.mark.parametrize("dtype", ["float64", "int64", "int8", "bool", "float16", "bfloat16", "object"])
def test_types(dtype: str) -> None:
    import ml_dtypes

    kinds = {"float64": "double", "bfloat16": "bfloat16", "object": "string"}
    text = f"g (seq({kinds.get(dtype, dtype)}[N]) s) => ({kinds.get(dtype, dtype)}[M] y) {{ p = Constant <value_int = -1> () y = SequenceAt (s, p) }}"
    program = module().compile(model(text), threads=1)
    element = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    for count in (1, 4):
        values = [np.array([f"w{i}", "", "é"][: i + 1] if dtype == "object" else range(i + 1)).astype(element) for i in range(count)]
        np.testing.assert_array_equal(program(values), values[-1])
    assert repr(program.signature).startswith("(s: sequence of ")


def test_scalars_and_declared_sizes() -> None:
    scalars = module().compile(model("g (seq(float[]) s) => (float[N] y) { y = ConcatFromSequence <axis = 0, new_axis = 1> (s) }"))
    for count in (1, 5):
        assert scalars([np.float32(i) for i in range(count)]).tolist() == list(range(count))
    fixed = module().compile(model("g (seq(float[N, 2]) s) => (float[M, 2] y) { y = ConcatFromSequence <axis = 0> (s) }"))
    assert fixed([floats(3, 2), floats(1, 2)]).shape == (4, 2)
    with pytest.raises(module().RunError, match="'s'.*an element has another size than 2 in dimension 1"):
        fixed([floats(3, 2), floats(1, 3)])
    given = module().compile(model("g (seq(float[N, K]) s) => (float[M, 2] y) { y = ConcatFromSequence <axis = 0> (s) }"), dims={"K": 2})
    with pytest.raises(module().RunError, match="another size than 2 in dimension 1"):
        given([floats(3, 3)])


def test_optional_sequences() -> None:
    text = """g (optional(seq(float[N])) q, float[N] x) => (float[M] y) {
        has = OptionalHasElement (q)
        y = If (has) <then_branch = a () => (float[K] p) { s = OptionalGetElement (q) p = ConcatFromSequence <axis = 0> (s) },
                      else_branch = b () => (float[K] r) { r = Identity (x) }>
    }"""
    program = module().compile(model(text), threads=1)
    x = floats(2)
    assert program(None, x).tolist() == x.tolist()
    assert program([x, x, x], x).tolist() == [*x, *x, *x]
    assert program.specialize([[x], x]) is program.specialize([[x, x], x])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([floats(2), floats(2, 2)], r"input 's\[1\]': found f32\[2, 2\], expected f32 of rank 1"),
        ([floats(2).astype(np.float64)], r"input 's\[0\]': found f64\[2\], expected f32 of rank 1"),
        (None, "input 's': found none, the model was compiled for a list of arrays"),
        (floats(2), "input 's': found a numpy.ndarray, the model was compiled for a list of arrays"),
        ({}, "input 's': found a dict, the model was compiled for a list of arrays"),
    ],
)
def test_other_values(given: Any, message: str) -> None:
    program = module().compile(model("g (seq(float[N]) s) => (int64 n) { n = SequenceLength (s) }"), threads=1)
    with pytest.raises(module().InputError, match=message):
        program(given)


def write(path: Path, values: list[np.ndarray]) -> Path:
    proto = SequenceProto(name="s", elem_type=SequenceProto.TENSOR, tensor_values=[numpy_helper.from_array(v) for v in values])
    path.write_bytes(proto.SerializeToString())
    return path


def test_in_files(tmp_path: Path) -> None:
    text = "g (seq(float[N, 2]) s) => (float[M, 2] y, int64 n) { y = ConcatFromSequence <axis = 0> (s) n = SequenceLength (s) }"
    onnx.save(model(text), tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    loaded = module().load(tmp_path / "m.so")
    assert "s: sequence of f32" in nacre("info", tmp_path / "m.so").out
    for count in (1, 3):
        values = [floats(i + 1, 2) for i in range(count)]
        file = write(tmp_path / "s.pb", values)
        for source in ("m.so", "m.onnx"):
            nacre("run", tmp_path / source, "--input", f"s={file}", "--output-dir", tmp_path / "out")
            np.testing.assert_array_equal(np.load(tmp_path / "out" / "y.npy"), np.concatenate(values))
        np.testing.assert_array_equal(loaded(values)[0], np.concatenate(values))
    ran = nacre("run", tmp_path / "m.so", "--input", f"s={write(tmp_path / 'bad.pb', [floats(2)])}", ok=False)
    assert "bad.pb: found an element f32[2], expected f32 of rank 2" in ran.err, ran.text()
    # Random values are of one element, whose sizes are 1.
    ran = nacre("run", tmp_path / "m.so", "--random", "1", "--output-dir", tmp_path / "out", ok=False)
    assert "an element has another size than 2 in dimension 1" in ran.err, ran.text()
    assert "s: sequence of f32" in nacre("run", tmp_path / "m.so", ok=False).err
    (tmp_path / "none.pb").write_bytes(OptionalProto(elem_type=OptionalProto.SEQUENCE).SerializeToString())
    ran = nacre("run", tmp_path / "m.so", "--input", f"s={tmp_path / 'none.pb'}", ok=False)
    assert "none.pb: nothing, but the model was compiled for a sequence as the input 's'" in ran.err, ran.text()


NARROW = [(TensorProto.INT4, ml_dtypes.int4), (TensorProto.UINT2, ml_dtypes.uint2), (TensorProto.FLOAT4E2M1, ml_dtypes.float4_e2m1fn)]


@pytest.mark.parametrize(("onnx_type", "dtype"), NARROW, ids=["int4", "uint2", "float4e2m1"])
def test_elements_below_a_byte(tmp_path: Path, onnx_type: int, dtype: Any) -> None:
    """They begin within bytes of what a run is given, and gives. No operator on sequences takes them; branches do."""
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(onnx_type, [None]))

    def get(name: str, source: str) -> onnx.GraphProto:
        return helper.make_graph([helper.make_node("OptionalGetElement", [source], ["z"])], name, [], [helper.make_value_info("z", kind)])

    node = helper.make_node("If", ["t"], ["y"], then_branch=get("a", "s"), else_branch=get("b", "q"))
    inputs = [helper.make_tensor_value_info("t", TensorProto.BOOL, []), *(helper.make_value_info(name, kind) for name in "sq")]
    graph = helper.make_graph([node], "g", inputs, [helper.make_value_info("y", kind)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)], ir_version=13), tmp_path / "m.onnx")
    program = module().compile(tmp_path / "m.onnx", threads=1)
    given = {"s": [np.array(v).astype(dtype) for v in ([1, 0, 3], [2], [], [1, 2])], "q": [np.array([3, 1]).astype(dtype)]}
    for name, values in given.items():
        tensors = [helper.make_tensor("", onnx_type, v.shape, v.astype(np.float32)) for v in values]
        proto = SequenceProto(name=name, elem_type=SequenceProto.TENSOR, tensor_values=tensors)
        (tmp_path / f"{name}.pb").write_bytes(proto.SerializeToString())
    for flag, name in ((True, "s"), (False, "q")):
        np.save(tmp_path / "t.npy", np.array(flag))
        files = [f"--input={name}={tmp_path / name}.{'npy' if name == 't' else 'pb'}" for name in "tsq"]
        nacre("run", tmp_path / "m.onnx", *files, "--output-dir", tmp_path / "out")
        written = SequenceProto.FromString((tmp_path / "out" / "y.pb").read_bytes()).tensor_values
        for found in (program(np.array(flag), *given.values()), [numpy_helper.to_array(tensor) for tensor in written]):
            assert [(v.dtype, v.tolist()) for v in found] == [(v.dtype, v.tolist()) for v in given[name]]


def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    """The parts, as C gives them: what they say is checked."""
    text = "g (seq(float[N, K]) s) => (float[A, B] y, int64 n) { p = Constant <value_int = 0> () y = SequenceAt (s, p) n = SequenceLength (s) }"
    onnx.save(model(text), tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    np.save(tmp_path / "data.npy", floats(6))
    give = ["--input", f"s.data={tmp_path / 'data.npy'}", "--input", f"s.shapes={tmp_path / 'shapes.npy'}", "--output-dir", tmp_path / "out"]
    good = ([[2, 3]], [[1, 2], [4, 1]], [[6, 1], [0, 9]])
    bad = ([[2, 2]], [[2, 4]], [[-2, -3]], [[2, 3], [-1, 0]], [[1 << 32, 1 << 32], [2, 3]], [[1 << 62, 4], [2, 3]], [[2, 3, 1]])
    for rows in good:
        np.save(tmp_path / "shapes.npy", np.array(rows))
        nacre("run", tmp_path / "m.so", *give)
        assert list(np.load(tmp_path / "out" / "y.npy").shape) == rows[0]
    for rows in bad:
        np.save(tmp_path / "shapes.npy", np.array(rows))
        ran = nacre("run", tmp_path / "m.so", *give, ok=False)
        assert ran.status == 1 and "'s" in ran.err, (rows, ran.text())
