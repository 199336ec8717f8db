"""The command line as a user meets it: files in, files out, exit codes, messages.

Exit codes: 0, 1 (model or input at fault), 2 (usage), 3 (internal).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import small_models
from support import nacre

X = np.arange(8, dtype=np.float32).reshape(2, 4)
Y = np.full((2, 4), 0.5, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, an artefact and inputs."""
    folder = tmp_path_factory.mktemp("cli")
    small_models.save(small_models.SUM, folder / "sum.onnx", {"z": "out/z"})
    small_models.save(small_models.UNKNOWN, folder / "unknown.onnx")
    small_models.save(small_models.TYPES, folder / "types.onnx")
    nacre("compile", folder / "sum.onnx", "-o", folder / "sum.so")
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)
    return folder


def run_sum(folder: Path, out: Path, *more: str | Path, model: str = "sum.so") -> np.ndarray:
    nacre("run", folder / model, *more, "--output-dir", out)
    return np.load(out / "out_z.npy")


def pair(folder: Path, x: str = "x.npy", y: str = "y.npy") -> list[str]:
    return ["--input", f"x={folder / x}", "--input", f"y={folder / y}"]


@pytest.mark.parametrize("model", ["sum.so", "sum.onnx"])
def test_run_artefact_and_model(folder: Path, tmp_path: Path, model: str) -> None:
    result = run_sum(folder, tmp_path, *pair(folder), "--threads", "2", model=model)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, X + Y)


def test_run_takes_any_memory_order(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "fortran.npy", np.asfortranarray(X))
    inputs = ["--input", f"x={tmp_path / 'fortran.npy'}", "--input", f"y={folder / 'y.npy'}"]
    np.testing.assert_array_equal(run_sum(folder, tmp_path, *inputs), X + Y)


def test_run_takes_archives(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", x=X, y=Y)
    archive = tmp_path / "both.npz"
    inputs = ["--input", f"x={archive}", "--input", f"y={archive}"]
    np.testing.assert_array_equal(run_sum(folder, tmp_path, *inputs), X + Y)


def test_run_takes_tensor_protos(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(numpy_helper.from_array(X).SerializeToString())
    inputs = ["--input", f"x={tmp_path / 'x.pb'}", "--input", f"y={folder / 'y.npy'}"]
    np.testing.assert_array_equal(run_sum(folder, tmp_path, *inputs), X + Y)


def test_run_takes_any_size_of_a_dynamic_dimension(folder: Path, tmp_path: Path) -> None:
    for rows in (0, 1, 5):
        x = np.ones((rows, 4), np.float32)
        np.save(tmp_path / "rows.npy", x)
        inputs = [o for n in "xy" for o in ("--input", f"{n}={tmp_path / 'rows.npy'}")]
        np.testing.assert_array_equal(run_sum(folder, tmp_path, *inputs), x + x)


def test_run_draws_inputs(folder: Path, tmp_path: Path) -> None:
    """The same numbers for the same seed; dynamic dimensions get some size."""
    first, again, other = (
        run_sum(folder, tmp_path / str(n), "--random", seed) for n, seed in enumerate("778")
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape[1] == 4
    assert not np.array_equal(first, other)


def test_types_without_numpy_come_as_tensor_protos(folder: Path, tmp_path: Path) -> None:
    x = np.array([1.5, -2.25, 1 / 3], np.float32)
    np.save(tmp_path / "x.npy", x)
    inputs = ["--input", f"x={tmp_path / 'x.npy'}"]
    nacre("run", folder / "types.onnx", *inputs, "--output-dir", tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "plain.npy"), -x)
    np.testing.assert_array_equal(np.load(tmp_path / "truth.npy"), x > -x)
    tensor = onnx.load_tensor(tmp_path / "short.pb")
    assert tensor.data_type == onnx.TensorProto.BFLOAT16
    values = numpy_helper.to_array(tensor)
    np.testing.assert_array_equal(values, x.astype(values.dtype))


def refused(*arguments: str | Path, status: int = 1) -> str:
    """The message of a command that must fail with `status`."""
    ran = nacre(*arguments, ok=False)
    assert ran.status == status, ran.text()
    assert ran.err.strip(), "no message"
    return ran.err


def test_shapes_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "narrow.npy", X[:, :3])
    np.save(tmp_path / "long.npy", np.ones((3, 4), np.float32))
    np.save(tmp_path / "double.npy", X.astype(np.float64))
    np.save(tmp_path / "flat.npy", X.ravel())
    for bad in ("narrow", "long", "double", "flat"):
        inputs = ["--input", f"x={tmp_path / bad}.npy", "--input", f"y={folder / 'y.npy'}"]
        message = refused("run", folder / "sum.so", *inputs, "--output-dir", tmp_path)
        assert "'x'" in message or "'y'" in message
    assert not (tmp_path / "out_z.npy").exists()


def test_missing_and_unknown_inputs_are_named(folder: Path, tmp_path: Path) -> None:
    one = ["--input", f"x={folder / 'x.npy'}"]
    assert "y: f32[N, 4]" in refused("run", folder / "sum.so", *one, "--output-dir", tmp_path)
    extra = [*pair(folder), "--input", f"zebra={folder / 'x.npy'}"]
    assert "zebra" in refused("run", folder / "sum.so", *extra, "--output-dir", tmp_path)


def test_compiler_lists_all_that_it_cannot_compile(folder: Path, tmp_path: Path) -> None:
    message = refused("compile", folder / "unknown.onnx", "-o", tmp_path / "u.so")
    for part in ("node1", "Strange", "node2", "Odd"):
        assert part in message
    assert "Relu" not in message
    assert not (tmp_path / "u.so").exists()


def test_faults_of_the_compiler_are_not_the_model_s(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mlir").write_text(small_models.BROKEN_INSIDE)
    message = refused("compile", tmp_path / "broken.mlir", "-o", tmp_path / "b.so", status=3)
    assert "internal error" in message and "tiling" in message
    # A place that cannot be written to is no fault of the compiler.
    artefact = tmp_path / "b.so"
    for options in (["-o", tmp_path / "absent/b.so"], ["-o", artefact, "--dump-phases", "/dev/null/x"]):
        message = refused("compile", folder / "sum.onnx", *options)
        assert "cannot" in message and "internal error" not in message
    assert not artefact.exists()


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x0a\x3a\xff\xff\xff\xff\x7f"])
def test_files_that_are_no_models(tmp_path: Path, content: bytes) -> None:
    for suffix in (".onnx", ".so"):
        path = tmp_path / f"bad{suffix}"
        path.write_bytes(content)
        assert path.name in refused("run", path, "--random", "1", "--output-dir", tmp_path)
    assert "absent.onnx" in refused("compile", tmp_path / "absent.onnx", "-o", tmp_path / "a.so")


def test_truncated_artefact_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.so"
    whole = (folder / "sum.so").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut.so" in refused("info", path)


def test_sizes_fixed_at_compile_time(folder: Path, tmp_path: Path) -> None:
    nacre("compile", folder / "sum.onnx", "--dim", "N=2", "-o", tmp_path / "dim.so")
    shapes = ["--input-shape", "x=2x4", "--input-shape", "y=2x4"]
    nacre("compile", folder / "sum.onnx", *shapes, "-o", tmp_path / "shape.so")
    np.save(tmp_path / "three.npy", np.ones((3, 4), np.float32))
    for name in ("dim.so", "shape.so"):
        nacre("run", tmp_path / name, *pair(folder), "--output-dir", tmp_path)
        np.testing.assert_array_equal(np.load(tmp_path / "out_z.npy"), X + Y)
        three = [o for n in "xy" for o in ("--input", f"{n}={tmp_path / 'three.npy'}")]
        refused("run", tmp_path / name, *three, "--output-dir", tmp_path)
    message = refused("compile", folder / "sum.onnx", "--dim", "M=2", "-o", tmp_path / "m.so")
    assert "'M'" in message


def test_info(folder: Path) -> None:
    plain = nacre("info", folder / "sum.so").out
    for part in ("x: f32[N, 4]", "out/z: f32[N, 4]", "weights", "target", "source    sum.onnx", "blake3", "node0 (Add)"):
        assert part in plain
    described = json.loads(nacre("info", folder / "sum.so", "--json").out)
    (main,) = described["functions"]
    assert [(i["name"], i["dims"]) for i in main["inputs"]] == [("x", ["N", 4]), ("y", ["N", 4])]
    assert [o["name"] for o in main["outputs"]] == ["out/z"]
    assert described["kernels"]


def test_bench(folder: Path) -> None:
    plain = nacre("bench", folder / "sum.so", "--dim", "N=64").out
    assert "median" in plain
    figures = json.loads(nacre("bench", folder / "sum.so", "--dim", "N=64", "--json").out)
    assert figures["median_ms"] > 0
    assert figures["min_ms"] <= figures["median_ms"] <= figures["p99_ms"]
    nacre("bench", folder / "sum.so", "--dim", "N=64", "--per-kernel")


def test_bench_of_static_sizes_knows_its_operations(tmp_path: Path) -> None:
    """Kernels that only move data do not hide the rate of the whole."""
    model = small_models.save(
        small_models.HEAD + "t (float[32, 64] x, float[32, 64] y) => (float[64, 64] z)"
        " { a = Transpose <perm = [1, 0]> (x) b = Exp (a) z = MatMul (b, y) }",
        tmp_path / "t.onnx",
    )
    options = ["--seconds", "0.1", "--threads", "1"]
    figures = json.loads(nacre("bench", model, *options, "--per-kernel", "--json").out)
    assert figures["gflops"] > 0 and figures["peak_percent"] > 0
    plain = nacre("bench", model, *options, "--per-kernel").out
    assert "GFLOP/s" in plain and "of the measured FMA peak" in plain
    assert "MatMul" in plain


def test_bench_of_dynamic_sizes_counts_those_of_the_run(tmp_path: Path) -> None:
    model = small_models.save(
        small_models.HEAD + "t (float[N, 256] x, float[256, M] y) => (float[N, M] z, float[M, N] t)"
        " { a = Relu (x) z = MatMul (a, y) t = Transpose <perm = [1, 0]> (z) }",
        tmp_path / "t.onnx",
    )
    options = ["--seconds", "0.1", "--threads", "1", "--per-kernel", "--json"]
    sizes = ["--size", "N=128", "--size", "M=64"]
    nacre("compile", model, "-o", tmp_path / "t.so")
    for subject in (model, tmp_path / "t.so"):
        figures = json.loads(nacre("bench", subject, *options, *sizes).out)
        (product,) = [k for k in figures["kernels"] if "MatMul" in k["nodes"]]
        # Operations of the product, and at most as many of Relu as it has elements.
        operations = product["gflops"] * product["ms"] * 1e6
        assert 2 * 128 * 64 * 256 <= operations * 1.001 and operations <= 2.1 * 128 * 64 * 256
        assert figures["gflops"] > 0


def test_bench_of_indices(tmp_path: Path) -> None:
    """Random integers are small enough for what they are indices into."""
    model = small_models.save(
        small_models.HEAD + "t (int64[8, 64] words, int64[8, 64] kinds, float[64, 4] k) => (float[8, 64, 4] z) {"
        " s = Constant <value_ints = [2, 4]> () t = ConstantOfShape <value = float[1] {0.5}> (s)"
        " v = Gather <axis = 0> (k, words) w = Gather <axis = 0> (t, kinds) z = Add (v, w) }",
        tmp_path / "t.onnx",
    )
    options = ["--seconds", "0.1", "--threads", "1", "--json"]
    assert json.loads(nacre("bench", model, *options).out)["median_ms"] > 0
    # What is given stays as it is.
    np.save(tmp_path / "kinds.npy", np.full((8, 64), 2))
    ran = nacre("bench", model, *options, "--input", f"kinds={tmp_path / 'kinds.npy'}", ok=False)
    assert "an index is out of range" in ran.err


def test_operators_are_listed() -> None:
    listed = {(o["domain"], o["name"], o["since"]): o for o in json.loads(nacre("ops", "--json").out)}
    standard = {(s.domain, s.name, s.since_version): s.deprecated for s in onnx.defs.get_all_schemas_with_history()}
    assert {k: listed[k]["deprecated"] for k in listed if k[2]} == standard
    assert listed["com.microsoft", "FusedMatMul", 0]["import"] == "converted"
    assert listed["", "SwiGLU", 28]["import"] == "expanded"
    assert listed["ai.onnx.ml", "ZipMap", 1]["import"] == "converted"
    assert not {n for (_, n, _), o in listed.items() if o["import"] == "refused"}
    assert nacre("ops", "Upsample").out == "Upsample: 1 7 9 10 (deprecated)\n"
    assert "there is no operator 'Twist'" in nacre("ops", "Twist", ok=False).err


@pytest.mark.parametrize("command", [[], ["compile"], ["run"], ["bench"], ["info"], ["ops"], ["train"]])
def test_help_fits_one_screen(command: list[str]) -> None:
    out = nacre(*command, "--help").out
    assert len(out.splitlines()) <= 40
    assert "nacre " in out  # an example


@pytest.mark.parametrize(
    "command",
    [
        ["frobnicate"],
        ["compile"],
        ["compile", "a.onnx", "--no-such-option"],
        ["run", "a.onnx", "--input", "no-equals-sign"],
        ["compile", "a.onnx", "-o", "a.so", "--dim", "N=minus"],
    ],
)
def test_usage_errors(command: list[str]) -> None:
    refused(*command, status=2)
