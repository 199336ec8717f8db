"""If and Loop whose branches and bodies compute, and conditions of any number of elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import module

UNARY = ["Identity", "Neg", "Exp", "Sqrt"]


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model('<ir_version: 10, opset_import: ["": 21]>\n' + text)


@pytest.mark.parametrize("shape", ["6", "N", "2, N"])
@pytest.mark.parametrize("yes", UNARY)
@pytest.mark.parametrize("no", ["Exp", "Abs"])
def test_branches(shape: str, yes: str, no: str) -> None:
    made = model(f"""g (float[{shape}] x, bool i) => (float[{shape}] y) {{
        y = If (i) <then_branch = a () => (float[{shape}] p) {{ p = {yes} (x) }},
                    else_branch = b () => (float[{shape}] q) {{ q = {no} (x) }}>
    }}""")
    x = np.arange(6, dtype=np.float32)
    if "," in shape:
        x = x.reshape(2, 3)
    program = module().compile(made)
    for i in (True, False):
        (expected,) = ReferenceEvaluator(made).run(None, {"x": x, "i": np.array(i)})
        np.testing.assert_allclose(program(x, np.array(i)), expected, 1e-6)


def test_branches_of_other_sizes() -> None:
    made = module().compile(model("""g (float[N] x, bool i) => (float[M] y) {
        y = If (i) <then_branch = a () => (float[K] p) { e = Exp (x) p = Concat <axis = 0> (e, x) },
                    else_branch = b () => (float[L] q) { q = Neg (x) }>
    }"""))
    x = np.arange(3, dtype=np.float32)
    np.testing.assert_allclose(made(x, np.array(True)), [*np.exp(x), *x], 1e-6)
    np.testing.assert_array_equal(made(x, np.array(False)), -x)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("bool[P] i", "y = If (i) <then_branch = a () => (float[N] p) { p = Exp (x) }, else_branch = b () => (float[N] q) { q = Neg (x) }>"),
        ("int64[P] i", "y = Loop (i, , x) <body = b (int64 k, bool c, float[N] s) => (bool c2, float[N] t) { c2 = Identity (c) t = Neg (s) }>"),
        ("int64[P, Q] i", "s = SplitToSequence <axis = 0> (x) y = SequenceAt (s, i)"),
        ("int32[P] i", "s = SequenceConstruct (x, x) y = SequenceAt (s, i)"),
        ("int32[P] i", "s = SplitToSequence <axis = 0> (x, i) zero = Constant <value_int = 0> () y = SequenceAt (s, zero)"),
    ],
)  # fmt: skip
def test_what_stands_for_a_scalar(text: str, given: str) -> None:
    """One element, whatever the rank; none and several end the run."""
    rank = text.count(",") + 1
    dtype = {"bool": bool, "int6": np.int64, "int3": np.int32}[text[:4]]
    made = module().compile(model(f"g (float[N] x, {text}) => (float[M] y) {{ {given} }}"))
    x = np.ones(3, np.float32)
    is_list = "(x, i)" in given
    assert made(x, np.full((1,) * rank, 3 if is_list else 1, dtype)).ndim == 1
    wrong: list[Any] = [(0,) + (1,) * (rank - 1), (2,) * rank]
    for shape in wrong:
        with pytest.raises(module().RunError, match="node '"):
            made(x, np.ones(shape, dtype))


# y has a rank of its own in each branch; what is made of it has one.
CHOICES = {
    "sum": ("float[?, ?] z", "z = Add (y, m)"),
    "several": ("float[?, ?] z, int64[?] s", "a = Neg (y) b = Exp (a) z = Mul (m, b) s = Shape (z)"),
    "size": ("int64 n", "n = Size (y)"),
    "reshaped": ("float[?] z", "k = Constant <value_ints = [-1]> () z = Reshape (y, k)"),
    "two of them": ("float[?, ?] z", "w = If (j) <then_branch = e () => (float v) { v = ReduceSum <keepdims = 0> (y) }, else_branch = f () => (float[?] u) { u = Identity (x) }> d = Add (w, y) z = Add (d, m)"),
    "in a branch": ("float[?, ?] z", "z = If (j) <then_branch = e () => (float[?, ?] v) { v = Add (m, y) }, else_branch = f () => (float[?, ?] u) { u = Mul (y, m) }>"),
    "in a loop": ("float[?, ?] z", "k = Constant <value_int = 3> () t = Constant <value = bool {1}> () z = Loop (k, t, m) <body = b (int64 n, bool c, float[?, ?] q) => (bool c2, float[?, ?] r) { c2 = Identity (c) r = Add (q, y) }>"),
    "not taken": ("float[?, ?] z", "z = Neg (m)"),
}  # fmt: skip


@pytest.mark.parametrize("sizes", ["3", "N"])
@pytest.mark.parametrize("case", CHOICES)
def test_branches_of_other_ranks(case: str, sizes: str) -> None:
    outputs, nodes = CHOICES[case]
    made = model(f"""g (float[{sizes}] x, float[2, 3] m, bool i, bool j) => ({outputs}) {{
        y = If (i) <then_branch = a () => (float p) {{ p = ReduceSum <keepdims = 0> (x) }},
                    else_branch = b () => (float[K] q) {{ q = Neg (x) }}>
        {nodes}
    }}""")
    program = module().compile(made)
    x, m = np.arange(3, dtype=np.float32) / 4, np.arange(6, dtype=np.float32).reshape(2, 3)
    for i in (True, False):
        for j in (True, False):
            feed = {"x": x, "m": m, "i": np.array(i), "j": np.array(j)}
            for found, expected in zip(program.run(list(feed.values())), ReferenceEvaluator(made).run(None, feed), strict=True):
                np.testing.assert_allclose(found, expected, 1e-5)


def test_branches_of_other_types() -> None:
    made = model("""g (float[N] x, bool i) => (float[N] z) {
        y = If (i) <then_branch = a () => (int64[N] p) { p = Cast <to = 7> (x) }, else_branch = b () => (float[N] q) { q = Identity (x) }>
        w = Cast <to = 1> (y)
        z = Neg (w)
    }""")
    program = module().compile(made)
    x = np.array([0.5, 1.5, -2.5], np.float32)
    np.testing.assert_array_equal(program(x, np.array(True)), [0, -1, 2])
    np.testing.assert_array_equal(program(x, np.array(False)), -x)
    with pytest.raises(module().CompileError, match="output 'y' is of another kind or element type in one branch of an If than in the other"):
        module().compile(model("""g (float[N] x, bool i) => (float[N] y) {
            y = If (i) <then_branch = a () => (int64[N] p) { p = Cast <to = 7> (x) }, else_branch = b () => (float[N] q) { q = Identity (x) }>
        }"""))


def test_scan_of_normalisations_whose_parameters_are_slices() -> None:
    """Parameters of open size scale channels of a known number."""
    made = parser.parse_model("""<ir_version: 10, opset_import: ["": 17]>
    g (double[K, N] x) => (double[A, B, C, D, E] y) {
        y = Scan <num_scan_inputs = 1, body = b (double[R] e) => (double[F, G, H, I] n) {
            c = Constant <value = double[2, 1, 1, 1] {-0.07, 2.5}> () m = Constant <value = double[1] {-1.25}> () v = Constant <value = double[1] {0.5}> ()
            n = BatchNormalization (c, e, e, m, v) }> (x)
    }""")
    program = module().compile(made)
    x = np.array([[1.75], [0.5], [-2.0]])
    np.testing.assert_allclose(program(x), ReferenceEvaluator(made).run(None, {"x": x})[0], 1e-6)
    with pytest.raises(module().RunError):
        program(np.ones((2, 3)))


def test_scan_of_slices_without_elements() -> None:
    """That a collected slice has none is known, though not its sizes."""
    program = module().compile(model("""g (float[A, 4, 0, 3] x, float[N] s) => (float[B, C, D, E, F] y) {
        y = Scan <num_scan_inputs = 1, body = b (float e) => (float[G, H, I, J] n) { n = Tanh (x) }> (s)
    }"""))
    for a, n in ((2, 3), (0, 2)):
        assert program(np.zeros((a, 4, 0, 3), np.float32), np.zeros(n, np.float32)).shape == (n, a, 4, 0, 3)
