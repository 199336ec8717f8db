"""The demonstration (started by tools/dev/demo): compile, run, measure."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path("build") / os.environ.get("NACRE_PRESET", "release")
DEMO = Path("build/demo")


def main() -> int:
    os.chdir(ROOT)
    DEMO.mkdir(parents=True, exist_ok=True)
    resnet50()
    say("training a classifier: not yet, `nacre train` is still to be written")
    return 0


def say(text: str) -> None:
    print(f"\n== demo: {text}", flush=True)


def nacre(*arguments: str | Path) -> None:
    """Runs the tool, and shows the command as one would type it."""
    command = [str(BUILD / "bin" / "nacre"), *map(str, arguments)]
    print(f"$ {shlex.join(command)}", flush=True)
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        sys.exit(f"demo: the command above failed with exit status {status}")


def resnet50() -> None:
    """ONNX's own full-size ResNet-50, with the input and output that come with it."""
    say("compiling ResNet-50 (ONNX's test data, 25.6 million weights) into one file")
    light = Path(onnx.__file__).parent / "backend/test/data/light"
    model = light / "light_resnet50.onnx"
    artefact = DEMO / "resnet50.so"
    nacre("compile", model, "-o", artefact)

    say("running it on the input of ONNX's test")
    graph = onnx.load(model).graph
    weights = {tensor.name for tensor in graph.initializer}
    (data,) = [info for info in graph.input if info.name not in weights]
    (output,) = graph.output
    shape = [dim.dim_value for dim in data.type.tensor_type.shape.dim]
    # What onnx.backend.test's runner feeds its light models with.
    size = int(np.prod(shape))
    np.save(DEMO / "input.npy", (np.arange(size).reshape(shape) / size).astype(np.float32))
    nacre("run", artefact, "--input", f"{data.name}={DEMO / 'input.npy'}", "--output-dir", DEMO)

    actual = np.load(DEMO / f"{output.name.replace('/', '_')}.npy")
    expected = numpy_helper.to_array(onnx.load_tensor(light / "light_resnet50_output_0.pb"))
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-7)
    error = float(np.abs(actual - expected).max())
    print(f"the answer is ONNX's expected output (largest difference {error:.1e})")
    top = np.argsort(-actual[0], kind="stable")[:5]
    print("top classes: " + ", ".join(f"{c} ({actual[0, c]:.4f})" for c in top))
    if np.ptp(expected) == 0:
        print("(this test model's weights are constants: all 1000 classes are equally likely)")

    say("its latency")
    nacre("bench", artefact)
    print(f"the file: {artefact} ({artefact.stat().st_size / 1e6:.0f} MB)")


if __name__ == "__main__":
    sys.exit(main())
