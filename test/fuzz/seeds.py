"""Writes seeds for the fuzzers, from what the tests have: seeds.py FOLDER.

    FOLDER/import   ONNX's own cases, static and dynamic, and the gate's hostile models
    FOLDER/parser   the modules of the lit tests, one by one

They are made, not kept in git: thousands of files, which change with the onnx package. What a
fuzzer found, and the seeds that a run of some seconds can do with, are in test/fuzz/corpus.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "test/conformance"), str(ROOT / "test/frontends/onnx/Inputs/gate")]

import cases  # noqa: E402
import files  # noqa: E402, F401 (each registers its cases)
import graphs  # noqa: E402, F401
import nodes  # noqa: E402, F401
import ranges  # noqa: E402, F401
from building import CASES  # noqa: E402

MAX_BYTES = 8192  # large seeds make slow fuzzers


def write(folder: Path, name: str, data: bytes) -> None:
    if 0 < len(data) <= MAX_BYTES:
        (folder / name).write_bytes(data)


def write_models(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases.load_cases():
        if case.group == "light":
            continue  # whole networks
        static = case.model("static")
        write(folder, case.name, static.SerializeToString())
        write(folder, case.name + "_dynamic", cases.make_dynamic(static).SerializeToString())
    for name, (build, *_) in CASES.items():
        with tempfile.TemporaryDirectory() as made:
            model = build(Path(made))
        if isinstance(model, onnx.ModelProto):
            model = model.SerializeToString()
        if isinstance(model, bytes):
            write(folder, "gate_" + name, model)


def write_modules(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "test").rglob("*.mlir")):
        if path.is_relative_to(ROOT / "test/fuzz"):
            continue
        for number, part in enumerate(path.read_text().split("// -----")):
            lines = [line for line in part.splitlines() if line.strip() and not line.lstrip().startswith("//")]
            name = "_".join(path.relative_to(ROOT / "test").with_suffix("").parts)
            write(folder, f"{name}_{number}", "\n".join(lines).encode())


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_models(target / "import")
    write_modules(target / "parser")
