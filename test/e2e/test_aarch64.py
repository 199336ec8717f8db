"""Models for AArch64's CPUs, by NEON and by SVE, run in an emulator and compared with ONNX's evaluator.

One static library has the code for all of them, and each is asked for by its name.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator
from small_models import add_weights
from support import nacre

TRIPLE = "--target-triple=aarch64-linux-gnu"
# NEON; with products of bytes; SVE of 256 bits with all of them; of 512 bits.
CPUS = ["generic", "neoverse-n1", "neoverse-v1", "a64fx"]

# A perceptron, a convolutional net, an attention block, an LSTM, products of bytes, narrow floats, and the rest of what
# kernels are made of; sizes that fill no vector are among theirs.
TEXT = """<ir_version: 10, opset_import: ["" : 21]>
zoo (float[N, 37] x, float[2, 3, 17, 17] image, float[2, 11, 32] tokens, float[5, 3, 9] steps, uint8[7, 50] bytes, int8[9, 67] signs)
  => (float[N, 10] p, float[2, 24] pooled, float[2, 11, 32] attended, float[5, 1, 3, 20] sequence, int32[7, 33] mixed, int32[9, 21] same,
      int32[7, 33] positive, uint8[2, 8, 17, 17] quantized, float[N, 24] brain, float16[N, 37] half, float[2, 11] reduced,
      float[2, 11, 4] best, int64[2, 11, 4] where, float[2, 32, 11] turned, float[2, 11, 32] summed, float[2, 11, 32] functions) {
  h = Gemm (x, w1, b1)
  r = Relu (h)
  f = Gemm (r, w2)
  p = Softmax (f)
  c1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, k1, kb)
  n1 = BatchNormalization (c1, scale, shift, mean, variance)
  a1 = Relu (n1)
  m1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a1)
  c2 = Conv <kernel_shape = [3, 3], group = 24> (m1, k2)
  s2 = Sigmoid (c2)
  g = GlobalAveragePool (s2)
  two = Constant <value_ints = [2, 24]> ()
  pooled = Reshape (g, two)
  q = MatMul (tokens, wq)
  k = MatMul (tokens, wk)
  v = MatMul (tokens, wv)
  kt = Transpose <perm = [0, 2, 1]> (k)
  qk = MatMul (q, kt)
  weights = Softmax (qk)
  mix = MatMul (weights, v)
  res = Add (mix, tokens)
  norm = LayerNormalization (res, gamma, beta)
  attended = Gelu (norm)
  sequence, last, cell = LSTM <hidden_size = 20> (steps, lw, lr, lb)
  mixed = MatMulInteger (bytes, qw)
  same = MatMulInteger (signs, sw)
  positive = MatMulInteger (bytes, uw)
  is = Constant <value_float = 0.02> ()
  izero = Constant <value = uint8 {128}> ()
  os = Constant <value_float = 0.05> ()
  qi = QuantizeLinear (image, is, izero)
  wzero = Constant <value = int8 {0}> ()
  quantized = QLinearConv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (qi, is, izero, qk1, is, wzero, os, izero)
  xb = Cast <to = 16> (x)
  wb = Cast <to = 16> (w1)
  hb = MatMul (xb, wb)
  brain = Cast <to = 1> (hb)
  xh = Cast <to = 10> (x)
  half = Mul (xh, xh)
  axes = Constant <value_ints = [2]> ()
  reduced = ReduceLogSumExp <keepdims = 0> (tokens, axes)
  four = Constant <value_ints = [4]> ()
  best, where = TopK (tokens, four)
  turned = Transpose <perm = [0, 2, 1]> (tokens)
  one = Constant <value_int = 1> ()
  summed = CumSum (tokens, one)
  e = Exp (tokens)
  t = Tanh (e)
  l = Log (e)
  u = Sin (l)
  functions = Add (t, u)
}"""
SHAPES = {"w1": (37, 24), "b1": (24,), "w2": (24, 10), "k1": (24, 3, 3, 3), "kb": (24,), "scale": (24,), "shift": (24,), "mean": (24,),
          "variance": (24,), "k2": (24, 1, 3, 3), "wq": (32, 32), "wk": (32, 32), "wv": (32, 32), "gamma": (32,), "beta": (32,),
          "lw": (1, 80, 9), "lr": (1, 80, 20), "lb": (1, 160)}  # fmt: skip
BYTES = {"qw": (np.int8, (50, 33)), "sw": (np.int8, (67, 21)), "uw": (np.uint8, (50, 33)), "qk1": (np.int8, (8, 3, 3, 3))}
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 10: np.float16, 16: ml_dtypes.bfloat16}
N = 6


def make_model() -> onnx.ModelProto:
    model = parser.parse_model(TEXT)
    random = np.random.default_rng(5)
    add_weights(model, SHAPES, random, scale=0.3)
    for name, (dtype, shape) in BYTES.items():
        info = np.iinfo(dtype)
        model.graph.initializer.append(numpy_helper.from_array(random.integers(info.min, info.max + 1, shape).astype(dtype), name))
    return model


def shape_of(info: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(N if dim.dim_param else dim.dim_value for dim in info.type.tensor_type.shape.dim)


def dtype_of(info: onnx.ValueInfoProto) -> type:
    return TYPES[info.type.tensor_type.elem_type]


def make_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    random = np.random.default_rng(6)
    inputs = {}
    for info in model.graph.input:
        dtype = dtype_of(info)
        if dtype is np.float32:
            inputs[info.name] = random.normal(0, 1, shape_of(info)).astype(dtype)
        else:
            bounds = np.iinfo(dtype)
            inputs[info.name] = random.integers(bounds.min, bounds.max + 1, shape_of(info)).astype(dtype)
    return inputs


def write_program(model: onnx.ModelProto) -> str:
    """Reads the inputs from standard input, and writes the outputs."""

    def declare(info: onnx.ValueInfoProto) -> str:
        return f"  static __attribute__((aligned(8))) char {info.name}[{np.prod(shape_of(info)) * np.dtype(dtype_of(info)).itemsize}];"

    values = [*model.graph.input, *model.graph.output]
    reads = "".join(f"  if (fread({i.name}, sizeof {i.name}, 1, stdin) != 1) return 2;\n" for i in model.graph.input)
    writes = "".join(f"  fwrite({o.name}, sizeof {o.name}, 1, stdout);\n" for o in model.graph.output)
    arguments = "".join(f", .{info.name} = (void *){info.name}" for info in values)
    return f"""
#include "zoo.h"
#include <stdio.h>
int main(void) {{
{chr(10).join(map(declare, values))}
{reads}  zoo *model = zoo_create(2);
  zoo_run_args args = {{.N = {N}{arguments}}};
  if (!model || zoo_run(model, &args)) {{
    fputs(zoo_last_error(), stderr);
    return 1;
  }}
{writes}  zoo_destroy(model);
  return 0;
}}
"""


@dataclass
class Zoo:
    folder: Path
    model: onnx.ModelProto
    inputs: dict[str, np.ndarray]
    expected: list[np.ndarray]

    def run(self, emulated: str, chosen: str = "") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["qemu-aarch64", "-cpu", emulated, "-L", "/usr/aarch64-linux-gnu", str(self.folder / "main")],
            input=b"".join(value.tobytes() for value in self.inputs.values()),
            env=os.environ | {"NACRE_TARGET_CPU": chosen}, capture_output=True, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    folder = tmp_path_factory.mktemp("aarch64")
    model = make_model()
    onnx.save(model, folder / "zoo.onnx")
    nacre("compile", folder / "zoo.onnx", "--emit=static-library", TRIPLE, "--target-cpu", ",".join(CPUS))
    (folder / "main.c").write_text(write_program(model))
    build = ["aarch64-linux-gnu-gcc", "-Wall", "-Werror", "main.c", "zoo.a", "-lm", "-o", "main"]
    subprocess.run(build, cwd=folder, check=True)
    inputs = make_inputs(model)
    return Zoo(folder, model, inputs, ReferenceEvaluator(model).run(None, inputs))


def check(zoo: Zoo, output: bytes) -> None:
    offset = 0
    for info, expected in zip(zoo.model.graph.output, zoo.expected, strict=True):
        shape, dtype = shape_of(info), dtype_of(info)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        value = np.frombuffer(output[offset : offset + size], dtype).reshape(shape)
        offset += size
        if info.name == "quantized":  # rounded to one side or the other
            assert np.abs(value.astype(int) - expected.astype(int)).max() <= 1
        elif np.issubdtype(dtype, np.integer):
            np.testing.assert_array_equal(value, expected, err_msg=info.name)
        else:
            tolerance = {"brain": 2e-2, "half": 1e-3}.get(info.name, 2e-5)
            np.testing.assert_allclose(
                value.astype(np.float32), expected.astype(np.float32), rtol=tolerance, atol=tolerance, err_msg=info.name
            )
    assert offset == len(output)


@pytest.mark.parametrize(
    ("emulated", "chosen"),
    [
        ("cortex-a53", ""),
        ("cortex-a53", "generic"),
        ("neoverse-n1", "neoverse-n1"),
        ("max,sve-max-vq=2", "neoverse-v1"),
        ("max,sve-max-vq=4", "neoverse-v1"),  # longer vectors than it needs
        ("a64fx", "a64fx"),
        ("max,sve-max-vq=1", ""),
    ],
)
def test_results(zoo: Zoo, emulated: str, chosen: str) -> None:
    done = zoo.run(emulated, chosen)
    assert done.returncode == 0, done.stderr.decode()
    check(zoo, done.stdout)


@pytest.mark.parametrize(
    ("emulated", "chosen", "needs"),
    [("cortex-a53", "neoverse-n1", ""), ("cortex-a53", "neoverse-v1", ""), ("max,sve-max-vq=1", "neoverse-v1", "'sve256'")],
)
def test_refused(zoo: Zoo, emulated: str, chosen: str, needs: str) -> None:
    done = zoo.run(emulated, chosen)
    assert done.returncode == 1 and f"'{chosen}' needs '" in done.stderr.decode() and needs in done.stderr.decode(), done.stderr


@pytest.mark.parametrize(
    ("cpu", "instructions"),
    [
        ("generic", [r"\bfmla\b.*\.4s"]),
        ("neoverse-n1", [r"\bsdot\b", r"\budot\b"]),
        ("neoverse-v1", [r"\busdot\b.*z", r"\bsdot\b.*z", r"\bfmla\b.*z\d+\.s"]),
    ],
)
def test_instructions(zoo: Zoo, cpu: str, instructions: list[str]) -> None:
    """What the CPU is chosen for is used."""
    import re

    nacre("compile", zoo.folder / "zoo.onnx", "-o", zoo.folder / f"{cpu}.s", "--emit=assembly", TRIPLE, "--target-cpu", cpu)
    text = (zoo.folder / f"{cpu}.s").read_text()
    for instruction in instructions:
        assert re.search(instruction, text), instruction


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target-cpu=neoverse-n1", "--target-features=+sve256"], "the CPU 'neoverse-n1' has no SVE"),
        (["--target-cpu=neoverse-n2", "--target-features=+sve300"], "unknown CPU feature 'sve300'"),
        (["--target-cpu=neoverse-v1", "--target-features=-sve256"], "a length of vectors is only given, with '+'"),
    ],
)
def test_lengths_that_are_none(zoo: Zoo, tmp_path: Path, options: list[str], message: str) -> None:
    ran = nacre("compile", zoo.folder / "zoo.onnx", "-o", tmp_path / "zoo.o", "--emit=object", TRIPLE, *options, ok=False)
    assert ran.status == 1 and message in ran.err, ran.text()
