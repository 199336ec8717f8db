"""The promise of docs/abi.md: kept artefacts run, and what a runtime cannot run is refused with a reason."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest
from support import ROOT, module, nacre

KEPT = Path(__file__).parent / "artefacts"
sys.path.insert(0, str(KEPT))
from kept_model import make_inputs, make_model  # noqa: E402

VERSIONS = {int(path.stem.split("-")[1]): path for path in KEPT.glob("abi-*.so")}
HEADER = (ROOT / "runtime" / "abi" / "nacre_abi.h").read_text()
CURRENT, OLDEST = (int(re.search(rf"{name} (\d+)u", HEADER)[1]) for name in ("NACRE_ABI_VERSION", "NACRE_ABI_OLDEST"))


def test_one_is_kept_of_each_version() -> None:
    assert sorted(VERSIONS) == list(range(OLDEST, CURRENT + 1)), "run test/e2e/artefacts/keep.py and commit its file"


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_kept_artefacts_run(version: int) -> None:
    model = module().load(VERSIONS[version], threads=2)
    inputs = make_inputs()
    expected = onnx.reference.ReferenceEvaluator(make_model()).run(None, inputs)
    results = dict(zip(("y", "z", "where"), model.run(inputs), strict=True))
    for name, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(results[name], value, rtol=1e-6, err_msg=name)
    with pytest.raises(Exception, match="node '.*' \\(Gather\\)"):
        model.run(inputs | {"rows": np.array([3], np.int64)})
    np.testing.assert_allclose(model.run(inputs)[0], expected[0], rtol=1e-6)
    assert f"abi       {version}" in nacre("info", VERSIONS[version]).out


def changed(path: Path, target: Path, offset: int, value: bytes, *, trailer: bool = False) -> Path:
    """The artefact with other bytes at an offset, without its trailer unless `trailer`."""
    content = bytearray(path.read_bytes())
    segment = content.find(struct.pack("<I", 0x6E616372), 0, 1024)  # where the trailer is
    if segment >= 0 and not trailer:
        content[segment : segment + 4] = bytes(4)
    content[offset : offset + len(value)] = value
    target.write_bytes(content if trailer else content[:-64])
    return target


def refused(path: Path) -> str:
    ran = nacre("info", path, ok=False)
    assert ran.status == 1, ran.text()
    assert ran.err.startswith("nacre: error: ") and ran.err.count("\n") == 1, ran.text()
    return ran.err


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_refusals(version: int, tmp_path: Path) -> None:
    path = VERSIONS[version]
    content = path.read_bytes()
    model = content.index(struct.pack("<II", 0x5243414E, version))
    # Each without the trailer, whose checksum would tell of the change first.
    newer = changed(path, tmp_path / "newer.so", model + 4, struct.pack("<I", CURRENT + 1))
    assert f"made for ABI version {CURRENT + 1}" in refused(newer) and "update the runtime" in refused(newer)
    older = changed(path, tmp_path / "older.so", model + 4, struct.pack("<I", OLDEST - 1))
    assert "compile the model again" in refused(older) and "update" not in refused(older)
    features = content.index(b"sse3,")
    other = changed(path, tmp_path / "other.so", features, b"bad1,")
    assert "needs the CPU feature 'bad1'" in refused(other) and "--target-cpu" in refused(other)
    arm = changed(path, tmp_path / "arm.so", 18, struct.pack("<H", 183))
    assert "made for aarch64, this machine is x86-64" in refused(arm)
    altered = changed(path, tmp_path / "altered.so", features, b"sse2,", trailer=True)
    assert "was altered" in refused(altered)


@pytest.mark.parametrize("kind", ["current", *sorted(VERSIONS)])
def test_truncated_anywhere(kind: int | str, tmp_path: Path) -> None:
    """At every 4 KB, at the headers' edges and one byte short: one error, before any code runs."""
    path = tmp_path / "whole.so" if kind == "current" else VERSIONS[kind]
    if kind == "current":
        onnx.save(make_model(), tmp_path / "kept.onnx")
        nacre("compile", tmp_path / "kept.onnx", "-o", path)
    content = path.read_bytes()
    edges = {0, 1, 3, 63, 64, 65, 119, 120, len(content) - 65}
    if kind != 4:  # which did not say that it has a trailer
        edges |= {len(content) - 64, len(content) - 1}
    for size in sorted(edges | set(range(0, len(content), 4096))):
        cut = tmp_path / f"{size}.so"
        cut.write_bytes(content[:size])
        with pytest.raises(module().Error) as caught:
            module().load(cut)
        message = str(caught.value)
        assert "truncated" in message or "not a Nacre artefact" in message, (size, message)


def test_stripped(tmp_path: Path) -> None:
    """Without its symbols a library is another file, and still complete."""
    onnx.save(make_model(), tmp_path / "kept.onnx")
    nacre("compile", tmp_path / "kept.onnx", "-o", tmp_path / "kept.so")
    subprocess.run(["strip", tmp_path / "kept.so"], check=True)
    assert len(module().load(tmp_path / "kept.so").run(make_inputs())) == 3
