"""Strings, sequences and optionals at the boundary: Python, files, errors.

Operators on strings are compared with Python's own, case mapping over all of Unicode.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import OptionalProto, SequenceProto, TensorProto, helper, numpy_helper, parser

from support import module, nacre

HEAD = '<ir_version: 10, opset_import: ["": 21, "ai.onnx.ml": 4]>\n'


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + text)


def run(text: str, *inputs: Any) -> Any:
    return module().compile(model(text), threads=1)(*inputs)


def words(*values: str) -> np.ndarray:
    return np.array(values, object)


def test_numpys_kinds_of_strings() -> None:
    text = "g (string[N] x) => (string[N] y) { y = Identity(x) }"
    values = ["", "ä", "a\0b", "long enough to lie elsewhere", "\U0001f41a"]
    kinds = [np.array(values, object), np.array(["", "ä", "x"]), values]
    kinds.append(np.array(values[:2], np.dtypes.StringDType()))
    kinds.append(np.array([value.encode() for value in values], object))
    for given in kinds:
        expected = [v.decode() if isinstance(v, bytes) else str(v) for v in given]
        result = run(text, given)
        assert result.dtype == object and result.tolist() == expected
    with pytest.raises(TypeError, match="element 1 of an array of objects is no string"):
        run(text, np.array(["a", 1], object))
    with pytest.raises(module().RunError, match="the element type is f32, expected string"):
        run(text, np.zeros(2, np.float32))
    assert module().compile(model(text)).inputs[0].dtype == object


def test_moves() -> None:
    """Operators that know nothing of their elements."""
    text = """g (string[N, 2] x, bool[N, 2] c, int64[2] i) => (string[M, K] y, string[L, 3] p, string[J] s) {
        k = Constant <value_strings = ["k", "", "kk"]> ()
        two = Constant <value_ints = [1, 2]> ()
        all = Constant <value_ints = [-1]> ()
        a = Transpose <perm = [1, 0]> (x)
        flat = Reshape (a, all)
        w = Where (c, x, x)
        g = Gather <axis = 0> (w, i)
        y = Concat <axis = 0> (g, x)
        pads = Constant <value_ints = [0, 0, 0, 1]> ()
        p = Pad (x, pads)
        s = Concat <axis = 0> (flat, k)
    }"""
    x = np.array([["a", "b"], ["c", "d"], ["e", "f"]], object)
    y, padded, s = run(text, x, np.ones((3, 2), bool), np.array([2, 0]))
    assert y.tolist() == [["e", "f"], ["a", "b"], *x.tolist()]
    assert padded.tolist() == [[*row, ""] for row in x.tolist()]
    assert s.tolist() == [*"acebdf", "k", "", "kk"]


def test_control_flow() -> None:
    text = """g (bool c, int64 m, string[1] x) => (string[1] y, string[n] z) {
        y = If (c) <
            then_branch = a () => (string[1] p) { p = Identity(x) },
            else_branch = b () => (string[1] q) { q = Constant <value_strings = ["else"]> () }
        >
        yes = Constant <value = bool {1}> ()
        last, z = Loop (m, yes, x) <
            body = l (int64 i, bool go, string[1] s) => (bool again, string[1] t, string[1] u) {
                again = Identity(go)
                t = StringConcat(s, y)
                u = Identity(t)
            }
        >
    }"""
    y, z = run(text, np.array(True), np.array(3), words("ab"))
    assert y.tolist() == ["ab"]
    assert z.reshape(-1).tolist() == ["abab", "ababab", "abababab"]
    y, z = run(text, np.array(False), np.array(0), words("ab"))
    assert y.tolist() == ["else"] and z.size == 0


def change_case(action: str, values: list[str]) -> list[str]:
    text = f"""g (string[N] x) => (string[M] y) {{
        y = StringNormalizer <case_change_action = "{action}", stopwords = ["stop"]> (x)
    }}"""
    return run(text, words(*values)).tolist()


@pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="the table is that of Unicode 14"
)
def test_case_of_every_letter() -> None:
    letters = [chr(c) for c in range(1, sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
    # Alone, so that no letter stands in the context of another (the final sigma).
    assert change_case("LOWER", letters) == [c.lower() for c in letters]
    assert change_case("UPPER", letters) == [c.upper() for c in letters]


def test_case_of_words_and_bytes() -> None:
    values = ["Straße", "ÀÉÎ", "ŉa", "İ", "日本", "ΑΒΓ", "x" * 100000, "Stop", "STOP"]
    assert change_case("UPPER", values) == [v.upper() for v in values[:-2]]
    assert change_case("LOWER", values) == [v.lower() for v in values[:-2]]
    # What is no UTF-8 stays what it is.
    broken = np.array([b"A\xffB", b"\xc3", b"\xed\xa0\x80Z", b"\xf5AAA"], object)
    text = 'g (string[N] x) => (string[M] y) { y = StringNormalizer <case_change_action = "LOWER"> (x) }'
    result = [s.encode("utf-8", "surrogateescape") for s in run(text, broken)]
    assert result == [b"a\xffb", b"\xc3", b"\xed\xa0\x80z", b"\xf5aaa"]


def test_stop_words() -> None:
    def normalize(values: Any, attributes: str) -> list[Any]:
        shape = ", ".join(map(str, np.shape(values)))
        text = f"g (string[{shape}] x) => (y) {{ y = StringNormalizer <{attributes}> (x) }}"
        return run(text, np.array(values, object)).tolist()

    assert normalize(["a", "B", "c"], 'stopwords = ["b"]') == ["a", "c"]
    assert normalize(["a", "B", "c"], 'stopwords = ["b"], is_case_sensitive = 1') == ["a", "B", "c"]
    assert normalize([["x", "X"]], 'stopwords = ["x"]') == [[""]]
    assert normalize(["x"], 'stopwords = ["x"]') == [""]
    assert normalize(["B", "b"], 'is_case_sensitive = 1, stopwords = ["b"], case_change_action = "LOWER"') == ["b"]
    for attributes, message in (
        ('locale = "tr_TR"', "locale"),
        ('case_change_action = "TITLE"', "TITLE"),
    ):
        with pytest.raises(module().CompileError, match=message):
            normalize(["x"], attributes)


@pytest.mark.parametrize("delimiter", [",", "", "ab"])
@pytest.mark.parametrize("most", [None, 0, 1, 3])
def test_split(delimiter: str, most: int | None) -> None:
    values = ["a,b,,c,", "", " x  y\tz ", "abababab", ",", "  ", "q", "\u3000w\u2003v"]
    attributes = f'delimiter = "{delimiter}"' + ("" if most is None else f", maxsplit = {most}")
    text = f"g (string[2, N] x) => (string[2, N, M] y, int64[2, N] n) {{ y, n = StringSplit <{attributes}> (x) }}"
    y, n = run(text, np.array(values, object).reshape(2, 4))
    expected = [v.split(delimiter or None, -1 if most is None else most) for v in values]
    width = max(map(len, expected))
    assert n.reshape(-1).tolist() == list(map(len, expected))
    assert y.reshape(8, -1).tolist() == [e + [""] * (width - len(e)) for e in expected]


def test_numbers() -> None:
    floats = np.array([0, -0.0, 1, 0.1, -2.5, 1e20, 1e-5, 3.14159274, np.inf, -np.inf, 16777216, 1e16], np.float32)
    text = "g (float[N] x) => (string[N] y, float[N] z) { y = Cast <to = 8> (x) z = Cast <to = 1> (y) }"
    y, z = run(text, floats)
    assert y.tolist() == [
        *("0.0", "-0.0", "1.0", "0.1", "-2.5", "1e+20", "1e-05", "3.1415927"),
        *("INF", "-INF", "16777216.0", "1e+16"),
    ]
    np.testing.assert_array_equal(z, floats)
    whole = np.array([0, -1, 2**63 - 1, -(2**63)])
    text = "g (int64[N] x) => (string[N] y, int64[N] z) { y = Cast <to = 8> (x) z = Cast <to = 7> (y) }"
    y, z = run(text, whole)
    assert y.tolist() == list(map(str, whole)) and z.tolist() == whole.tolist()
    parse = "g (string[N] x) => (int8[N] y) { y = Cast <to = 3> (x) }"
    assert run(parse, words("-128", "+127", "007")).tolist() == [-128, 127, 7]
    for bad in ("128", "", "x", "1 ", " 1", "1.5", "0x1", "1\0"):
        with pytest.raises(module().RunError, match="element 0 is '.*', which is no number"):
            run(parse, words(bad))
    with pytest.raises(module().RunError, match="no number"):
        run("g (string[N] x) => (float[N] y) { y = Cast <to = 1> (x) }", words("0x1p3"))


def test_labels() -> None:
    attributes = 'keys_strings = ["a", "b", "a"], values_int64s = [1, 2, 3], default_int64 = -7'
    text = f"g (string[2, N] x) => (int64[2, N] y) {{ y = ai.onnx.ml.LabelEncoder <{attributes}> (x) }}"
    assert run(text, np.array([["a", ""], ["b", "c"]], object)).tolist() == [[1, -7], [2, -7]]
    keys = np.arange(5000)
    node = helper.make_node(
        "LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml",
        keys_int64s=keys.tolist(), values_strings=[f"word {k}" for k in keys], default_string="?",
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, ["N"])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("ai.onnx.ml", 2)]
    many = module().compile(helper.make_model(graph, opset_imports=opsets, ir_version=10))
    assert many(np.array([4999, 0, -1, 17])).tolist() == ["word 4999", "word 0", "?", "word 17"]
    floats = "keys_floats = [0.0, 1.5], values_floats = [1.0, 2.0], default_float = 9.0"
    text = f"g (float[N] x) => (float[N] y) {{ y = ai.onnx.ml.LabelEncoder <{floats}> (x) }}"
    assert run(text, np.array([-0.0, 1.5, np.nan], np.float32)).tolist() == [1, 2, 9]


def test_ngrams_of_words() -> None:
    attributes = (
        'mode = "TF", ngram_counts = [0, 2], ngram_indexes = [1, 0, 2], min_gram_length = 1,'
        'max_gram_length = 2, max_skip_count = 1, pool_strings = ["a", "b", "a", "b"]'
    )
    text = f"g (string[2, N] x) => (float[2, 3] y) {{ y = TfIdfVectorizer <{attributes}> (x) }}"
    x = np.array([["a", "b", "a", "b"], ["b", "c", "a", "d"]], object)
    assert run(text, x).tolist() == [[2, 2, 2], [1, 1, 0]]


def test_sequences_and_optionals_come_out() -> None:
    text = """g (float[4] x, string[2] w) => (seq(float[2]) s, optional(float[4]) p, optional(float[4]) n,
                                              float[4] y, seq(string[2]) t, seq(float[2]) e) {
        two = Constant <value_int = 2> ()
        s = SplitToSequence <axis = 0> (x, two)
        p = Optional (x)
        n = Optional <type = float[4]> ()
        y = Neg (x)
        t = SequenceConstruct (w, w)
        e = SequenceEmpty <dtype = 1> ()
    }"""
    x = np.arange(4, dtype=np.float32)
    program = module().compile(model(text))
    s, p, n, y, t, e = program(x, words("a", "b"))
    assert [v.tolist() for v in s] == [[0, 1], [2, 3]]
    assert p.tolist() == x.tolist() and n is None and y.tolist() == (-x).tolist()
    assert [v.tolist() for v in t] == [["a", "b"]] * 2 and e == []
    assert [o.name for o in program.outputs] == ["s", "p", "n", "y", "t", "e"]
    assert program.outputs[0].dtype is None and program.outputs[0].elements[1].shape == (2,)
    assert program.outputs[2].elements is None and "nothing" in repr(program.outputs[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strings")
    text = """g (string[N] x, float[4] v) => (string[M] y, seq(float[2]) s, optional(float[4]) p,
                                             optional(float[4]) n, optional(seq(float[4])) q) {
        y = StringNormalizer <case_change_action = "UPPER", stopwords = ["und"]> (x)
        two = Constant <value_int = 2> ()
        s = SplitToSequence <axis = 0> (v, two)
        p = Optional (v)
        n = Optional <type = float[4]> ()
        r = SequenceConstruct (v)
        q = Optional (r)
    }"""
    onnx.save(model(text), folder / "m.onnx")
    nacre("compile", folder / "m.onnx", "-o", folder / "m.so")
    np.save(folder / "v.npy", np.arange(4, dtype=np.float32))
    return folder


@pytest.mark.parametrize("file", ["m.so", "m.onnx"])
def test_files(folder: Path, tmp_path: Path, file: str) -> None:
    values = np.array(["ä", "und", "b\0c"], object)
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(values, "x").SerializeToString())
    np.save(tmp_path / "x.npy", np.array(["ä", "und", "b"]))
    np.save(tmp_path / "big.npy", np.array(["ä", "und", "b"]).astype(">U3"))
    for name, last in (("x.pb", "B\0C"), ("x.npy", "B"), ("big.npy", "B")):
        out = nacre("run", folder / file, "--input", f"x={tmp_path / name}", "--input",
                    f"v={folder / 'v.npy'}", "--output-dir", tmp_path).out  # fmt: skip
        tensor = TensorProto.FromString((tmp_path / "y.pb").read_bytes())
        assert tensor.name == "y" and numpy_helper.to_array(tensor).tolist() == ["Ä", last]
    assert "string[2]" in out and "sequence of 2: f32[2], f32[2]" in out and "n.pb: nothing" in out
    sequence = SequenceProto.FromString((tmp_path / "s.pb").read_bytes())
    assert [v.tolist() for v in numpy_helper.to_list(sequence)] == [[0, 1], [2, 3]]

    def optional(name: str) -> Any:
        return numpy_helper.to_optional(OptionalProto.FromString((tmp_path / name).read_bytes()))

    assert optional("p.pb").tolist() == [0, 1, 2, 3]
    assert optional("n.pb") is None
    assert [v.tolist() for v in optional("q.pb")] == [[0, 1, 2, 3]]


def test_an_optional_or_sequence_of_one_is_read_as_a_tensor(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(words("a"), "x").SerializeToString())
    v = np.ones(4, np.float32)
    tensor = numpy_helper.from_array(v, "v")
    optional = helper.make_optional("v", OptionalProto.TENSOR, tensor)
    one = helper.make_sequence("v", SequenceProto.TENSOR, [tensor])
    two = helper.make_sequence("v", SequenceProto.TENSOR, [tensor, tensor])
    options = ["--input", f"x={tmp_path / 'x.pb'}", "--input", f"v={tmp_path / 'v.pb'}", "--output-dir", tmp_path]
    for proto in (optional, one):
        (tmp_path / "v.pb").write_bytes(proto.SerializeToString())
        nacre("run", folder / "m.so", *options)
        sequence = SequenceProto.FromString((tmp_path / "s.pb").read_bytes())
        assert numpy_helper.to_list(sequence)[0].tolist() == [1, 1]
    (tmp_path / "v.pb").write_bytes(two.SerializeToString())
    ran = nacre("run", folder / "m.so", *options, ok=False)
    assert ran.status == 1 and "v.pb: 2 elements, but the input 'v' is one tensor" in ran.err


def test_hostile_protos(folder: Path, tmp_path: Path) -> None:
    """Anything but the right file: a message or, where the bytes happen to fit, an answer."""
    good = numpy_helper.from_array(words("first", "second"), "x")
    lying, raw, deep = TensorProto(), TensorProto(), TensorProto()
    for tensor in (lying, raw, deep):
        tensor.CopyFrom(good)
    lying.dims[0] = 2**62
    raw.ClearField("string_data")
    raw.raw_data = b"first"
    deep.dims.extend([1] * 20)
    sequence = helper.make_sequence("x", SequenceProto.TENSOR, [good, good]).SerializeToString()
    content = good.SerializeToString()
    options = ["--input", f"x={tmp_path / 'x.pb'}", "--input", f"v={folder / 'v.npy'}", "--output-dir", tmp_path]
    wrong = [b"", content[:-1], content[3:], *(t.SerializeToString() for t in (lying, raw, deep)), sequence, sequence[:-2]]
    for bad in wrong:
        (tmp_path / "x.pb").write_bytes(bad)
        ran = nacre("run", folder / "m.so", *options, ok=False)
        assert ran.status == 1 and "x.pb: " in ran.err, ran.text()
    for position in range(len(content)):
        flipped = content[:position] + bytes([content[position] ^ 0x15]) + content[position + 1 :]
        (tmp_path / "x.pb").write_bytes(flipped)
        ran = nacre("run", folder / "m.so", *options, ok=False)
        assert ran.status in (0, 1), ran.text()


def test_info(folder: Path) -> None:
    out = nacre("info", folder / "m.so").out
    assert "input   x: string[N]" in out and "output  s: sequence of 2: f32[2], f32[2]" in out
    assert "output  p: optional f32[4]" in out and "output  n: optional nothing" in out


def test_numeric_models_have_no_host_library(folder: Path, tmp_path: Path) -> None:
    onnx.save(model("g (float[4] x) => (float[4] y) { y = Neg(x) }"), tmp_path / "n.onnx")
    nacre("compile", tmp_path / "n.onnx", "-o", tmp_path / "n.so")
    assert b"nacre_host_" not in (tmp_path / "n.so").read_bytes()
    assert b"nacre_host_" in (folder / "m.so").read_bytes()
    assert (folder / "m.so").stat().st_size < 150_000
