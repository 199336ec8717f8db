"""Maps at the boundary: dicts in Python, keys and values in files and for the C API.

What scikit-learn's models become, as its converter writes them, is compared with ONNX Runtime and with
scikit-learn itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from support import module, nacre

HEAD = '<ir_version: 10, opset_import: ["": 21, "ai.onnx.ml": 1]>\n'
VECTOR = "g (map(string, float) m) => (float[1, 3] y) { y = ai.onnx.ml.DictVectorizer <string_vocabulary = [%s]> (m) }"
ZIP = "g (float[N, 2] x) => (z) { z = ai.onnx.ml.ZipMap <classlabels_strings = [%s]> (x) }" % '"no", "yes"'
VECTOR %= '"a", "b", "c"'


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + text)


def by_onnxruntime(proto: onnx.ModelProto, feed: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def classifiers() -> dict[str, Any]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic": LogisticRegression(max_iter=500),
        "forest": RandomForestClassifier(8, random_state=1),
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    }


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
@pytest.mark.parametrize("labels", ["numbers", "words"])
@pytest.mark.parametrize("kind", ["logistic", "forest", "pipeline"])
def test_classifiers_of_sklearn(kind: str, labels: str, zipmap: Any) -> None:
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris

    data, target = load_iris(return_X_y=True)
    x = data.astype(np.float32)
    y = target if labels == "numbers" else np.array(["setosa", "versicolor", "virginica"])[target]
    fitted = classifiers()[kind].fit(x, y)
    proto = to_onnx(fitted, x[:1], options={id(fitted): {"zipmap": zipmap}}, target_opset={"": 21, "ai.onnx.ml": 3})
    assert any(node.op_type == "ZipMap" for node in proto.graph.node) == (zipmap is True)
    compiled = module().compile(proto, threads=1)
    for rows in (x, x[:1], x[:0]):
        if kind == "pipeline" and len(rows) == 0:
            continue  # ONNX Runtime has no answer to compare with
        label, *scores = compiled(rows)
        expected_label, *expected = by_onnxruntime(proto, {"X": rows})
        assert label.tolist() == list(expected_label)
        if zipmap is not True:
            for got, want in zip(scores, expected, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
            continue
        ((got,), (want,)) = (scores, expected)
        assert [list(m) for m in got] == [list(m) for m in want]
        for row, wanted, truth in zip(got, want, fitted.predict_proba(rows) if len(rows) else [], strict=True):
            assert all(isinstance(value, float) for value in row.values())
            np.testing.assert_allclose(list(row.values()), list(wanted.values()), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(list(row.values()), truth, rtol=1e-4, atol=1e-5)


def test_dicts() -> None:
    run = module().compile(model(VECTOR), threads=1)
    assert repr(run.signature) == "(m: map from string to f32) -> (y: f32[1, 3])"
    assert [part.name for part in run.inputs[0].elements] == ["m.keys", "m.values"]
    for given in ({"c": 2.5, "a": 1}, {"b": np.float32(0.5)}, {"ö": 3.0, "a": -1.0}):
        np.testing.assert_array_equal(run(given), by_onnxruntime(model(VECTOR), {"m": {k: float(v) for k, v in given.items()}})[0])
    np.testing.assert_array_equal(run({}), np.zeros((1, 3), np.float32))  # which ONNX Runtime does not take
    np.testing.assert_array_equal(run(m={"a": 4.0}), [[4, 0, 0]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0], "input 'm': found list, expected a dict"),
        (np.zeros(3, np.float32), "input 'm': found numpy.ndarray, expected a dict"),
        (None, "input 'm': found NoneType, expected a dict"),
        ({1: 2.0}, "input 'm.keys': found 1, expected string"),
        ({"a": "2"}, "input 'm.values': found '2', expected f32"),
        ({"a": None}, "input 'm.values': found None, expected f32"),
    ],
)
def test_other_values(given: Any, message: str) -> None:
    with pytest.raises(module().InputError, match=message.replace("[", r"\[")):
        module().compile(model(VECTOR), threads=1)(given)


def test_keys_are_integers() -> None:
    run = module().compile(model("g (map(int64, float) m) => (float[1, K] y) { y = ai.onnx.ml.CastMap (m) }"), threads=1)
    np.testing.assert_array_equal(run({5: 1.5, -3: 2.5, 2**40: 3.5}), [[2.5, 1.5, 3.5]])
    for key, message in ((1.5, "found 1.5, expected i64"), ("1", "found '1', expected i64"), (2**64, "m.keys")):
        with pytest.raises(module().InputError, match=message):
            run({key: 1.0})
    sparse = "g (map(int64, float) m) => (float[1, 4] y) { y = ai.onnx.ml.CastMap <map_form = \"SPARSE\", max_map = 4> (m) }"
    run = module().compile(model(sparse), threads=1)
    with pytest.raises(module().RunError, match="CastMap.*a key of the map is negative"):
        run({-1: 1.0})


def test_a_map_passes_through() -> None:
    text = "g (map(int64, string) m, map(string, int64) n) => (map(int64, string) m, map(string, int64) n) { }"
    run = module().compile(model(text), threads=1)
    assert run({3: "x", 1: ""}, {"é": 1 << 50}) == ({3: "x", 1: ""}, {"é": 1 << 50})
    assert run({}, {}) == ({}, {})


def test_columns_are_counted() -> None:
    run = module().compile(model(ZIP.replace("[N, 2]", "[N, M]")), threads=1)
    assert run(np.eye(2, dtype=np.float32)) == [{"no": 1.0, "yes": 0.0}, {"no": 0.0, "yes": 1.0}]
    with pytest.raises(module().RunError, match="ZipMap.*columns"):
        run(np.zeros((2, 3), np.float32))


def test_in_files(tmp_path: Path) -> None:
    """The parts of maps have files of their own, .npy or, of strings, .pb."""
    proto = model("g (map(int64, float) m, float[N, 2] x) => (y, z) { y = ai.onnx.ml.CastMap (m) z = ai.onnx.ml.ZipMap <classlabels_int64s = [7, 9]> (x) }")
    onnx.save(proto, tmp_path / "m.onnx")
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    loaded = module().load(tmp_path / "m.so")
    y, z = loaded({4: 0.5, 2: 1.5}, x)
    np.testing.assert_array_equal(y, [[1.5, 0.5]])
    assert z == by_onnxruntime(proto, {"m": {4: 0.5, 2: 1.5}, "x": x})[1]
    for name, array in (("keys", np.array([4, 2])), ("values", np.array([0.5, 1.5], np.float32)), ("x", x)):
        np.save(tmp_path / f"{name}.npy", array)
    inputs = ["--input", f"m.keys={tmp_path / 'keys.npy'}", "--input", f"m.values={tmp_path / 'values.npy'}", "--input", f"x={tmp_path / 'x.npy'}"]
    for source in ("m.so", "m.onnx"):
        nacre("run", tmp_path / source, *inputs, "--output-dir", tmp_path / "out")
        np.testing.assert_array_equal(np.load(tmp_path / "out" / "y.npy"), y)
        np.testing.assert_array_equal(np.load(tmp_path / "out" / "z.keys.npy"), [7, 9])
        np.testing.assert_array_equal(np.load(tmp_path / "out" / "z.values.npy"), x)
    # As many keys as values.
    np.save(tmp_path / "keys.npy", np.array([4, 2, 3]))
    assert "m.length" in nacre("run", tmp_path / "m.so", *inputs, ok=False).err
    told = nacre("run", tmp_path / "m.so", "--input", f"m={tmp_path / 'x.npy'}", *inputs[4:], ok=False).err
    assert "the input 'm' is a map; give its parts, 'm.keys' and 'm.values'" in told
    shown = nacre("info", tmp_path / "m.so").out
    assert "m: map: i64[m.length], f32[m.length]" in shown and "z: sequence of maps: i64[2], f32[N, 2]" in shown
    values = json.loads(nacre("info", tmp_path / "m.so", "--json").out)["functions"][0]
    assert [v["kind"] for v in values["input_values"] + values["output_values"]] == ["map", "tensor", "tensor", "maps"]


def test_verify() -> None:
    from nacre.verify.differences import compare

    assert compare("z", [{1: 0.5}], [{1: 0.5}]) is None
    assert compare("z", [{1: 0.5}], [{1: 0.75}]) is not None
    assert compare("z", [{2: 0.5}], [{1: 0.5}]) is not None
    assert compare("z", {1: 0.5}, np.zeros(1)) is not None
