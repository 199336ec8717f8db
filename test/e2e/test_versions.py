"""One file with code for several CPUs, which chooses when it is loaded."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest
from small_models import save_with_weights
from support import BUILD, module, nacre

LEVELS = ["x86-64-v4", "x86-64-v3", "x86-64-v2"]  # the best first

TEXT = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N, 3, 12, 12] image, int64[N] rows) => (float[N, 10] p, float[N, 40] picked) {
  a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, w, b)
  n = BatchNormalization (a, scale, bias, mean, variance)
  c = Relu (n)
  d = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
  shape = Constant <value_ints = [0, -1]> ()
  e = Reshape (d, shape)
  f = Gemm (e, v)
  p = Softmax (f)
  picked = Gather (table, rows)
}"""
SHAPES = {"w": (24, 3, 3, 3), "b": (24,), "scale": (24,), "bias": (24,), "mean": (24,), "variance": (24,),
          "v": (864, 10), "table": (500, 40)}  # fmt: skip


def make_inputs() -> dict[str, np.ndarray]:
    image = np.random.default_rng(2).normal(0, 1, (5, 3, 12, 12)).astype(np.float32)
    return {"image": image, "rows": np.array([4, 0, 499, 2, 4], np.int64)}


def runs_here(cpu: str) -> bool:
    return {"x86-64-v4": "avx512vl", "x86-64-v3": "avx2"}.get(cpu, "sse4_2") in Path("/proc/cpuinfo").read_text()


def sizes(artefact: Path) -> int:
    return json.loads(nacre("info", artefact, "--json").out)["parameter_bytes"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, compiled for each level and for all."""
    folder = tmp_path_factory.mktemp("versions")
    save_with_weights(folder / "net.onnx", TEXT, SHAPES)
    for cpu in LEVELS:
        nacre("compile", folder / "net.onnx", "-o", folder / f"{cpu}.so", "--target-cpu", cpu)
    module().compile_to_file(folder / "net.onnx", folder / "all.so", target_cpu="x86-64-v2, x86-64-v4,x86-64-v3")
    return folder


@pytest.mark.parametrize("cpu", LEVELS)
def test_each_version(folder: Path, monkeypatch: pytest.MonkeyPatch, cpu: str) -> None:
    monkeypatch.setenv("NACRE_TARGET_CPU", cpu)
    if not runs_here(cpu):
        assert f"'{cpu}' needs 'avx" in nacre("info", folder / "all.so", ok=False).err
        return
    model = module().load(folder / "all.so", threads=2)
    assert model.target_cpu == cpu and model.target_cpus == LEVELS
    results = model.run(make_inputs())
    expected = onnx.reference.ReferenceEvaluator(onnx.load(folder / "net.onnx")).run(None, make_inputs())
    for result, alone, value in zip(results, module().load(folder / f"{cpu}.so").run(make_inputs()), expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=2e-5, atol=2e-6)
        np.testing.assert_array_equal(result, alone)  # the same kernels


def test_the_best_is_chosen(folder: Path) -> None:
    best = next(cpu for cpu in LEVELS if runs_here(cpu))
    assert module().load(folder / "all.so").target_cpu == best
    text = nacre("info", folder / "all.so").out
    assert f"target    {best}\n" in text and f"version   {best} (chosen)\n" in text
    versions = json.loads(nacre("info", folder / "all.so", "--json").out)["versions"]
    assert [version["target_cpu"] for version in versions] == LEVELS
    assert [version["target_cpu"] for version in versions if version["chosen"]] == [best]
    assert "avx512f" in versions[0]["target_features"] and "avx512f" not in versions[1]["target_features"]


@pytest.mark.parametrize("cpu", LEVELS)
def test_weights_are_verified(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str) -> None:
    """The checksum of each version is that of the section."""
    if not runs_here(cpu):
        pytest.skip(f"this machine is no {cpu}")
    monkeypatch.setenv("NACRE_TARGET_CPU", cpu)
    runtime = ctypes.CDLL(str(BUILD / "lib" / "libnacre-runtime.so"))
    model = ctypes.c_void_p()
    assert runtime.nacre_model_load(bytes(folder / "all.so"), ctypes.byref(model)) == 0
    assert runtime.nacre_model_verify(model) == 0
    runtime.nacre_model_release(model)


def test_a_version_that_there_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NACRE_TARGET_CPU", "znver4")
    with pytest.raises(module().Error, match="'znver4', but the model is compiled for the CPUs 'x86-64-v4', 'x86-64-v3', 'x86-64-v2'"):
        module().load(folder / "all.so")
    module().load(folder / "x86-64-v2.so")  # of one version nobody chooses


def test_weights_are_shared(folder: Path) -> None:
    """The table that rows are picked from is there once, and so is what is packed in the same way."""
    levels = [sizes(folder / f"{cpu}.so") for cpu in LEVELS]
    table = 500 * 40 * 4
    assert max(levels) < sizes(folder / "all.so") <= sum(levels) - 2 * table
    nacre("compile", folder / "net.onnx", "-o", folder / "equal.so", "--target-cpu", "x86-64,x86-64-v2")
    assert sizes(folder / "equal.so") == sizes(folder / "x86-64-v2.so")


@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v2"])
def test_shared_packed_weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str) -> None:
    nacre("compile", folder / "net.onnx", "-o", tmp_path / "equal.so", "--target-cpu", "x86-64,x86-64-v2")
    monkeypatch.setenv("NACRE_TARGET_CPU", cpu)
    expected = onnx.reference.ReferenceEvaluator(onnx.load(folder / "net.onnx")).run(None, make_inputs())
    for result, value in zip(module().load(tmp_path / "equal.so").run(make_inputs()), expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=2e-5, atol=2e-6)


def test_shared_weights_are_computed_once(folder: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    nacre("compile", folder / "net.onnx", "-o", tmp_path / "m.so", "--target-cpu", "x86-64,x86-64-v2", "--dump-phases", dump)
    calls = [
        (dump / cpu / "5-buffer.mlir").read_text().partition("func.func @prepare")[2].partition("\n  }")[0].count("kern.call")
        for cpu in ("x86-64-v2", "x86-64")
    ]
    assert calls[0] >= 3 and calls[1] == 0


def test_bytes_are_the_same(folder: Path, tmp_path: Path) -> None:
    """In whatever order the CPUs are given, with a cache or without."""
    nacre("compile", folder / "net.onnx", "-o", tmp_path / "all.so", "--no-cache", "--target-cpu", ",".join(LEVELS))
    assert (tmp_path / "all.so").read_bytes() == (folder / "all.so").read_bytes()


PROGRAM = """
#include "net.h"
#include <stdio.h>
int main(void) {
  static float image[2 * 432], p[20], picked[80];
  int64_t rows[2] = {499, 3};
  for (int i = 0; i < 864; ++i) image[i] = i * 0.001f;
  net *model = net_create(1);
  net_run_args args = {.N = 2, .image = image, .rows = rows, .p = p, .picked = picked};
  if (!model || net_run(model, &args)) return puts(net_last_error()), 1;
  printf("%.6f %.6f\\n", p[3], picked[40]);
  net_destroy(model);
}
"""


@pytest.mark.parametrize("kind", ["static-library", "object", "executable"])
def test_other_kinds(folder: Path, tmp_path: Path, kind: str) -> None:
    """The runtime inside chooses as well."""
    ending = {"static-library": ".a", "object": ".o", "executable": ""}[kind]
    nacre("compile", folder / "net.onnx", "-o", tmp_path / f"net{ending}", "--emit", kind, "--target-cpu", "x86-64-v2,x86-64-v3")
    best = next(cpu for cpu in LEVELS[1:] if runs_here(cpu))
    environments = [os.environ | {"NACRE_TARGET_CPU": cpu} for cpu in ("x86-64-v2", best, "none")]
    if kind == "executable":
        inputs = make_inputs()
        for name, value in inputs.items():
            np.save(tmp_path / f"{name}.npy", value)
        expected = onnx.reference.ReferenceEvaluator(onnx.load(folder / "net.onnx")).run(None, inputs)
        for environment in environments:
            command = ["./net", *(f"--input={name}={name}.npy" for name in inputs), "--output-dir", "."]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
            if environment["NACRE_TARGET_CPU"] == "none":
                assert done.returncode != 0 and "NACRE_TARGET_CPU is 'none'" in done.stderr
            else:
                assert done.returncode == 0, done.stderr
                np.testing.assert_allclose(np.load(tmp_path / "p.npy"), expected[0], rtol=2e-5, atol=2e-6)
        return
    (tmp_path / "main.c").write_text(PROGRAM)
    library = ["net.a"] if kind == "static-library" else ["net.o", str(BUILD / "lib" / "libnacre-runtime.a")]
    subprocess.run(["cc", "main.c", *library, "-lm", "-o", "main"], cwd=tmp_path, check=True)
    ran = [subprocess.run(["./main"], cwd=tmp_path, env=env, capture_output=True, text=True) for env in environments]
    image = (np.arange(864, dtype=np.float32) * np.float32(0.001)).reshape(2, 3, 12, 12)
    p, picked = onnx.reference.ReferenceEvaluator(onnx.load(folder / "net.onnx")).run(
        None, {"image": image, "rows": np.array([499, 3], np.int64)}
    )
    for done in ran[:2]:
        assert done.returncode == 0, done.stdout
        np.testing.assert_allclose([float(x) for x in done.stdout.split()], [p[0, 3], picked[1, 0]], rtol=2e-5, atol=2e-6)
    assert ran[2].returncode == 1 and "NACRE_TARGET_CPU is 'none'" in ran[2].stdout


def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of each version leaves the parameters that the file for its CPU alone leaves."""
    text = """<ir_version: 10, opset_import: ["" : 21]>
    net (float[N, 20] x) => (float[N, 3] y) { h = Gemm (x, v)
      r = Relu (h)
      y = Gemm (r, w) }"""
    model = onnx.parser.parse_model(text)
    random = np.random.default_rng(3)
    for name, shape in (("v", (20, 48)), ("w", (48, 3))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(random.normal(0, 0.3, shape).astype(np.float32), name))
    onnx.save(model, tmp_path / "net.onnx")
    inputs = {"x": random.normal(0, 1, (16, 20)).astype(np.float32), "labels": random.integers(0, 3, 16),
              "learning_rate": np.float32(0.1)}  # fmt: skip
    train = ["--train", "softmax-cross-entropy", "--optimizer", "adam"]
    cpus = [cpu for cpu in LEVELS if runs_here(cpu)]
    nacre("compile", tmp_path / "net.onnx", "-o", tmp_path / "all.so", "--target-cpu", ",".join(LEVELS), *train)
    for cpu in cpus:
        nacre("compile", tmp_path / "net.onnx", "-o", tmp_path / "one.so", "--target-cpu", cpu, *train)
        monkeypatch.setenv("NACRE_TARGET_CPU", cpu)
        trained = []
        for name in ("all.so", "one.so"):
            program = module().load(tmp_path / name)
            losses = [program.run(inputs, function="step")[0] for _ in range(5)]
            assert losses[-1] < losses[0]
            trained.append([*losses, *(program.read_parameter(p) for p in ("v", "w"))])
        for left, right in zip(*trained, strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target-cpu=x86-64-v3,"], "a name is missing before or after a comma"),
        (["--target-cpu=x86-64-v3,x86-64-v3"], "have the same features: one of them would never be chosen"),
        (["--target-cpu=x86-64-v3,z80"], "unknown CPU 'z80'"),
        (["--target-cpu=x86-64-v3,x86-64-v4", "--emit=assembly"], "LLVM IR and assembly are of one CPU's code"),
        (["--target-cpu=x86-64-v3,x86-64-v4", "--train=mse", "--memory-budget=1GB"], "a memory budget holds for the code of one CPU"),
    ],
)
def test_refused(folder: Path, tmp_path: Path, options: list[str], message: str) -> None:
    ran = nacre("compile", folder / "net.onnx", "-o", tmp_path / "m.out", *options, ok=False)
    assert ran.status == 1 and message in ran.err, ran.text()
    assert list(tmp_path.iterdir()) == []


def test_in_process_is_one(folder: Path) -> None:
    with pytest.raises(ValueError, match="are for a file that chooses among them when it is loaded"):
        module().compile(folder / "net.onnx", target_cpu="x86-64-v3,x86-64-v4")


def test_phases(folder: Path, tmp_path: Path) -> None:
    """What depends on the CPU is printed for each."""
    both = "--target-cpu=x86-64-v3,x86-64-v4"
    printed = nacre("compile", folder / "net.onnx", both, "--stop-after", "buffer").out
    assert printed.count("vector<16xf32>") and printed.count("vector<8xf32>") and printed.count("func.func @main") == 2
    assert nacre("compile", folder / "net.onnx", both, "--stop-after", "lower").out.count("func.func @main") == 1
    pipeline = nacre("compile", both, "--print-pipeline").out
    assert pipeline.index("vector-bits=512") < pipeline.index("for the CPU x86-64-v3:") < pipeline.index("vector-bits=256")
    nacre("compile", folder / "net.onnx", both, "-o", tmp_path / "m.so", "--dump-phases", tmp_path / "dump")
    names = {path.relative_to(tmp_path / "dump").as_posix() for path in (tmp_path / "dump").rglob("*.mlir")}
    assert {"2-graph.mlir", "x86-64-v3/5-buffer.mlir", "x86-64-v4/5-buffer.mlir"} <= names, names


def test_a_tiled_module_is_for_one(folder: Path, tmp_path: Path) -> None:
    tiled = tmp_path / "tiled.mlir"
    tiled.write_text(nacre("compile", folder / "net.onnx", "--target-cpu=x86-64-v3", "--stop-after=tile").out)
    ran = nacre("compile", tiled, "--start-at=buffer", "--target-cpu=x86-64-v3,x86-64-v4", "-o", tmp_path / "m.so", ok=False)
    assert ran.status == 1 and "a module that enters at the phase 'buffer' is for one CPU already" in ran.err, ran.text()


def test_cache(folder: Path, tmp_path: Path) -> None:
    """Kernels are kept for each CPU, and shared with files for one."""
    cache = ["--cache-dir", tmp_path / "cache"]
    nacre("compile", folder / "net.onnx", "-o", tmp_path / "m.so", "--target-cpu", "x86-64-v3", *cache)

    def missing(cpus: str) -> list[str]:
        looked_up = json.loads(nacre("cache", "explain", folder / "net.onnx", "--json", "--target-cpu", cpus, *cache).out)
        # Functions that call kernels know where the weights are, which differs.
        return [kernel["name"] for kernel in looked_up["kernels"] if not kernel["cached"] and "nacre." not in kernel["name"]]

    assert missing("x86-64-v3") == [] and missing("x86-64-v3,x86-64-v4") == missing("x86-64-v4") != []
