"""3 x 3 convolutions by Winograd's transforms: against sums in float64, and with `exact_conv` without them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support import module

nacre = module()

# Height, width, input and output channels: whole blocks of vectors, half ones, one row of tiles,
# tiles along rows and along channels, channels that fill no vector; then sizes that a tile does not divide, and
# tiles of 2 x 2 places.
SHAPES = [(32, 32, 64, 64), (16, 16, 256, 256), (8, 40, 32, 48), (4, 64, 48, 16), (28, 28, 128, 128), (20, 12, 40, 96),
          (14, 14, 256, 256), (13, 27, 64, 64), (30, 9, 64, 32), (7, 7, 512, 512), (5, 6, 256, 256)]


def convolve(x: np.ndarray, w: np.ndarray, pads: tuple[int, int, int, int]) -> np.ndarray:
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("nchwyx,ocyx->nohw", windows, w.astype(np.float64), optimize=True)


def build(shape: tuple, w: np.ndarray, bias: np.ndarray, pads: tuple, residual: bool) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"]),
        helper.make_node("Conv", ["positive", "w", "b"], ["c"], pads=pads, name="conv"),
        helper.make_node("Add", ["c", "r"], ["sum"]) if residual else helper.make_node("Identity", ["c"], ["sum"]),
        helper.make_node("LeakyRelu", ["sum"], ["y"], alpha=0.25),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if residual:
        height, width = shape[2] + pads[0] + pads[2] - 2, shape[3] + pads[1] + pads[3] - 2
        inputs.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, (shape[0], w.shape[0], height, width)))
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def check(shape: tuple, channels: int, pads: tuple, residual: bool, batch: int | None = None, **options) -> tuple[float, bool]:
    """The largest error, in units of the results' root of mean squares, and whether transforms were chosen."""
    rng = np.random.default_rng(7)
    w = (rng.standard_normal((channels, shape[1], 3, 3)) / np.sqrt(9 * shape[1])).astype(np.float32)
    bias = rng.standard_normal(channels).astype(np.float32)
    x = rng.standard_normal((batch or shape[0], *shape[1:])).astype(np.float32)
    expected = convolve(np.maximum(x, 0), w, pads) + bias[:, None, None]
    feeds = {"x": x}
    if residual:
        feeds["r"] = rng.standard_normal(expected.shape).astype(np.float32)
        expected += feeds["r"]
    expected = np.where(expected < 0, expected * 0.25, expected)
    lines: list[str] = []
    model = nacre.compile(build(shape, w, bias, pads, residual), log=lines.append, **options)
    got = model.run(feeds)[0]
    assert got.shape == expected.shape
    error = float(np.abs(got - expected).max() / np.sqrt(np.mean(expected**2)))
    return error, any("convolution by 36 products" in line or "convolution by 16 products" in line for line in lines)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("height, width, inputs, outputs", SHAPES)
def test_padded(height, width, inputs, outputs, threads):
    error, chosen = check((1, inputs, height, width), outputs, (1, 1, 1, 1), residual=False, threads=threads)
    assert error < 1e-5
    # Of others the CPU decides.
    if inputs >= 64 and min(height, width) > 13:
        assert chosen


# What is chosen for one CPU, whatever this one is: 4 x 4 places, 2 x 2 where weights weigh more or rows are few, or
# none where transforms outweigh the products.
CHOICES = [*zip(SHAPES, [4, 4, 4, 2, 4, 4, 4, 4, 4, 2, 2]), ((8, 8, 8, 16), 0), ((3, 3, 512, 512), 0)]


@pytest.mark.parametrize("shape, places", CHOICES)
def test_choice(shape, places):
    height, width, inputs, outputs = shape
    w = np.ones((outputs, inputs, 3, 3), np.float32)
    lines: list[str] = []
    built = build((1, inputs, height, width), w, np.zeros(outputs, np.float32), (1, 1, 1, 1), residual=False)
    nacre.compile(built, log=lines.append, target_cpu="x86-64-v3")
    log = "\n".join(lines)
    assert ("convolution by 36 products" in log, "convolution by 16 products" in log) == (places == 4, places == 2)


def test_residual_and_several_images():
    error, chosen = check((3, 64, 24, 16), 64, (1, 1, 1, 1), residual=True)
    assert chosen and error < 1e-5


def test_without_padding():
    error, chosen = check((1, 64, 34, 34), 64, (0, 0, 0, 0), residual=False)
    assert chosen and error < 1e-5


def test_padding_on_one_side():
    error, chosen = check((1, 64, 32, 32), 64, (2, 0, 0, 2), residual=False)
    assert chosen and error < 1e-5


@pytest.mark.parametrize("images, height, width", [(16, 8, 8), (6, 16, 12), (3, 7, 7)])
def test_images_share_a_tile(images, height, width):
    error, _ = check((images, 64, height, width), 64, (1, 1, 1, 1), residual=True)
    assert error < 1e-5


def test_weights_from_an_input():
    """Transformed in each run."""
    rng = np.random.default_rng(4)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], name="conv")
    infos = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in {"x": (4, 64, 32, 32), "w": (64, 64, 3, 3), "y": None}.items()}
    graph = helper.make_graph([node], "g", [infos["x"], infos["w"]], [infos["y"]])
    lines: list[str] = []
    model = nacre.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), log=lines.append)
    assert any("36 products" in line for line in lines)
    for _ in range(2):
        x = rng.standard_normal((4, 64, 32, 32)).astype(np.float32)
        w = (rng.standard_normal((64, 64, 3, 3)) / 24).astype(np.float32)
        expected = convolve(x, w, (1, 1, 1, 1))
        # Inputs of both signs, and 262144 results: direct sums are off by up to 5e-6.
        assert np.abs(model.run({"x": x, "w": w})[0] - expected).max() < 1.5e-5 * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_open_batch(batch):
    error, chosen = check(("n", 64, 32, 32), 64, (1, 1, 1, 1), residual=True, batch=batch)
    assert chosen and error < 1e-5


def test_exact_conv():
    error, chosen = check((1, 64, 32, 32), 64, (1, 1, 1, 1), residual=False, exact_conv=True)
    assert not chosen and error < 5e-6


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64"])
def test_narrower_vectors(cpu):
    error, _ = check((1, 64, 32, 32), 64, (1, 1, 1, 1), residual=True, target_cpu=cpu)
    assert error < 1e-5


def test_several_cpus_in_one_file(tmp_path, monkeypatch):
    """Each version has transformed weights in blocks of its own vectors."""
    rng = np.random.default_rng(3)
    w = (rng.standard_normal((64, 64, 3, 3)) / 24).astype(np.float32)
    x = np.abs(rng.standard_normal((1, 64, 32, 32))).astype(np.float32)
    onnx.save(build((1, 64, 32, 32), w, np.zeros(64, np.float32), (1, 1, 1, 1), residual=False), tmp_path / "m.onnx")
    nacre.compile_to_file(tmp_path / "m.onnx", tmp_path / "m.so", target_cpu="x86-64-v2,x86-64-v3")
    expected = convolve(x, w, (1, 1, 1, 1))
    expected = np.where(expected < 0, expected * 0.25, expected)
    for cpu in ("x86-64-v2", "x86-64-v3"):
        monkeypatch.setenv("NACRE_TARGET_CPU", cpu)
        got = nacre.load(tmp_path / "m.so").run({"x": x})[0]
        assert np.abs(got - expected).max() < 1e-5 * np.sqrt(np.mean(expected**2))


def test_infinities_stay_near():
    """Where the input has no finite value, windows that meet it have none; others are what they were."""
    rng = np.random.default_rng(1)
    w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    x = np.abs(rng.standard_normal((1, 64, 32, 32))).astype(np.float32)
    model = nacre.compile(build((1, 64, 32, 32), w, np.zeros(64, np.float32), (1, 1, 1, 1), residual=False))
    plain = model.run({"x": x})[0]
    x[0, 3, 10, 10] = np.inf
    got = model.run({"x": x})[0]
    assert not np.isfinite(got[0, :, 9:12, 9:12]).any()
    # A tile of 4 x 4 places shares its transforms.
    far = np.ones((32, 32), bool)
    far[8:16, 8:16] = False
    np.testing.assert_array_equal(got[:, :, far], plain[:, :, far])
