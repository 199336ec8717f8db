"""The phases from outside: stopping after each, dumps, times, and what the artefact says of its origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import small_models
from support import nacre

PHASES = ["import", "graph", "lower", "tile", "buffer", "codegen", "artifact"]
# What the text that a phase leaves must have in it, and must not.
LEAVES = {
    "import": ("nn.matmul", "kern.func"),
    "graph": ("kern.func", "linalg."),
    "lower": ("linalg.", "nn.matmul"),
    "tile": ("kern.func @pack_", "nn.matmul"),
    "buffer": ("vector.fma", "tensor."),
    "codegen": ("target triple", "kern.func"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.save_perceptron(tmp_path_factory.mktemp("phases") / "mlp.onnx", 64, 10)


def test_pipeline_lists_all_phases_with_their_passes() -> None:
    lines = nacre("compile", "--print-pipeline").out.splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == PHASES
    passes = [line for line in lines if line.startswith("  builtin.module(")]
    assert len(passes) == 5
    assert any("form-kernels" in line for line in passes)


def test_pipeline_is_the_targets() -> None:
    v4, v2 = (nacre("compile", "--print-pipeline", "--target-cpu", cpu).out for cpu in ("x86-64-v4", "x86-64-v2"))
    assert "vector-bits=512" in v4 and "vector-bits=512" not in v2
    ran = nacre("compile", "--print-pipeline", "--target-cpu", "i386x", ok=False)
    assert ran.status == 1 and "i386x" in ran.err


def test_stop_after_the_last_phase_is_a_compilation(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.so"
    summary = json.loads(nacre("compile", model, "--stop-after", "artifact", "-o", out, "--json").out)
    assert summary["bytes"] == out.stat().st_size


def test_a_dump_that_cannot_be_written_is_a_file_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "folder" / "1-import.mlir").mkdir(parents=True)
    for folder, what in (("taken/below", "cannot make the folder"), ("taken", "cannot write"), ("folder", "cannot write")):
        ran = nacre("compile", model, "-o", tmp_path / "m.so", "--dump-phases", tmp_path / folder, ok=False)
        assert ran.status == 1 and what in ran.err and "internal" not in ran.err
    assert not (tmp_path / "m.so").exists()


@pytest.mark.parametrize("phase", LEAVES)
def test_stop_after(model: Path, tmp_path: Path, phase: str) -> None:
    present, absent = LEAVES[phase]
    out = tmp_path / "none.so"
    text = nacre("compile", model, "--stop-after", phase, "-o", out).out
    assert present in text
    assert absent not in text
    assert not out.exists()


def test_dump_phases(model: Path, tmp_path: Path) -> None:
    nacre("compile", model, "-o", tmp_path / "m.so", "--dump-phases", tmp_path / "dump")
    modules = sorted(path.name for path in (tmp_path / "dump").glob("*.mlir"))
    assert modules == [f"{i + 1}-{phase}.mlir" for i, phase in enumerate(PHASES[:-1])]
    assert list((tmp_path / "dump").glob("*.ll")) and list((tmp_path / "dump").glob("*.o"))


def test_time_phases(model: Path, tmp_path: Path) -> None:
    ran = nacre("compile", model, "-o", tmp_path / "m.so", "--time-phases")
    assert ran.text().count("\n") > len(PHASES)
    assert "Nacre's phases" in ran.text()


def test_provenance_tells_the_source(model: Path, tmp_path: Path) -> None:
    def provenance(path: Path) -> dict[str, object]:
        nacre("compile", path, "-o", tmp_path / "m.so", "--dim", "N=2")
        return json.loads(nacre("info", tmp_path / "m.so", "--json").out)["provenance"]

    first = provenance(model)
    assert first["source"] == "mlp.onnx"
    assert first["dims"] == {"N": 2}
    assert len(str(first["blake3"])) == 64
    # The same bytes elsewhere: the same; one weight changed: another.
    elsewhere = tmp_path / "mlp.onnx"
    elsewhere.write_bytes(model.read_bytes())
    assert provenance(elsewhere) == first
    small_models.save_perceptron(elsewhere, 64, 9)
    assert provenance(elsewhere)["blake3"] != first["blake3"]
