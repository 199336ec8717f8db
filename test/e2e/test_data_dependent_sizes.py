"""Sizes that data decide. Where the inputs' sizes bound them, they have memory reserved, as much as they can take:
results are right at the bound, at 0, and between, and stay so when one run follows another."""

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

# Kernels, views and element-wise operators read what was found; N and M are 6 and 4 or open.
MODELS = {
    "NonZero": """g (float[N, M] x) => (int64[2, K] places, float[K] found) {
        i = NonZero (x) t = Transpose <perm = [1, 0]> (i) v = GatherND (x, t) found = Exp (v) places = Neg (i) }""",
    "Compress": """g (float[N, M] x) => (float[K, M] y) {
        zero = Constant <value = float {0}> () one = Constant <value_ints = [1]> ()
        s = ReduceSum <keepdims = 0> (x, one) c = Greater (s, zero) p = Compress <axis = 0> (x, c)
        u = Softmax <axis = -1> (p) y = Mul (u, p) }""",
    "Unique": """g (float[N, M] x) => (float[K] y, int64[K] count, float[K] z) {
        y, first, inverse, count = Unique <sorted = 1> (x) d = Add (y, y) z = Softmax <axis = 0> (d) }""",
    "of what is found": """g (float[N, M] x) => (int64[1, K] j) {
        zero = Constant <value_ints = [0]> () i = NonZero (x) r = ReduceSum <keepdims = 0> (i, zero) j = NonZero (r) }""",
}


def inputs() -> list[np.ndarray[Any, Any]]:
    """All, none and some of the elements are there; many are alike."""
    random = np.random.default_rng(5)
    full = random.normal(size=(6, 4)).astype(np.float32)
    some = np.where(random.random((6, 4)) < 0.4, full, 0).astype(np.float32)
    return [np.abs(full) + 1, np.zeros_like(full), some, np.sign(full), full, np.zeros_like(full), np.abs(full) + 2]


@pytest.mark.parametrize("is_open", [False, True], ids=["static", "open"])
@pytest.mark.parametrize("name", MODELS)
def test_results(name: str, is_open: bool) -> None:
    text = MODELS[name] if is_open else MODELS[name].replace("N, M", "6, 4").replace("K, M", "K, 4")
    proto = parser.parse_model(HEAD + text)
    model = module().compile(proto, threads=1)
    for x in inputs():
        for part in (x, x[:3]) if is_open else (x,):
            for got, want in zip(model.run([part]), ReferenceEvaluator(proto).run(None, {"x": part})):
                assert got.shape == want.shape
                np.testing.assert_allclose(got, want, 1e-5, 1e-6)


def boxes(count: int, apart: bool) -> np.ndarray[Any, Any]:
    at = np.arange(count, dtype=np.float32) * (2 if apart else 0)
    return np.stack([at, at, at + 1, at + 1], axis=1)[None]


@pytest.mark.parametrize("apart, score, found", [(True, 0.5, 6), (False, 0.5, 2), (True, 0.0, 0)])
def test_non_max_suppression(apart: bool, score: float, found: int) -> None:
    """Of 6 boxes for 2 classes at most 3 are chosen each."""
    proto = parser.parse_model(
        HEAD + """g (float[1, 6, 4] b, float[1, 2, 6] s) => (int64[K, 3] y) {
            most = Constant <value_ints = [3]> () iou = Constant <value_floats = [0.5]> () least = Constant <value_floats = [0.1]> ()
            c = NonMaxSuppression (b, s, most, iou, least) d = Neg (c) t = Transpose <perm = [1, 0]> (d) y = Transpose <perm = [1, 0]> (t) }"""
    )
    feed = {"b": boxes(6, apart), "s": np.full((1, 2, 6), score, np.float32) + np.linspace(0, 0.05, 6, dtype=np.float32)}
    (want,) = ReferenceEvaluator(proto).run(None, feed)
    got = module().compile(proto, threads=1)(**feed)
    assert got.shape == (found, 3)
    np.testing.assert_array_equal(got, want)


def test_a_bound_of_nothing() -> None:
    """No more than 0 boxes are chosen: the next operator's broadcast makes nothing."""
    proto = parser.parse_model(
        HEAD + """g (float[1, A, 4] b, float[1, C, A] s, int64[E, 1] x) => (bool[K, L] y) {
            most = Constant <value_ints = [0]> () c = NonMaxSuppression (b, s, most) y = Less (c, x) }"""
    )
    program = module().compile(proto, threads=1)
    assert program(boxes(2, True), np.zeros((1, 1, 2), np.float32), np.zeros((0, 1), np.int64)).shape == (0, 3)
    assert program(boxes(2, True), np.zeros((1, 1, 2), np.float32), np.zeros((1, 1), np.int64)).shape == (0, 3)


def test_what_is_reserved(tmp_path: Path) -> None:
    """Nothing is asked for in a run of static inputs; what would waste memory is."""
    def host(text: str) -> str:
        onnx.save(parser.parse_model(HEAD + text), tmp_path / "m.onnx")
        return nacre("compile", tmp_path / "m.onnx", "--stop-after=buffer").out.split("kern.func")[0]

    # Not of Compress: what its softmax keeps for each row of the output is asked for.
    for name in ("NonZero", "Unique", "of what is found"):
        assert "rt.alloc" not in host(MODELS[name].replace("N, M", "6, 4"))
        assert "rt.alloc" in host(MODELS[name])
    assert "rt.alloc" in host(MODELS["NonZero"].replace("N, M", "600, 400"))
