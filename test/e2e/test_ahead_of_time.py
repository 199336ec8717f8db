"""What `nacre compile` writes: every kind of file, used as a C programmer would, with `cc` alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx.reference
import pytest
import safetensors.numpy
import small_models
from support import BUILD, ROOT, module, nacre

EXAMPLES = ROOT / "examples"
X = np.linspace(-1, 1, 3 * 64, dtype=np.float32).reshape(3, 64)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def reference(model: Path, **inputs: np.ndarray) -> list[np.ndarray]:
    return onnx.reference.ReferenceEvaluator(onnx.load(model)).run(None, inputs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aot")
    small_models.save_perceptron(folder / "digits.onnx", 64, 10)
    small_models.save_perceptron(folder / "letters.onnx", 64, 26)
    nacre("compile", folder / "digits.onnx", "-o", folder / "digits.so", "--target-cpu", "x86-64-v3")
    return folder


# A program that reads f32[3, 64] from standard input and writes f32[3, 10].
FILTER = """
#include "digits.h"
#include <stdio.h>
int main(void) {
  static float data[3 * 64], logits[3 * 10];
  digits *model = digits_create(1);
  digits_run_args args = {.N = 3, .data = data, .logits = logits};
  if (fread(data, sizeof data, 1, stdin) != 1 || !model || digits_run(model, &args) != 0) {
    fputs(digits_last_error(), stderr);
    return 1;
  }
  fwrite(logits, sizeof logits, 1, stdout);
  digits_destroy(model);
  return 0;
}
"""


def check_filter(program: list[str | Path], model: Path) -> None:
    done = subprocess.run([str(p) for p in program], input=X.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    result = np.frombuffer(done.stdout, np.float32).reshape(3, 10)
    np.testing.assert_allclose(result, reference(model, data=X)[0], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def c_example(folder: Path) -> Path:
    shutil.copy(EXAMPLES / "c" / "main.c", folder)
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", "digits.so", "-o", "main", cwd=folder)
    return folder / "main"


def test_c_in_two_steps(c_example: Path) -> None:
    # From any folder: the program finds the model beside itself.
    out = run(c_example, cwd=Path("/"))
    assert out.count("image ") == 3
    assert "N = -1: " in out and "size is negative" in out


def test_c_training_in_two_steps(tmp_path: Path) -> None:
    """Step, evaluate, predict, save and load from C; the file is one that others read."""
    model = small_models.save_perceptron(tmp_path / "digits.onnx", 64, 10)
    nacre("compile", model, "--train", "softmax-cross-entropy", "--optimizer", "adam", "-o", tmp_path / "digits.so")
    shutil.copy(EXAMPLES / "c" / "train.c", tmp_path)
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "train.c", "digits.so", "-o", "train", cwd=tmp_path)
    lines = run(tmp_path / "train", cwd=tmp_path).splitlines()
    first, last = (float(line.split()[-1]) for line in lines[:2])
    assert last < first / 4
    before, after = lines[2].split()[1], lines[2].split()[3]
    assert before == after
    assert int(lines[3].split()[0]) >= 60
    assert "train.c" in lines[4]
    saved = safetensors.numpy.load_file(tmp_path / "digits.safetensors")
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}
    assert set(saved) == {*weights, *(f"{n}.{s}" for n in weights for s in ("exp_avg", "exp_avg_sq")), "optimizer.count"}
    assert saved["optimizer.count"] == 200
    # The same weights in Python give the same loss.
    names = [*weights, *(n for n in saved if n not in weights)]
    program = module().load(tmp_path / "digits.so")
    assert sorted(program.parameters) == sorted(names)
    program.load_parameters(tmp_path / "digits.safetensors")
    for name, value in saved.items():
        np.testing.assert_array_equal(program.read_parameter(name), value)


def test_c_example_under_valgrind(c_example: Path) -> None:
    run("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all",
        "--errors-for-leak-kinds=all", c_example)  # fmt: skip


def test_two_models_in_one_program(folder: Path) -> None:
    nacre("compile", folder / "letters.onnx", "--emit", "static-library", "-o", folder / "letters.a")
    shutil.copy(EXAMPLES / "cpp" / "main.cpp", folder)
    run("c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "main.cpp", "digits.so", "letters.a", "-o", "both", cwd=folder)
    values = run(folder / "both", cwd=Path("/")).replace(",", "").split()
    x = np.full((2, 64), 0.5, np.float32)
    for value, model, column in ((values[1], "digits", 9), (values[3], "letters", 25)):
        expected = reference(folder / f"{model}.onnx", data=x)[0][0, column]
        assert abs(float(value) - expected) < 1e-3
    # Two static ones, and two shared ones.
    both = folder / "kinds"
    both.mkdir()
    for kind, ending in (("static-library", "a"), ("shared", "so")):
        for model in ("digits", "letters"):
            nacre("compile", folder / f"{model}.onnx", "--emit", kind, "-o", both / f"{model}.{ending}")
        run("c++", "-std=c++20", folder / "main.cpp", f"-I{both}", f"digits.{ending}", f"letters.{ending}", "-o", "both", cwd=both)
        assert run(both / "both").replace(",", "").split() == values


def test_static_library_and_object(folder: Path, tmp_path: Path) -> None:
    nacre("compile", folder / "digits.onnx", "--emit", "static-library,object", "-o", tmp_path / "digits.a")
    (tmp_path / "filter.c").write_text(FILTER)
    run("cc", "filter.c", "digits.a", "-o", "static", cwd=tmp_path)
    check_filter([tmp_path / "static"], folder / "digits.onnx")
    run("cc", "filter.c", "digits.o", BUILD / "lib" / "libnacre-runtime.a", "-lm", "-o", "linked", cwd=tmp_path)
    check_filter([tmp_path / "linked"], folder / "digits.onnx")
    # What a program sees of a library: its functions, and nothing of the runtime's.
    symbols = run("nm", "--defined-only", "--extern-only", tmp_path / "digits.a").split("\n")
    names = {line.split()[-1] for line in symbols if len(line.split()) == 3}
    assert names and all(name.startswith("digits_") for name in names), names


def test_text_kinds(folder: Path, tmp_path: Path) -> None:
    kinds = "llvm-ir,assembly,mlir,header"
    ran = nacre("compile", folder / "digits.onnx", "--emit", kinds, "-o", tmp_path / "digits.ll", "--json")
    files = json.loads(ran.out)["files"]
    assert [Path(f).name for f in files] == ["digits.ll", "digits.s", "digits.mlir", "digits.h"]
    run("/usr/lib/llvm-22/bin/llc", "-filetype=null", tmp_path / "digits.ll")
    run("cc", "-c", tmp_path / "digits.s", "-o", tmp_path / "digits.o")
    assert "digits_run(digits *model" in (tmp_path / "digits.h").read_text()
    # The imported model compiles as the model does, its weights and its nodes' names with it.
    (tmp_path / "again").mkdir()
    nacre("compile", tmp_path / "digits.mlir", "-o", tmp_path / "again" / "digits.so")
    assert "(Gemm)" in nacre("info", tmp_path / "again" / "digits.so").out
    np.save(tmp_path / "x.npy", X)
    nacre("run", tmp_path / "again" / "digits.so", f"--input=data={tmp_path / 'x.npy'}", "--output-dir", tmp_path)
    expected = reference(folder / "digits.onnx", data=X)[0]
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-6)


def test_outputs_whose_sizes_are_found_out(folder: Path, tmp_path: Path) -> None:
    """And a name that is no identifier."""
    text = small_models.HEAD + (
        "odd (float[N, 64] x, bool[N] keep) => (float[M, 64] y) { y = Compress <axis = 0> (x, keep) }"
    )
    model = onnx.parser.parse_model(text)
    onnx.save(model, tmp_path / "some rows-1.onnx")
    nacre("compile", tmp_path / "some rows-1.onnx")
    header = (tmp_path / "some rows-1.h").read_text()
    # Sizes that only the run knows: an output in memory of the run's own.
    assert "some_rows_1_tensor *y; /* out: f32[?, 64]" in header
    (tmp_path / "main.c").write_text(
        """
#include "some rows-1.h"
#include <stdio.h>
int main(void) {
  static float x[4 * 64];
  const uint8_t keep[4] = {0, 1, 0, 1};
  for (int i = 0; i < 4 * 64; ++i) x[i] = i;
  some_rows_1 *model = some_rows_1_create(0);
  some_rows_1_tensor y = {0};
  some_rows_1_run_args args = {.N = 4, .x = x, .keep = keep, .y = &y};
  for (int again = 0; again < 2; ++again)
    if (!model || some_rows_1_run(model, &args)) return puts(some_rows_1_last_error());
  printf("%d %d %g %g\\n", (int)y.dims[0], (int)y.size, ((float *)y.data)[0], ((float *)y.data)[127]);
  args.y = NULL; /* not wanted */
  if (some_rows_1_run(model, &args) || some_rows_1_run(NULL, &args) != 5) return 1;
  some_rows_1_tensor_release(&y);
  some_rows_1_destroy(model);
  return 0;
}
"""
    )
    run("cc", "-Wall", "-Werror", "main.c", "some rows-1.so", "-o", "main", cwd=tmp_path)
    assert run(tmp_path / "main") == "2 512 64 255\n"


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("timer", "model_timer"), ("nacre", "model_nacre"), ("int", "int_"), ("2fast", "m2fast"), ("ä.b", "m___b")],
)
def test_names_that_are_taken(folder: Path, tmp_path: Path, name: str, prefix: str) -> None:
    """Models called like words of C, or like functions of the C library's."""
    shutil.copy(folder / "digits.onnx", tmp_path / f"{name}.onnx")
    nacre("compile", tmp_path / f"{name}.onnx")
    header = tmp_path / f"{name}.h"
    assert f"int32_t {prefix}_run({prefix} *model" in header.read_text()
    run("cc", "-fsyntax-only", "-Wall", "-Werror", "-x", "c", header, cwd=tmp_path)
    run("c++", "-fsyntax-only", "-Wall", "-Werror", "-x", "c++", header, cwd=tmp_path)


def test_a_header_of_somebody_else_is_kept(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.h").write_text("/* mine */\n")
    ran = nacre("compile", folder / "digits.onnx", "-o", tmp_path / "m.so", ok=False)
    assert ran.status == 1 and "m.h: is not written over" in ran.err
    assert (tmp_path / "m.h").read_text() == "/* mine */\n" and not (tmp_path / "m.so").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--emit", "dll"], "unknown kind 'dll'"),
        (["--emit", "shared,shared"], "stands there twice"),
        (["--emit", ""], "unknown kind ''"),
        (["-o", "digits.onnx"], "would be written over"),
    ],
)
def test_usage(folder: Path, tmp_path: Path, options: list[str], message: str) -> None:
    options = [str(folder / o) if o == "digits.onnx" else o for o in options]
    ran = nacre("compile", folder / "digits.onnx", *options, ok=False)
    assert ran.status == 2 and message in ran.err, ran.text()


def test_convolutional_net_is_small(tmp_path: Path) -> None:
    """Its code, the runtime inside, is under 200 KB without the weights."""
    text = small_models.HEAD + (
        "net (float[N, 1, 28, 28] image) => (float[N, 10] logits) {"
        " a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, w0, b0) b = Relu (a)"
        " c = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)"
        " d = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (c, w1, b1) e = Relu (d)"
        " f = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (e)"
        " g = Flatten (f) h = Gemm (g, w2, b2) i = Relu (h) logits = Gemm (i, w3, b3) }"
    )
    model = onnx.parser.parse_model(text)
    random = np.random.default_rng(0)
    for i, shape in enumerate([(16, 1, 3, 3), (32, 16, 3, 3), (32 * 49, 64), (64, 10)]):
        weight = random.normal(0, 0.1, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, f"w{i}"))
        bias = np.zeros(shape[0] if i < 2 else shape[1], np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(bias, f"b{i}"))
    onnx.save(model, tmp_path / "net.onnx")
    nacre("compile", tmp_path / "net.onnx")
    size = (tmp_path / "net.so").stat().st_size
    weights = int(nacre("info", tmp_path / "net.so").out.split("weights")[1].split()[0])
    assert size - weights < 200_000, f"{size - weights} bytes"


@pytest.mark.parametrize("kinds", ["object", "static-library", "shared,object"])
def test_weights_too_large_for_a_program(tmp_path: Path, kinds: str) -> None:
    """1.6 GiB that lie in a file without blocks: refused before any of them is written."""
    rows, columns = 420_000, 1024
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(rows * columns * 4)
    weight = onnx.TensorProto(name="w", data_type=1, dims=[rows, columns], data_location=onnx.TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="w.bin")
    model = onnx.parser.parse_model(
        small_models.HEAD + "m (int64[2] i) => (float[2, 1024] y) { y = Gather (w, i) }"
    )
    model.graph.initializer.append(weight)
    onnx.save(model, tmp_path / "m.onnx")
    ran = nacre("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so", "--emit", kinds, ok=False)
    assert ran.status == 1 and ran.err == (
        f"nacre: error: {tmp_path / 'm.onnx'}: the weights are 1.60 GiB, expected at most 1.5 GiB in an object or a "
        "static library, as code and data of a program must lie within 2 GiB: emit shared or executable instead\n"
    ), ran.text()
    assert {path.name for path in tmp_path.iterdir()} == {"m.onnx", "w.bin"}
