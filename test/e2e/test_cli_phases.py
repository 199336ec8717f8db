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
    "tile": ("scf.forall", "nn.matmul"),
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
