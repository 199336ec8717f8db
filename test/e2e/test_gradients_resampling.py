"""Gradients of interpolation: Resize in all its modes, GridSample; as in test_gradients.py.

Resize is linear along each dimension: its matrix is what ONNX's reference makes of the
identity, and PyTorch differentiates the product with it. Nacre's weights are in f32, and the
reference computes places in f32: so here are sizes where both are exact, and for others
PyTorch's own, with a tolerance that says so.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from onnx import parser
from onnx.reference import ReferenceEvaluator

import small_models
from support import module
from test_gradients import F, IMAGE, Tensor, Term, build, check, image, spatial

Z = '""'  # an input that is not there


def attributes(interpolation: str, coordinates: str, *more: str) -> str:
    return ", ".join([f'mode = "{interpolation}"', f'coordinate_transformation_mode = "{coordinates}"', *more])


@cache
def matrix(attributes: str, size: int, scale: float | None, count: int | None) -> Tensor:
    """[size, places] of what a dimension becomes."""
    if count is None:
        nodes = f"g = Constant <value = float[1] {{{scale}}}> () y = Resize <{attributes}, axes = [1]> (x, {Z}, g)"
    else:
        nodes = f"g = Constant <value_ints = [{count}]> () y = Resize <{attributes}, axes = [1]> (x, {Z}, {Z}, g)"
    model = small_models.HEAD + f"m (double[{size}, {size}] x) => (double[a, b] y) {{ {nodes} }}"
    (made,) = ReferenceEvaluator(parser.parse_model(model)).run(None, {"x": np.eye(size)})
    return torch.tensor(made)


def resize(mode: str, axis: int = 2, scale: float | None = None, count: int | None = None) -> Term:
    """Of one dimension of y[N, 3, 4]."""
    size = (5, 3, 4)[axis]
    if count is None:
        given, inputs = f"float[1] {{{{{scale}}}}}", f"{{t}}, {Z}, {{t}}g"
    else:
        given, inputs = f"int64[1] {{{{{count}}}}}", f"{{t}}, {Z}, {Z}, {{t}}g"
    return Term(
        f"{{t}} = Mul (y, {{w}}) {{t}}g = Constant <value = {given}> () {{out}} = Resize <{mode}, axes = [{axis}]> ({inputs})",
        lambda x, y, w: (y * w).movedim(axis, -1).matmul(matrix(mode, size, scale, count)).movedim(-1, axis),
        ((3, 1),),
    )


MODES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
WEIGHTED = [
    resize(attributes(interpolation, coordinates, *more), **given)
    for interpolation, more in [("linear", []), ("cubic", []), ("cubic", ["exclude_outside = 1"])]
    for coordinates in MODES
    for given in [{"scale": 2.0}, {"scale": 0.5}, {"axis": 1, "count": 5}, {"axis": 1, "count": 6}, {"count": 1}]
    # Exact: distances between corners of 4 / 2, and otherwise a doubled size.
    if given != ({"scale": 2.0} if coordinates == "align_corners" else {"axis": 1, "count": 5})
    and (coordinates, given) != ("align_corners", {"axis": 1, "count": 6})
] + [resize(attributes("cubic", "half_pixel", "cubic_coeff_a = -0.5"), scale=2.0)]
ANTIALIASED = [
    resize(attributes(interpolation, "half_pixel", "antialias = 1"), **given)
    for interpolation in ("linear", "cubic")
    for given in [{"scale": 0.5}, {"scale": 2.0}, {"count": 1}]
]
NEAREST = [
    resize(attributes("nearest", coordinates, f'nearest_mode = "{nearest}"'), **given)
    for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    for coordinates in MODES
    for given in [{"scale": 2.0}, {"axis": 1, "count": 5}, {"count": 3}]
]


def crop(interpolation: str, begin: float, end: float, count: int) -> Term:
    """tf_crop_and_resize: y's last dimension from begin to end, 0 outside."""

    def function(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        t, columns = y * w, []
        for i in range(count):
            place = 3 * (begin + i * (end - begin) / (count - 1))
            low, high = int(np.floor(place)), min(int(np.floor(place)) + 1, 3)
            if not 0 <= place <= 3:
                columns.append(torch.zeros_like(t[:, :, 0]))
            elif interpolation == "nearest":
                columns.append(t[:, :, int(np.ceil(place - 0.5))])
            else:
                columns.append(t[:, :, low] * (1 - place + low) + t[:, :, high] * (place - low))
        return torch.stack(columns, 2)

    mode = attributes(interpolation, "tf_crop_and_resize")
    return Term(
        f"{{t}} = Mul (y, {{w}}) {{t}}r = Constant <value = float[2] {{{{{begin}, {end}}}}}> ()"
        f" {{t}}g = Constant <value_ints = [{count}]> () {{out}} = Resize <{mode}, axes = [2]> ({{t}}, {{t}}r, {Z}, {{t}}g)",
        function,
        ((3, 1),),
    )


# Weights that are exact in f32.
CROPS = [crop(i, *region) for i in ("linear", "nearest") for region in [(0.25, 0.75, 3), (-0.5, 1.25, 8), (0.0, 1.0, 5)]]


def whole(resizing: str, sizes: tuple[int, int], **options: object) -> Term:
    """Both dimensions of an image, by PyTorch."""
    return Term(
        f"{IMAGE} {{t}}g = Constant <value_ints = [{sizes[0]}, {sizes[1]}]> ()"
        f" {{out}} = Resize <{resizing}, axes = [2, 3]> ({{t}}, {Z}, {Z}, {{t}}g)",
        lambda x, y, w: F.interpolate(image(y, w), size=sizes, **options),
        ((3, 1, 1),),
        tolerance=1e-6,
        value=1e-6,  # weights of thirds, in f32
    )


IMAGES = [
    whole(attributes("linear", "half_pixel"), (8, 2), mode="bilinear"),
    whole(attributes("cubic", "half_pixel"), (8, 2), mode="bicubic"),
    whole(attributes("linear", "align_corners"), (7, 2), mode="bilinear", align_corners=True),
    whole(attributes("cubic", "align_corners"), (7, 3), mode="bicubic", align_corners=True),
    whole(attributes("linear", "half_pixel"), (7, 3), mode="bilinear"),
    whole(attributes("linear", "half_pixel", "antialias = 1", "exclude_outside = 1"), (3, 5), mode="bilinear", antialias=True),
    whole(attributes("nearest", "asymmetric", 'nearest_mode = "floor"'), (7, 3), mode="nearest"),
]


@pytest.mark.parametrize("sizes", ["static", "open"])
@pytest.mark.parametrize("terms", [WEIGHTED, ANTIALIASED, NEAREST, CROPS, IMAGES], ids=["weighted", "antialiased", "nearest", "crops", "images"])
def test_resize(terms: list[Term], sizes: str) -> None:
    check(terms, sizes != "static", open_sizes=sizes == "open")


def grid(mode: str, padding: str, corners: int) -> Term:
    """Of the image and of the grid, some of whose places are outside; the nearest element
    depends on the image alone."""
    name = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    node = f'GridSample <mode = "{mode}", padding_mode = "{padding}", align_corners = {corners}>'
    if mode != "nearest":
        return spatial(
            f"{node} ({{t}}, {{w1}})",
            lambda t, g: F.grid_sample(t, g, name, padding, bool(corners)),
            (5, 3, 2, 2),
            low=-1.6,
            high=1.6,
        )
    places = np.random.default_rng(2).uniform(-1.6, 1.6, (5, 3, 2, 2))
    values = ", ".join(str(v) for v in places.flatten())
    return Term(
        f"{IMAGE} {{t}}g = Constant <value = double[5, 3, 2, 2] {{{{{values}}}}}> () {{out}} = {node} ({{t}}, {{t}}g)",
        lambda x, y, w: F.grid_sample(image(y, w), torch.tensor(places), name, padding, bool(corners)),
        ((3, 1, 1),),
    )


GRIDS = [
    grid(mode, padding, corners)
    for mode in ("linear", "nearest", "cubic")
    for padding in ("zeros", "border", "reflection")
    for corners in (0, 1)
    # ONNX brings the place itself inside, PyTorch only its neighbours.
    if mode != "cubic" or padding == "zeros"
]
VOLUMES = [
    Term(
        "{t}a = Constant <value_ints = [1]> () {t} = Mul (y, {w}) {t}u = Unsqueeze ({t}, {t}a) {t}v = Unsqueeze ({t}u, {t}a)"
        f' {{out}} = GridSample <mode = "linear", padding_mode = "{padding}"> ({{t}}v, {{w1}})',
        lambda x, y, w, g, p=padding: F.grid_sample((y * w)[:, None, None], g, padding_mode=p, align_corners=False),
        ((3, 1), (5, 2, 1, 3, 3)),
        low=-1.2,
        high=1.2,
    )
    for padding in ("zeros", "border", "reflection")
]


@pytest.mark.parametrize("sizes", ["static", "open"])
def test_grid_sample(sizes: str) -> None:
    check(GRIDS + VOLUMES, sizes != "static", open_sizes=sizes == "open")


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("padding", ["border", "reflection"])
def test_cubic_grids(padding: str, corners: int) -> None:
    """Cubic places that are brought inside before their neighbours are: differences alone."""
    model, parameters, inputs = build([grid("cubic", padding, corners)], dynamic=True)
    program = module().compile(model, train={"loss": "output:l"}, threads=2)
    feed = [inputs["x"], inputs["y"]]
    program.run([*feed, np.float32(1)], function="step")
    gradients = {name: value - program.read_parameter(name) for name, value in parameters.items()}
    for name, gradient in gradients.items():
        direction = np.random.default_rng(1).normal(size=gradient.shape)
        losses = []
        for sign in (1, -1):
            for other, value in parameters.items():
                program.write_parameter(other, value + sign * 1e-6 * direction if other == name else value)
            losses.append(float(program.run(feed)[0]))
        np.testing.assert_allclose((losses[0] - losses[1]) / 2e-6, (gradient * direction).sum(), rtol=1e-5, atol=1e-6)
