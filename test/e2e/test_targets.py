"""Code for other CPUs and machines than the one that compiles."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest
import small_models
from support import NACRE, module, nacre

TEXT = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 3, 10, 10] image, int64[N] labels) => (float[N, 5] p, float[N, 1] chosen, float16[N, 5] half, bfloat16[N, 5] brain, float[N] spread) {
  a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, w, b)
  c = Relu (a)
  d = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
  shape = Constant <value_ints = [0, -1]> ()
  e = Reshape (d, shape)
  f = Gemm (e, v)
  p = Softmax (f)
  one = Constant <value_ints = [1]> ()
  column = Unsqueeze (labels, one)
  chosen = GatherElements <axis = 1> (p, column)
  half = Cast <to = 10> (f)
  brain = Cast <to = 16> (f)
  g = Erf (f)
  h = Exp (g)
  i = Tanh (h)
  j = Log (h)
  k = Mul (i, j)
  spread = ReduceSum <keepdims = 0> (k, one)
}"""


def make_model(folder: Path) -> Path:
    model = onnx.parser.parse_model(TEXT)
    random = np.random.default_rng(1)
    for name, shape in (("w", (7, 3, 3, 3)), ("b", (7,)), ("v", (175, 5))):
        value = random.normal(0, 0.2, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def make_inputs() -> dict[str, np.ndarray]:
    image = np.random.default_rng(2).normal(0, 1, (3, 3, 10, 10)).astype(np.float32)
    return {"image": image, "labels": np.array([4, 0, 2], np.int64)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("targets"))


@pytest.fixture(scope="module")
def reference(model: Path) -> dict[str, np.ndarray]:
    loaded = onnx.load(model)
    values = onnx.reference.ReferenceEvaluator(loaded).run(None, make_inputs())
    return {o.name: np.asarray(v, np.float32) for o, v in zip(loaded.graph.output, values, strict=True)}


def check(results: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> None:
    for name, value in reference.items():
        tolerance = {"half": 2e-3, "brain": 2e-2}.get(name, 2e-5)
        np.testing.assert_allclose(results[name].astype(np.float32), value, rtol=tolerance, atol=tolerance, err_msg=name)


def has_features(cpu: str) -> bool:
    flags = Path("/proc/cpuinfo").read_text()
    return {"x86-64-v4": "avx512vl", "x86-64-v3": "avx2"}.get(cpu, "sse4_2") in flags


@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "haswell"])
def test_x86_levels(model: Path, reference: dict[str, np.ndarray], tmp_path: Path, cpu: str) -> None:
    artefact = tmp_path / "net.so"
    nacre("compile", model, "-o", artefact, "--target-cpu", cpu)
    if not has_features(cpu):  # then it has to say so
        assert "needs the CPU feature" in nacre("info", artefact, ok=False).err
        return
    loaded = module().load(artefact)
    check({info.name: value for info, value in zip(loaded.outputs, loaded.run(make_inputs()), strict=True)}, reference)


# Reads the inputs and writes the outputs as raw bytes.
PROGRAM = """
#include "net.h"
#include <stdio.h>
int main(void) {
  static float image[3 * 300], p[15], chosen[3], spread[3];
  static int64_t labels[3];
  static uint16_t half[15], brain[15];
  net *model = net_create(2);
  net_run_args args = {.N = 3, .image = image, .labels = labels, .p = p, .chosen = chosen,
                       .half = half, .brain = brain, .spread = spread};
  if (fread(image, sizeof image, 1, stdin) != 1 || fread(labels, sizeof labels, 1, stdin) != 1 ||
      !model || net_run(model, &args) != 0) {
    fputs(net_last_error(), stderr);
    return 1;
  }
  fwrite(p, sizeof p, 1, stdout);
  fwrite(chosen, sizeof chosen, 1, stdout);
  fwrite(half, sizeof half, 1, stdout);
  fwrite(brain, sizeof brain, 1, stdout);
  fwrite(spread, sizeof spread, 1, stdout);
  labels[1] = 5;
  if (net_run(model, &args) != 3)
    return 2;
  fputs(net_last_error(), stderr);
  net_destroy(model);
  return 0;
}
"""


@pytest.mark.parametrize("cpu", ["", "cortex-a72", "neoverse-n1"])
def test_aarch64(model: Path, reference: dict[str, np.ndarray], tmp_path: Path, cpu: str) -> None:
    options = ["--target-triple=aarch64-linux-gnu", *(["--target-cpu", cpu] if cpu else [])]
    nacre("compile", model, "-o", tmp_path / "net.a", "--emit=static-library,object", *options)
    (tmp_path / "main.c").write_text(PROGRAM)
    subprocess.run(
        ["aarch64-linux-gnu-gcc", "main.c", "net.a", "-lm", "-o", "main"], cwd=tmp_path, check=True
    )
    inputs = make_inputs()
    # The emulator's CPU has what every model here may want.
    done = subprocess.run(
        ["qemu-aarch64", "-cpu", "max", "-L", "/usr/aarch64-linux-gnu", str(tmp_path / "main")],
        input=inputs["image"].tobytes() + inputs["labels"].tobytes(), capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert b"node '" in done.stderr and b"(GatherElements)" in done.stderr
    read = np.frombuffer
    results = {
        "p": read(done.stdout, np.float32, 15).reshape(3, 5),
        "chosen": read(done.stdout, np.float32, 3, 60).reshape(3, 1),
        "half": read(done.stdout, np.float16, 15, 72).reshape(3, 5),
        "brain": (read(done.stdout, np.uint16, 15, 102).astype(np.uint32) << 16).view(np.float32).reshape(3, 5),
        "spread": read(done.stdout, np.float32, 3, 132),
    }
    check(results, reference)


def emulate(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["qemu-aarch64", "-cpu", "max", "-L", "/usr/aarch64-linux-gnu", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_aarch64_executable(model: Path, reference: dict[str, np.ndarray], tmp_path: Path) -> None:
    """A program for another machine is linked with that one's C library."""
    nacre("compile", model, "-o", tmp_path / "net", "--emit=executable", "--target-triple=aarch64-linux-gnu")
    inputs = []
    for name, value in make_inputs().items():
        np.save(tmp_path / f"{name}.npy", value)
        inputs.append(f"--input={name}={tmp_path / name}.npy")
    ran = emulate(tmp_path / "net", *inputs, "--output-dir", tmp_path)
    assert ran.returncode == 0, ran.stderr
    results = {name: np.load(tmp_path / f"{name}.npy") for name in reference}
    if results["brain"].dtype != np.float32:  # NumPy has no bf16: its bits
        results["brain"] = (results["brain"].view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    check(results, reference)


def test_aarch64_shared(model: Path, reference: dict[str, np.ndarray], tmp_path: Path) -> None:
    """A program is linked with a shared library, whose segments lie as machines with large pages want them."""
    nacre("compile", model, "-o", tmp_path / "net.so", "--target-triple=aarch64-linux-gnu", "--target-cpu=generic,neoverse-n1")
    (tmp_path / "main.c").write_text(PROGRAM)
    subprocess.run(["aarch64-linux-gnu-gcc", "main.c", "net.so", "-Wl,-z,origin", "-o", "main"], cwd=tmp_path, check=True)
    inputs = make_inputs()
    done = subprocess.run(
        ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", str(tmp_path / "main")],
        input=inputs["image"].tobytes() + inputs["labels"].tobytes(), capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_allclose(np.frombuffer(done.stdout, np.float32, 15).reshape(3, 5), reference["p"], rtol=2e-5, atol=2e-5)
    segments = subprocess.run(["readelf", "-lW", tmp_path / "net.so"], check=True, capture_output=True, text=True).stdout
    loads = [line.split() for line in segments.splitlines() if line.strip().startswith("LOAD")]
    assert len(loads) == 4 and all(int(load[-1], 16) == 65536 for load in loads)
    assert all((int(load[1], 16) - int(load[2], 16)) % 65536 == 0 for load in loads)
    assert "made for aarch64, this machine is x86-64" in nacre("info", tmp_path / "net.so", ok=False).err


def test_aarch64_strings(tmp_path: Path) -> None:
    """What is not numeric is in a library of its own, for that machine too."""
    text = small_models.HEAD + "up (string[N] s) => (string[N] t) { t = StringNormalizer <case_change_action = \"UPPER\"> (s) }"
    model = onnx.parser.parse_model(text)
    onnx.save(model, tmp_path / "up.onnx")
    nacre("compile", tmp_path / "up.onnx", "--emit=static-library", "--target-triple=aarch64-linux-gnu")
    (tmp_path / "main.c").write_text(
        """
#include "up.h"
#include <stdio.h>
int main(void) {
  up *model = up_create(1);
  const up_string s[2] = {{"pearl", 5}, {"", 0}};
  up_tensor t = {0};
  up_run_args args = {.N = 2, .s = s, .t = &t};
  if (!model || up_run(model, &args) != 0) return puts(up_last_error());
  const up_string *r = t.data;
  printf("%d %.*s %d\\n", (int)t.dims[0], (int)r[0].size, r[0].data, (int)r[1].size);
  up_tensor_release(&t);
  up_destroy(model);
}
"""
    )
    subprocess.run(["aarch64-linux-gnu-gcc", "-Wall", "-Werror", "main.c", "up.a", "-o", "main"], cwd=tmp_path, check=True)
    command = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", str(tmp_path / "main")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "2 PEARL 0\n"


@pytest.mark.parametrize("kind", ["shared", "executable"])
def test_without_a_c_library(model: Path, tmp_path: Path, kind: str) -> None:
    script = 'mount -t tmpfs none /usr/aarch64-linux-gnu || exit 77; exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", NACRE, "compile", model, "-o", tmp_path / "net", "--emit", kind]
    done = subprocess.run([*command, "--target-triple=aarch64-linux-gnu"], capture_output=True, text=True, timeout=60)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"this system lets no user hide a folder: {done.stderr}")
    assert done.returncode == 1 and "no C library for it (there is no libc.so.6 in /usr/aarch64-linux-gnu/lib" in done.stderr
    assert "libc6-dev-arm64-cross" in done.stderr and "emit object or static-library" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_aarch64_has_no_decoders(tmp_path: Path) -> None:
    """What is made of other libraries is there for this machine alone."""
    text = small_models.HEAD + "pic (uint8[N] bytes) => (uint8[H, W, 3] y) { y = ImageDecoder (bytes) }"
    small_models.save(text, tmp_path / "pic.onnx")
    ran = nacre("compile", tmp_path / "pic.onnx", "--emit=object", "--target-triple=aarch64-linux-gnu", ok=False)
    assert ran.status == 1 and "node 'node0' (ImageDecoder)" in ran.err, ran.text()
    assert "has no decoders of images for aarch64" in ran.err and "internal" not in ran.err, ran.text()
    assert not (tmp_path / "pic.o").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target-triple=riscv64-linux-gnu"], "Nacre makes code for x86_64-linux-gnu and aarch64-linux-gnu"),
        (["--target-triple=x86_64-pc-windows-msvc"], "unknown target 'x86_64-pc-windows-msvc'"),
        (["--target-triple=aarch64-linux-gnu", "--emit=object", "--target-cpu=native"], "this machine's"),
        (["--target-triple=aarch64-linux-gnu", "--emit=object", "--target-cpu=znver4"], "unknown CPU 'znver4'"),
        (["--target-cpu=neoverse-n1"], "unknown CPU 'neoverse-n1'"),
        (["--target-features=+sve"], "unknown CPU feature 'sve'"),
    ],
)
def test_refused(model: Path, tmp_path: Path, options: list[str], message: str) -> None:
    ran = nacre("compile", model, "-o", tmp_path / "m.out", *options, ok=False)
    assert ran.status == 1 and message in ran.err, ran.text()
    assert list(tmp_path.iterdir()) == []
