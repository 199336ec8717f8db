"""Gradients of regions of images: RoiAlign in all its modes and MaxRoiPool; as in test_gradients.py.

PyTorch has neither, so that here are their definitions as formulas that it differentiates. ONNX's
reference says whether they are right.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest
import torch
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

import small_models
from support import module
from test_gradients import IMAGE, Tensor, Term, check, image

# [x1, y1, x2, y2]; partly outside, smaller than a cell, of no width, and all.
REGIONS = np.array(
    [[0.5, 0.25, 3.5, 3.0], [1.0, 1.0, 1.5, 1.25], [-2.0, 0.0, 2.0, 6.0], [0.0, 0.0, 4.0, 4.0], [2.5, 0.5, 2.5, 3.5]]
)
IMAGES_OF = [0, 3, 1, 0, 2]


def sample(begin: float, size: float, samples: int, extent: int) -> list[list[tuple[int, float]]]:
    """For each sample of a cell along a dimension its two elements and their weights; none outside."""
    taps = []
    for s in range(samples):
        x = begin + (s + 0.5) * size / samples
        if not -1 <= x <= extent:
            taps.append([])
            continue
        x = max(x, 0.0)
        low = min(int(x), extent - 1)
        high = min(low + 1, extent - 1)
        toward = 0.0 if low == high else x - low
        taps.append([(low, 1 - toward), (high, toward)])
    return taps


def roi_align(t: Tensor, height: int, width: int, samples: int, scale: float, half: bool, mode: str) -> Tensor:
    """ONNX's definition: as many samples as a cell is large where `samples` is 0."""

    def cell(plane: Tensor, rows: list, columns: list) -> Tensor:
        parts = [
            [plane[:, i, j] * (a * b) for i, a in row for j, b in column] or [torch.zeros_like(plane[:, 0, 0])] * 4
            for row in rows
            for column in columns
        ]
        if not parts:
            return torch.zeros_like(plane[:, 0, 0])
        if mode == "max":
            return torch.stack([torch.stack(p).max(0).values for p in parts]).max(0).values
        return torch.stack([torch.stack(p).sum(0) for p in parts]).sum(0) / max(len(parts), 1)

    regions = []
    for number, region in zip(IMAGES_OF, REGIONS):
        x1, y1, x2, y2 = (float(v) * scale - (0.5 if half else 0) for v in region)
        lengths = [y2 - y1, x2 - x1] if half else [max(y2 - y1, 1.0), max(x2 - x1, 1.0)]
        sizes = [lengths[0] / height, lengths[1] / width]
        counts = [samples or ceil(size) for size in sizes]
        plane = t[number]
        cells = [
            cell(
                plane,
                sample(y1 + i * sizes[0], sizes[0], counts[0], plane.shape[1]),
                sample(x1 + j * sizes[1], sizes[1], counts[1], plane.shape[2]),
            )
            for i in range(height)
            for j in range(width)
        ]
        regions.append(torch.stack(cells, 1).reshape(-1, height, width))
    return torch.stack(regions)


def max_roi_pool(t: Tensor, regions: np.ndarray, height: int, width: int, scale: float) -> Tensor:
    def bounds(begin: float, end: float, cells: int, extent: int) -> list[range]:
        first, last = floor(begin * scale + 0.5), floor(end * scale + 0.5)
        size = max(last - first + 1, 1) / cells
        return [
            range(max(floor(i * size) + first, 0), min(max(ceil((i + 1) * size) + first, 0), extent)) for i in range(cells)
        ]

    pooled = []
    for number, x1, y1, x2, y2 in regions:
        plane = t[int(number)]
        for row in bounds(y1, y2, height, plane.shape[1]):
            for column in bounds(x1, x2, width, plane.shape[2]):
                elements = [plane[:, i, j] for i in row for j in column]
                pooled.append(torch.stack(elements).max(0).values if elements else torch.zeros_like(plane[:, 0, 0]))
    return torch.stack(pooled).reshape(len(regions), height, width, -1).permute(0, 3, 1, 2)


def numbers(values: np.ndarray | list[int]) -> str:
    return ", ".join(str(v) for v in np.ravel(values))


def roi_align_node(height: int, width: int, samples: int, scale: float, half: bool, mode: str) -> str:
    """Of {t} with the regions {t}r of the images {t}i."""
    coordinates = "half_pixel" if half else "output_half_pixel"
    return (
        f"RoiAlign <output_height = {height}, output_width = {width}, sampling_ratio = {samples}, spatial_scale = {scale},"
        f' mode = "{mode}", coordinate_transformation_mode = "{coordinates}"> ({{t}}, {{t}}r, {{t}}i)'
    )


CONSTANTS = (
    f"{{t}}r = Constant <value = double[5, 4] {{{{{numbers(REGIONS)}}}}}> ()"
    f" {{t}}i = Constant <value = int64[5] {{{{{numbers(IMAGES_OF)}}}}}> ()"
)
SETTINGS = [
    (height, width, samples, scale, half)
    for height, width, samples, scale, half in [
        (2, 3, 2, 1.0, True), (3, 2, 1, 0.5, False), (1, 1, 3, 1.0, False),
        (2, 2, 0, 1.0, True), (1, 3, 0, 1.0, False), (3, 1, 0, 0.75, True), (1, 1, 0, 2.0, False),
    ]
]


def aligned(mode: str, *setting: int | float | bool) -> Term:
    return Term(
        f"{IMAGE} {CONSTANTS} {{out}} = {roi_align_node(*setting, mode)}",
        lambda x, y, w: roi_align(image(y, w), *setting, mode),
        ((3, 1, 1),),
    )


POOLED = np.concatenate([np.array(IMAGES_OF, dtype=float)[:, None], np.floor(REGIONS)], 1)


def pooled(height: int, width: int, scale: float) -> Term:
    return Term(
        f"{IMAGE} {{t}}r = Constant <value = double[5, 5] {{{{{numbers(POOLED)}}}}}> ()"
        f" {{out}} = MaxRoiPool <pooled_shape = [{height}, {width}], spatial_scale = {scale}> ({{t}}, {{t}}r)",
        lambda x, y, w: max_roi_pool(image(y, w), POOLED, height, width, scale),
        ((3, 1, 1),),
    )


TERMS = {
    "average": [aligned("avg", *setting) for setting in SETTINGS],
    "largest": [aligned("max", *setting) for setting in SETTINGS],
    "pooled": [pooled(2, 2, 1.0), pooled(1, 3, 0.5), pooled(3, 3, 2.0)],
}


@pytest.mark.parametrize("sizes", ["static", "dynamic", "open"])
@pytest.mark.parametrize("theme", TERMS)
def test_regions(theme: str, sizes: str) -> None:
    check(TERMS[theme], sizes != "static", open_sizes=sizes == "open")


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_formula(mode: str, setting: tuple[int, int, int, float, bool]) -> None:
    """The definition above is ONNX's."""
    node = roi_align_node(*setting, mode).replace("{t}r", "r").replace("{t}i", "i").replace("{t}", "x")
    text = f"m (double[4, 3, 4, 4] x, double[5, 4] r, int64[5] i) => (double[a, b, c, d] y) {{ y = {node} }}"
    x = np.random.default_rng(0).normal(size=(4, 3, 4, 4))
    evaluator = ReferenceEvaluator(parser.parse_model(small_models.HEAD + text))
    (wanted,) = evaluator.run(None, {"x": x, "r": REGIONS, "i": np.array(IMAGES_OF)})
    np.testing.assert_allclose(roi_align(torch.tensor(x), *setting, mode).numpy(), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 6, 12, 20, 32])
@pytest.mark.parametrize("samples", [0, 2])
def test_regions_of_the_run(samples: int, channels: int) -> None:
    """Regions and their number arrive with the run; no regions give no gradient. In float16 too. Channels are
    computed in blocks."""
    for elements, tolerance in (("double", 1e-9), ("float", 1e-5), ("float16", 2e-2)):
        dtype = {"double": np.float64, "float": np.float32, "float16": np.float16}[elements]
        node = roi_align_node(2, 2, samples, 1.0, True, "avg").replace("{t}r", "r").replace("{t}i", "i").replace("{t}", "t")
        text = (
            f"m ({elements}[N, {channels}, H, W] x, {elements}[R, 4] r, int64[R] i) => ({elements} l)"
            f" {{ t = Mul (x, w) o = {node} l = ReduceSum <keepdims = 0> (o) }}"
        )
        model = parser.parse_model(small_models.HEAD + text)
        before = np.full((channels, 1, 1), 0.5, dtype)
        model.graph.initializer.append(numpy_helper.from_array(before, "w"))
        program = module().compile(model.SerializeToString(), train={"loss": "output:l"}, threads=2)
        x = np.random.default_rng(0).uniform(size=(4, channels, 4, 4)).astype(dtype)
        w = torch.tensor(before, dtype=torch.float64, requires_grad=True)
        roi_align(torch.tensor(x, dtype=torch.float64) * w, 2, 2, samples, 1.0, True, "avg").sum().backward()
        program.run([x, REGIONS.astype(dtype), np.array(IMAGES_OF), np.float32(1)], function="step")
        given = before.astype(np.float64) - program.read_parameter("w").astype(np.float64)
        np.testing.assert_allclose(given, w.grad.numpy(), rtol=tolerance)
        program.write_parameter("w", before)
        program.run([x, REGIONS[:0].astype(dtype), np.array(IMAGES_OF[:0], dtype=np.int64), np.float32(1)], function="step")
        np.testing.assert_array_equal(program.read_parameter("w"), before)
