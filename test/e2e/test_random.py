"""Random numbers: against the published generator, their distribution, what they depend on.

Everything is drawn from fixed seeds, so no test can fail by chance. Bounds of statistics are
six standard errors of what is measured.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper, parser

import small_models
from support import module, nacre

HEAD = small_models.HEAD.replace("21", "22")
COUNT = 1 << 18


def model(text: str, **initializers: np.ndarray) -> bytes:
    built = parser.parse_model(HEAD + text)
    for name, value in initializers.items():
        built.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.checker.check_model(built)
    return built.SerializeToString()


def compile_model(text: str, threads: int = 2, **initializers: np.ndarray):  # noqa: ANN201
    return module().compile(model(text, **initializers), threads=threads)


# ---- The generator ------------------------------------------------------------


def philox(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Philox4x32-10 as Salmon et al. (SC 2011) write it; counter[..., 4], key[2]."""
    c = [counter[..., i].astype(np.uint64) for i in range(4)]
    k = [int(key[0]), int(key[1])]
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> shift) ^ c[1] ^ np.uint64(k[0]), p1 & low, (p0 >> shift) ^ c[3] ^ np.uint64(k[1]), p0 & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, -1).astype(np.uint32)


def mix(key: int, number: int) -> int:
    """A step of SplitMix64."""
    mask = (1 << 64) - 1
    z = (key + (number + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def bits(count: int, key: int, stream: int) -> np.ndarray:
    counter = np.zeros((count, 4), np.uint32)
    counter[:, 0] = np.arange(count)
    counter[:, 2] = stream
    return philox(counter, np.array([key & 0xFFFFFFFF, key >> 32]))


def test_reference_generator() -> None:
    """The known answers of the authors' Random123 library (kat_vectors)."""
    cases = [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for counter, key, answer in cases:
        words = [np.array([int(w, 16) for w in text.split()], np.uint32) for text in (counter, key, answer)]
        np.testing.assert_array_equal(philox(words[0], words[1]), words[2])


@pytest.mark.parametrize("cpu", [None, "x86-64-v3", "x86-64-v2"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_equals_the_reference(dynamic: bool, cpu: str | None) -> None:
    """Odd sizes of two dimensions: vectors have tails, and tiles begin within rows."""
    rows, columns = 61, 1027
    shape = "N, M" if dynamic else f"{rows}, {columns}"
    text = (
        f"m (float[{shape}] x) => (float[{shape}] f, double[{shape}] d) {{"
        " f = RandomUniformLike (x) d = RandomUniformLike <dtype = 11> (x) }"
    )
    program = module().compile(model(text), threads=2, target_cpu=cpu)
    x = np.zeros((rows, columns), np.float32)
    for run in range(2):
        f, d = program.run([x])
        key = mix(0, run)
        single = (bits(f.size, key, 0)[:, 0] >> 8) * 2.0**-24
        np.testing.assert_array_equal(f.ravel(), single.astype(np.float32))
        words = bits(d.size, key, 2).astype(np.uint64)
        double = ((words[:, 0] << np.uint64(20)) | (words[:, 1] >> np.uint64(12))) * 2.0**-52
        np.testing.assert_array_equal(d.ravel(), double)


# ---- Distributions ------------------------------------------------------------


def check_moments(values: np.ndarray, mean: float, deviation: float, fourth: float) -> None:
    """`fourth`: the fourth central moment over the variance squared."""
    count = values.size
    centred = (values.astype(np.float64) - mean) / deviation
    assert abs(centred.mean()) < 6 / count**0.5
    assert abs((centred**2).mean() - 1) < 6 * ((fourth - 1) / count) ** 0.5


def check_quantiles(values: np.ndarray, quantiles: np.ndarray, shares: np.ndarray) -> None:
    """The share of values below each quantile."""
    for quantile, share in zip(quantiles, shares):
        error = (share * (1 - share) / values.size) ** 0.5
        assert abs((values < quantile).mean() - share) < 6 * error


SHARES = np.array([0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999])


NAMES = {np.float16: "float16", np.float32: "float", np.float64: "double"}


@pytest.mark.parametrize(("dtype", "kind"), [(1, np.float32), (11, np.float64), (10, np.float16)])
def test_uniform(dtype: int, kind: type) -> None:
    program = compile_model(
        f"m () => ({NAMES[kind]}[512, 512] u) {{ u = RandomUniform <shape = [512, 512], dtype = {dtype}, low = -2.0, high = 3.0> () }}"
    )
    (u,) = program.run([])
    assert u.dtype == kind and u.shape == (512, 512)
    assert u.min() >= -2 and u.max() <= 3
    if kind != np.float16:  # whose steps are seen in moments
        check_moments(u, 0.5, 5 / 12**0.5, 9 / 5)
    check_quantiles(u.astype(np.float64), -2 + 5 * SHARES[1:-1], SHARES[1:-1])
    # Neighbours, in both directions, do not go together.
    centred = u.astype(np.float64) - 0.5
    for other in (np.roll(centred, 1, 0), np.roll(centred, 1, 1)):
        assert abs((centred * other).mean()) < 6 * (25 / 12) / u.size**0.5


@pytest.mark.parametrize(("dtype", "kind"), [(1, np.float32), (11, np.float64)])
def test_normal(dtype: int, kind: type) -> None:
    program = compile_model(
        f"m () => ({NAMES[kind]}[{COUNT}] g) {{ g = RandomNormal <shape = [{COUNT}], dtype = {dtype}, mean = 4.0, scale = 0.5> () }}"
    )
    (g,) = program.run([])
    assert g.dtype == kind and np.isfinite(g).all()
    check_moments(g, 4, 0.5, 3)
    standard = torch.distributions.Normal(4.0, 0.5).icdf(torch.tensor(SHARES)).numpy()
    check_quantiles(g, standard, SHARES)
    assert abs(((g - 4) ** 3).mean() / 0.125) < 6 * (15 / g.size) ** 0.5


def test_bernoulli() -> None:
    program = compile_model("m (float[N, 8] p) => (int32[N, 8] b) { b = Bernoulli <dtype = 6> (p) }")
    chances = np.array([0, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.999, 1], np.float32)
    (drawn,) = program.run([np.tile(chances, (COUNT, 1))])
    assert np.isin(drawn, (0, 1)).all()
    error = (chances * (1 - chances) / COUNT) ** 0.5
    assert (abs(drawn.mean(0) - chances) <= 6 * error).all()


@pytest.mark.parametrize("dynamic", [False, True])
def test_multinomial(dynamic: bool) -> None:
    """Unnormalised log-probabilities, one class impossible, of two kinds of rows."""
    batch = "N" if dynamic else "2"
    program = compile_model(
        f"m (float[{batch}, 4] x) => (int64[{batch}, {COUNT // 4}] c) {{"
        f" c = Multinomial <sample_size = {COUNT // 4}, dtype = 7> (x) }}"
    )
    chances = np.array([[0.1, 0.2, 0.7, 0], [0, 0.5, 0.25, 0.25]])
    with np.errstate(divide="ignore"):
        logits = np.log(chances) + np.array([[3.0], [-5.0]])
    (classes,) = program.run([logits.astype(np.float32)])
    shares = np.stack([(classes == i).mean(1) for i in range(4)], 1)
    error = (chances * (1 - chances) / (COUNT // 4)) ** 0.5
    assert (abs(shares - chances) <= 6 * error).all()
    assert (classes[0] != classes[1]).any()


# ---- What they depend on ------------------------------------------------------

NODES = """m (float[N] x) => (float[N] a, float[N] b, float[N] c, float[N] d) {
    a = RandomNormalLike (x) b = RandomNormalLike (x)
    c = RandomNormalLike <seed = 5.0> (x) d = RandomNormalLike <seed = 5.0> (x) }"""


def test_nodes_runs_and_seeds() -> None:
    x = np.zeros(1000, np.float32)
    program = compile_model(NODES)
    first, second = program.run([x]), program.run([x])
    # Nodes, and runs, differ: not one number in common. With one seed nodes are the same.
    for run in (first, second):
        assert not (run[0] == run[1]).any()
        np.testing.assert_array_equal(run[2], run[3])
    for one, other in zip(first, second):
        assert not (one == other).any()
    # A new session draws the same again, run by run; so does this one after set_seed.
    again = compile_model(NODES)
    program.set_seed(0)
    for session in (again, program):
        for expected in (first, second):
            for one, other in zip(session.run([x]), expected):
                np.testing.assert_array_equal(one, other)
    # Another seed: other numbers, but not of the nodes that have their own.
    program.set_seed(2**64 - 1)
    for number, (one, other) in enumerate(zip(program.run([x]), first)):
        assert (one == other).all() if number >= 2 else not (one == other).any()


def test_threads_and_files(tmp_path: Path) -> None:
    """The same bits on any number of threads, just in time and ahead of time, by any tool."""
    text = (
        "m (float[N, 515] x) => (float[N, 515] a, float[N, 515] y, bool[N, 515] k) {"
        " a = RandomNormalLike (x) r = Constant <value_float = 0.25> () t = Constant <value = bool {1}> ()"
        " y, k = Dropout (x, r, t) }"
    )
    onnx.save(onnx.load_from_string(model(text)), tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(333, 515)).astype(np.float32)
    expected = compile_model(text, threads=1).run([x])
    module().compile_to_file(tmp_path / "m.onnx", tmp_path / "m.so")
    for program in (
        compile_model(text, threads=2),
        compile_model(text, threads=5),
        module().load(tmp_path / "m.so", threads=3),
    ):
        for one, other in zip(program.run([x]), expected):
            np.testing.assert_array_equal(one, other)
    np.save(tmp_path / "x.npy", x)
    run = ["run", tmp_path / "m.so", "--input", f"x={tmp_path / 'x.npy'}", "--output-dir"]
    nacre(*run, tmp_path / "default")
    np.testing.assert_array_equal(np.load(tmp_path / "default" / "y.npy"), expected[1])
    nacre(*run, tmp_path / "other", "--seed", "1")
    assert not np.array_equal(np.load(tmp_path / "other" / "y.npy"), expected[1])


def test_loops_branches_and_functions() -> None:
    """Each iteration, of nested loops too, and each call of a function draws anew."""
    program = compile_model(
        """m (int64 n, float[4] x) => (float[I, J, 4] y) {
          t = Constant <value = bool {1}> ()
          y = Loop (n, t) <body = outer (int64 i, bool ci) => (bool co, float[J, 4] inner) {
            co = Identity (ci)
            inner = Loop (n, co) <body = deep (int64 j, bool cj) => (bool ck, float[4] z) {
              ck = Identity (cj)
              z = RandomUniformLike (x)
            }>
          }>
        }"""
    )
    (y,) = program.run([np.int64(5), np.zeros(4, np.float32)])
    assert y.shape == (5, 5, 4) and len(np.unique(y)) == y.size

    calls = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 22, "local" : 1]>\n'
        "m (float[99] x) => (float[99] p, float[99] q) { p = local.draw (x) q = local.draw (x) }"
    )
    calls.functions.append(
        helper.make_function(
            "local",
            "draw",
            ["x"],
            ["y"],
            [helper.make_node("RandomUniformLike", ["x"], ["y"])],
            [helper.make_opsetid("", 22)],
        )
    )
    p, q = module().compile(calls.SerializeToString()).run([np.zeros(99, np.float32)])
    assert not (p == q).any()


@pytest.mark.parametrize("seed", ["", "<seed = 3.0>"])
def test_unrolled_loops(seed: str) -> None:
    """What the compiler unrolls differs from iteration to iteration too."""
    program = compile_model(
        f"""m (float[5, 4] x) => (float[5, 4] y) {{
          s = SplitToSequence <axis = 0, keepdims = 0> (x)
          t = SequenceMap <body = each (float[4] i) => (float[4] o) {{ o = RandomUniformLike {seed} (i) }}> (s)
          y = ConcatFromSequence <axis = 0, new_axis = 1> (t)
        }}"""
    )
    (y,) = program.run([np.zeros((5, 4), np.float32)])
    assert len(np.unique(y)) == y.size


def test_refused() -> None:
    cases = {
        "dtype": "m () => (u) { u = RandomUniform <shape = [4], dtype = 7> () }",
        "ratio is 1": "m (float[4] x) => (y) { r = Constant <value_float = 1.0> ()"
        " t = Constant <value = bool {1}> () y = Dropout (x, r, t) }",
        "rank 1": "m (float[4] x) => (c) { c = Multinomial (x) }",
        "size of -4": "m () => (u) { u = RandomUniform <shape = [-4]> () }",
    }
    for message, text in cases.items():
        with pytest.raises(module().CompileError, match="node '") as caught:
            module().compile(parser.parse_model(HEAD + text).SerializeToString())
        assert message in str(caught.value)


# ---- Dropout ------------------------------------------------------------------


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("dynamic", [False, True])
def test_dropout(kind: type, dynamic: bool) -> None:
    """What is kept is scaled by 1 / (1 - ratio), as the mask says; both known only at run time."""
    shape, name = "N, M" if dynamic else "512, 511", NAMES[kind]
    program = compile_model(
        f"m ({name}[{shape}] x, {name} r, bool t) => ({name}[{shape}] y, bool[{shape}] k) {{ y, k = Dropout (x, r, t) }}"
    )
    x = np.random.default_rng(0).normal(size=(512, 511)).astype(kind)
    for ratio in (0.1, 0.5, 0.9):
        y, kept = program.run([x, kind(ratio), True])
        exact = float(kind(ratio))
        share = 1 - kept.mean()
        assert abs(share - exact) < 6 * (exact * (1 - exact) / x.size) ** 0.5
        expected = np.where(kept, x.astype(np.float64) / (1 - exact), 0)
        limits = np.finfo(kind)
        np.testing.assert_allclose(y, expected, rtol=4 * limits.eps, atol=4 * limits.smallest_subnormal)
    for ratio, training in ((0.5, False), (0, True)):
        y, kept = program.run([x, kind(ratio), training])
        np.testing.assert_array_equal(y, x)
        assert kept.all()
    for ratio in (1, -0.5, np.nan):
        with pytest.raises(module().RunError, match=r"\(Dropout\).*the ratio is not in \[0, 1\)"):
            program.run([x, kind(ratio), True])


@pytest.mark.parametrize("opset", [1, 6, 7, 10, 12])
def test_dropout_of_all_versions(opset: int) -> None:
    """Until opset 6 a node trains unless it says that it does not; until 9 the mask is of x's type."""
    attributes = {"ratio": 0.25} if opset < 12 else {}
    node = helper.make_node("Dropout", ["x"], ["y", "k"], **attributes)
    kind = onnx.TensorProto.FLOAT if opset < 10 else onnx.TensorProto.BOOL
    graph = helper.make_graph(
        [node],
        "m",
        [helper.make_tensor_value_info("x", 1, [10000])],
        [helper.make_tensor_value_info("y", 1, [10000]), helper.make_tensor_value_info("k", kind, [10000])],
    )
    old = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    x = np.linspace(1, 2, 10000, dtype=np.float32)
    y, kept = module().compile(old.SerializeToString()).run([x])
    assert kept.dtype == (np.float32 if opset < 10 else np.bool_)
    kept = kept.astype(bool)
    assert abs(kept.mean() - 0.75) < 0.03 if opset < 7 else kept.all()
    np.testing.assert_allclose(y, np.where(kept, x / 0.75, 0) if opset < 7 else x, rtol=1e-6)


def test_dropout_in_training() -> None:
    """The gradient passes where the mask of the same run does; steps have different masks."""
    w = np.linspace(-1, 1, 4000).reshape(40, 100)
    text = """m (double[40, 100] x) => (double l, bool[40, 100] k) {
        r = Constant <value_float = 0.3> () t = Constant <value = bool {1}> ()
        p = Mul (x, w) y, k = Dropout (p, r, t) l = ReduceSum <keepdims = 0> (y) }"""
    program = module().compile(model(text, w=w), train={"loss": "output:l"}, threads=2)
    x = np.random.default_rng(0).normal(size=w.shape)
    masks = []
    for _ in range(2):
        before = program.read_parameter("w")
        loss, value, kept = program.run([x, np.float32(1)], function="step")
        scale = 1 / (1 - float(np.float32(0.3)))
        np.testing.assert_allclose(value, (x * before * kept).sum() * scale, rtol=1e-9)
        np.testing.assert_allclose(before - program.read_parameter("w"), x * kept * scale, rtol=1e-9, atol=1e-12)
        masks.append(kept)
    assert 0.6 < masks[0].mean() < 0.8
    assert 0.35 < (masks[0] != masks[1]).mean() < 0.5  # 2 · 0.3 · 0.7
