"""Sequences whose length, and optionals whose presence, only a run tells: made by loops and
branches, taken apart, mapped, joined, given out. Against ONNX's reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import OptionalProto, SequenceProto, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from support import module, nacre


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model('<ir_version: 10, opset_import: ["": 21]>\n' + text)


# s: the first 0 .. m rows of x, each times its number.
GROW = """
    zero = Constant <value_int = 0> () one = Constant <value_int = 1> () z1 = Constant <value_ints = [0]> () o1 = Constant <value_ints = [1]> ()
    yes = Constant <value = bool {1}> ()
    e = SequenceEmpty <dtype = 1> ()
    s = Loop (m, yes, e) <body = b (int64 i, bool c, seq(float[?, ?]) q) => (bool c2, seq(float[?, ?]) q2) {
        c2 = Identity (c) n = Add (i, one) n1 = Unsqueeze (n, z1) part = Slice (x, z1, n1, z1) f = Cast <to = 1> (i) made = Mul (part, f)
        q2 = SequenceInsert (q, made)
    }>
"""

CASES = {
    "itself": ("seq(float[?, ?]) y", "y = Identity (s)"),
    "length": ("int64 y", "y = SequenceLength (s)"),
    "at": ("float[?, ?] y", "p = Constant <value_int = -2> () y = SequenceAt (s, p)"),
    "insert": ("seq(float[?, ?]) y", "p = Constant <value_int = 1> () y = SequenceInsert (s, x, p)"),
    "insert behind": ("seq(float[?, ?]) y", "y = SequenceInsert (s, x)"),
    "erase": ("seq(float[?, ?]) y", "p = Constant <value_int = 1> () y = SequenceErase (s, p)"),
    "erase the last": ("seq(float[?, ?]) y", "y = SequenceErase (s)"),
    "join": ("float[?, ?] y", "y = ConcatFromSequence <axis = 0> (s)"),
    "map": (
        "seq(float[?, ?]) y",
        "y = SequenceMap (s, x) <body = g (float[?, ?] a, float[?, ?] w) => (float[?, ?] r) { k = ReduceSum <keepdims = 0> (w) d = Neg (a) r = Add (d, k) }>",
    ),
    "branch": (
        "seq(float[?, ?]) y",
        "y = If (t) <then_branch = g () => (seq(float[?, ?]) r) { r = SequenceInsert (s, x) },"
        " else_branch = h () => (seq(float[?, ?]) u) { u = SequenceConstruct (x, x) }>",
    ),
}  # fmt: skip


def check(made: onnx.ModelProto, feed: dict[str, Any], program: Any) -> None:
    for found, expected in zip(program.run(list(feed.values())), ReferenceEvaluator(made).run(None, feed), strict=True):
        if isinstance(expected, list):
            assert len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, 1e-6)
        elif expected is None:
            assert found is None
        else:
            np.testing.assert_allclose(found, expected, 1e-6)


@pytest.mark.parametrize("sizes", ["4, 2", "N, M"])
@pytest.mark.parametrize("case", CASES)
def test_what_takes_them(case: str, sizes: str) -> None:
    output, nodes = CASES[case]
    made = model(f"g (int64 m, float[{sizes}] x, bool t) => ({output}) {{ {GROW} {nodes} }}")
    program = module().compile(made)
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    for m in (2, 3, 4) if case != "erase" else (3, 4):
        for t in (True, False):
            check(made, {"m": np.array(m), "x": x, "t": np.array(t)}, program)


def test_none_and_out_of_range() -> None:
    x = np.ones((4, 2), np.float32)
    feed = [np.array(0), x, np.array(True)]
    assert module().compile(model(f"g (int64 m, float[4, 2] x, bool t) => (seq(float[?, ?]) y) {{ {GROW} y = Identity (s) }}")).run(feed)[0] == []
    for nodes, message in [
        ("y = ConcatFromSequence <axis = 0> (s)", "the sequence is empty"),
        ("p = Constant <value_int = 0> () y = SequenceAt (s, p)", "the position is out of range for the sequence"),
        ("r = SequenceErase (s) y = ConcatFromSequence <axis = 0> (r)", "the sequence is empty"),
    ]:
        program = module().compile(model(f"g (int64 m, float[4, 2] x, bool t) => (float[?, ?] y) {{ {GROW} {nodes} }}"))
        with pytest.raises(module().RunError, match=message):
            program.run(feed)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("new", [0, 1])
def test_joining(axis: int, new: int) -> None:
    made = model(f"""g (int64 k, float[N, M] x) => (float[?, ?{", ?" * new}] y) {{
        s = SplitToSequence <axis = 1> (x, k)
        n = SequenceMap (s) <body = g (float[?, ?] a) => (float[?, ?] r) {{ r = Exp (a) }}>
        y = ConcatFromSequence <axis = {axis}, new_axis = {new}> (n)
    }}""")
    program = module().compile(made)
    x = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    for k in (1, 2, 3):
        check(made, {"k": np.array(k), "x": x}, program)
    if new or axis == 0:
        with pytest.raises(module().RunError, match="the elements of the sequence have different sizes"):
            program.run([np.array(4), x])


@pytest.mark.parametrize("split", ["int64", "int64[K]"])
@pytest.mark.parametrize("axis", [0, 1])
def test_pieces_come_out(axis: int, split: str) -> None:
    made = model(f"g ({split} k, float[N, M] x) => (seq(float[?, ?]) y) {{ y = SplitToSequence <axis = {axis}> (x, k) }}")
    program = module().compile(made)
    x = np.arange(30, dtype=np.float32).reshape(5, 6)
    for k in ([1, 2, 4] if split == "int64" else [[x.shape[axis]], [2, 0, x.shape[axis] - 2]]):
        check(made, {"k": np.array(k), "x": x}, program)


OPTIONALS = {
    "tensor": ("optional(float[N])", "a = Optional (x)", "b = Optional <type = float[N]> ()"),
    "sequence": ("optional(seq(float[N]))", "p = SequenceConstruct (x, x) a = Optional (p)", "b = Optional <type = seq(float[N])> ()"),
    "lengths": ("optional(seq(float[N]))", "p = SequenceConstruct (x, x) a = Optional (p)", "q = SequenceConstruct (x) b = Optional (q)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIONALS)
def test_optionals(kind: str) -> None:
    of_type, yes, no = OPTIONALS[kind]
    made = model(f"""g (bool t, float[N] x) => ({of_type} y, bool h) {{
        y = If (t) <then_branch = g () => ({of_type} a) {{ {yes} }}, else_branch = h () => ({of_type} b) {{ {no} }}>
        h = OptionalHasElement (y)
    }}""")
    program = module().compile(made)
    x = np.arange(3, dtype=np.float32)
    for t in (True, False):
        found, has = program.run([np.array(t), x])
        assert has == (t or kind == "lengths")
        if kind == "tensor":
            assert (found is not None) == t
            np.testing.assert_array_equal(found if t else x, x)
        else:
            assert (found is None) == (kind == "sequence" and not t)
            assert len(found or []) == (2 if t else 1 if kind == "lengths" else 0)
            for element in found or []:
                np.testing.assert_array_equal(element, x)


def test_the_element_of_nothing() -> None:
    program = module().compile(model("""g (bool t, float[N] x) => (float[M] y) {
        o = If (t) <then_branch = g () => (optional(float[N]) a) { a = Optional (x) },
                    else_branch = h () => (optional(float[N]) b) { b = Optional <type = float[N]> () }>
        y = OptionalGetElement (o)
    }"""))
    x = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(program(np.array(True), x), x)
    with pytest.raises(module().RunError, match="the optional has no element"):
        program(np.array(False), x)


def test_files(tmp_path: Path) -> None:
    made = model(f"""g (int64 m, float[4, 2] x, bool t) => (seq(float[?, ?]) y, optional(float[?, ?]) o) {{ {GROW} y = Identity (s)
        o = If (t) <then_branch = g () => (optional(float[4, 2]) a) {{ a = Optional (x) }},
                    else_branch = h () => (optional(float[4, 2]) b) {{ b = Optional <type = float[4, 2]> () }}>
    }}""")
    onnx.save(made, tmp_path / "m.onnx")
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    for name, value in (("m", np.array(3)), ("x", x), ("t", np.array(False))):
        np.save(tmp_path / f"{name}.npy", value)
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    assert "output  y: sequence of f32" in nacre("info", tmp_path / "m.so").out
    inputs = [f"--input={name}={tmp_path / name}.npy" for name in "mxt"]
    out = nacre("run", tmp_path / "m.so", *inputs, "--output-dir", tmp_path).out
    assert "sequence of 3: f32[1, 2], f32[2, 2], f32[3, 2]" in out and "o.pb: nothing" in out
    values = numpy_helper.to_list(SequenceProto.FromString((tmp_path / "y.pb").read_bytes()))
    expected, _ = ReferenceEvaluator(made).run(None, {"m": np.array(3), "x": x, "t": np.array(False)})
    for found, wanted in zip(values, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert not OptionalProto.FromString((tmp_path / "o.pb").read_bytes()).HasField("tensor_value")


def test_strings_in_files(tmp_path: Path) -> None:
    onnx.save(model("g (int64 k, string[N] x) => (seq(string[?]) y) { y = SplitToSequence <axis = 0> (x, k) }"), tmp_path / "m.onnx")
    words = np.array(["a", "bb", "ccc", "", "e"], object)
    np.save(tmp_path / "k.npy", np.array(2))
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(words, "x").SerializeToString())
    nacre("run", tmp_path / "m.onnx", "--input", f"k={tmp_path / 'k.npy'}", "--input", f"x={tmp_path / 'x.pb'}", "--output-dir", tmp_path)
    values = numpy_helper.to_list(SequenceProto.FromString((tmp_path / "y.pb").read_bytes()))
    assert [value.tolist() for value in values] == [["a", "bb"], ["ccc", ""], ["e"]]


def test_what_is_refused() -> None:
    with pytest.raises(module().CompileError, match="another kind or element type in one branch"):
        module().compile(model("""g (bool t, float[N] x) => (seq(float[M]) y) {
            y = If (t) <then_branch = g () => (seq(float[N]) a) { a = SequenceConstruct (x, x) },
                        else_branch = h () => (seq(int64[N]) b) { c = Cast <to = 7> (x) b = SequenceConstruct (c) }>
        }"""))
