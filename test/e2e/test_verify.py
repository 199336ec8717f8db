"""nacre verify: agreement, the first node that differs, the part that shows it, and the pass."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_models
from onnx import parser
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from support import BUILD, NACRE, nacre

sys.path.insert(0, str(BUILD / "python"))
import nacre as package  # noqa: E402
from nacre import verify as verification  # noqa: E402
from nacre.verify.differences import compare, tolerance_of  # noqa: E402

CHAIN = small_models.HEAD + (
    "chain (float[N, 8] x, float[8, 8] w) => (float[N, 8] y)"
    " { a = MatMul (x, w) b = Relu (a) c = Exp (b) s = Neg (c) d = Sigmoid (s) y = Add (d, b) }"
)
NAMES = ["MatMul", "Relu", "Exp", "Neg", "Sigmoid", "Add"]


def make(text: str = CHAIN) -> onnx.ModelProto:
    model = parser.parse_model(text)
    for node in model.graph.node:
        node.name = f"my {node.op_type}"
    return model


def inputs(rows: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "x": random.standard_normal((rows, 8), dtype=np.float32),
        "w": random.standard_normal((8, 8), dtype=np.float32),
    }


def lying(op: str):
    """A reference that is wrong for one op; the one that is right is Nacre."""
    right = getattr(np, {"Exp": "exp", "Neg": "negative"}[op])

    class Liar(OpRun):
        op_domain = ""

        def _run(self, x):
            return (right(x) * np.float32(1.01),)

    Liar.__name__ = op

    def reference(model, values, names):
        return ReferenceEvaluator(model, new_ops=[Liar]).run(None, dict(values), intermediate=True)

    return reference


# ---- Comparing ---------------------------------------------------------------


def test_differences_are_told_in_units_that_matter() -> None:
    expected = np.array([1.0, 2.0, 1000.0], np.float32)
    got = expected.copy()
    got[1] += 0.5
    difference = compare("v", got, expected)
    assert difference.index == (1,) and difference.count == 1 and difference.size == 3
    assert difference.absolute == 0.5 and difference.of_range == pytest.approx(5e-4)
    assert difference.ulps == 0.5 / 2**-22  # of 2.0
    assert str(difference).startswith("2.5 at [1], expected 2; 1 of 3 elements differ; largest error 0.5 (")
    assert compare("v", got, expected, tolerance=1e-3) is None


@pytest.mark.parametrize(
    ("got", "expected", "text"),
    [
        (np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32), "shape float32[2, 3], expected float32[3, 2]"),
        (np.zeros(2, np.int32), np.zeros(2, np.int64), "dtype int32[2], expected int64[2]"),
        (None, np.zeros(2), "kind nothing, expected float64[2]"),
        ([np.zeros(2)], [], "kind a sequence of 1, expected a sequence of 0"),
        (np.array([1, 2]), np.array([1, 3]), "2 at [1], expected 3; 1 of 2 elements differ"),
        (np.array(["a"], object), np.array(["b"], object), "'a' at [0], expected 'b'; 1 of 1 elements differ"),
        (np.array([np.nan]), np.array([1.0]), "nan at [0], expected 1; 1 of 1 elements differ; largest error inf"),
        (np.array(2.0), np.array(1.0), "2, expected 1; 1 of 1 elements differ"),
    ],
)
def test_what_differs(got, expected, text: str) -> None:
    assert str(compare("v", got, expected)).startswith(text)


def test_what_agrees() -> None:
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    assert compare("v", special, special.copy()) is None
    assert compare("v", [special, None], [special, None]) is None
    assert compare("v", np.zeros((0, 3)), np.zeros((0, 3))) is None
    assert tolerance_of(np.dtype(np.float16)) == 1e-2 and tolerance_of(np.dtype(np.int8)) == 0


# ---- Finding -----------------------------------------------------------------


def test_agreement() -> None:
    report = verification.verify(make(), inputs())
    assert report.first is None and report.compared == 6 and report.outputs == []


@pytest.mark.parametrize("op", ["Exp", "Neg"])
def test_the_first_node_that_differs(op: str) -> None:
    report = verification.verify(make(), inputs(), lying(op))
    assert report.node == f"node 'my {op}' ({op})"
    assert [node.op_type for node in report.reduced.graph.node] == [op]
    (given,) = report.reduced_inputs.values()
    again = verification.verify(report.reduced, report.reduced_inputs, lying(op))
    assert again.node == report.node
    assert given.shape == (3, 8)


def test_a_difference_that_looking_at_it_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong from Neg on, but only in a model with one output that has Exp before it."""
    compute = verification._Verification.compute

    def fused(self, model, values, names):
        got = compute(self, model, values, names)
        ops = {node.op_type for node in model.graph.node}
        if len(names) == 1 and {"Exp", "Neg"} <= ops:
            got[names[0]] = got[names[0]] + 1
        return got

    monkeypatch.setattr(verification._Verification, "compute", fused)
    report = verification.verify(make(), inputs())
    assert report.only_fused and report.outputs
    assert report.node == "node 'my Neg' (Neg)"
    assert [node.op_type for node in report.reduced.graph.node] == ["Exp", "Neg"]


def test_values_of_subgraphs_are_followed() -> None:
    model = make(
        small_models.HEAD + "m (bool c, float[3] x) => (float[3] y) {"
        " a = Exp (x)"
        " b = If (c) <then_branch = t () => (float[3] p) { p = Neg (a) },"
        "            else_branch = e () => (float[3] q) { q = Abs (a) }>"
        " y = Neg (b) }"
    )
    given = {"c": np.array(True), "x": np.ones(3, np.float32)}
    report = verification.verify(model, given, lying("Neg"))
    assert report.node == "node 'my If' (If)"
    assert [node.op_type for node in report.reduced.graph.node] == ["If"]
    assert set(report.reduced_inputs) == {"c", "a"}


def test_sequences_agree() -> None:
    model = make(
        small_models.HEAD + "m (float[4] x) => (float[2] y) {"
        " s = SplitToSequence <axis = 0> (x, two) i = Identity (one) y = SequenceAt (s, i) }".replace(
            "{", "<int64 two = {2}, int64 one = {1}> {"
        )
    )
    assert verification.verify(model, {"x": np.arange(4, dtype=np.float32)}).first is None


def test_random_numbers_are_refused() -> None:
    model = make(small_models.HEAD + "m (float[3] x) => (float[3] y) { r = RandomNormalLike (x) y = Add (x, r) }")
    with pytest.raises(ValueError, match="node 'my RandomNormalLike' .* draws random numbers"):
        verification.verify(model, {"x": np.ones(3, np.float32)})


def test_the_pass_that_makes_the_difference(tmp_path: Path) -> None:
    """Bit for bit, polynomials for exp differ from libm's: a difference that one pass makes."""
    model = make(small_models.HEAD + "m (float[4096] x) => (float[4096] y) { y = Exp (x) }")
    given = {"x": np.random.default_rng(0).standard_normal(4096, dtype=np.float32)}
    onnx.save_model(model, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", given["x"])
    nacre("run", tmp_path / "m.onnx", "--input", f"x={tmp_path}/x.npy", "--output-dir", tmp_path,
          "--disable-pass", "approximate-math")  # fmt: skip
    expected = {"y": np.load(tmp_path / "y.npy")}
    assert np.any(package.compile(model)(given["x"]) != expected["y"])
    guilty = verification.find_pass(model, given, expected, str(NACRE), tolerance=0)
    assert "approximate-math" in guilty and "form-kernels" not in guilty
    assert verification.find_pass(model, given, {"y": expected["y"] + 1}, str(NACRE), tolerance=0) == []


# ---- The command ---------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save_model(make(), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize("against", ["reference", "onnxruntime"])
def test_command(path: Path, against: str) -> None:
    ran = nacre("verify", path, "--against", against, "--size", "N=5")
    assert ran.out == f"6 values agree with {against}\n" and ran.err == ""


def test_command_with_files(path: Path, tmp_path: Path) -> None:
    given = inputs(7)
    np.save(tmp_path / "x.npy", given["x"])
    np.savez(tmp_path / "w.npz", w=given["w"])
    ran = nacre("verify", path, "--input", f"x={tmp_path}/x.npy", "--inputs", tmp_path / "w.npz", "--json")
    assert json.loads(ran.out)["agrees"] is True


def test_command_reduces_and_reproduces(path: Path, tmp_path: Path) -> None:
    """No tolerance at all: then rounding differs somewhere."""
    small = tmp_path / "small.onnx"
    options = ["--tolerance", "0", "--size", "N=64"]
    ran = nacre("verify", path, *options, "--reduce", small, "--json", ok=False)
    assert ran.status == 1
    report = json.loads(ran.out)
    assert report["reproduce"] == f"nacre verify {small} --inputs {small.with_suffix('.npz')} --tolerance 0.0"
    assert len(onnx.load(small).graph.node) == 1
    again = nacre(*report["reproduce"].split()[1:], ok=False)
    assert again.status == 1 and again.out.startswith(report["node"] + ": ")
    text = nacre("verify", path, *options, "--reduce", small, "--bisect", ok=False).out
    assert text.splitlines()[-2] == f"reproduce with: {report['reproduce']}"
    assert text.splitlines()[-1].startswith(("it is gone without the pass ", "no pass can be left out"))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--against", "tea leaves"], 2, "--against tea leaves: expected reference or onnxruntime"),
        (["--tolerance", "much"], 2, "--tolerance much: expected a number"),
        (["--input", "x"], 1, "--input x: expected name=file"),
        (["--input", "x=/missing.npy"], 1, "No such file or directory"),
        (["--size", "N"], 1, "--size N: expected symbol=size"),
    ],
)
def test_mistakes(path: Path, arguments: list[str], status: int, message: str) -> None:
    ran = nacre("verify", path, *arguments, ok=False)
    assert ran.status == status and "nacre: error: " in ran.err and message in ran.err


def test_mistaken_inputs(path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "q.npy", np.zeros(3))
    ran = nacre("verify", path, "--input", f"q={tmp_path}/q.npy", ok=False)
    assert ran.status == 1 and "no input is named 'q'; the model's inputs are: 'x', 'w'" in ran.err
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    ran = nacre("verify", tmp_path / "bad.onnx", ok=False)
    assert ran.status == 1 and ran.err.startswith("nacre: error: ") and "Traceback" not in ran.err
    onnx.save_model(parser.parse_model(small_models.UNKNOWN), tmp_path / "unknown.onnx")
    ran = nacre("verify", tmp_path / "unknown.onnx", ok=False)
    assert ran.status == 1 and "Traceback" not in ran.err


def test_a_pass_that_is_none(path: Path) -> None:
    ran = nacre("compile", path, "--disable-pass", "magic", "-o", path.with_suffix(".so"), ok=False)
    assert ran.status == 1 and "no pass is named 'magic'; see --print-pipeline" in ran.err
