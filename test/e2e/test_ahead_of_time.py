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


@pytest.mark.parametrize("options", [[], ["--input-shape", "data=3x64"]])
def test_executable(folder: Path, tmp_path: Path, options: list[str]) -> None:
    program = tmp_path / "digits"
    nacre("compile", folder / "digits.onnx", "--emit=executable", "-o", program, *options)
    shape = "f32[3, 64]" if options else "f32[N, 64]"
    assert f"input  data: {shape}" in run(program, "--help")
    expected = reference(folder / "digits.onnx", data=X)[0]
    for name, array in (("c", X), ("fortran", np.asfortranarray(X))):
        np.save(tmp_path / f"{name}.npy", array)
        out = run(program, f"--input=data={tmp_path / name}.npy", "--output-dir", tmp_path / name, "--threads", "2")
        assert "logits.npy: f32[3, 10]" in out
        result = np.load(tmp_path / name / "logits.npy")
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_executable_of_many_types(tmp_path: Path) -> None:
    text = small_models.HEAD + (
        "echo (double[2] wide, int64[2] whole, bool[2] truth, float16[1] half)"
        " => (double[2] wide_out, int64[2] whole_out, bool[2] truth_out, float16[1] half_out) {"
        " wide_out = Neg (wide) whole_out = Neg (whole) truth_out = Not (truth) half_out = Neg (half) }"
    )
    small_models.save(text, tmp_path / "echo.onnx")
    nacre("compile", tmp_path / "echo.onnx", "--emit=executable")
    inputs = {
        "wide": np.array([np.pi, -1e300]),
        "whole": np.array([2**62 + 1, -5]),
        "truth": np.array([True, False]),
        "half": np.array([0.5], np.float16),
    }
    options = []
    for name, value in inputs.items():
        np.save(tmp_path / f"{name}.npy", value)
        options += ["--input", f"{name}={tmp_path / name}.npy"]
    run(tmp_path / "echo", *options, "--output-dir", tmp_path / "out")
    for name, value in inputs.items():
        result = np.load(tmp_path / "out" / f"{name}_out.npy")
        np.testing.assert_array_equal(result, ~value if name == "truth" else -value, strict=True)


def test_executable_refuses(folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "digits"
    nacre("compile", folder / "digits.onnx", "--emit=executable", "-o", program)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "wide.npy", X.astype(np.float64))
    np.save(tmp_path / "thin.npy", X[:, :5])
    (tmp_path / "short.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-4])
    (tmp_path / "text.npy").write_text("no array")
    good = f"--input=data={tmp_path / 'x.npy'}"
    for arguments, status, message in (
        ([], 1, "input 'data' is missing"),
        (["--input", "data"], 2, "expected NAME=FILE.npy"),
        (["--input", "date=x.npy"], 1, "has no input 'date'"),
        ([good, good], 1, "given twice"),
        (["--frobnicate"], 2, "unknown argument '--frobnicate'"),
        (["--threads", "many", good], 2, "expected a number"),
        (["--input", f"data={tmp_path / 'absent.npy'}"], 1, "No such file"),
        (["--input", f"data={tmp_path}"], 1, "not a regular file"),
        (["--input", f"data={tmp_path / 'wide.npy'}"], 1, "'<f8'"),
        (["--input", f"data={tmp_path / 'thin.npy'}"], 1, "dimension 1 is 5, expected 64"),
        (["--input", f"data={tmp_path / 'short.npy'}"], 1, "truncated"),
        (["--input", f"data={tmp_path / 'text.npy'}"], 1, "not a .npy file"),
        ([good, "--output-dir", "/dev/null/x"], 1, "Not a directory"),
    ):
        done = subprocess.run([str(program), *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert message in done.stderr and done.stderr.startswith(f"{program}: error: "), done
        assert done.stderr.count("\n") == 1
    # Any byte of a file changed, or cut: a message or the array, never a crash.
    whole = (tmp_path / "x.npy").read_bytes()
    for position in range(0, 128, 2):
        for content in (whole[:position], whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :]):
            (tmp_path / "odd.npy").write_bytes(content)
            command = [str(program), f"--input=data={tmp_path / 'odd.npy'}", "--output-dir", str(tmp_path / "odd")]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode in (0, 1), (position, done)
    # A program that was altered says so before it runs.
    content = bytearray(program.read_bytes())
    content[content.index(b"logits\0")] ^= 0x20
    altered = tmp_path / "altered"
    altered.write_bytes(content)
    altered.chmod(0o755)
    done = subprocess.run([str(altered), good], capture_output=True, text=True)
    assert done.returncode == 1 and "altered" in done.stderr


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


def test_executable_trains(folder: Path, tmp_path: Path) -> None:
    """To the same bits as `nacre train`."""
    program = tmp_path / "digits"
    model = folder / "digits.onnx"
    nacre("compile", model, "--train", "softmax-cross-entropy", "--emit=executable", "-o", program)
    random = np.random.default_rng(3)
    x = random.normal(0, 1, (70, 64)).astype(np.float32)
    labels = x[:, :10].argmax(axis=1)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "labels.npy", labels)
    np.savez(tmp_path / "data.npz", data=x, labels=labels)
    inputs = [f"--input=data={tmp_path / 'x.npy'}", f"--input=labels={tmp_path / 'labels.npy'}"]
    settings = ["--epochs", "5", "--batch-size", "16", "--seed", "12345678901"]
    out = run(program, "train", *inputs, *settings, "--learning-rate", "0.05", "--output-dir", tmp_path / "w")
    losses = [float(line.split()[-1]) for line in out.splitlines()]
    assert len(losses) == 5 and losses[-1] < losses[0]
    nacre("train", model, "--data", tmp_path / "data.npz", "-o", tmp_path / "trained.onnx", *settings, "--optimizer", "sgd:lr=0.05")
    for initializer in onnx.load(tmp_path / "trained.onnx").graph.initializer:
        written = np.load(tmp_path / "w" / f"{initializer.name}.npy")
        np.testing.assert_array_equal(written, onnx.numpy_helper.to_array(initializer), strict=True)
    # Another optimiser, along a schedule.
    adam = tmp_path / "adam"
    nacre("compile", model, "--train", "softmax-cross-entropy:label_smoothing=0.1", "--optimizer", "adamw", "--emit=executable", "-o", adam)
    schedule = ["--schedule", "one-cycle:div_factor=5"]
    run(adam, "train", *inputs, *settings, *schedule, "--learning-rate", "0.02", "--output-dir", tmp_path / "a")
    options = ["--loss", "softmax-cross-entropy:label_smoothing=0.1", "--optimizer", "adamw:lr=0.02"]
    nacre("train", model, "--data", tmp_path / "data.npz", "-o", tmp_path / "adam.onnx", *settings, *options, *schedule)
    for initializer in onnx.load(tmp_path / "adam.onnx").graph.initializer:
        written = np.load(tmp_path / "a" / f"{initializer.name}.npy")
        np.testing.assert_array_equal(written, onnx.numpy_helper.to_array(initializer), strict=True)
        assert (tmp_path / "a" / f"{initializer.name}.exp_avg_sq.npy").exists()
    # All examples at once, however many are asked for.
    run(program, "train", *inputs, "--epochs", "1", "--batch-size", "9000000000000000000", "--output-dir", tmp_path / "all")
    # The weights go into a run.
    run(program, inputs[0], "--weights", tmp_path / "w", "--output-dir", tmp_path)
    expected = reference(tmp_path / "trained.onnx", data=x)[0]
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-5)
    plain = tmp_path / "plain"
    nacre("compile", model, "--emit=executable", "-o", plain)
    for arguments, status, message in (
        ([plain, "train", *inputs], 1, "not compiled for training"),
        ([plain, "--epochs", "3"], 2, "unknown argument '--epochs'"),
        ([program, "train", inputs[0]], 1, "input 'labels' is missing"),
        ([program, "train", *inputs, "--learning-rate", "fast"], 2, "expected a number above 0"),
        ([program, "train", *inputs, "--schedule", "cosin"], 2, "unknown schedule 'cosin', expected constant, step"),
        ([program, "train", *inputs, "--learning-rate", "1e30"], 1, "the loss became"),
        ([program, inputs[0], "--weights", tmp_path / "absent"], 1, "No such file"),
    ):
        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == status and message in done.stderr, (arguments, done)


def test_executable_validates(folder: Path, tmp_path: Path) -> None:
    """On other examples, as `nacre train --valid`; nothing is trained on them."""
    program = tmp_path / "digits"
    model = folder / "digits.onnx"
    nacre("compile", model, "--train", "softmax-cross-entropy", "--emit=executable", "-o", program)
    random = np.random.default_rng(4)
    arguments: dict[str, list[str]] = {}
    for option, count in (("input", 70), ("valid", 45)):
        x = random.normal(0, 1, (count, 64)).astype(np.float32)
        arrays = {"data": x, "labels": x[:, :10].argmax(axis=1)}
        np.savez(tmp_path / f"{option}.npz", **arrays)
        for name, array in arrays.items():
            np.save(tmp_path / f"{option}-{name}.npy", array)
        arguments[option] = [f"--{option}={name}={tmp_path / f'{option}-{name}.npy'}" for name in arrays]
    settings = ["--epochs", "4", "--batch-size", "16", "--seed", "7"]
    train = [program, "train", *arguments["input"], *settings, "--learning-rate", "0.05"]
    out = run(*train, *arguments["valid"], "--save", tmp_path / "with")
    lines = [line.partition(": ")[2] for line in out.splitlines()]
    run(*train, "--save", tmp_path / "without")
    assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()
    data = ["--data", tmp_path / "input.npz", "--valid", tmp_path / "valid.npz", "--optimizer", "sgd:lr=0.05"]
    ran = nacre("train", model, *data, *settings, "-o", tmp_path / "out.onnx", "--json")
    epochs = json.loads(ran.out)["epochs"]
    assert lines == [f"loss {epoch['loss']:.4f}, val_loss {epoch['val_loss']:.4f}" for epoch in epochs]
    assert len({epoch["val_loss"] for epoch in epochs}) == 4
    for options, status, message in (
        (arguments["valid"][:1], 1, "input 'labels' is missing: --valid labels=FILE.npy"),
        (["--valid", "data"], 2, "--valid data: expected NAME=FILE.npy"),
        ([*arguments["valid"][:1], f"--valid=labels={tmp_path / 'input-labels.npy'}"], 1,
         "--valid: input 'labels' has 70 examples, another has 45"),
    ):  # fmt: skip
        done = subprocess.run([str(a) for a in (*train, *options)], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == status and message in done.stderr, (options, done)


def test_executable_goes_on(folder: Path, tmp_path: Path) -> None:
    """From its checkpoint, however it ended, to the same bits; and with weights from elsewhere."""
    program = tmp_path / "digits"
    model = folder / "digits.onnx"
    nacre("compile", model, "--train", "softmax-cross-entropy", "--optimizer", "adam", "--emit=executable", "-o", program)
    random = np.random.default_rng(3)
    x = random.normal(0, 1, (70, 64)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "labels.npy", x[:, :10].argmax(axis=1))
    inputs = [f"--input=data={tmp_path / 'x.npy'}", f"--input=labels={tmp_path / 'labels.npy'}"]
    # The rate falls in every other epoch, whatever the loss: the schedule's state matters.
    settings = ["--batch-size=16", "--seed=5", "--learning-rate=0.01", "--schedule=plateau:patience=1,threshold=0.9"]
    command = [program, "train", *inputs, *settings]

    def train(epochs: int, checkpoint: str, *options: str | Path) -> str:
        return run(*command, "--epochs", str(epochs), "--checkpoint", tmp_path / checkpoint, *options)

    def saved(epochs: int) -> bytes:
        file = tmp_path / f"{epochs}.safetensors"
        run(*command, "--epochs", str(epochs), "--save", file)
        return file.read_bytes()

    before = set(tmp_path.iterdir())
    assert len(train(3, "run", "--resume", "--save", tmp_path / "three").splitlines()) == 3
    assert set(tmp_path.iterdir()) - before == {tmp_path / "run", tmp_path / "three"}
    out = train(7, "run", "--resume", "--save", tmp_path / "seven").splitlines()
    assert out[0] == "resumed after epoch 3" and len(out) == 5
    assert (tmp_path / "three").read_bytes() == saved(3)
    assert (tmp_path / "seven").read_bytes() == saved(7) != saved(3)
    assert train(7, "run", "--resume", "--save", tmp_path / "again").splitlines() == ["resumed after epoch 7"]
    assert (tmp_path / "again").read_bytes() == saved(7)
    # Killed in the middle.
    endless = [*command, "--epochs", "1000000", "--checkpoint", tmp_path / "killed"]
    running = subprocess.Popen(list(map(str, endless)), stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert running.stdout
    for _ in range(20):
        running.stdout.readline()
    running.kill()
    running.communicate()
    out = train(1, "killed", "--resume", "--save", tmp_path / "killed.safetensors").splitlines()
    done = int(out[0].removeprefix("resumed after epoch "))
    assert done >= 19
    assert (tmp_path / "killed.safetensors").read_bytes() == saved(done)
    # Weights alone, from another tool; and a run with those that were trained.
    theirs = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}
    safetensors.numpy.save_file(theirs, tmp_path / "theirs.safetensors")
    run(*command, "--epochs", "3", "--load", tmp_path / "theirs.safetensors", "--save", tmp_path / "same")
    assert (tmp_path / "same").read_bytes() == saved(3)
    run(program, inputs[0], "--load", tmp_path / "seven", "--output-dir", tmp_path)
    trained, changed = safetensors.numpy.load_file(tmp_path / "seven"), onnx.load(model)
    for initializer in changed.graph.initializer:
        initializer.CopyFrom(onnx.numpy_helper.from_array(trained[initializer.name], initializer.name))
    onnx.save(changed, tmp_path / "changed.onnx")
    expected = reference(tmp_path / "changed.onnx", data=x)[0]
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-5)
    np.save(tmp_path / "other.npy", x + 1)
    (tmp_path / "damaged").write_bytes((tmp_path / "run").read_bytes()[:-4])
    checkpoint = ["--resume", "--checkpoint", tmp_path / "run"]
    for arguments, status, message in (
        ([*command, "--resume"], 2, "--resume: expected --checkpoint"),
        ([program, inputs[0], "--checkpoint", "x"], 2, "unknown argument '--checkpoint'"),
        ([*command, "--seed", "6", *checkpoint], 1, "was made with --batch-size 16 --seed 5"),
        ([program, "train", f"--input=data={tmp_path / 'other.npy'}", inputs[1], *settings, *checkpoint], 1, "of the hash"),
        ([*command, "--resume", "--checkpoint", tmp_path / "seven"], 1, "is no checkpoint of this program"),
        ([*command, "--resume", "--checkpoint", tmp_path / "damaged"], 1, "damaged"),
        ([*command, "--load", tmp_path / "absent"], 1, "absent"),
        ([*command, "--epochs", "1", "--save", tmp_path / "no/such"], 1, "no/such: cannot be written: No such file"),
        ([*command, "--epochs", "1", "--save", tmp_path], 1, "is a folder, expected a file's name"),
    ):
        ran = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, cwd=tmp_path)
        assert ran.returncode == status and message in ran.stderr, (arguments, ran)
        assert "epoch" not in ran.stdout, "it has trained before it says so"
    # A training is worth more than its checkpoints.
    ran = subprocess.run([*map(str, command), "--epochs=2", f"--checkpoint={tmp_path}/no/such"], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0 and ran.stderr.count("the training goes on") == 2, ran


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
