"""Values whose rank only a run knows: branches, loops, sequences and vectors of sizes, against ONNX's reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import module, nacre

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'


def model(text: str, *unranked: str) -> onnx.ModelProto:
    """Of a text in which the outputs named have a rank that is not to be declared."""
    made = parser.parse_model(HEAD + text)
    for output in made.graph.output:
        if output.name in unranked:
            output.type.tensor_type.ClearField("shape")
        if output.type.HasField("optional_type"):
            output.type.optional_type.elem_type.tensor_type.ClearField("shape")
    return made


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def check(made: onnx.ModelProto, program: Any, *feeds: dict[str, Any]) -> None:
    for feed in feeds:
        expected = ReferenceEvaluator(made).run(None, feed)
        for found, wanted in zip(program.run(feed), expected, strict=True):
            # The evaluator has an optional as a list of one.
            lists = (found if isinstance(found, list) else [found], wanted if isinstance(wanted, list) else [wanted])
            for got, want in zip(*lists, strict=True):
                assert np.shape(got) == np.shape(want), feed
                np.testing.assert_allclose(got, want, 1e-5, 1e-6)


# What an exporter writes where it does not know whether a dimension is 1.
SQUEEZED = """one = Constant <value_ints = [1]> () s = Shape (x) n = Gather (s, one) isOne = Equal (n, one)
    q = If (isOne) <then_branch = t () => (float[A] a) { a = Squeeze (x, one) }, else_branch = e () => (float[A, B, C] b) { b = Identity (x) }>"""

CASES: dict[str, tuple[str, list[str], list[dict[str, Any]]]] = {
    "if": (
        """g (bool t, float[N] x) => (float[A] y) {
            z = Constant <value_ints = [0]> ()
            y = If (t) <then_branch = g () => (float[A] a) { a = Neg (x) }, else_branch = h () => (float[A] b) { b = Unsqueeze (x, z) }>
        }""",
        ["y"],
        [{"t": np.array(t), "x": floats(n)} for t in (True, False) for n in (0, 1, 3)],
    ),
    "if, and what follows": (
        f"""g (float[A, B, C] x, float[C] w) => (float[R] y, float[R] z, int64[R] sizes, float[] m) {{
            {SQUEEZED}
            y = Mul (q, w) r = Relu (q) z = Add (r, y) sizes = Shape (q) m = ReduceMax <keepdims = 0> (z)
        }}""",
        ["y", "z"],
        [{"x": floats(2, b, 3), "w": floats(3)} for b in (1, 2)],
    ),
    "two that are independent": (
        """g (bool s, bool t, float[N] x) => (float[R] y, float[R] z) {
            zero = Constant <value_ints = [0]> () more = Constant <value_ints = [0, 1]> ()
            a = If (s) <then_branch = g () => (float[A] p) { p = Neg (x) }, else_branch = h () => (float[A, B] q) { q = Unsqueeze (x, zero) }>
            b = If (t) <then_branch = i () => (float[A] p2) { p2 = Exp (x) }, else_branch = j () => (float[A, B, C] q2) { q2 = Unsqueeze (x, more) }>
            y = Add (a, b) z = Sub (b, y)
        }""",
        ["y", "z"],
        [{"s": np.array(s), "t": np.array(t), "x": floats(3)} for s in (True, False) for t in (True, False)],
    ),
    "nested if": (
        """g (int64 k, float[2, 3, 4] x) => (float[R] y) {
            one = Constant <value_int = 1> () first = Equal (k, one) two = Constant <value_int = 2> () second = Equal (k, two)
            zeros = Constant <value_ints = [0]> ()
            y = If (first) <then_branch = g () => (float[A] a) { a = ReduceSum <keepdims = 0> (x) },
                else_branch = h () => (float[A] b) {
                    b = If (second) <then_branch = i () => (float[A] c) { c = ReduceSum <keepdims = 0> (x, zeros) }, else_branch = j () => (float[A] d) { d = Neg (x) }>
                }>
        }""",
        ["y"],
        [{"k": np.array(k), "x": floats(2, 3, 4)} for k in (1, 2, 3)],
    ),
    "squeeze": (
        "g (float[A, 3, B, 1] x) => (float[R] y, float[R] z, int64[1] k) { y = Squeeze (x) z = Exp (y) s = Shape (y) k = Shape (s) }",
        ["y", "z"],
        [{"x": floats(a, 3, b, 1)} for a in (0, 1, 2) for b in (1, 4)],
    ),
    "reshape by data": (
        """g (float[N] x, float[M] d) => (float[R] y, int64[1] k) {
            i = NonZero (d) flat = Constant <value_ints = [-1]> () ones = Reshape (i, flat) one = Constant <value_int = 1> () sizes = Add (ones, one)
            y = Reshape (x, sizes) s = Shape (y) k = Shape (s)
        }""",
        ["y"],
        [
            {"x": floats(2), "d": np.array([0, 1, 0], np.float32)},
            {"x": floats(6), "d": np.array([0, 1, 1], np.float32)},
            {"x": floats(24), "d": np.array([0, 1, 1, 1], np.float32)},
        ],
    ),
    "sizes of any number": (
        """g (int64[L] size, float[1] x, float[2, 1] z) => (float[R] e, float[R] f, float[R] s, float[R] h) {
            e = Expand (x, size) f = ConstantOfShape (size) s = Exp (e) h = Add (f, z)
        }""",
        ["e", "f", "s", "h"],
        [{"size": numbers(*size), "x": floats(1), "z": floats(2, 1)} for size in ((), (3,), (2, 3), (4, 1, 2), (2, 1, 1, 3))],
    ),
    "axes of any number": (
        """g (float[A, B, C] x, int64[L] axes) => (float[R] u, float[R] r, float[R] m) {
            u = Unsqueeze (x, axes) r = ReduceSum <keepdims = 0, noop_with_empty_axes = 1> (x, axes) m = ReduceMean <keepdims = 0> (x, axes)
        }""",
        ["u", "r", "m"],
        [{"x": floats(2, 3, 4), "axes": numbers(*axes)} for axes in ((), (0,), (1, -1), (0, 1, 2))],
    ),
    "squeezed axes": (
        "g (float[A, B, C] x, int64[L] axes) => (float[R] y) { y = Squeeze (x, axes) }",
        ["y"],
        [{"x": floats(1, 3, 1), "axes": numbers(*axes)} for axes in ((0,), (2,), (-1, 0))],
    ),
    "tuples of any length": (
        "g (float[A, B, C] x, int64[N, L] i) => (float[R] y) { y = GatherND (x, i) }",
        ["y"],
        [{"x": floats(2, 3, 4), "i": np.array(i, np.int64)} for i in ([[1]], [[1, 2], [0, -1]], [[1, 2, 3]])],
    ),
    "loop of a known length": (
        """g (float[N] x) => (float[R] y) {
            n = Constant <value_int = 3> () yes = Constant <value = bool {1}> () zero = Constant <value_ints = [0]> ()
            y = Loop (n, yes, x) <body = b (int64 i, bool c, float[N] a) => (bool d, float[M] e) { d = Identity (c) u = Unsqueeze (a, zero) e = Exp (u) }>
        }""",
        ["y"],
        [{"x": floats(n)} for n in (0, 2)],
    ),
    "loop that begins with another rank": (
        """g (int64 n, float x, float[N] w) => (float[R] y) {
            yes = Constant <value = bool {1}> ()
            y = Loop (n, yes, x) <body = b (int64 i, bool c, float a) => (bool d, float[M] e) { d = Identity (c) e = Add (a, w) }>
        }""",
        ["y"],
        [{"n": np.array(n), "x": np.float32(0.5), "w": floats(3)} for n in (0, 1, 4)],
    ),
    "loop that goes back and forth": (
        """g (int64 n, float[N] x) => (float[R] y) {
            yes = Constant <value = bool {1}> () zero = Constant <value_ints = [0]> ()
            y = Loop (n, yes, x) <body = b (int64 i, bool c, float[K] a) => (bool d, float[M] e) {
                d = Identity (c) flat = Constant <value_ints = [-1]> () neg = Neg (a) row = Reshape (neg, flat)
                two = Constant <value_int = 2> () rest = Mod (i, two) first = Constant <value_int = 0> () isEven = Equal (rest, first)
                e = If (isEven) <then_branch = p () => (float[A] u) { u = Unsqueeze (row, zero) }, else_branch = q () => (float[A] v) { v = Identity (row) }>
            }>
        }""",
        ["y"],
        [{"n": np.array(n), "x": floats(3)} for n in (0, 1, 2, 5)],
    ),
    "element of a list": (
        """g (float[N] x, float[A, B] m, int64 i) => (float[R] y, float[R] z, int64 n) {
            s = SequenceConstruct (x, m, x) y = SequenceAt (s, i) one = SequenceInsert (s, m, i) z = SequenceAt (one, i) n = SequenceLength (one)
        }""",
        ["y", "z"],
        [{"x": floats(3), "m": floats(2, 2), "i": np.array(i)} for i in (0, 1, 2, -2)],
    ),
    "element of a sequence of a run": (
        """g (bool t, float[N] x, int64 i) => (float[R] y, float[R] z) {
            zero = Constant <value_ints = [0]> () w = Unsqueeze (x, zero)
            s = If (t) <then_branch = g () => (seq(float[N]) a) { a = SequenceConstruct (x, w, x) }, else_branch = h () => (seq(float[N]) b) { b = SequenceConstruct (w, x) }>
            y = SequenceAt (s, i)
            m = SequenceMap (s) <body = f (float[N] e) => (float[N] o) { o = Exp (e) }>
            z = SequenceAt (m, i)
        }""",
        ["y", "z"],
        [{"t": np.array(t), "x": floats(3), "i": np.array(i)} for t in (True, False) for i in (0, 1)],
    ),
    "list of such": (
        """g (float[N] x, float[A, B] m, int64 i) => (seq(float[R]) s, seq(float[R]) t, float[R] y) {
            l = SequenceConstruct (x, m, x) s = SequenceErase (l, i) t = SequenceInsert (l, m, i)
            f = SequenceMap (t) <body = f (float[N] e) => (float[N] o) { o = Exp (e) }> y = SequenceAt (f, i)
        }""",
        ["y"],
        [{"x": floats(3), "m": floats(2, 2), "i": np.array(i)} for i in (0, 1, 2, -1)],
    ),
    "joined from a list": (
        """g (float[N] x, float[1, 2] m, int64 i) => (float[R] y, float[R] z) {
            l = SequenceConstruct (x, m) e = SequenceErase (l, i) y = ConcatFromSequence <axis = -1> (e) z = ConcatFromSequence <axis = 0, new_axis = 1> (e)
        }""",
        ["y", "z"],
        [{"x": floats(3), "m": floats(1, 2), "i": np.array(i)} for i in (0, 1, -2)],
    ),
    "optional": (
        """g (float[N] x, float[A, B] m, int64 i) => (optional(float[R]) o, float[R] y) {
            l = SequenceConstruct (x, m) e = SequenceAt (l, i) o = Optional (e) y = OptionalGetElement (o)
        }""",
        ["y"],
        [{"x": floats(3), "m": floats(2, 2), "i": np.array(i)} for i in (0, 1)],
    ),
    "joined": (
        """g (bool t, float[A, B] x, float[C] v) => (float[R] y) {
            s = If (t) <then_branch = g () => (seq(float[N]) a) { a = SequenceConstruct (x, x, x) }, else_branch = h () => (seq(float[N]) b) { b = SequenceConstruct (v, v) }>
            y = ConcatFromSequence <axis = -1> (s)
        }""",
        ["y"],
        [{"t": np.array(t), "x": floats(2, 3), "v": floats(4)} for t in (True, False)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_ranks_of_a_run(case: str, tmp_path: Path) -> None:
    """Compiled once and ahead of time, for all of them."""
    text, unranked, feeds = CASES[case]
    made = model(text, *unranked)
    onnx.save(made, tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    check(made, module().load(tmp_path / "m.so"), *feeds)


def test_cases_that_fit_nothing() -> None:
    """What follows fits one of the ranks alone: a run of the other one ends with the reason."""
    made = model(f"""g (float[A, B, C] x) => (float[D, E] y) {{ {SQUEEZED} y = Transpose <perm = [1, 0]> (q) }}""")
    program = module().compile(made)
    assert len(program.outputs[0].shape) == 2
    check(made, program, {"x": floats(2, 1, 3)})
    with pytest.raises(module().RunError, match="Transpose"):
        program(floats(2, 2, 3))
    neither = model(f"""g (float[A, B, C] x) => (float[D, E] y) {{ {SQUEEZED} y = Transpose <perm = [1, 0, 2, 3]> (q) }}""")
    with pytest.raises(module().CompileError, match="Transpose"):
        module().compile(neither)


def test_declared_ranks() -> None:
    """The model says of an output that it has one of the ranks: a run that gives another one ends."""
    made = model(f"g (float[A, B, C] x) => (float[D, E] q) {{ {SQUEEZED} }}")
    program = module().compile(made)
    assert len(program.outputs[0].shape) == 2
    check(made, program, {"x": floats(2, 1, 3)})
    with pytest.raises(module().RunError, match="'q' .*output 'q' is not of rank 2, as the model declares"):
        program(floats(2, 2, 3))


def test_their_signature(tmp_path: Path) -> None:
    """In C two tensors, elements and sizes; in files one."""
    text, unranked, feeds = CASES["if"]
    onnx.save(model(text, *unranked), tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    assert "y: f32 of any rank" in " ".join(nacre("info", tmp_path / "m.so").out.split())
    assert '"kind": "any rank"' in nacre("info", tmp_path / "m.so", "--json").out.replace('":"', '": "')
    for name, value in feeds[-1].items():
        np.save(tmp_path / f"{name}.npy", value)
    nacre("run", tmp_path / "m.so", *[f"--input={name}={tmp_path / name}.npy" for name in feeds[-1]], "--output-dir", tmp_path / "out")
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "y.npy"), feeds[-1]["x"][None])


def test_more_ranks_than_there_are_cases_for(tmp_path: Path) -> None:
    """Of vectors the run says so, of what loops carry the compiler."""
    onnx.save(model("g (int64[L] size, float[1] x) => (float[R] e) { e = Expand (x, size) }", "e"), tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    program, x = module().load(tmp_path / "m.so"), np.ones(1, np.float32)
    assert program(np.ones(8, np.int64), x).shape == (1,) * 8
    with pytest.raises(module().RunError, match="the number of sizes is above 8"):
        program(np.ones(9, np.int64), x)
    grown = model(
        """g (int64 n, float[N] x) => (float[R] y) {
            yes = Constant <value = bool {1}> () zero = Constant <value_ints = [0]> ()
            y = Loop (n, yes, x) <body = b (int64 i, bool c, float[N] a) => (bool d, float[M] e) { d = Identity (c) e = Unsqueeze (a, zero) }>
        }""",
        "y",
    )
    with pytest.raises(module().CompileError, match="in one iteration and"):
        module().compile(grown)


def test_many_that_are_independent() -> None:
    """What several vectors decide has one case for each rank, not for each combination."""
    names = "abc"
    sums = "\n".join(f"e{n} = Expand (x, {n}) r{n} = Add (r{m}, e{n})" for m, n in zip(names, names[1:]))
    made = model(f"""g (float[1] x, {", ".join(f"int64[L{n}] {n}" for n in names)}) => (float[R] rc) {{ ra = Expand (x, a) {sums} }}""", "rc")
    program = module().compile(made)
    for ranks in ((0, 1, 2), (3, 2, 0), (1, 1, 1), (4, 0, 8)):
        check(made, program, {"x": floats(1), **{n: np.full(rank, 2, np.int64) for n, rank in zip(names, ranks)}})
