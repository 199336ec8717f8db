"""The demonstration (started by tools/dev/demo): compile, run, measure, train."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path("build") / os.environ.get("NACRE_PRESET", "release")
DEMO = Path("build/demo")


def main() -> int:
    os.chdir(ROOT)
    DEMO.mkdir(parents=True, exist_ok=True)
    resnet50()
    digits()
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



def digits() -> None:
    """A small perceptron learns scikit-learn's digits; every fifth is held out."""
    say("training a classifier on scikit-learn's 1797 digits")
    bunch = load_digits()
    images = (bunch.data / 16).astype(np.float32)
    labels = bunch.target.astype(np.int64)
    held_out = np.arange(len(labels)) % 5 == 0
    np.savez(DEMO / "digits.npz", data=images[~held_out], labels=labels[~held_out])
    np.save(DEMO / "held_out.npy", images[held_out])
    onnx.save(perceptron((64, 64, 10)), DEMO / "mlp.onnx")
    trained = DEMO / "trained.onnx"
    nacre(
        *("train", DEMO / "mlp.onnx", "--loss", "softmax-cross-entropy"),
        *("--optimizer", "sgd:lr=0.1", "--data", DEMO / "digits.npz", "--epochs", "20"),
        *("-o", trained),
    )

    say("its answers for the digits that it has not seen")
    nacre("run", trained, "--input", f"data={DEMO / 'held_out.npy'}", "--output-dir", DEMO)
    answers = np.load(DEMO / "logits.npy").argmax(axis=1)
    accuracy = (answers == labels[held_out]).mean()
    print(f"test accuracy: {accuracy:.1%} of {held_out.sum()} digits; the model: {trained}")
    if accuracy < 0.9:
        sys.exit("demo: that is worse than it should be (90 %)")


def perceptron(sizes: tuple[int, ...]) -> onnx.ModelProto:
    """data[N, first] to logits[N, last], ReLU between the layers, weights from a fixed seed."""
    random = np.random.default_rng(0)
    weights, nodes, value = [], [], "data"
    for layer, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        weight = random.normal(0, (2 / rows) ** 0.5, (rows, columns)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"weight{layer}"))
        weights.append(numpy_helper.from_array(np.zeros(columns, np.float32), f"bias{layer}"))
        is_last = layer == len(sizes) - 2
        output = "logits" if is_last else f"sum{layer}"
        inputs = [value, f"weight{layer}", f"bias{layer}"]
        nodes.append(helper.make_node("Gemm", inputs, [output], name=f"dense{layer}"))
        if not is_last:
            value = f"hidden{layer}"
            nodes.append(helper.make_node("Relu", [output], [value], name=f"relu{layer}"))
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", sizes[0]])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", sizes[-1]])
    graph = helper.make_graph(nodes, "perceptron", [data], [logits], weights)
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


if __name__ == "__main__":
    sys.exit(main())
