"""Random models against ONNX's reference (test/differential), and models that it has found."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from support import ROOT, module

COUNT = 30


FORMS = {"static": [], "dynamic": ["--dynamic"], "versions": ["--dynamic", "--specialize", "2"]}


@pytest.mark.parametrize("form", FORMS)
def test_random_models(form: str) -> None:
    """A few of the models of `tools/dev/test differential`: always the same."""
    command = [sys.executable, "-B", "test/differential/run.py", "--seed", "0", "--count", str(COUNT), "--jobs", "1"]
    arguments = [*command, "--shrink", "20", *FORMS[form]]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    assert f"{COUNT} pass" in done.stdout or "excused" in done.stdout, done.stdout


def test_every_operator_has_a_recipe() -> None:
    """Or a reason why it has none."""
    script = "import generate; print(*generate.without_recipe())"
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=ROOT / "test/differential", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


HEAD = '<ir_version: 10, opset_import: ["" : %d]> m '
# Name -> opset, text, inputs, and what comes out (None: what the reference says).
FOUND: dict[str, tuple[int, str, dict[str, np.ndarray], list[np.ndarray] | None]] = {
    "scatter_at_a_computed_place": (
        22, "(float[a, b] x, int64[c, d] i) => (float[a, b] y) <float[1, 1] w = {2}> { z = Neg (x) y = ScatterND (z, i, w) }",
        {"x": floats(1, 1), "i": np.array([[-1]])}, None,
    ),
    "tile_of_nothing": (
        18, "(float[a, b] x, int64[2] n) => (float[c, d] y) <float[0, 1] z = {}> { s = Add (z, x) t = Abs (s) y = Tile (t, n) }",
        {"x": floats(0, 5), "n": ints(2, 2)}, None,
    ),
    "tile_none_of_some": (
        18, "(float[a, b] x) => (float[c, d, e] y) <float[3] o = {1, 2, 3}, int64[3] n = {0, 2, 1}, int64[1] last = {2}> "
        "{ u = Unsqueeze (x, last) s = Add (u, o) y = Tile (s, n) }",
        {"x": floats(2, 3)}, [np.zeros((0, 6, 3), np.float32)],
    ),
    "blocks_of_nothing": (
        24, "(float[a, b, c, d] x, uint8[e, f, g, h] z) => (uint8[i, j, k, l] y) <float[5, 0, 1, 2] s = {}> "
        "{ y = QuantizeLinear <axis = 2, block_size = 1> (x, s, z) }",
        {"x": floats(5, 0, 1, 2), "z": np.zeros((5, 0, 1, 2), np.uint8)}, None,
    ),
    "top_none_of_none": (
        22, "(float[0, 4] x) => (float[0, 4] y, int64[0, 4] i) <int64[1] k = {0}> { y, i = TopK <axis = 0> (x, k) }",
        {"x": floats(0, 4)}, None,
    ),
    "one_hot_of_a_fraction": (
        13, "(float[4] x) => (float[4, 3] y) <int64 d = {3}, float[2] v = {0, 1}> { y = OneHot (x, d, v) }",
        {"x": np.array([-0.25, 1.75, -1.5, 3], np.float32)},
        [np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32)],
    ),
    "places_of_a_scalar": (13, "(double x) => (int64[r, n] y) { y = NonZero (x) }", {"x": np.array(4.0)}, None),
    "places_of_zero": (13, "(double x) => (int64[r, n] y) { y = NonZero (x) }", {"x": np.array(0.0)}, None),
    "old_broadcast": (
        6, "(float[2, 3, 4] x, float[3] z) => (float[2, 3, 4] y) { y = Add <axis = 1, broadcast = 1> (x, z) }",
        {"x": np.zeros((2, 3, 4), np.float32), "z": floats(3)},
        [np.broadcast_to(floats(3)[:, None], (2, 3, 4))],
    ),
    "old_softmax_behind_all": (
        6, "(float[3] x) => (float[3] y) { y = Softmax (x) }", {"x": floats(3)}, [np.ones(3, np.float32)],
    ),
    "old_erf_of_integers": (
        9, "(int32[3] x) => (int32[3] y) { y = Erf (x) }", {"x": np.array([-3, 0, 9], np.int32)},
        [np.array([0, 0, 1], np.int32)],
    ),
    "open_initial_state": (
        14, "(float[t, 2, 3] x, float[1, a, 3] w, float[1, a, 4] r, float[1, b, c] h) => (float[t, 1, b, 4] y)"
        " { y = RNN <hidden_size = 4> (x, w, r, , , h) }",
        {"x": floats(5, 2, 3), "w": floats(1, 4, 3), "r": floats(1, 4, 4), "h": floats(1, 2, 4)}, None,
    ),
    "windows_of_open_size": (
        18, "(float[2, 1, 5, 3] x, float[a, b, c, d] w) => (float[e, f, g, h] y)"
        " { v = Neg (x) y = Conv <dilations = [2, 2], pads = [1, 0, 0, 0]> (v, w) }",
        {"x": floats(2, 1, 5, 3), "w": floats(3, 1, 2, 2)}, None,
    ),
    "loop_whose_state_becomes_known": (
        19, "(float[a, b] x) => (float[c, d] y) <int64 n = {2}> { y = Loop (n, , x) <body = l (int64 i, bool p, float[e, f] s)"
        " => (bool q, float[g, h] t) { z = Constant <value = int64[2] {3, 1}> () t = Expand (x, z) q = Identity (p) }> }",
        {"x": floats(3, 2)}, [np.broadcast_to(floats(3, 2), (3, 2))],
    ),
    "slices_without_elements": (
        19, "(float[2, 1] x) => (float[2, 0, 0] y) { y = Scan <num_scan_inputs = 1, body = l (float[a] s) => (float[b, c] t)"
        " { z = Constant <value = int64[2] {0, 0}> () t = ConstantOfShape (z) }> (x) }",
        {"x": floats(2, 1)}, [np.zeros((2, 0, 0), np.float32)],
    ),
    "batch_far_from_zero": (
        15, "(float[2, 1] x, float[1] s, float[1] b, float[1] m, float[1] v) => (float[2, 1] y)"
        " { y, n, w = BatchNormalization <training_mode = 1> (x, s, b, m, v) }",
        {"x": np.array([[1000], [1000.5]], np.float32), "s": floats(1), "b": floats(1), "m": floats(1), "v": np.ones(1, np.float32)}, None,
    ),
    "pads_of_nothing": (
        19, "(float[1, 0] x, float[a, b] z, int64[4] p) => (float[c, d] y, float[e, f] v, float[g, h] w)"
        " { y = Pad <mode = \"reflect\"> (x, p) v = Pad <mode = \"wrap\"> (x, p) w = Pad <mode = \"reflect\"> (z, p) }",
        {"x": floats(1, 0), "z": floats(3, 0), "p": ints(0, 0, 0, 0)}, [floats(1, 0), floats(1, 0), floats(3, 0)],
    ),
    "one_view_as_both_operands": (13, "(double[1] x) => (double y) { y = MatMul (x, x) }", {"x": np.array([3.0])}, [np.array(9.0)]),
    "open_choice_of_channels": (
        18, "(float[2, 3, h, 8] x, float[a, b, c, d] z) => (float[e, f, g, i] y)"
        " <bool[1, 3, 1, 1] m = {1, 0, 1}, float[3, 3, 1, 1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9}>"
        " { v = Conv (x, w) y = Where (m, v, z) }",
        {"x": floats(2, 3, 5, 8), "z": floats(2, 3, 5, 8)}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    opset, text, inputs, expected = FOUND[name]
    model = parser.parse_model(HEAD % opset + text)
    onnx.checker.check_model(model)
    outputs = module().compile(model.SerializeToString(), cache_dir="").run(inputs)
    for got, wanted in zip(outputs, expected or ReferenceEvaluator(model).run(None, inputs), strict=True):
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
