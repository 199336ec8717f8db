"""Whatever values a compiled model is given, it answers as ONNX does or fails with an error
that names the node, the same on one thread and on two, and can be run again.
"""

from __future__ import annotations

import functools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from memory_safety_cases import SUBJECTS
from onnx import helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from runtime_session import RunFailed, RuntimeSession
from support import module

HEAD = '<ir_version: 10, opset_import: ["" : 23]>\n'


def build(text: str) -> onnx.ModelProto:
    model = parser.parse_model(text if text.lstrip().startswith("<") else HEAD + text)
    for node in model.graph.node:
        node.name = "the_node"
    return model


@functools.cache
def programs(name: str) -> list[Any]:
    """On one thread and on two."""
    data = build(SUBJECTS[name].text).SerializeToString()
    return [module().compile(data, threads=threads) for threads in (1, 2)]


def cases(kind: str) -> list[Any]:
    return [
        pytest.param(name, i, id=f"{name}-{i}")
        for name, subject in SUBJECTS.items()
        for i in range(len(getattr(subject, kind)))
    ]


@pytest.mark.parametrize("name, index", cases("faults"))
def test_fault(name: str, index: int) -> None:
    subject = SUBJECTS[name]
    changes, message = subject.faults[index]
    messages = set()
    for program in programs(name):
        with pytest.raises(module().RunError) as raised:
            program.run({**subject.good, **changes})
        messages.add(str(raised.value))
        program.run(subject.good)  # the session is usable afterwards
    assert len(messages) == 1, "the error depends on the threads"
    text = messages.pop()
    assert message in text
    # An input that does not fit is named by its name.
    assert "node 'the_node" in text or text.startswith("input ")


@pytest.mark.parametrize("name, index", cases("answers"))
def test_answer(name: str, index: int) -> None:
    subject = SUBJECTS[name]
    changes, wanted = subject.answers[index]
    inputs = {**subject.good, **changes}
    if wanted is None:
        with np.errstate(all="ignore"):
            wanted = ReferenceEvaluator(build(subject.text)).run(None, inputs)
    for program in programs(name):
        got = program.run(inputs)
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted):
            assert a.shape == np.shape(b)
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_enough_cases() -> None:
    """Of faults alone, each with its message."""
    assert sum(len(s.faults) for s in SUBJECTS.values()) >= 250


# --- integers and casts: the same at compile time and at run time ---

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def folded_and_run(op: str, operands: list[np.ndarray], output: int, **attributes: Any) -> tuple[np.ndarray, np.ndarray]:
    names = [f"x{i}" for i in range(len(operands))]
    node = helper.make_node(op, names, ["y"], name="the_node", **attributes)
    info = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), [None]) for n, v in zip(names, operands)]
    out = [helper.make_tensor_value_info("y", output, [None])]
    opset = [helper.make_opsetid("", 19)]
    tensors = [numpy_helper.from_array(v, n) for n, v in zip(names, operands)]
    results = []
    for graph in (helper.make_graph([node], "g", [], out, tensors), helper.make_graph([node], "g", info, out)):
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        program = module().compile(model.SerializeToString())
        results.append(program.run({} if not graph.input else dict(zip(names, operands)))[0])
    return results[0], results[1]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("op, flags", [("Div", {}), ("Mod", {}), ("Mod", {"fmod": 1})])
def test_division(op: str, flags: dict[str, int], dtype: str) -> None:
    """By 0 and MIN / -1 too: defined, and what folding gives is what a run gives."""
    limits = np.iinfo(dtype)
    x = np.array([7, limits.min, limits.max, limits.min, 0, 5, limits.max, limits.min], dtype)
    y = np.array([0, 0, 0, -1 if limits.min else 1, 0, 3, limits.max, limits.min or 1], dtype)
    folded, ran = folded_and_run(op, [x, y], helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), **flags)
    np.testing.assert_array_equal(folded, ran)
    np.testing.assert_array_equal(ran[5:], {"Div": [1, 1, int(limits.min < 0)], "Mod": [2, 0, 0]}[op])
    # MIN / -1 is MIN, without a rest.
    if limits.min:
        assert ran[3] == (limits.min if op == "Div" else 0)


@pytest.mark.parametrize("dtype", INTEGERS + ["bool"])
def test_cast(dtype: str) -> None:
    """Of what fits no integer: some value, and the same folded and at run time."""
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3.9, -3.9, 2.0**31, -(2.0**63), 2.0**64, 300.5], np.float32)
    folded, ran = folded_and_run("Cast", [x], helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    np.testing.assert_array_equal(folded, ran)
    assert ran[5] == np.array(3.9).astype(dtype)


@pytest.mark.parametrize("op", ["Abs", "Neg", "Sign"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_least_integer(op: str, dtype: str) -> None:
    x = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max, 0, -1], dtype)
    folded, ran = folded_and_run(op, [x], helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    np.testing.assert_array_equal(folded, ran)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ran, {"Abs": np.abs, "Neg": np.negative, "Sign": np.sign}[op](x))


# --- nothing to compute ---

EMPTY = {
    "matmul_k": ("m (float[a, k] x, float[k, b] z) => (float[a, b] y) { y = MatMul (x, z) }", {"x": (3, 0), "z": (0, 4)}),
    "matmul_rows": ("m (float[a, k] x, float[k, b] z) => (float[a, b] y) { y = MatMul (x, z) }", {"x": (0, 5), "z": (5, 4)}),
    "matmul_batch": ("m (float[n, a, k] x, float[n, k, b] z) => (float[n, a, b] y) { y = MatMul (x, z) }",
                     {"x": (2, 3, 0), "z": (2, 0, 4)}),
    "gemm_k": ("m (float[a, k] x, float[k, b] z, float[b] c) => (float[a, b] y) { y = Gemm (x, z, c) }",
               {"x": (3, 0), "z": (0, 4), "c": (4,)}),
    "einsum": ('m (float[a, k] x, float[k, b] z) => (float[a, b] y) { y = Einsum <equation = "ij,jk->ik"> (x, z) }',
               {"x": (3, 0), "z": (0, 4)}),
    "softmax": ("m (float[a, b] x) => (float[a, b] y) { y = Softmax (x) }", {"x": (3, 0)}),
    "concat": ("m (float[a, b] x, float[c, b] z) => (float[d, b] y) { y = Concat <axis = 0> (x, z) }", {"x": (0, 4), "z": (2, 4)}),
    "transpose": ("m (float[a, b] x) => (float[b, a] y) { y = Transpose (x) }", {"x": (0, 4)}),
    "where": ("m (float[a, b] x) => (float[a, b] y) { c = Greater (x, x) y = Where (c, x, x) }", {"x": (0, 4)}),
    "cumsum": ("m (float[a, b] x) => (float[a, b] y) { k = Constant <value_int = 0> () y = CumSum (x, k) }", {"x": (0, 4)}),
    "reduce_sum": ("m (float[a, b] x) => (float[a] y) { k = Constant <value_ints = [1]> () y = ReduceSum <keepdims = 0> (x, k) }",
                   {"x": (3, 0)}),
    "reduce_prod": ("m (float[a, b] x) => (float[a] y) { k = Constant <value_ints = [1]> () y = ReduceProd <keepdims = 0> (x, k) }",
                    {"x": (3, 0)}),
    "reduce_max": ("m (float[a, b] x) => (float[a] y) { k = Constant <value_ints = [1]> () y = ReduceMax <keepdims = 0> (x, k) }",
                   {"x": (3, 0)}),
    "layer_norm": ("m (float[a, b] x, float[b] s) => (float[a, b] y) { y = LayerNormalization (x, s) }", {"x": (0, 4), "s": (4,)}),
    "conv_batch": ("m (float[n, 2, h, w] x, float[3, 2, 3, 3] k) => (float[n, 3, p, q] y) { y = Conv (x, k) }",
                   {"x": (0, 2, 5, 5), "k": (3, 2, 3, 3)}),
    "max_pool_batch": ("m (float[n, 2, h, w] x) => (float[n, 2, p, q] y) { y = MaxPool <kernel_shape = [2, 2]> (x) }", {"x": (0, 2, 5, 5)}),
    "nothing_shape": ("m (float[a, b] x) => (int64[2] y) { y = Shape (x) }", {"x": (0, 4)}),
    "gather_rows": ("m (float[a, b] x, int64[k] i) => (float[k, b] y) { y = Gather (x, i) }", {"x": (3, 0), "i": (2,)}),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty(name: str) -> None:
    text, shapes = EMPTY[name]
    model = build(text)
    inputs = {
        n: np.zeros(s, np.int64) if n == "i" else np.random.default_rng(1).random(s).astype(np.float32) for n, s in shapes.items()
    }
    wanted = ReferenceEvaluator(model).run(None, inputs)
    # As sizes that are known, and as sizes that are not.
    for fixed in (None, {n: list(s) for n, s in shapes.items()}):
        program = module().compile(model.SerializeToString(), input_shapes=fixed, threads=2)
        for got, want in zip(program.run(inputs), wanted, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-6)


# --- loops without an end ---

ENDLESS = {
    "count": "m (int64 n, float[2] x) => (float[2] y) { c = Constant <value = bool {1}> () y = Loop (n, c, x)"
    " <body = b (int64 i, bool q, float[2] v) => (bool p, float[2] w) { p = Identity (q) w = Add (v, v) }> }",
    "condition": 'm (int64 n, float[2] x) => (float[2] y) { c = Constant <value = bool {1}> () y = Loop ("", c, x)'
    " <body = b (int64 i, bool q, float[2] v) => (bool p, float[2] w) { p = Identity (q) w = Add (v, v) }> }",
    "dynamic": "m (int64 n, float[k] x) => (float[k] y) { c = Constant <value = bool {1}> () y = Loop (n, c, x)"
    " <body = b (int64 i, bool q, float[k] v) => (bool p, float[k] w) { p = Identity (q) w = Add (v, v) }> }",
    "scan": "m (int64 n, float[2] x) => (float[k, 2] y) { c = Constant <value = bool {1}> () z, y = Loop (n, c, x)"
    " <body = b (int64 i, bool q, float[2] v) => (bool p, float[2] w, float[2] u) { p = Identity (q) w = Add (v, v) u = Identity (w) }> }",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_loop(kind: str, tmp_path: Path) -> None:
    """It ends when it is cancelled, or, if it gathers results, at the session's limit."""
    model = parser.parse_model(HEAD + ENDLESS[kind].replace('""', ""))
    n, x = np.array(np.iinfo(np.int64).max), np.ones(2, np.float32)
    failures: list[tuple[int, str]] = []
    with RuntimeSession(model, tmp_path, limit=64 << 20) as session:

        def run() -> None:
            with pytest.raises(RunFailed) as raised:
                session.run(n, x)
            failures.append((raised.value.status, raised.value.message))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60 if kind == "scan" else 0.3)
        ended = not thread.is_alive()
        start = time.monotonic()
        session.cancel()
        thread.join(30)
        assert time.monotonic() - start < 1
        assert ended == (kind == "scan")
        if kind == "scan":
            assert "no memory" in failures[0][1]
        else:
            assert failures == [(4, "the run was cancelled")]
        if kind != "condition":  # as usual afterwards
            n[...] = 2
            session.run(n, x)
