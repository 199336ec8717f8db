"""The demonstration (started by tools/dev/demo): compile, run, measure, train."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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
    """A small classifier on scikit-learn's handwritten digits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    say("training a classifier on scikit-learn's digits (1,797 images of 8x8)")
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        (images / 16).astype(np.float32), labels, test_size=0.2, random_state=0, stratify=labels
    )
    train_images, test_images, train_labels, test_labels = parts
    np.savez(DEMO / "digits.npz", data=train_images, labels=train_labels.astype(np.int64))
    np.save(DEMO / "test.npy", test_images)
    onnx.save(mlp([64, 32, 10]), DEMO / "mlp.onnx")

    options = ["--loss", "softmax-cross-entropy", "--optimizer", "sgd:lr=0.1", "--epochs", "10"]
    trained = DEMO / "trained.onnx"
    nacre("train", DEMO / "mlp.onnx", *options, "--data", DEMO / "digits.npz", "-o", trained)
    nacre("run", trained, "--input", f"data={DEMO / 'test.npy'}", "--output-dir", DEMO)
    correct = np.load(DEMO / "logits.npy").argmax(axis=1) == test_labels
    print(f"accuracy on {correct.size} images not trained on: {100 * correct.mean():.1f} %")
    print(f"the trained model: {trained}")


def mlp(sizes: list[int]) -> onnx.ModelProto:
    """Fully connected layers with ReLU between, weights drawn at random (seeded)."""
    random = np.random.default_rng(0)
    nodes, weights, value = [], [], "data"
    for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        last = layer == len(sizes) - 2
        w = random.normal(0, (2 / inputs) ** 0.5, (inputs, outputs)).astype(np.float32)
        weights += [
            numpy_helper.from_array(w, f"w{layer}"),
            numpy_helper.from_array(np.zeros(outputs, np.float32), f"b{layer}"),
        ]
        result = "logits" if last else f"h{layer}"
        names = [value, f"w{layer}", f"b{layer}"]
        nodes.append(helper.make_node("Gemm", names, [result], name=f"layer{layer}"))
        if not last:
            nodes.append(helper.make_node("Relu", [result], [f"a{layer}"], name=f"relu{layer}"))
            value = f"a{layer}"
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("data", float32, ["batch", sizes[0]])],
        [helper.make_tensor_value_info("logits", float32, ["batch", sizes[-1]])],
        weights,
    )
    opset = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)


if __name__ == "__main__":
    sys.exit(main())
