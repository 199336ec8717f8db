"""The benchmarks work: what they measure is nobody's business here."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zoo
from support import BUILD, ROOT

sys.path.insert(0, str(ROOT))
from benchmarks import report, rounds
from benchmarks.engines import Job

ONCE = rounds.Timing(rounds=1, seconds=0.01, timeout=120)


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "benchmarks" / script, *map(str, arguments)]
    environment = os.environ | {"NACRE_SETUP": "0"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_a_model(tmp_path: Path) -> None:
    engines = ["nacre", "onnxruntime"]
    ran = run("run", "mlp/64", "--quick", "--threads", "1", "--engines", *engines, "--output", tmp_path / "told")
    assert ran.returncode == 0, ran.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    assert set(told["engines"]) == set(engines)
    reached = told["machine"]["reached"]["1"]
    assert reached["fma_gflops"] > 0 and reached["read_gbs"]["memory"] > 0
    (result,) = told["results"]
    what = {"case": "mlp/64", "task": "inference", "sizes": {"batch": 64}, "shapes": "static"}
    assert result | what | {"threads": 1, "precision": "f32"} == result
    assert result["flops"] == 2 * 64 * (784 * 64 + 64 * 64 + 64 * 10)
    assert list(result["engines"]) == engines
    for engine in result["engines"].values():
        assert engine["forms"][engine["form"]]["error"] < 1e-4
        assert len(engine["rounds_ms"]) == 1 and engine["ms"] > 0
        for key in ("compile_s", "first_s", "compile_bytes", "run_bytes", "artefact_bytes", "library_bytes"):
            assert engine[key] >= 0, key
    page = (tmp_path / "told.md").read_text()
    assert "| mlp/64 |" in page and "ONNX Runtime" in page and report.FAILED not in page


def test_an_operator(tmp_path: Path) -> None:
    ran = run("kernels", "square/512-inputs", "--quick", "--engines", "nacre", "--output", tmp_path / "told")
    assert ran.returncode == 0, ran.stderr
    (result,) = json.loads((tmp_path / "told.json").read_text())["results"]
    assert result["flops"] == 2 * 512**3 and result["engines"]["nacre"]["ms"] > 0


def test_an_unknown_case() -> None:
    ran = run("run", "resnet51")
    assert ran.returncode == 1 and "no case 'resnet51'" in ran.stderr


def job(folder: Path, model: str) -> Job:
    data = zoo.get("mlp").model.with_name("data-0.npz")
    where = {"model": model, "folded": "", "data": str(data), "folder": str(folder / "made")}
    how = {"threads": 1, "precision": "f32", "dynamic": False, "optimizer": "adam", "preset": BUILD.name, "forms": None}
    return Job(engine="", task="inference", name="mlp", **where, **how)


def test_what_an_engine_cannot_do_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_text("no model")
    told = rounds.measure(job(tmp_path, str(broken)), ["nacre", "onnxruntime"], ONCE, [])["engines"]
    assert "CompileError" in told["nacre"]["failed"]
    assert "InvalidProtobuf" in told["onnxruntime"]["failed"]


def test_an_engine_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    hasty = rounds.Timing(rounds=1, seconds=0.01, timeout=0.01)
    told = rounds.measure(job(tmp_path, "model.onnx"), ["nacre"], hasty, [])["engines"]
    assert told == {"nacre": {"failed": "no answer within 0.01 s"}}


@pytest.mark.parametrize(("times", "mean"), [([(1.0, 2.0), (8.0, 1.0)], 2.0), ([], math.nan)])
def test_the_mean_of_ratios(times: list[tuple[float, float]], mean: float) -> None:
    results = [{"engines": {"nacre": {"ms": ours}, "peer": {"ms": theirs}}} for ours, theirs in times]
    found = report.mean_ratio([*results, {"engines": {"nacre": {"ms": 1.0}, "peer": {"failed": "no"}}}], "peer")
    assert found == pytest.approx(mean, nan_ok=True)
