"""Sequences and optionals as inputs, and splits whose number of pieces a run tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import SequenceProto, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from support import module, nacre

HEAD = '<ir_version: 10, opset_import: ["": 21]>\n'

# Of a sequence, an optional tensor, an optional sequence and a tensor.
TEXT = """g (seq(float[N]) s, optional(float[K]) o, optional(seq(float[L])) q, float[2] x)
    => (float[A] y, bool has, bool more, int64 n, seq(float[N]) same) {
    y = ConcatFromSequence <axis = 0> (s)
    has = OptionalHasElement (o)
    more = OptionalHasElement (q)
    n = SequenceLength (s)
    same = SequenceInsert (s, x)
}"""


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + text)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


S = [floats(1, 2), floats(3), floats()]
X = floats(7, 8)


def test_python() -> None:
    nacre_ = module()
    made = nacre_.compile(model(TEXT), input_lengths={"s": 3, "o": 1, "q": None})
    y, has, more, n, same = made(S, floats(5), None, X)
    assert y.tolist() == [1, 2, 3] and has and not more and n == 3
    assert [v.tolist() for v in same] == [[1, 2], [3], [], [7, 8]]
    assert [i.name for i in made.inputs] == ["s", "o", "q", "x"]
    assert [e.name for e in made.inputs[0].elements] == ["s[0]", "s[1]", "s[2]"]
    assert made.inputs[1].elements is None and made.inputs[2].dtype is None
    # By name; what is not there may be left out.
    named = made.run({"s": tuple(S), "o": [5.0], "x": X} | {"o": floats(5)})
    assert named[0].tolist() == [1, 2, 3]
    assert made.run({"s": S, "o": floats(5), "q": None, "x": X})[3] == 3
    shown = nacre_.compile(model(TEXT), example={"s": S[:2], "o": None, "q": [X], "x": X})
    y, has, more, n, same = shown(S[:2], None, [X], X)
    assert y.tolist() == [1, 2, 3] and not has and more and n == 2 and len(same) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([S[:2], floats(5), None, X], r"input 's': found a list of 2 arrays, the model was compiled for a list of 3 arrays; compile it again with input_lengths=\{'s': 2\}"),
        ([None, floats(5), None, X], "input 's': found none, the model was compiled for a list of 3 arrays$"),
        ([X, floats(5), None, X], "input 's': found a numpy.ndarray, the model was compiled for a list"),
        ([S, None, None, X], r"input 'o': found none, the model was compiled for an array; .*\{'o': None\}"),
        ([S, floats(5), [X], X], r"input 'q': found a list of 1 arrays, the model was compiled for none; .*\{'q': 1\}"),
        ([S, floats(5), X, X], r"input 'q': found an array, the model was compiled for none; .*\{'q': 1\}"),
        ([S, floats(5), None, floats(1)], r"input 'x': dimension 0 is 1, the model expects 2|input 'x'"),
        ([[*S[:2], floats(1).reshape(1, 1)], floats(5), None, X], r"input 's\[2\]'"),
        ([S, floats(5), X], "the model has 4 inputs, found 3"),
    ],
)  # fmt: skip
def test_python_refuses(given: list[Any], message: str) -> None:
    made = module().compile(model(TEXT), input_lengths={"s": 3, "o": 1, "q": None})
    with pytest.raises(module().RunError, match=message):
        made(*given)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"s": None, "o": 1, "q": 1}, "input 's' is a sequence: it has a number of elements, found none at all"),
        ({"s": 1, "o": 2, "q": 1}, "input 'o' is one tensor, found 2 elements"),
        ({"s": -1, "o": 1, "q": 1}, "input 's' has -1 elements, expected 0 to 65536"),
        ({"s": 1, "o": 1, "q": 1, "x": 3}, "input 'x' is one tensor, found 3 elements"),
        ({"s": 1, "o": 1, "q": 1, "z": 3}, "no input is named 'z'; the model's inputs are: 's', 'o', 'q', 'x'"),
    ],
)  # fmt: skip
def test_lengths_that_do_not_fit(lengths: dict[str, int | None], message: str, tmp_path: Path) -> None:
    onnx.save(model(TEXT), tmp_path / "m.onnx")
    with pytest.raises(module().CompileError, match=message):
        module().compile_to_file(tmp_path / "m.onnx", tmp_path / "m.so", input_lengths=lengths)


def test_shapes_of_elements() -> None:
    text = "g (seq(float) s) => (float[2, 3] y, int64[r] h) { i = Constant <value_int = 1> () y = SequenceAt (s, i) h = Shape (y) }"
    given = model(text)
    given.graph.input[0].type.sequence_type.elem_type.tensor_type.ClearField("shape")
    a, b = np.ones((1,), np.float32), np.arange(6, dtype=np.float32).reshape(2, 3)
    open_model = module().compile(given, input_lengths={"s": 2})
    assert open_model.open_inputs == ["s"] and np.array_equal(open_model([a, b])[0], b)
    for options in (
        {"input_lengths": {"s": 2}, "input_shapes": {"s[0]": [1], "s[1]": [2, -1]}},
        {"example": {"s": [a, b]}},
    ):
        made = module().compile(given, **options)
        y, h = made([a, b])
        assert np.array_equal(y, b) and h.tolist() == [2, 3]
    same = module().compile(given, input_lengths={"s": 2}, input_shapes={"s": [2, 3]})
    assert [e.shape for e in same.inputs[0].elements] == [(2, 3), (2, 3)]


def test_training_step_has_the_same_inputs() -> None:
    text = """g (seq(float[B, 4]) s) => (float[B, 3] y) <float[4, 3] w = {1,2,3,4,5,6,7,8,9,1,2,3}> {
        i = Constant <value_int = 1> ()
        x = SequenceAt (s, i)
        y = MatMul (x, w)
    }"""
    made = module().compile(
        model(text), input_lengths={"s": 2}, train={"loss": "softmax-cross-entropy"}
    )
    x = np.ones((2, 4), np.float32)
    w = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3], np.float32).reshape(4, 3)
    inputs = {"s": [x, x], "labels": np.array([0, 1]), "learning_rate": np.float32(0.1)}
    loss, y = made.run(inputs, "step")
    assert np.isfinite(loss) and np.array_equal(y, x @ w)


def write_sequence(path: Path, values: list[np.ndarray]) -> Path:
    path.write_bytes(numpy_helper.from_list(values, path.stem).SerializeToString())
    return path


def write_optional(path: Path, value: Any) -> Path:
    path.write_bytes(numpy_helper.from_optional(value, path.stem).SerializeToString())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequences")
    onnx.save(model(TEXT), folder / "m.onnx")
    flags = ["--input-length", "s=3", "--input-length", "o=1", "--input-length", "q=none"]
    nacre("compile", folder / "m.onnx", "-o", folder / "m.so", *flags)
    write_sequence(folder / "s.pb", S)
    write_optional(folder / "o.pb", floats(5))
    write_optional(folder / "q.pb", None)
    np.save(folder / "x.npy", X)
    np.save(folder / "o.npy", floats(5))
    return folder


def give(folder: Path, **files: str) -> list[str]:
    given = {"s": "s.pb", "o": "o.pb", "q": "q.pb", "x": "x.npy"} | files
    return [part for n, f in given.items() if f for part in ("--input", f"{n}={folder / f}")]


@pytest.mark.parametrize("file", ["m.so", "m.onnx"])
def test_files(folder: Path, tmp_path: Path, file: str) -> None:
    """An artefact is compiled for lengths; just in time they come from the files."""
    for files in ({}, {"o": "o.npy"}):
        nacre("run", folder / file, *give(folder, **files), "--output-dir", tmp_path)
        assert np.load(tmp_path / "y.npy").tolist() == [1, 2, 3]
        assert np.load(tmp_path / "has.npy") and not np.load(tmp_path / "more.npy")
        same = SequenceProto.FromString((tmp_path / "same.pb").read_bytes())
        assert [v.tolist() for v in numpy_helper.to_list(same)] == [[1, 2], [3], [], [7, 8]]
    # What a run wrote can be read again.
    np.save(tmp_path / "x.npy", X)
    nacre("run", folder / "m.onnx", *give(folder, s=str(tmp_path / "same.pb")), "--output-dir", tmp_path)
    assert np.load(tmp_path / "n.npy") == 4


def test_just_in_time_is_ahead_of_time(folder: Path, tmp_path: Path) -> None:
    for name, file in (("a", "m.so"), ("j", "m.onnx")):
        nacre("run", folder / file, *give(folder), "--output-dir", tmp_path / name)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "j").iterdir())
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "j" / n).read_bytes() for n in names)


def test_other_lengths(folder: Path, tmp_path: Path) -> None:
    none = tmp_path / "none.pb"
    write_sequence(tmp_path / "two.pb", S[:2])
    write_sequence(tmp_path / "empty.pb", [])
    write_optional(none, None)
    write_optional(tmp_path / "inside.pb", [X, X])
    jit = nacre("run", folder / "m.onnx", *give(folder, s=str(tmp_path / "two.pb"), o=str(none), q=str(tmp_path / "inside.pb")), "--output-dir", tmp_path)  # fmt: skip
    assert "sequence of 3" in jit.out
    assert not np.load(tmp_path / "has.npy") and np.load(tmp_path / "more.npy")
    for files, message in (
        ({"s": "two.pb"}, "two.pb: 2 elements, but the model was compiled for 3 elements of the input 's'; compile it again with --input-length s=2"),
        ({"s": "empty.pb"}, "empty.pb: 0 elements, but the model was compiled for 3 elements"),
        ({"o": "none.pb"}, "none.pb: nothing, but the model was compiled for 1 element of the input 'o'; compile it again with --input-length o=none"),
        ({"q": "inside.pb"}, "inside.pb: 2 elements, but the model was compiled for nothing of the input 'q'"),
        ({"x": "two.pb"}, "two.pb: 2 elements, but the input 'x' is one tensor"),
        ({"x": "none.pb"}, "none.pb: nothing, but the input 'x' is one tensor"),
    ):  # fmt: skip
        given = give(folder, **{n: str(tmp_path / f) for n, f in files.items()})
        ran = nacre("run", folder / "m.so", *given, "--output-dir", tmp_path, ok=False)
        assert ran.status == 1 and message in ran.err, ran.text()
    ran = nacre("run", folder / "m.onnx", *give(folder, s=""), ok=False)
    assert ran.status == 1 and "without a value (use --input name=file or --random seed):\n  s: sequence of f32\n" in ran.err, ran.text()
    nacre("run", folder / "m.onnx", *give(folder, o=""), "--output-dir", tmp_path)  # left out: it has no element
    assert not np.load(tmp_path / "has.npy")
    ran = nacre("run", folder / "m.so", "--input-length", "s=2", ok=False)
    assert ran.status == 2 and "compiled already" in ran.err, ran.text()
    ran = nacre("compile", folder / "m.onnx", "-o", tmp_path / "m.so", "--input-length", "s=x", ok=False)
    assert ran.status == 2 and "malformed length 's=x', expected NAME=3 or NAME=none" in ran.err


def test_elements_and_random_values(folder: Path, tmp_path: Path) -> None:
    for i, value in enumerate(S):
        np.save(tmp_path / f"{i}.npy", value)
    elements = [part for i in range(3) for part in ("--input", f"s[{i}]={tmp_path / f'{i}.npy'}")]
    nacre("run", folder / "m.so", *give(folder, s=""), *elements, "--output-dir", tmp_path)
    assert np.load(tmp_path / "y.npy").tolist() == [1, 2, 3]
    nacre("run", folder / "m.so", *give(folder, s=""), "--random", "1", "--output-dir", tmp_path)
    assert np.load(tmp_path / "y.npy").shape == (3,)
    nacre("bench", folder / "m.so", "--seconds", "0.01")
    ran = nacre("run", folder / "m.so", *give(folder, s=""), *elements[2:], ok=False)
    assert ran.status == 1 and "s[0]: f32[?]" in ran.err, ran.text()


def test_info(folder: Path) -> None:
    out = nacre("info", folder / "m.so").out
    assert "input   s: sequence of 3: f32[?], f32[?], f32[?]" in out, out
    assert "input   o: optional f32[K]" in out and "input   q: optional nothing" in out, out
    assert 'input_lengths {"o":1,"q":null,"s":3}' in out


def test_broken_files(folder: Path, tmp_path: Path) -> None:
    """Anything but the right file: a message or, where the bytes happen to fit, an answer."""
    for name in ("s.pb", "q.pb"):
        content = (folder / name).read_bytes()
        for position in range(min(len(content), 40)):
            for bad in (content[:position], content[:position] + bytes([content[position] ^ 0x15]) + content[position + 1 :]):
                (tmp_path / "bad.pb").write_bytes(bad)
                given = give(folder, **{name[0]: str(tmp_path / "bad.pb")})
                ran = nacre("run", folder / "m.so", *given, "--output-dir", tmp_path, ok=False)
                assert ran.status in (0, 1), ran.text()


def compare_with_reference(text: str, *inputs: Any) -> None:
    made = model(text)
    names = [i.name for i in made.graph.input]
    expected = ReferenceEvaluator(made).run(None, dict(zip(names, inputs)))
    actual = module().compile(made, threads=1).run(list(inputs))
    for want, got in zip(expected, actual):
        np.testing.assert_array_equal(got, want)
        assert got.shape == np.shape(want)


@pytest.mark.parametrize("rows", [1, 2, 5, 7])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("split", ["", ", size", ", sizes"])
def test_split(rows: int, axis: int, split: str) -> None:
    text = f"""g (float[M, N] x, int64 i, int64 size, int64[P] sizes) => (float[A, B] y, int64 n, float[C, D] z) {{
        s = SplitToSequence <axis = {axis}> (x{split})
        y = SequenceAt (s, i)
        n = SequenceLength (s)
        z = ConcatFromSequence <axis = {axis}> (s)
    }}"""
    x = np.arange(rows * rows, dtype=np.float32).reshape(rows, rows)
    sizes = np.array([1, 0, rows - 1])
    count = {"": rows, ", size": -(-rows // 2), ", sizes": 3}[split]
    for i in range(-count, count):
        compare_with_reference(text, x, np.array(i), np.array(2), sizes)


def test_split_without_the_axis() -> None:
    text = """g (float[M, N] x, int32 i) => (float[A] y, int64 n, float[C, D] z) {
        s = SplitToSequence <axis = 1, keepdims = 0> (x)
        y = SequenceAt (s, i)
        n = SequenceLength (s)
        z = ConcatFromSequence <axis = 1, new_axis = 1> (s)
    }"""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for i in range(-4, 4):
        compare_with_reference(text, x, np.array(i, np.int32))


def test_split_in_a_loop() -> None:
    text = """g (float[M, N] x) => (float[K] y) {
        s = SplitToSequence <axis = 0, keepdims = 0> (x)
        n = SequenceLength (s)
        zero = Constant <value_float = 0.0> ()
        wide = Shape <start = 1> (x)
        first = Expand (zero, wide)
        go = Constant <value = bool {1}> ()
        y = Loop (n, go, first) <body = b (int64 i, bool c, float[K] sum) => (bool c2, float[K] next) {
            c2 = Identity (c)
            row = SequenceAt (s, i)
            next = Add (sum, row)
        }>
    }"""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert module().compile(model(text))(x).tolist() == x.sum(0).tolist()


@pytest.mark.parametrize(
    ("split", "i", "size", "sizes", "message"),
    [
        ("", 5, 1, [5], "node 'y' (SequenceAt): the position is out of range for the sequence"),
        ("", -6, 1, [5], "node 'y' (SequenceAt): the position is out of range for the sequence"),
        (", size", 3, 2, [5], "node 'y' (SequenceAt): the position is out of range for the sequence"),
        (", size", 0, 0, [5], "node 's' (SplitToSequence): the pieces of the split have a size below 1"),
        (", size", 0, -(2**63), [5], "node 's' (SplitToSequence): the pieces of the split have a size below 1"),
        (", sizes", 2**63 - 1, 1, [2, 3], "node 'y' (SequenceAt): the position is out of range for the sequence"),
        (", sizes", -(2**63), 1, [2, 3], "node 'y' (SequenceAt): the position is out of range for the sequence"),
        (", sizes", 0, 1, [2, 2], "node 's' (SplitToSequence): the pieces of the split do not add up to the dimension"),
        (", sizes", 0, 1, [-1, 6], "node 's' (SplitToSequence): a piece of the split has a negative size"),
        (", sizes", 0, 1, [2**62] * 4 + [5], "node 's' (SplitToSequence): the pieces of the split do not add up to the dimension"),
        (", sizes", 0, 1, [], "node 's' (SplitToSequence): the pieces of the split do not add up to the dimension"),
    ],
)  # fmt: skip
def test_split_refuses(split: str, i: int, size: int, sizes: list[int], message: str) -> None:
    text = f"""g (float[N] x, int64 i, int64 size, int64[P] sizes) => (float[A] y, int64 n) {{
        s = SplitToSequence <axis = 0> (x{split})
        y = SequenceAt (s, i)
        n = SequenceLength (s)
    }}"""
    made = module().compile(model(text))
    with pytest.raises(module().RunError) as caught:
        made(np.ones(5, np.float32), np.array(i), np.array(size), np.array(sizes, np.int64))
    assert message in str(caught.value)


def test_huge_pieces() -> None:
    text = """g (float[N] x, int64 size) => (float[A] y, int64 n) {
        s = SplitToSequence <axis = 0> (x, size)
        zero = Constant <value_int = 0> ()
        y = SequenceAt (s, zero)
        n = SequenceLength (s)
    }"""
    y, n = module().compile(model(text))(np.ones(5, np.float32), np.array(2**63 - 1))
    assert y.shape == (5,) and n == 1


def test_optional_strings() -> None:
    text = "g (optional(string[N]) o) => (string[N] y) { y = OptionalGetElement (o) }"
    made = module().compile(model(text), input_lengths={"o": 1})
    assert made(np.array(["a", "b"], object)).tolist() == ["a", "b"]


def test_positions_that_a_run_tells() -> None:
    text = """g (seq(float[N]) s, int64 i, float[K] x) => (float[A] at, seq(float[B]) more, seq(float[C]) less) {
        at = SequenceAt (s, i)
        more = SequenceInsert (s, x, i)
        less = SequenceErase (s, i)
    }"""
    values = [floats(*range(i)) for i in range(1, 6)]
    new = floats(8, 9, 8)
    made = module().compile(model(text), input_lengths={"s": 5})
    for i in range(-5, 5):
        at, more, less = made(values, np.array(i), new)
        expected = list(values)
        assert at.tolist() == expected.pop(i).tolist()
        assert [v.tolist() for v in less] == [v.tolist() for v in expected]
        expected = list(values)
        expected.insert(i, new)
        assert [v.tolist() for v in more] == [v.tolist() for v in expected]
    for i in (5, -6, 2**63 - 1, -(2**63)):
        with pytest.raises(module().RunError, match="the position is out of range for 5 elements"):
            made(values, np.array(i), new)
    end = "g (seq(float[N]) s, int32[1] i, float[K] x) => (seq(float[B]) more) { more = SequenceInsert (s, x, i) }"
    more = module().compile(model(end), input_lengths={"s": 5})(values, np.array([5], np.int32), new)
    assert more[5].tolist() == new.tolist()
    empty = module().compile(model(end), input_lengths={"s": 0})
    assert empty([], np.array([0], np.int32), new)[0].tolist() == new.tolist()


def test_a_loop_that_carries_a_sequence() -> None:
    text = """g (seq(float[N]) s, float[N] x) => (seq(float[N]) y, float[A, B] z) {
        n = SequenceLength (s)
        e = SequenceEmpty ()
        go = Constant <value = bool {1}> ()
        y, last, z = Loop (n, go, e, x) <body = b (int64 i, bool c, seq(float[N]) t, float[N] v)
            => (bool c2, seq(float[N]) t2, float[N] w, float[N] r) {
            c2 = Identity (c)
            a = SequenceAt (s, i)
            w = Add (a, v)
            r = Identity (w)
            t2 = SequenceInsert (t, a)
        }>
    }"""
    values = [floats(i, 2 * i) for i in range(4)]
    y, z = module().compile(model(text), input_lengths={"s": 4})(values, floats(1, 1))
    assert np.array_equal(y, values) and np.array_equal(z, 1 + np.cumsum(values, 0))
