"""Makes the artefact of today's version of the binary interface (docs/abi.md).

    .venv/bin/python test/e2e/artefacts/keep.py [PATH OF nacre]

To be run, and its file committed, with each change of NACRE_ABI_VERSION.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from kept_model import make_model

HERE = Path(__file__).resolve().parent


def main() -> None:
    nacre = sys.argv[1] if len(sys.argv) > 1 else str(HERE.parents[2] / "build" / "release" / "bin" / "nacre")
    with tempfile.TemporaryDirectory() as folder:
        model, artefact = Path(folder) / "kept.onnx", Path(folder) / "kept.so"
        onnx.save(make_model(), model)
        # For any x86-64 machine of the last fifteen years.
        subprocess.run([nacre, "compile", model, "-o", artefact, "--target-cpu", "x86-64-v2"], check=True)
        info = json.loads(subprocess.run([nacre, "info", artefact, "--json"], check=True, capture_output=True).stdout)
        target = HERE / f"abi-{info['abi_version']}.so"
        target.write_bytes(artefact.read_bytes())
        print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
