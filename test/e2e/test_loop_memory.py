"""A loop takes no more memory for a million iterations than for a few, and they all count."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator
from runtime_session import RuntimeSession

MANY = 1_000_000
# Of the whole session, thread stacks and code apart. Each iteration of any loop below makes
# at least 64 bytes: kept, they would be 64 MB.
LIMIT = 1 << 20

# v -> (5 v + 3) mod 1021: exact in float32, and the same again after 1020 steps, so that the
# reference needs fewer of them than we do. (The multiplicative group of 1021 has 1020 elements.)
PERIOD = 1020
CONSTANTS = "five = Constant <value_float = 5.0> () three = Constant <value_float = 3.0> () prime = Constant <value_float = 1021.0> () yes = Constant <value = bool {1}> ()"


def step(source: str, target: str, via: str = "") -> str:
    p = via or target
    return f"{p}_a = Mul ({source}, five) {p}_b = Add ({p}_a, three) {target} = Mod <fmod = 1> ({p}_b, prime)"


def loop(results: str, given: str, body: str, trips: str = "n", name: str = "b") -> str:
    return f"{results} = Loop ({trips}, yes, {given}) <body = {name} {body}>"


def case(head: str, code: str) -> str:
    return f'<ir_version: 10, opset_import: ["" : 23]>\nm (int64 n, {head} {{ {CONSTANTS} {code} }}'


def one(shape: str) -> str:
    body = f"(int64 i, bool q, float[{shape}] v) => (bool p, float[{shape}] w) {{ p = Identity (q) {step('v', 'w')} }}"
    return case(f"float[{shape}] x) => (float[{shape}] y)", loop("y", "x", body))


def two(shape: str, code: str, condition: str = "p = Identity (q)") -> str:
    """Carries v and w, gives v2 and w2."""
    t = f"float[{shape}]"
    body = f"(int64 i, bool q, {t} v, {t} w) => (bool p, {t} v2, {t} w2) {{ {condition} {code} }}"
    return case(f"{t} x, {t} z) => ({t} y, {t} u)", loop("y, u", "x, z", body))


def three(shape: str) -> str:
    """A value passes through three places."""
    t = f"float[{shape}]"
    body = (
        f"(int64 i, bool q, {t} a, {t} b, {t} c) => (bool p, {t} a2, {t} b2, {t} c2)"
        f" {{ p = Identity (q) a2 = Identity (b) b2 = Identity (c) {step('a', 'c2')} }}"
    )
    return case(f"{t} x, {t} z) => ({t} y, {t} u, {t} k)", loop("y, u, k", "x, z, x", body))


def choose(shape: str) -> str:
    """A value stays as it is in two of three iterations."""
    t = f"float[{shape}]"
    body = (
        f"(int64 i, bool q, {t} v) => (bool p, {t} w) {{ p = Identity (q) t = Constant <value_int = 3> () m = Mod (i, t)"
        " e = Constant <value_int = 0> () s = Equal (m, e)"
        f" w = If (s) <then_branch = f () => ({t} r) {{ {step('v', 'r')} }}, else_branch = g () => ({t} o) {{ o = Identity (v) }}> }}"
    )
    return case(f"{t} x) => ({t} y)", loop("y", "x", body))


def keep(shape: str) -> str:
    """A value stays as it is or is another one that is carried: a choice, without code in its branches."""
    t = f"float[{shape}]"
    body = (
        f"(int64 i, bool q, {t} v, {t} u) => (bool p, {t} w, {t} g) {{ p = Identity (q) t = Constant <value_int = 3> () m = Mod (i, t)"
        f" e = Constant <value_int = 0> () s = Equal (m, e) {step('u', 'g')}"
        f" w = If (s) <then_branch = f () => ({t} r) {{ r = Identity (g) }}, else_branch = h () => ({t} o) {{ o = Identity (v) }}> }}"
    )
    return case(f"{t} x, {t} z) => ({t} y, {t} k)", loop("y, k", "x, z", body))


def nested(shape: str) -> str:
    """Seven steps inside, one outside."""
    t = f"float[{shape}]"
    inner = f"(int64 j, bool r, {t} a) => (bool s, {t} o) {{ s = Identity (r) {step('a', 'o')} }}"
    body = (
        f"(int64 i, bool q, {t} v) => (bool p, {t} w) {{ p = Identity (q) k = Constant <value_int = 7> ()"
        f" {loop('m', 'v', inner, trips='k', name='c')} {step('m', 'w')} }}"
    )
    return case(f"{t} x) => ({t} y)", loop("y", "x", body))


def inner_state(shape: str) -> str:
    """The inner loop begins anew, and what it starts with is carried too."""
    t = f"float[{shape}]"
    inner = f"(int64 j, bool r, {t} a, {t} e) => (bool s, {t} o, {t} f) {{ s = Identity (r) o = Identity (e) {step('a', 'f')} }}"
    body = (
        f"(int64 i, bool q, {t} v, {t} g) => (bool p, {t} w, {t} h) {{ p = Identity (q) k = Constant <value_int = 3> ()"
        f" {loop('w, h', 'g, v', inner, trips='k', name='c')} }}"
    )
    return case(f"{t} x, {t} z) => ({t} y, {t} u)", loop("y, u", "x, z", body))


def product(shape: str) -> str:
    """A kernel with temporaries: softmax(v v^T) v, and v one step on."""
    body = (
        f"(int64 i, bool q, float[{shape}] v) => (bool p, float[{shape}] w) {{ p = Identity (q) t = Transpose (v) o = MatMul (v, t)"
        f" s = Softmax (o) r = MatMul (s, v) z = Sub (r, r) g = Add (v, z) {step('g', 'w')} }}"
    )
    return case(f"float[{shape}] x) => (float[{shape}] y)", loop("y", "x", body))


HOLDS = "sum = ReduceSum <keepdims = 0> (v) nothing = Constant <value_float = 0.0> () p = GreaterOrEqual (sum, nothing)"
def determinant(shape: str) -> str:
    """A kernel with scratch."""
    body = (
        f"(int64 i, bool q, float[{shape}] v) => (bool p, float[{shape}] w) {{ p = Identity (q) d = Det (v) z = Sub (d, d)"
        f" e = Constant <value_ints = [1, 2]> () u = Unsqueeze (z, e) g = Add (v, u) {step('g', 'w')} }}"
    )
    return case(f"float[{shape}] x) => (float[{shape}] y)", loop("y", "x", body))


BOTH = {"static": "3", "dynamic": "k"}
CASES: dict[str, tuple[str, int]] = {}  # with the number of iterations after which all is as before
for kind, shape in BOTH.items():
    CASES |= {
        f"one_{kind}": (one(shape), PERIOD),
        f"swap_{kind}": (two(shape, f"v2 = Identity (w) {step('v', 'w2')}"), 2 * PERIOD),
        f"bare_swap_{kind}": (two(shape, "v2 = Identity (w) w2 = Identity (v)"), 2),
        f"twice_{kind}": (two(shape, f"{step('v', 'v2')} w2 = Identity (v2)"), PERIOD),
        f"as_it_is_{kind}": (two(shape, f"{step('v', 'v2')} w2 = Identity (w)"), PERIOD),
        f"both_{kind}": (two(shape, f"{step('v', 'v2')} s = Sub (w, v) d = Add (s, v) {step('d', 'w2', 'g')}"), PERIOD),
        f"condition_{kind}": (two(shape, f"v2 = Identity (w) {step('v', 'w2')}", condition=HOLDS), 2 * PERIOD),
        f"three_{kind}": (three(shape), 3 * PERIOD),
        f"choose_{kind}": (choose(shape), 3 * PERIOD),
        f"keep_{kind}": (keep(shape), 3 * PERIOD),
        f"nested_{kind}": (nested(shape), PERIOD),
        f"inner_state_{kind}": (inner_state(shape), 2 * PERIOD),
        f"product_{kind}": (product(f"{shape}, 2"), PERIOD),
        f"determinant_{kind}": (determinant(", ".join([shape] * 3)), PERIOD),
    }


SLOW = ["determinant_dynamic"]  # a tenth of the iterations


def make_inputs(model: onnx.ModelProto, n: int) -> dict[str, np.ndarray]:
    inputs = {"n": np.array(n)}
    for i, value in enumerate(model.graph.input[1:]):
        shape = [d.dim_value or 3 for d in value.type.tensor_type.shape.dim]
        inputs[value.name] = (np.arange(np.prod(shape)) * 37 + 11 * i + 1).astype(np.float32).reshape(shape)
    return inputs


@pytest.fixture(scope="module", params=CASES)
def subject(request: pytest.FixtureRequest) -> Iterator[tuple[onnx.ModelProto, int, int, RuntimeSession]]:
    text, period = CASES[request.param]
    model = parser.parse_model(text)
    with tempfile.TemporaryDirectory() as folder, RuntimeSession(model, Path(folder), limit=LIMIT) as session:
        yield model, MANY // 10 if request.param in SLOW else MANY, period, session


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 17])
def test_few(subject: Any, n: int) -> None:
    model, _, _, session = subject
    inputs = make_inputs(model, n)
    expected = ReferenceEvaluator(model).run(None, inputs)
    for got, want in zip(session.run(*inputs.values()), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_many(subject: Any) -> None:
    model, many, period, session = subject
    expected = ReferenceEvaluator(model).run(None, make_inputs(model, many % period))
    inputs = make_inputs(model, many)
    for _ in range(2):
        for got, want in zip(session.run(*inputs.values()), expected, strict=True):
            np.testing.assert_array_equal(got, want)


# --- sizes that change ---

GROW = case(
    "float[k] x) => (float[l] y)",
    loop(
        "y",
        "x",
        "(int64 i, bool q, float[j] v) => (bool p, float[h] w) { p = Identity (q) f = Cast <to = 1> (i) e = Constant <value_ints = [0]> ()"
        " g = Mod <fmod = 1> (f, prime) r = Unsqueeze (g, e) u = Concat <axis = 0> (v, r) s = Shape (u)"
        " most = Constant <value_ints = [64]> () keep = Constant <value_ints = [8]> () all = Constant <value_ints = [9223372036854775807]> ()"
        " big = Greater (s, most) o = Cast <to = 7> (big) d = Sub (s, keep) a = Mul (o, d) w = Slice (u, a, all, e) }",
    ),
)


def grow(x: np.ndarray, n: int) -> np.ndarray:
    values = list(x)
    for i in range(n):
        values.append(np.float32(i % 1021))
        if len(values) > 64:
            values = values[-8:]
    return np.array(values, np.float32)


@pytest.mark.parametrize("n", [0, 1, 5, 62, 200, MANY])
def test_sizes_that_change(n: int, tmp_path: Path) -> None:
    model = parser.parse_model(GROW)
    x = np.arange(5, dtype=np.float32)
    if n <= 200:  # our own reference against ONNX's
        np.testing.assert_array_equal(grow(x, n), ReferenceEvaluator(model).run(None, {"n": np.array(n), "x": x})[0])
    with RuntimeSession(model, tmp_path, limit=LIMIT) as session:
        np.testing.assert_array_equal(session.run(np.array(n), x)[0], grow(x, n))


# --- what is gathered ---


def gather(shape: str, condition: str) -> onnx.ModelProto:
    """Two tensors of a row for each iteration."""
    t = f"float[{shape}]" if shape else "float"
    body = (
        f"(int64 i, bool q, {t} v) => (bool p, {t} w, {t} a, int64 j)"
        f" {{ {condition} {step('v', 'w')} a = Neg (w) j = Add (i, i) }}"
    )
    dims = f"r, {shape}" if shape else "r"
    text = case(f"{t} x) => ({t} y, float[{dims}] s, int64[t] u)", loop("y, s, u", "x", body))
    return parser.parse_model(text)


BOUND = "last = Constant <value_int = 70> () p = Less (i, last)"


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 64, 100])
@pytest.mark.parametrize("condition", ["p = Identity (q)", BOUND, HOLDS])
@pytest.mark.parametrize("shape", ["", "3", "k", "2, k"])
def test_gathered(shape: str, condition: str, n: int, tmp_path: Path) -> None:
    model = gather(shape, condition)
    inputs = make_inputs(model, n)
    expected = ReferenceEvaluator(model).run(None, inputs) if n else None
    with RuntimeSession(model, tmp_path, limit=LIMIT) as session:
        results = session.run(*inputs.values())
        if expected is None:  # which the reference can't do; nothing has sizes that are not known
            assert [len(r) for r in results[1:]] == [0, 0]
            np.testing.assert_array_equal(results[0], inputs["x"])
            return
        # The reference joins rows of several dimensions, and scalars, along the first one.
        assert [r.shape for r in results[1:]] == [(len(results[2]), *inputs["x"].shape), (len(results[2]),)]
        for got, want in zip(results, expected):
            np.testing.assert_array_equal(got, want.reshape(got.shape))


def test_a_million_rows(tmp_path: Path) -> None:
    """In room of their own size, each put where it belongs: no copy, and no more memory than twice that."""
    model = gather("2", "p = Identity (q)")
    inputs = make_inputs(model, MANY)
    with RuntimeSession(model, tmp_path, limit=36 << 20) as session:
        _, rows, numbers = session.run(*inputs.values())
    few = ReferenceEvaluator(model).run(None, make_inputs(model, PERIOD))[1]
    np.testing.assert_array_equal(rows, np.resize(few, (MANY, 2)))
    np.testing.assert_array_equal(numbers, 2 * np.arange(MANY))


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("shape", ["3", "k"])
def test_scan(shape: str, reverse: int, tmp_path: Path) -> None:
    text = (
        f'<ir_version: 10, opset_import: ["" : 23]> m (float[{shape}] x, float[t, {shape}] z) => (float[{shape}] y, float[t, {shape}] s)'
        f" {{ y, s = Scan <num_scan_inputs = 1, scan_output_directions = [{reverse}], body = b (float[{shape}] v, float[{shape}] e) =>"
        f" (float[{shape}] w, float[{shape}] a) {{ w = Add (v, e) a = Neg (w) }}> (x, z) }}"
    )
    model = parser.parse_model(text)
    x = np.arange(3, dtype=np.float32)
    with RuntimeSession(model, tmp_path, limit=LIMIT) as session:
        for count in (1, 2, 5, 100, 3000):
            z = (np.arange(3 * count) % 17).astype(np.float32).reshape(count, 3)
            states = x + np.cumsum(z, 0)
            last, rows = session.run(x, z)
            np.testing.assert_array_equal(last, states[-1])
            np.testing.assert_array_equal(rows, -states[::-1] if reverse else -states)
