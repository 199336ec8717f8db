"""Files that the command line reads and writes: every kind, and what is wrong with some."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import small_models
from support import nacre

X = np.arange(8, dtype=np.float32).reshape(2, 4)
Y = np.full((2, 4), 0.5, np.float32)

# One input of each of several types, handed on.
ECHO = small_models.HEAD + (
    "echo (bfloat16[3] short, double[2] wide, int64[2] whole, bool[2] truth)"
    " => (bfloat16[3] short_out, double[2] wide_out, int64[2] whole_out, bool[2] truth_out) {"
    " short_out = Neg (short) wide_out = Neg (wide) whole_out = Neg (whole)"
    " truth_out = Not (truth) }"
)
ECHO_INPUTS = {
    "short": np.array([1.5, -2, 0.25], ml_dtypes.bfloat16),
    "wide": np.array([np.pi, -1e300]),
    "whole": np.array([2**62 + 1, -5]),
    "truth": np.array([True, False]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    small_models.save(small_models.SUM, folder / "sum.onnx")
    nacre("compile", folder / "sum.onnx", "-o", folder / "sum.so")
    small_models.save(ECHO, folder / "echo.onnx")
    nacre("compile", folder / "echo.onnx", "-o", folder / "echo.so")
    np.save(folder / "y.npy", Y)
    return folder


def run_sum(folder: Path, out: Path, *options: str | Path) -> np.ndarray:
    nacre("run", folder / "sum.so", *options, "--output-dir", out)
    return np.load(out / "z.npy")


def refused(folder: Path, out: Path, *options: str | Path, status: int = 1) -> str:
    """The message about an input `x` that cannot be read."""
    y = ["--input", f"y={folder / 'y.npy'}"]
    ran = nacre("run", folder / "sum.so", *options, *y, "--output-dir", out, ok=False)
    assert ran.status == status, ran.text()
    assert ran.err.startswith("nacre: error: "), ran.text()
    return ran.err


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives(folder: Path, tmp_path: Path, save) -> None:
    save(tmp_path / "all.npz", x=X, y=Y)
    save(tmp_path / "other.npz", first=X, second=Y)
    save(tmp_path / "one.npz", anything=X)
    both = tmp_path / "all.npz"
    y = ["--input", f"y={folder / 'y.npy'}"]
    for options in (
        ["--inputs", both],
        ["--input", f"x={both}", "--input", f"y={both}:y"],
        ["--input", f"x={tmp_path / 'other.npz'}:first", *y],
        ["--input", f"x={tmp_path / 'one.npz'}", *y],
        ["--inputs", both, *y],  # a single file goes before an archive
    ):
        np.testing.assert_array_equal(run_sum(folder, tmp_path, *options), X + Y)
    message = refused(folder, tmp_path, "--input", f"x={tmp_path / 'other.npz'}")
    assert "'x'" in message and "first, second" in message
    message = refused(folder, tmp_path, "--inputs", tmp_path / "other.npz")
    assert "no input 'first'" in message and "x: f32[N, 4]" in message


def test_archives_written_elsewhere(folder: Path, tmp_path: Path) -> None:
    """ZIP files with comments, other files and folders in them."""
    buffer = io.BytesIO()
    np.save(buffer, X)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "PK\5\6 is no end")
        archive.writestr("x.npy", buffer.getvalue())
        archive.comment = b"made by hand"
    option = ["--input", f"x={tmp_path / 'a.npz'}", "--input", f"y={folder / 'y.npy'}"]
    np.testing.assert_array_equal(run_sum(folder, tmp_path, *option), X + Y)


def test_damaged_archives(folder: Path, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "good.npz", x=np.zeros((2, 4), np.float32))
    good = (tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    broken = [b"", b"PK", good[:-30], good[30:], good[:60] + bytes([good[60] ^ 255]) + good[61:]]
    for content in broken:
        path.write_bytes(content)
        assert "bad.npz" in refused(folder, tmp_path, "--input", f"x={path}")
    # Any byte changed: a message or the array, never a crash.
    for position in range(0, len(good), 7):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
        options = ["--input", f"x={path}", "--input", f"y={folder / 'y.npy'}"]
        ran = nacre("run", folder / "sum.so", *options, "--output-dir", tmp_path, ok=False)
        assert ran.status in (0, 1), ran.text()
        if ran.status == 0:
            np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), Y)


def test_other_byte_order_and_versions(folder: Path, tmp_path: Path) -> None:
    y = ["--input", f"y={folder / 'y.npy'}"]
    np.save(tmp_path / "big.npy", X.astype(">f4"))
    for version in ((1, 0), (2, 0), (3, 0)):
        with open(tmp_path / f"v{version[0]}.npy", "wb") as file:
            np.lib.format.write_array(file, X, version=version)
    for name in ("big", "v1", "v2", "v3"):
        option = ["--input", f"x={tmp_path / name}.npy", *y]
        np.testing.assert_array_equal(run_sum(folder, tmp_path, *option), X + Y)


def test_bad_npy_files(folder: Path, tmp_path: Path) -> None:
    good = io.BytesIO()
    np.save(good, X)
    content = good.getvalue()
    path = tmp_path / "bad.npy"
    for bad in (
        b"",
        b"\x93NUMPY",
        content[:40],
        content[:-1],
        content.replace(b"(2, 4)", b"(-2,4)"),
        content.replace(b"(2, 4)", b"(2, x)"),
        content.replace(b"(2, 4), }", b"(9999999999999999999, 4), }"),
        content.replace(b"<f4", b"<U4"),
        content.replace(b"<f4", b"|V2"),
        content.replace(b"'<f4'", b"''   "),
    ):
        path.write_bytes(bad)
        assert "bad.npy" in refused(folder, tmp_path, "--input", f"x={path}")


def test_tensor_protos_of_every_field(folder: Path, tmp_path: Path) -> None:
    """raw_data, and the typed fields that helper.make_tensor fills."""
    for name, value in ECHO_INPUTS.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        typed = helper.make_tensor(name, kind, value.shape, value.tolist())
        assert not typed.HasField("raw_data")
        (tmp_path / f"{name}_typed.pb").write_bytes(typed.SerializeToString())
        raw = numpy_helper.from_array(value, name)
        assert raw.HasField("raw_data")
        (tmp_path / f"{name}_raw.pb").write_bytes(raw.SerializeToString())
    for kind in ("typed", "raw"):
        inputs = [o for n in ECHO_INPUTS for o in ("--input", f"{n}={tmp_path / n}_{kind}.pb")]
        nacre("run", folder / "echo.so", *inputs, "--output-dir", tmp_path / kind)
        for name in ("wide", "whole"):
            result = np.load(tmp_path / kind / f"{name}_out.npy")
            np.testing.assert_array_equal(result, -ECHO_INPUTS[name], strict=True)
        truth = np.load(tmp_path / kind / "truth_out.npy")
        np.testing.assert_array_equal(truth, ~ECHO_INPUTS["truth"], strict=True)
        short = onnx.load_tensor(tmp_path / kind / "short_out.pb")
        assert short.name == "short_out"
        np.testing.assert_array_equal(numpy_helper.to_array(short), -ECHO_INPUTS["short"], strict=True)


def test_bad_tensor_protos(folder: Path, tmp_path: Path) -> None:
    good = numpy_helper.from_array(X, "x")
    short, outside, words = TensorProto(), TensorProto(), TensorProto()
    for tensor in (short, outside):
        tensor.CopyFrom(good)
    short.dims[0] = 3
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    words.CopyFrom(numpy_helper.from_array(np.array(["a"], object), "x"))
    path = tmp_path / "bad.pb"
    for content in (
        b"",
        b"no message",
        good.SerializeToString()[:-1],
        *(t.SerializeToString() for t in (short, outside)),
    ):
        path.write_bytes(content)
        assert "bad.pb" in refused(folder, tmp_path, "--input", f"x={path}")
    # Strings can be read, but this model takes none.
    path.write_bytes(words.SerializeToString())
    message = refused(folder, tmp_path, "--input", f"x={path}")
    assert "input 'x': the element type is string, expected f32" in message
    assert "bad.pb" not in refused(folder, tmp_path, "--input", f"x={tmp_path / 'absent.npy'}")


def test_json(folder: Path, tmp_path: Path) -> None:
    out = nacre("run", folder / "echo.so", "--random", "3", "--output-dir", tmp_path, "--json").out
    outputs = {o["name"]: o for o in json.loads(out)["outputs"]}
    assert outputs["short_out"]["dtype"] == "bf16" and outputs["short_out"]["dims"] == [3]
    assert all(Path(o["file"]).exists() for o in outputs.values())
    compiled = nacre("compile", folder / "sum.onnx", "-o", tmp_path / "s.so", "--json").out
    assert json.loads(compiled)["bytes"] == (tmp_path / "s.so").stat().st_size
    bench = nacre("bench", folder / "sum.onnx", "--dim", "N=64", "--seconds", "0.2", "--json").out
    figures = json.loads(bench)
    assert figures["peak_gflops"] > 1


@pytest.mark.parametrize(
    "options",
    [
        ["--input", "x"],
        ["--input", "=x.npy"],
        ["--input", "x=a.npy", "--input", "x=b.npy"],
        ["--size", "N"],
        ["--size", "N=-1"],
        ["--target-cpu", "znver4"],  # an artefact is compiled already
        ["--input-shape", "x=2x4"],
    ],
)
def test_usage(folder: Path, tmp_path: Path, options: list[str]) -> None:
    ran = nacre("run", folder / "sum.so", *options, "--output-dir", tmp_path, ok=False)
    assert ran.status == 2, ran.text()
    assert ran.err.startswith("nacre: error: ")
