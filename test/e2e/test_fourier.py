"""DFT and STFT against NumPy's, at axes and lengths that only a run tells as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from support import module


def model(text: str, opset: int = 20) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]>\n{text}')


def to_parts(x: np.ndarray) -> np.ndarray:
    return np.stack([x.real, x.imag], -1)


def dft(x: np.ndarray, axis: int, length: int, inverse: bool, onesided: bool) -> np.ndarray:
    """As the standard has it: `axis` of the complex numbers."""
    given = x[..., 0] + (1j * x[..., 1] if x.shape[-1] == 2 else 0)
    if inverse and onesided:
        return np.fft.irfft(given, length, axis)[..., None]
    if inverse:
        return to_parts(np.fft.ifft(given, length, axis))
    result = np.fft.fft(given, length, axis)
    if onesided:
        result = result.take(range(length // 2 + 1), axis)
    return to_parts(result)


@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize("parts", [1, 2])
def test_dft(inverse: int, onesided: int, parts: int) -> None:
    text = """g (double[A, B, C, D] x, int64 length, int64 axis) => (double[E, F, G, H] y) {
        y = DFT <inverse = %d, onesided = %d> (x, length%s)
    }"""
    fixed = module().compile(model(text % (inverse, onesided, "")))
    free = module().compile(model(text % (inverse, onesided, ", axis")))
    x = np.random.default_rng(1).standard_normal((3, 4, 7, parts))
    for axis in (0, 1, 2, -2, -4):
        place = axis if axis >= 0 else axis + 4
        for length in (1, 2, 5, 7, 8):
            expected = dft(x, place, length, bool(inverse), bool(onesided))
            actual = free(x, np.array(length), np.array(axis))
            np.testing.assert_allclose(actual, expected, 1e-9, 1e-12)
            if axis == -2:
                actual = fixed(x, np.array(length), np.array(0))
                np.testing.assert_allclose(actual, expected, 1e-9, 1e-12)


def test_dft_of_the_whole_axis() -> None:
    x = np.random.default_rng(2).standard_normal((2, 6, 5, 2)).astype(np.float32)
    text = "g (float[2, 6, 5, 2] x, int64 axis) => (float[A, B, C, D] y) { y = DFT (x, , axis) }"
    made = module().compile(model(text))
    for axis in range(-4, 3):
        if axis == -1:
            continue
        expected = dft(x, axis if axis >= 0 else axis + 4, x.shape[axis], False, False)
        np.testing.assert_allclose(made(x, np.array(axis)), expected, 1e-4, 1e-5)
    text = "g (float[2, 6, 5, 2] x) => (float[A, B, C, D] y) { y = DFT <axis = 2> (x) }"
    actual = module().compile(model(text, 17))(x)
    np.testing.assert_allclose(actual, dft(x, 2, 5, False, False), 1e-4, 1e-5)


@pytest.mark.parametrize(
    ("length", "axis", "message"),
    [
        (0, 1, "node 'y' (DFT): the transform's length is below 1"),
        (-(2**63), 1, "node 'y' (DFT): the transform's length is below 1"),
        (4, -1, "node 'y' (DFT): the axis is that of real and imaginary parts"),
        (4, 2, "node 'y' (DFT): the axis is that of real and imaginary parts"),
        (4, 3, "node 'y' (DFT): "),
        (4, -(2**63), "node 'y' (DFT): "),
        (2**61, 1, ""),
    ],
)
def test_dft_refuses(length: int, axis: int, message: str) -> None:
    text = "g (float[A, B, C] x, int64 n, int64 axis) => (float[D, E, F] y) { y = DFT (x, n, axis) }"
    made = module().compile(model(text))
    with pytest.raises(module().RunError) as caught:
        made(np.ones((3, 4, 2), np.float32), np.array(length), np.array(axis))
    assert message in str(caught.value)


@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize("parts", [1, 2])
def test_stft(onesided: int, parts: int) -> None:
    if onesided and parts == 2:
        return  # complex signals have no mirror image
    text = f"""g (double[A, B, {parts}] x, int64 step, double[C] window, int64 length) => (double[D, E, F, G] y) {{
        y = STFT <onesided = {onesided}> (x, step, window, length)
    }}"""
    made = module().compile(model(text))
    random = np.random.default_rng(3)
    x = random.standard_normal((2, 30, parts))
    signal = x[..., 0] + (1j * x[..., 1] if parts == 2 else 0)
    for step, length in ((1, 1), (4, 8), (3, 7), (31, 30), (7, 5)):
        window = random.standard_normal(length)
        begins = range(0, 30 - length + 1, step)
        frames = np.stack([signal[:, b : b + length] * window for b in begins], 1)
        expected = np.fft.fft(frames, axis=2)
        if onesided:
            expected = expected[:, :, : length // 2 + 1]
        actual = made(x, np.array(step), window, np.array(length))
        np.testing.assert_allclose(actual, to_parts(expected), 1e-9, 1e-12)
    for step, length, window, message in (
        (0, 8, 8, "the frames' step is below 1"),
        (1, 0, 8, "node 'y' (STFT): "),
        (1, 8, 7, "node 'y' (STFT): "),
        (1, 31, 31, "a frame is longer than the signal"),
        (-(2**63), 8, 8, "the frames' step is below 1"),
    ):
        given: list[Any] = [x, np.array(step), np.ones(window), np.array(length)]
        with pytest.raises(module().RunError) as caught:
            made(*given)
        assert message in str(caught.value)


@pytest.mark.parametrize("bands", [1, 8, 20])
@pytest.mark.parametrize("length", [1, 16, 257])
@pytest.mark.parametrize("edges", [(0.0, 4000.0), (30.5, 8123.25), (200.0, 100.0)])
def test_mel_weight_matrix(bands: int, length: int, edges: tuple[float, float]) -> None:
    text = """g (int64 bands, int64 length, int64 rate, float low, float high) => (double[A, B] y) {
        y = MelWeightMatrix <output_datatype = 11> (bands, length, rate, low, high)
    }"""
    made = model(text, 17)
    given = [np.array(bands), np.array(length), np.array(16000), *map(np.float32, edges)]
    # By the standard's words: corners evenly spaced in mel, rounded down to places.
    mels = [2595 * np.log10(1 + edge / 700) for edge in edges]
    corners = np.arange(bands + 2) * (mels[1] - mels[0]) / (bands + 2) + mels[0]
    places = (length + 1) * 700 * (10 ** (corners / 2595) - 1) // 16000
    expected = np.zeros((length // 2 + 1, bands))
    for band in range(bands):
        low, center, high = places[band : band + 3]
        for j in range(length // 2 + 1):
            if low <= j <= center:
                expected[j, band] = (j - low) / (center - low) if center != low else 1
            if center <= j < high:
                expected[j, band] = (high - j) / (high - center)
    np.testing.assert_allclose(module().compile(made)(*given), expected, 1e-12)


def test_mel_weight_matrix_refuses() -> None:
    text = """g (int64 bands, int64 length, int64 rate) => (float[A, B] y) <float low = {0}, float high = {100}> {
        y = MelWeightMatrix (bands, length, rate, low, high)
    }"""
    made = module().compile(model(text, 17))
    for given, what in (((0, 8, 8), "number of bands"), ((8, -1, 8), "transform's length"), ((8, 8, 0), "sample rate")):
        with pytest.raises(module().RunError, match=f"the {what} is below 1"):
            made(*map(np.array, given))
