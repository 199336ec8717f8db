"""Inference whose products are computed in bf16 or f16: beside f32, and in size and errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, parser

from support import module, nacre


def network(batch: int | str, trained: bool = True) -> onnx.ModelProto:
    """Convolution, batch normalisation, a pool, attention over places, a layer normalisation and a classifier."""
    text = f"""<ir_version: 10, opset_import: ["" : 23]>
    m (float[{batch}, 3, 20, 20] x) => (float[{batch}, 10] y) {{
      c = Conv <pads = [1, 1, 1, 1]> (x, kernel)
      n = BatchNormalization (c, scale, shift, mean, variance)
      r = Relu (n)
      p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
      t = Transpose <perm = [0, 2, 3, 1]> (p)
      places = Constant <value_ints = [0, 100, 32]> ()
      s = Reshape (t, places)
      q = MatMul (s, query)
      k = MatMul (s, key)
      kt = Transpose <perm = [0, 2, 1]> (k)
      scores = MatMul (q, kt)
      weights = Softmax (scores)
      a = MatMul (weights, s)
      l = LayerNormalization (a, gain)
      e = ReduceMean <keepdims = 0> (l, places_axis)
      y = Gemm <transB = 1> (e, head, bias)
    }}"""
    model = parser.parse_model(text)
    generator = np.random.default_rng(3)
    shapes = {"kernel": (32, 3, 3, 3), "scale": (32,), "shift": (32,), "mean": (32,), "variance": (32,), "query": (32, 32),
              "key": (32, 32), "gain": (32,), "head": (10, 32), "bias": (10,)}  # fmt: skip
    for name, shape in shapes.items():
        value = generator.standard_normal(shape) / np.sqrt(shape[-1] if len(shape) > 1 else 1)
        value = np.abs(value) + 0.5 if name in ("variance", "scale", "gain") else value
        model.graph.initializer.append(helper.make_tensor(name, 1, shape, value.astype(np.float32).ravel()))
    model.graph.initializer.append(helper.make_tensor("places_axis", 7, (1,), [1]))
    return model


@pytest.mark.parametrize("precision", ["bf16", "f16"])
@pytest.mark.parametrize("batch", [2, "n"])
@pytest.mark.parametrize("threads", [1, 2])
def test_outputs_are_close(batch: int | str, precision: str, threads: int) -> None:
    model = network(batch)
    x = np.random.default_rng(4).standard_normal((2, 3, 20, 20)).astype(np.float32)
    (wanted,) = module().compile(model, threads=threads).run([x])
    program = module().compile(model, threads=threads, precision=precision)
    (got,) = program.run([x])
    assert got.dtype == np.float32
    error = np.abs(got - wanted).max() / np.abs(wanted).max()
    assert 0 < error < {"bf16": 2e-2, "f16": 3e-3}[precision]
    np.testing.assert_array_equal(got, program.run([x])[0])


def test_is_as_close_as_pytorch() -> None:
    """Autocast rounds where Nacre does: neither may be much farther from f64 than the other."""
    torch.manual_seed(1)
    layers = torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.LayerNorm(256), torch.nn.Linear(256, 64), torch.nn.Softmax(-1)
    )
    x = torch.randn(40, 64)
    exact = layers.double()(x.double()).detach().numpy()
    layers.float()
    with torch.autocast("cpu", torch.bfloat16):
        theirs = layers(x).detach().float().numpy()
    nodes, initializers = [], []
    for name, value in layers.state_dict().items():
        initializers.append(helper.make_tensor(name, 1, value.shape, value.numpy().ravel()))
    nodes.append(helper.make_node("Gemm", ["x", "0.weight", "0.bias"], ["a"], transB=1))
    nodes.append(helper.make_node("Gelu", ["a"], ["g"]))
    nodes.append(helper.make_node("LayerNormalization", ["g", "2.weight", "2.bias"], ["l"]))
    nodes.append(helper.make_node("Gemm", ["l", "3.weight", "3.bias"], ["b"], transB=1))
    nodes.append(helper.make_node("Softmax", ["b"], ["y"]))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", 1, (40, 64))], [helper.make_tensor_value_info("y", 1, (40, 64))], initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    (got,) = module().compile(model, precision="bf16").run([x.numpy()])
    assert np.abs(got - exact).max() < 2 * np.abs(theirs - exact).max()


def test_a_file_holds_narrow_weights(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 23]> m (float[8, 512] x) => (float[8, 1024] y) { y = MatMul (x, w) }"""
    model = parser.parse_model(text)
    w = np.random.default_rng(5).standard_normal((512, 1024)).astype(np.float32)
    model.graph.initializer.append(helper.make_tensor("w", 1, w.shape, w.ravel()))
    onnx.save(model, tmp_path / "m.onnx")
    sizes = {}
    for precision in ("f32", "bf16"):
        nacre("compile", tmp_path / "m.onnx", "--precision", precision, "-o", tmp_path / f"{precision}.so")
        sizes[precision] = (tmp_path / f"{precision}.so").stat().st_size
    assert sizes["f32"] - sizes["bf16"] > 0.95 * w.size * 2
    said = json.loads(nacre("info", tmp_path / "bf16.so", "--json").out)
    assert said["provenance"]["precision"] == "bf16"
    x = np.random.default_rng(6).standard_normal((8, 512)).astype(np.float32)
    (got,) = module().load(tmp_path / "bf16.so").run([x])
    np.testing.assert_allclose(got, x @ w, atol=0.3, rtol=0.02)


def test_errors(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 23]> m (float[8] x) => (float[8] y) { y = Relu (x) }"""
    onnx.save(parser.parse_model(text), tmp_path / "m.onnx")
    ran = nacre("compile", tmp_path / "m.onnx", "--precision", "bf16", ok=False)
    assert "nothing to compute in bf16" in ran.err
    assert not (tmp_path / "m.so").exists()
    ran = nacre("compile", tmp_path / "m.onnx", "--precision", "f8", ok=False)
    assert "expected f32, bf16 or f16" in ran.err
    with pytest.raises(module().CompileError, match="expected f32, bf16 or f16"):
        module().compile(network(1), precision="half")  # type: ignore[arg-type]
    with pytest.raises(module().CompileError, match="the training that has a precision"):
        module().compile(network(1), precision="bf16", train={"loss": "softmax-cross-entropy"})
    nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so")
    ran = nacre("run", tmp_path / "m.so", "--precision", "bf16", ok=False)
    assert "compiled already" in ran.err
