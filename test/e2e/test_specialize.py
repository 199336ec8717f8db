"""Versions for given sizes beside the code for all: chosen by the inputs, with the same results and one set of weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from small_models import save_with_weights
from support import module, nacre

# Attention over a sequence: products with weights, whose batch and length are open, and among values.
TEXT = """<ir_version: 10, opset_import: ["" : 21]>
net (float[batch, seq, 64] x, float[batch] scale) => (float[batch, seq, 64] y, float[batch, 10] p) {
  q = MatMul (x, wq)
  k = MatMul (x, wk)
  t = Transpose <perm = [0, 2, 1]> (k)
  s = MatMul (q, t)
  a = Softmax (s)
  v = MatMul (a, x)
  h = Add (v, table)
  n = LayerNormalization (h, gamma, beta)
  shape = Constant <value_ints = [-1, 1, 1]> ()
  f = Reshape (scale, shape)
  y = Mul (n, f)
  axis = Constant <value_ints = [1]> ()
  m = ReduceMean <keepdims = 0> (y, axis)
  p = Gemm <transB = 1> (m, w, b)
}"""
WEIGHTS = {"wq": (64, 64), "wk": (64, 64), "table": (64,), "gamma": (64,), "beta": (64,), "w": (10, 64), "b": (10,)}

# Convolutions, whose layout and padding are chosen by their sizes.
IMAGES = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 16, 14, 14] x) => (float[N, 10] p) {
  a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w0)
  n = BatchNormalization (a, scale, bias, mean, variance)
  r = Relu (n)
  c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (r, w1)
  s = Add (c, x)
  g = GlobalAveragePool (s)
  f = Flatten (g)
  p = Gemm <transB = 1> (f, w2, b2)
}"""
IMAGE_WEIGHTS = {"w0": (32, 16, 3, 3), "scale": (32,), "bias": (32,), "mean": (32,), "variance": (32,),
                 "w1": (16, 32, 3, 3), "w2": (10, 16), "b2": (10,)}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("specialize")
    net = save_with_weights(folder / "net.onnx", TEXT, WEIGHTS)
    save_with_weights(folder / "images.onnx", IMAGES, IMAGE_WEIGHTS)
    nacre("compile", net, "-o", folder / "plain.so")
    nacre("compile", net, "-o", folder / "fast.so", "--specialize", "batch=1,8", "--specialize", "seq=16")
    return folder


def make_inputs(batch: int, seq: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(100 * batch + seq)
    return {"x": random.normal(0, 1, (batch, seq, 64)).astype(np.float32),
            "scale": random.normal(0, 1, (batch,)).astype(np.float32)}  # fmt: skip


def run_reference(path: Path, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)


def info(path: Path) -> dict:
    return json.loads(nacre("info", path, "--json").out)


def get_version(name: str) -> str:
    """matmul_7.batch_1.seq_16: .batch_1.seq_16"""
    return name[name.index(".") :] if "." in name else ""


def get_versions_used(model, inputs: dict[str, np.ndarray]) -> set[str]:
    with model.profile() as profile:
        model.run(inputs)
    names = {kernel.name for kernel in profile.kernels}
    assert names
    return {get_version(name) for name in names}


@pytest.mark.parametrize(
    ("batch", "seq", "version"),
    [(1, 16, ".batch_1.seq_16"), (8, 16, ".batch_8.seq_16"), (1, 5, ".batch_1"), (8, 33, ".batch_8"),
     (3, 16, ".seq_16"), (3, 7, ""), (0, 16, ".seq_16"), (16, 1, "")],
)  # fmt: skip
def test_each_version(folder: Path, batch: int, seq: int, version: str) -> None:
    """The sizes of a run choose; what they say is right, and within rounding of what the code for all sizes says."""
    model = module().load(folder / "fast.so", threads=2)
    inputs = make_inputs(batch, seq)
    assert get_versions_used(model, inputs) == {version}
    plain = module().load(folder / "plain.so", threads=2).run(inputs)
    for result, other, expected in zip(model.run(inputs), plain, run_reference(folder / "net.onnx", inputs), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result, other, rtol=1e-4, atol=1e-5)


def test_as_if_alone(folder: Path) -> None:
    """A version is what the model is that has these sizes alone, bit for bit."""
    inputs = make_inputs(8, 16)
    alone = module().compile(folder / "net.onnx", dims={"batch": 8, "seq": 16})
    for result, expected in zip(module().load(folder / "fast.so").run(inputs), alone.run(inputs), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_weights_are_shared(folder: Path) -> None:
    """Five versions more, and no weight more."""
    plain, fast = info(folder / "plain.so"), info(folder / "fast.so")
    assert fast["parameter_bytes"] == plain["parameter_bytes"]
    assert fast["provenance"]["specialize"] == {"batch": [1, 8], "seq": [16]} and "specialize" not in plain["provenance"]
    assert [function["name"] for function in fast["functions"]] == ["main"]
    assert fast["functions"][0]["inputs"] == plain["functions"][0]["inputs"]
    assert fast["functions"][0]["arena_bytes"] > plain["functions"][0]["arena_bytes"]
    used = {get_version(kernel["name"]) for kernel in fast["kernels"]}
    assert used == {"", ".batch_1", ".batch_8", ".seq_16", ".batch_1.seq_16", ".batch_8.seq_16"}
    assert 'specialize {"batch":[1,8],"seq":[16]}' in nacre("info", folder / "fast.so").out


def test_one_session_changes_sizes(folder: Path) -> None:
    model = module().compile(folder / "net.onnx", specialize={"batch": [1, 8]}, threads=2)
    for batch, seq in [(1, 3), (2, 3), (8, 40), (1, 40), (8, 3), (5, 1)]:
        inputs = make_inputs(batch, seq)
        for result, expected in zip(model.run(inputs), run_reference(folder / "net.onnx", inputs), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_convolutions(folder: Path, precision: str) -> None:
    model = module().compile(folder / "images.onnx", specialize={"N": [1, 4]}, precision=precision, threads=2)
    for batch, version in [(1, ".N_1"), (4, ".N_4"), (2, "")]:
        x = np.random.default_rng(batch).normal(0, 1, (batch, 16, 14, 14)).astype(np.float32)
        assert get_versions_used(model, {"x": x}) == {version}
        expected = run_reference(folder / "images.onnx", {"x": x})[0]
        tolerance = 2e-5 if precision == "f32" else 2e-2
        assert np.abs(model(x) - expected).max() <= tolerance * np.ptp(expected)


def test_several_cpus(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions for sizes, for each CPU."""
    module().compile_to_file(folder / "net.onnx", tmp_path / "m.so", specialize={"batch": [1]},
                             target_cpu="x86-64-v3,x86-64-v2")  # fmt: skip
    for cpu in ["x86-64-v3", "x86-64-v2"]:
        monkeypatch.setenv("NACRE_TARGET_CPU", cpu)
        model = module().load(tmp_path / "m.so")
        for batch, version in [(1, ".batch_1"), (2, "")]:
            inputs = make_inputs(batch, 9)
            assert model.target_cpu == cpu and get_versions_used(model, inputs) == {version}
            for result, expected in zip(model.run(inputs), run_reference(folder / "net.onnx", inputs), strict=True):
                np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_sizes_without_a_name(tmp_path: Path) -> None:
    """They are called by their places, also those that only an option opens."""
    model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 21]>
    net (float[?, 4] x, float[?, ?] w) => (float[?, ?] y) { h = MatMul (x, w) y = Softmax (h) }""")
    model.graph.input[1].type.tensor_type.ClearField("shape")
    onnx.save(model, tmp_path / "net.onnx")
    nacre("compile", tmp_path / "net.onnx", "-o", tmp_path / "m.so", "--input-shape", "w=4x?", "--specialize", "x[0]=1,3", "--specialize", "w[1]=8")
    assert info(tmp_path / "m.so")["provenance"]["specialize"] == {"w[1]": [8], "x[0]": [1, 3]}
    program = module().load(tmp_path / "m.so")
    random = np.random.default_rng(5)
    for rows, columns, version in [(1, 8, ".w_1__8.x_0__1"), (3, 8, ".w_1__8.x_0__3"), (2, 8, ".w_1__8"), (3, 5, ".x_0__3"), (2, 5, ""), (8, 1, "")]:
        inputs = {"x": random.normal(size=(rows, 4)).astype(np.float32), "w": random.normal(size=(4, columns)).astype(np.float32)}
        assert get_versions_used(program, inputs) == {version}
        expected = run_reference(tmp_path / "net.onnx", inputs)[0]
        np.testing.assert_allclose(program.run(inputs)[0], expected, rtol=1e-5, atol=1e-6)
    ran = nacre("compile", tmp_path / "net.onnx", "-o", tmp_path / "no.so", "--input-shape", "w=4x?", "--specialize", "x[1]=4", ok=False)
    assert "sizes of 'x[1]': no open dimension of an input has that name; expected 'x[0]' or 'w[1]'" in ran.err, ran.text()


def test_wrong_inputs(folder: Path) -> None:
    """A symbol has one size in all inputs, whatever the version."""
    model = module().load(folder / "fast.so")
    inputs = make_inputs(1, 16) | {"scale": np.ones(8, np.float32)}
    with pytest.raises(module().InputError, match="batch"):
        model.run(inputs)
    for result in model.run(make_inputs(1, 16)):
        assert np.isfinite(result).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--specialize", "bach=1"],
         "cannot be specialised for sizes of 'bach': no open dimension of an input has that name; expected 'batch' or 'seq'"),
        (["--specialize", "batch=1", "--dim", "batch=1", "--dim", "seq=2"], "no open dimension of an input has that name, nor any"),
        (["--specialize", "batch"], "--specialize: malformed sizes 'batch', expected NAME=1,8"),
        (["--specialize", "batch=1,-2"], "--specialize: malformed sizes 'batch=1,-2', expected NAME=1,8"),
        (["--specialize", "batch=1", "--specialize", "batch=2"], "--specialize: the sizes of 'batch' are given twice"),
        (["--specialize", "batch=1", "--train", "mse"], "what is trained is not specialised for sizes"),
        (["--specialize", "batch=" + ",".join(map(str, range(65)))], "more than 64"),
    ],
)  # fmt: skip
def test_refused(folder: Path, tmp_path: Path, options: list[str], message: str) -> None:
    ran = nacre("compile", folder / "net.onnx", "-o", tmp_path / "m.so", *options, ok=False)
    assert ran.status in (1, 2) and message in ran.err, ran.text()
    assert list(tmp_path.iterdir()) == []


def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    """The node is named, and the size."""
    text = """<ir_version: 10, opset_import: ["" : 21]>
    net (float[N, 4] x, float[3, 4] y) => (float[N, 4] z) { [sum] z = Add (x, y) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "net.onnx")
    ran = nacre("compile", tmp_path / "net.onnx", "-o", tmp_path / "m.so", "--specialize", "N=3,2", ok=False)
    assert ran.status == 1 and "node 'sum' (Add)" in ran.err, ran.text()
    assert "cannot be specialised for 'N' = 2, with which the model is not valid" in ran.err, ran.text()
