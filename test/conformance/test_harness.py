"""The harness itself: what it finds, what it survives, what its ledger accepts."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent))

import ledger
import run
import table
from backends import BACKENDS, Refused
from cases import Case, load_cases, make_dynamic
from compare import Mismatch, check_outputs
from pool import Job, Pool, Result
from random_cases import bernoulli, dropout


class FakeBackend:
    """Right on most cases, and misbehaves in every way on some."""

    def compile(self, model: onnx.ModelProto, example: Any, shapes: Any) -> Any:
        from onnx.reference import ReferenceEvaluator

        if model.graph.name == "test_and2d":
            raise Refused("node 'a' (And):   no logic\nnode 'a' (And): no logic\nbad node")
        if model.graph.name == "test_acosh":
            raise KeyError("in the compiler")
        return FakeProgram(model.graph.name, ReferenceEvaluator(model))


class FakeProgram:
    def __init__(self, name: str, evaluator: Any) -> None:
        self._name = name
        self._evaluator = evaluator

    def run(self, inputs: dict[str, Any]) -> list[Any]:
        match self._name:
            case "test_abs":
                os.write(2, b"assertion failed: abs\n")
                os.abort()
            case "test_asin":
                os._exit(3)
            case "test_acos":
                time.sleep(1000)
            case "test_atan":
                raise RuntimeError("no atan today")
            case "test_cos":
                np.zeros(1 << 36)
        outputs = self._evaluator.run(None, inputs)
        return [outputs[0] + 1] if self._name == "test_add" else outputs


EXPECTED = {
    "test_abs": "crash",
    "test_asin": "crash",
    "test_acos": "hang",
    "test_acosh": "error",
    "test_atan": "error",
    "test_cos": "error",
    "test_add": "wrong",
    "test_and2d": "refused",
    "test_asinh": "pass",
    "test_sequence_model1": "pass",
    "test_identity_opt": "pass",
    "test_bernoulli": "pass",
    "test_strings": "pass",
}
CASES = [c for c in load_cases() if c.name in EXPECTED]


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "fake", FakeBackend)


def run_fake(form: str) -> dict[str, Result]:
    pool = Pool("fake", 2, limit=lambda _: 1.0, memory_limit=8 << 30)
    return {r.case.split("/")[1]: r for r in pool.run([Job(form, c) for c in CASES])}


@pytest.mark.parametrize("form", ["static", "dynamic"])
def test_pool_names_every_fault_and_goes_on(form: str) -> None:
    results = run_fake(form)
    assert {n: r.status for n, r in results.items()} == {
        n: s for n, s in EXPECTED.items() if n in results
    }
    assert len(results) == len(CASES) >= 12
    assert results["test_abs"].detail == "SIGABRT\nassertion failed: abs"
    assert results["test_asin"].detail == "exit status 3"
    assert "no answer in 2 s" in results["test_acos"].detail
    assert "no atan today" in results["test_atan"].detail
    assert "MemoryError" in results["test_cos"].detail


def test_a_backend_that_does_not_load_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("no such module")

    monkeypatch.setitem(BACKENDS, "fake", broken)
    with pytest.raises(RuntimeError, match="no such module"):
        run_fake("static")


def main(monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> int:
    names = "|".join(EXPECTED)
    arguments = ["--backend", "fake", "--form", "static", "--ledger-dir", str(folder)]
    arguments += ["--filter", rf"/({names})$", "--limit", "1", *options]
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    return run.main()


def test_runner_with_ledger(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ledger-static.txt"
    # Faults fail the run also when the ledger was just rewritten, and are not in it.
    assert main(monkeypatch, tmp_path, "--update") == 1
    entries = ledger.read(path)
    assert entries["node/test_and2d"] == "refused: node 'a' (And): no logic; bad node"
    assert entries["node/test_asinh"] == "pass"
    assert not any(f"node/{n}" in entries for n, s in EXPECTED.items() if s not in ("pass", "refused"))
    capsys.readouterr()

    # Without the faults all is as recorded; a break and a mend each fail.
    good = ["--filter", "/(test_asinh|test_and2d)$"]
    assert main(monkeypatch, tmp_path, *good) == 0
    assert capsys.readouterr().out.endswith("\n1 passed, 0 failed\n")
    entries["node/test_asinh"] = "refused: not yet"
    ledger.write(path, "static", entries)
    assert main(monkeypatch, tmp_path, *good) == 1
    assert "node/test_asinh: mended, was refused: not yet" in capsys.readouterr().out
    entries |= {"node/test_asinh": "pass", "node/test_and2d": "pass"}
    ledger.write(path, "static", entries)
    assert main(monkeypatch, tmp_path, *good) == 1
    out = capsys.readouterr().out
    assert "node/test_and2d: broke, passed before: refused: node 'a'" in out
    assert out.endswith("\n1 passed, 1 failed\n")
    # A partial update leaves the other entries.
    assert main(monkeypatch, tmp_path, "--update", *good) == 0
    assert ledger.read(path)["simple/test_sequence_model1"] == "pass"


@pytest.mark.parametrize("text", ["wrong", "crash", "refused:", "refused: ", "passed"])
def test_ledger_accepts_pass_and_refused_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger"
    path.write_text(f"node/a pass\nnode/b {text}\n")
    with pytest.raises(ValueError, match=":2: "):
        ledger.read(path)


def test_dynamic_form_knows_no_size() -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "body",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2, 3])],
        value_info=[helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
    )
    value = helper.make_node(
        "Constant", [], ["v"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    )
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body), value],
        "g",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [3]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        initializer=[helper.make_tensor("w", TensorProto.FLOAT, [3], [1, 2, 3])],
        value_info=[helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph)
    dynamic = make_dynamic(model).graph
    dims = dynamic.input[1].type.tensor_type.shape.dim
    assert [d.dim_param for d in dims] == ["d1_0", "d1_1"]
    assert dynamic.input[2] == graph.input[2]  # a weight
    assert not dynamic.value_info
    for output in (dynamic.output[0], dynamic.node[0].attribute[0].g.output[0]):
        kinds = [d.WhichOneof("value") for d in output.type.tensor_type.shape.dim]
        assert kinds == [None, None]
    assert dynamic.node[1] == value
    assert model.graph == graph  # the original is left alone


def test_suite_is_whole() -> None:
    assert sum(case.group != "operators" for case in load_cases()) == 2036


F32 = np.float32
BF16 = ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("want", "got"),
    [
        (np.array([1.0], F32), np.array([1.0005], F32)),
        (np.array([np.nan, np.inf], F32), np.array([np.nan, np.inf], F32)),
        (np.array([1.0], BF16), np.array([1.0078125], BF16)),
        (np.array([3], ml_dtypes.int4), np.array([3], ml_dtypes.int4)),
        (np.array(["a", "é"]), np.array(["a", "é"], object)),
        ([np.array([1]), np.array([2])], [np.array([1]), np.array([2])]),
        (None, None),
    ],
)
def test_equal(want: Any, got: Any) -> None:
    check_outputs([want], [got], 1e-3, 1e-7)


@pytest.mark.parametrize(
    ("want", "got"),
    [
        (np.array([1.0], F32), np.array([1.002], F32)),
        (np.array([1.0], F32), np.array([np.nan], F32)),
        (np.array([1.0], F32), np.array([1.0], np.float64)),
        (np.array([1.0], F32), np.array([[1.0]], F32)),
        (np.array([100000]), np.array([100001])),
        (np.array([3], ml_dtypes.int4), np.array([4], ml_dtypes.int4)),
        (np.array([1.0], ml_dtypes.float8_e4m3fn), np.array([1.125], ml_dtypes.float8_e4m3fn)),
        (np.array([True]), np.array([False])),
        (np.array(["a"]), np.array(["b"], object)),
        ([np.array([1])], [np.array([1]), np.array([2])]),
        ([np.array([1])], np.array([1])),
        (None, np.array([1])),
        (np.array([1]), None),
    ],
)
def test_unequal(want: Any, got: Any) -> None:
    with pytest.raises(Mismatch):
        check_outputs([want], [got], 1e-3, 1e-7)
    with pytest.raises(Mismatch):
        check_outputs([want], [], 1e-3, 1e-7)


def test_random_cases_can_fail() -> None:
    p = np.array([0, 1, 0.5], F32)
    bernoulli([p], [np.array([0, 1, 1], F32)])
    for bad in ([1, 1, 1], [0, 0, 1], [0, 1, 0.5]):
        with pytest.raises(Mismatch):
            bernoulli([p], [np.array(bad, F32)])
    x, ratio, training = np.array([1, 2, 3], F32), np.array(0.5, F32), np.array(True)
    dropout([x, ratio, training], [np.array([2, 0, 6], F32), np.array([True, False, True])])
    for bad in ([1, 0, 3], [2, 4, 6], [0, 0, 0]):
        with pytest.raises(Mismatch):
            dropout([x, ratio, training], [np.array(bad, F32)])


def test_every_version_of_every_operator_has_a_case() -> None:
    cases = load_cases()
    names = [case.key for case in cases]
    assert len(set(names)) == len(names)
    found = {version for case in cases for version, _ in table.used(case.model("static"), types=False)}
    assert table.all_versions() - found == set()


def test_table_says_what_passed(tmp_path: Path) -> None:
    def made(name: str, op: str, opset: int, kind: int) -> Case:
        graph = helper.make_graph(
            [helper.make_node(op, ["x"], ["y"])], name, [helper.make_tensor_value_info("x", kind, [2])], [helper.make_empty_tensor_value_info("y")]
        )
        return Case(name, "operators", 0, 0, helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), [])

    cases = [made("one", "Relu", 7, TensorProto.FLOAT), made("two", "Relu", 14, TensorProto.INT8), made("three", "Erf", 13, TensorProto.FLOAT)]
    results = {("static", "operators/one"): "pass", ("dynamic", "operators/one"): "pass", ("static", "operators/two"): "pass",
               ("dynamic", "operators/two"): "wrong", ("static", "operators/three"): "refused"}  # fmt: skip
    path = tmp_path / "docs" / "onnx.md"
    table.write(path, cases, {k: Result(k, v, "no Erf today") for k, v in results.items()}, "a machine")
    lines = path.read_text().splitlines()
    assert "| Relu | 6 | f32 | 1 | 1 |  |" in lines
    assert "| Relu | 14 | i8 (static) | 1 | — |  |" in lines
    assert "| Relu | 13 |  | — | — |  |" in lines
    assert "| Erf | 13 |  | — | — | no Erf today |" in lines
    assert any(line.startswith("2 of ") and "1 of" in line for line in lines)
