"""What a model leaves open that has to be known to compile it: ranks of inputs, whether an optional is
there, vectors whose lengths are ranks. Just in time a first run tells it, ahead of time the user does.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import module, nacre

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'


def unranked(text: str, *names: str) -> onnx.ModelProto:
    proto = parser.parse_model(HEAD + text)
    for value in [*proto.graph.input, *proto.graph.output]:
        if value.name in names:
            value.type.tensor_type.ClearField("shape")
    return proto


def by_onnxruntime(proto: onnx.ModelProto, feed: dict[str, Any]) -> list[Any]:
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)


ADD = "g (float[N] x, float[N] y) => (float[N] z, int64[R] r) { t = Add (x, y) z = Softmax <axis = -1> (t) r = Shape (z) }"


def test_ranks() -> None:
    proto = unranked(ADD, "x", "y", "z")
    made = module().compile(proto, threads=1)
    assert isinstance(made, module().OpenModel) and made.open_inputs == ["x", "y"]
    random = np.random.default_rng(3)
    shapes = [((3, 4), (4,)), ((5,), (5,)), ((2, 1, 3), (4, 1)), ((7, 2), (2,)), ((6, 3), (3,))]
    for left, right in shapes:
        x, y = (random.normal(size=s).astype(np.float32) for s in (left, right))
        expected = by_onnxruntime(proto, {"x": x, "y": y})
        for given in (made(x, y), made(y=y, x=x), made.run([x, y]), made.run({"x": x, "y": y})):
            np.testing.assert_allclose(given[0], expected[0], 1e-5, 1e-7)
            assert given[1].tolist() == expected[1].tolist()
    # Sizes stay open: one model for ranks (2, 1), whatever the sizes.
    one, other = np.zeros((3, 4), np.float32), np.zeros(4, np.float32)
    first = made.specialize([one, other])
    assert first is made.specialize({"x": np.zeros((9, 2), np.float32), "y": np.zeros(2, np.float32)})
    assert first is not made.specialize([one, one])
    assert [len(i.shape) for i in first.inputs] == [2, 1]
    out = np.empty((3, 4), np.float32)
    assert made.run([one, other], out=[out, None])[0] is out


def test_what_is_missing() -> None:
    made = module().compile(unranked(ADD, "x", "z"), threads=1)
    x = np.zeros(3, np.float32)
    with pytest.raises(module().InputError, match="the model has 2 inputs, found 1"):
        made(x)
    with pytest.raises(module().InputError, match="input 'x' is missing"):
        made(y=x)
    with pytest.raises(module().InputError, match="input 'y' is missing"):
        made(x=x)
    with pytest.raises(module().InputError, match="by position or by name, not both"):
        made(x, y=x)
    assert repr(made) == "<nacre.OpenModel (x, y), open: x>"


def test_several_threads() -> None:
    made = module().compile(unranked(ADD, "x", "y", "z"), threads=1)
    found: list[Any] = []

    def run(rank: int) -> None:
        x = np.ones((2,) * rank, np.float32)
        found.append((rank, made(x, x)[1].tolist()))

    threads = [threading.Thread(target=run, args=(1 + i % 3,)) for i in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted((rank, [2] * rank) for rank in (1, 2, 3) for _ in range(3))


def test_what_is_said_needs_no_run() -> None:
    proto = unranked(ADD, "x", "y", "z")
    x = np.ones((2, 3), np.float32)
    assert isinstance(module().compile(proto, example={"x": x, "y": x}), module().Model)
    assert isinstance(module().compile(proto, input_shapes={"x": [-1, 3], "y": [3]}), module().Model)
    half = module().compile(proto, input_shapes={"x": [-1, 3]})
    assert half.open_inputs == ["y"] and half(x, x)[1].tolist() == [2, 3]
    wrong = unranked(ADD.replace("Softmax", "Twist"), "x", "y", "z")
    with pytest.raises(module().CompileError, match="Twist"):
        module().compile(wrong)(x, x)


def test_ahead_of_time(tmp_path: Path) -> None:
    onnx.save(unranked(ADD, "x", "y", "z"), tmp_path / "m.onnx")
    ran = nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so", ok=False)
    for name in "xy":
        assert f"input '{name}' has no shape; give one with --input-shape" in ran.err, ran.text()
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so", "--input-shape", "x=?x3", "--input-shape", "y=3")
    x, y = np.eye(4, 3, dtype=np.float32), np.arange(3, dtype=np.float32)
    assert module().load(tmp_path / "m.so")(x, y)[1].tolist() == [4, 3]
    # Files of a run tell it just in time.
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    nacre("run", tmp_path / "m.onnx", "--input", f"x={tmp_path / 'x.npy'}", "--input", f"y={tmp_path / 'y.npy'}", "--output-dir", tmp_path / "out")
    assert np.load(tmp_path / "out" / "r.npy").tolist() == [4, 3]


def test_optionals() -> None:
    text = """g (optional(float[N]) o, float[2] x) => (float[M] y) {
        has = OptionalHasElement (o)
        y = If (has) <then_branch = a () => (float[K] p) { p = OptionalGetElement (o) }, else_branch = b () => (float[K] q) { q = Identity (x) }>
    }"""
    made = module().compile(parser.parse_model(HEAD + text), threads=1)
    x, o = np.array([1, 2], np.float32), np.array([5, 6, 7], np.float32)
    assert made.open_inputs == ["o"]
    assert made(o, x).tolist() == [5, 6, 7] and made(o[:1], x).tolist() == [5] and made(None, x).tolist() == [1, 2]
    assert made(x=x).tolist() == [1, 2]
    assert made.specialize([o, x]) is made.specialize([x, x])


EITHER = """g (optional(float[N]) o, optional(seq(float[M, 2])) q, optional(string[2]) w, float[N] x) =>
      (float[K] y, int64 n, string[2] v, bool h, optional(float[L]) same) {
    h = OptionalHasElement (o)
    y = If (h) <then_branch = a () => (float[A] p) { e = OptionalGetElement (o) p = Add (e, x) }, else_branch = b () => (float[B] r) { r = Neg (x) }>
    has = OptionalHasElement (q)
    n = If (has) <then_branch = c () => (int64 k) { s = OptionalGetElement (q) k = SequenceLength (s) },
                  else_branch = d () => (int64 m) { m = Constant <value_int = -1> () }>
    there = OptionalHasElement (w)
    v = If (there) <then_branch = f () => (string[2] t) { t = OptionalGetElement (w) }, else_branch = i () => (string[2] u) { u = Constant <value_strings = ["no", ""]> () }>
    same = Identity (o)
}"""


def test_optionals_ahead_of_time(tmp_path: Path) -> None:
    """One artefact, of which each run tells whether they are there; what is not there has no size that x must have."""
    onnx.save(parser.parse_model(HEAD + EITHER), tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    model = module().load(tmp_path / "m.so", threads=1)
    x, word = np.array([1, 2, 3], np.float32), np.array(["a", "bc"], object)
    pair = np.ones((3, 2), np.float32)
    for o in (None, x * 2):
        for q in (None, [], [pair, pair[:1]]):
            for w in (None, word):
                y, n, v, has, same = model(o, q, w, x)
                assert y.tolist() == (x * 3 if o is not None else -x).tolist() and has == (o is not None)
                assert n == (-1 if q is None else len(q)) and v.tolist() == (["no", ""] if w is None else ["a", "bc"])
                assert (same is None) == (o is None) and (o is None or same.tolist() == o.tolist())
    assert model.run({"x": x, "q": [pair]})[1] == 1  # by name they may be left out
    with pytest.raises(module().InputError, match=r"input 'q\[0\]': found f32\[3\], expected f32 of rank 2"):
        model(None, [x], None, x)
    with pytest.raises(module().InputError, match="input 'o': the rank is 2, expected 1"):
        model([x, x], None, None, x)
    # Files tell it too.
    for name, value in (("x", x), ("o", x * 2)):
        np.save(tmp_path / f"{name}.npy", value)
    given = ["--input", f"x={tmp_path / 'x.npy'}", "--output-dir", tmp_path / "out"]
    assert "o: optional f32[?]" in nacre("info", tmp_path / "m.so").out
    for more, expected in ([], -x), (["--input", f"o={tmp_path / 'o.npy'}"], x * 3):
        out = nacre("run", tmp_path / "m.so", *given, *more).out
        assert np.load(tmp_path / "out" / "y.npy").tolist() == expected.tolist()
        assert ("same.pb: nothing" in out) == (not more), out


def test_an_optional_that_must_be_there(tmp_path: Path) -> None:
    text = "g (optional(float[N]) o) => (float[N] y) { e = OptionalGetElement (o) y = Relu (e) }"
    onnx.save(parser.parse_model(HEAD + text), tmp_path / "m.onnx")
    module().compile_to_file(tmp_path / "m.onnx", tmp_path / "m.so")
    model = module().load(tmp_path / "m.so")
    assert model(np.array([-1, 2], np.float32)).tolist() == [0, 2]
    with pytest.raises(module().RunError, match="the optional has no element"):
        model(None)


def test_lengths_that_are_ranks(tmp_path: Path) -> None:
    text = """g (int64[L] size, float[1] x) => (int64[R] r) { e = Expand (x, size) r = Shape (e) }"""
    proto = parser.parse_model(HEAD + text)
    x = np.ones(1, np.float32)
    made = module().compile(proto, example={"size": np.array([3, 4]), "x": x})
    assert made.inputs[0].shape == (2,) and made(np.array([5, 2]), x).tolist() == [5, 2]
    with pytest.raises(module().InputError, match="'size'"):
        made(np.array([5, 2, 1]), x)
    onnx.save(proto, tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")  # for any length, each in code of its own
    assert module().load(tmp_path / "m.so")(np.array([4, 1]), x).tolist() == [4, 1]
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so", "--input-shape", "size=3")
    assert module().load(tmp_path / "m.so")(np.array([4, 1, 2]), x).tolist() == [4, 1, 2]
    # Files of a run tell it just in time.
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "size.npy", np.array([4, 3, 1, 2]))
    nacre("run", tmp_path / "m.onnx", "--input", f"x={tmp_path / 'x.npy'}", "--input", f"size={tmp_path / 'size.npy'}", "--output-dir", tmp_path / "out")
    assert np.load(tmp_path / "out" / "r.npy").tolist() == [4, 3, 1, 2]


# Operators whose result's rank the length of a vector tells, with vectors of several lengths.
BY_LENGTH = {
    "Reshape": ("y = Reshape (x, v)", (2, 3, 4), [[24], [4, 6], [2, 3, 2, 2], [6, -1]]),
    "Expand": ("y = Expand (x, v)", (3, 1), [[2], [3, 2], [2, 3, 4], [2, 2, 1, 1]]),
    "ConstantOfShape": ("k = ConstantOfShape <value = float[1] {2.5}> (v) z = ReduceSum <keepdims = 0> (x) y = Add (k, z)", (2,), [[3], [], [2, 1], [2, 3, 2]]),
    "Squeeze": ("y = Squeeze (x, v)", (1, 3, 1), [[0], [2], [0, -1]]),
    "Unsqueeze": ("y = Unsqueeze (x, v)", (2, 3), [[1], [0, -1], [0, 1, 4]]),
    "ReduceSum": ("y = ReduceSum <keepdims = 0> (x, v)", (2, 3, 4), [[1], [0, -1], [2, 0, 1], []]),
    "ReduceMax": ("y = ReduceMax <keepdims = 0, noop_with_empty_axes = 1> (x, v)", (2, 3, 4), [[1], [0, -1], []]),
    "AffineGrid": ("y = AffineGrid (x, v)", (2, 2, 3), [[2, 1, 4, 3]]),
    "Col2Im": ("n = Shape (v) b = ConstantOfShape <value = int64[1] {1}> (n) y = Col2Im (x, v, b)", (1, 2, 6), [[6], [2, 3], [3, 2, 1]]),
    "GatherND": ("y = GatherND (x, v)", (2, 3, 4), [[1], [1, 2], [-1, 0, 3]]),
    # On its way to the operator.
    "Identity, Concat": ("i = Identity (v) e = Constant <value_ints = [1]> () s = Concat <axis = 0> (i, e, i) y = Expand (x, s)", (2,), [[2], [1, 2]]),
    "Cast": ("f = Cast <to = 1> (v) w = Cast <to = 7> (f) y = Reshape (x, w)", (2, 6), [[12], [3, 4]]),
    "Slice": ("a = Constant <value_ints = [1]> () e = Constant <value_ints = [100]> () s = Slice (v, a, e) y = Reshape (x, s)", (2, 6), [[9, 12], [9, 3, 4]]),
    "in a branch": ("t = Constant <value = bool {1}> () y = If (t) <then_branch = a () => (p) { p = Reshape (x, v) }, else_branch = b () => (q) { q = Identity (x) }>", (2, 6), [[12], [3, 2, 2]]),
}


@pytest.mark.parametrize("name", BY_LENGTH)
def test_each_operator(name: str) -> None:
    nodes, shape, vectors = BY_LENGTH[name]
    proto = unranked(f"g (float[{', '.join(map(str, shape))}] x, int64[L] v) => (float[R] y) {{ {nodes} }}", "y")
    made = module().compile(proto, threads=1)
    assert isinstance(made, module().Model)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    for vector in vectors + vectors[:1]:
        v = np.array(vector, np.int64)
        (expected,) = ReferenceEvaluator(proto).run(None, {"x": x, "v": v})
        got = made(x, v)
        assert got.shape == np.shape(expected)
        np.testing.assert_allclose(got, expected, 1e-5, 1e-6)


def test_lengths_in_process() -> None:
    text = """g (float[2, N] x, int64[L] size, int64[3] three, int64[M] other) => (float[R] y, int64[K] o) {
        y = Reshape (x, size)
        o = Add (three, three)
    }"""
    proto = unranked(text, "y")
    made = module().compile(proto, threads=1)
    x, three = np.arange(8, dtype=np.float32).reshape(2, 4), np.array([1, 2, 3])
    assert [i.shape for i in made.inputs] == [(2, "N"), ("L",), (3,), ("M",)]
    for size in ([8], [2, 4], [2, 2, 2], [4, 1, 2]):
        assert made(x, np.array(size), three, three[:1])[0].shape == tuple(size)
    # Where it is said there is code for it alone.
    for half in (module().compile(proto, example={"size": np.array([2, 2, 2])}), module().compile(proto, dims={"L": 3})):
        assert len(half.outputs[0].shape) == 3
        assert half(x, np.array([4, 1, 2]), three, three)[0].shape == (4, 1, 2)


def test_two_vectors_that_matter() -> None:
    text = "g (float[N] x, int64[A] a, int64[B] b, int64[C] c) => (float[R] y, int64[C] d) { s = Concat <axis = 0> (a, b) y = Reshape (x, s) d = Neg (c) }"
    proto = unranked(text, "y")
    made = module().compile(proto, threads=1)
    x = np.arange(12, dtype=np.float32)
    for a, b in (([3], [4]), ([2, 3], [2]), ([], [12]), ([3], [2, 2])):
        feed = {"x": x, "a": np.array(a, np.int64), "b": np.array(b), "c": np.arange(2)}
        for got, want in zip(made.run(feed), ReferenceEvaluator(proto).run(None, feed)):
            np.testing.assert_array_equal(got, want)
    # An example tells one of them, runs the other.
    half = module().compile(proto, example={"a": np.array([3])})
    assert half(x, np.array([6]), np.array([1, 2]), x.astype(np.int64))[0].shape == (6, 1, 2)


def test_lengths_that_no_run_can_tell() -> None:
    """Computed of data, a rank is left to the run, whatever vectors there are beside it; another fault is refused."""
    by_data = "g (float[N] x, int64[L] v) => (float[R] y, int64[L] w) { i = NonZero (x) a = Constant <value_ints = [-1]> () s = Reshape (i, a) y = Expand (x, s) w = Neg (v) }"
    made = module().compile(unranked(by_data, "y"))
    assert isinstance(made, module().Model)
    for x, shape in (([5], (0,)), ([0], (1,)), ([0, 7], (2,)), ([3, 7], (0, 2))):
        assert made(np.array(x, np.float32), np.arange(3))[0].shape == shape
    twisted = "g (float[N] x, int64[L] v) => (float[R] y, float[N] z) { y = Reshape (x, v) z = Twist (x) }"
    with pytest.raises(module().CompileError, match="Twist"):
        module().compile(unranked(twisted, "y"))
    # What is trained has its parameters once: an example says the length.
    proto = unranked("g (float[N] x, int64[L] v) => (float[R] y) <float[1] k = {2}> { h = Mul (x, k) y = Reshape (h, v) }", "y")
    train = {"loss": "mse", "optimizer": "sgd"}
    with pytest.raises(module().CompileError, match="--input-shape may tell"):
        module().compile(proto, train=train)
    assert "step" in module().compile(proto, train=train, example={"v": np.array([2, 2])}).functions


def test_only_the_vectors_that_matter() -> None:
    """The length of another vector stays open."""
    text = """g (int64[K] ids, int64[L] size, float[1] x) => (int64[R] r, int64[K] same) { e = Expand (x, size) r = Shape (e) same = Identity (ids) }"""
    proto = parser.parse_model(HEAD + text)
    x = np.ones(1, np.float32)
    feed = {"ids": np.arange(7), "size": np.array([3, 4]), "x": x}
    made = module().compile(proto, example=feed)
    assert [i.shape for i in made.inputs] == [("K",), (2,), (1,)]
    for ids in (np.arange(7), np.arange(3)):
        for got, want in zip(made(ids, np.array([2, 6]), x), ReferenceEvaluator(proto).run(None, feed | {"ids": ids, "size": np.array([2, 6])})):
            np.testing.assert_array_equal(got, want)
    # As soon as a rank is open too, what vectors tell is told by each run.
    open_proto = unranked(text, "x")
    open_model = module().compile(open_proto)
    for size in ([3, 4], [2, 3, 4], [6], [5, 4]):
        assert open_model(np.arange(2), np.array(size), x)[0].tolist() == size
