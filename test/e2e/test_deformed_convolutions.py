"""DeformConv, with and without its options, against ONNX's reference, a convolution and finite
differences; its gradients against those of PyTorch's grid_sample.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import parser
from onnx.reference import ReferenceEvaluator

import small_models
from support import module
from test_gradients import F, Tensor, Term, check


def model(shapes: dict[str, list[int]], attributes: str, dynamic: bool, version: int = 22) -> onnx.ModelProto:
    def dims(name: str, shape: list[int]) -> str:
        return ", ".join(f"{name}{i}" if dynamic else str(size) for i, size in enumerate(shape))

    inputs = ", ".join(f"float[{dims(name, shape)}] {name}" for name, shape in shapes.items())
    given = ", ".join(name if name in shapes else '""' for name in ("X", "W", "offset", "B", "mask"))
    out = ", ".join(f"y{i}" for i in range(len(shapes["X"])))
    return parser.parse_model(
        f'<ir_version: 10, opset_import: ["": {version}]> g ({inputs}) => (float[{out}] Y)'
        f" {{ Y = DeformConv <{attributes}> ({given}) }}"
    )


def draw(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {name: random.normal(0, 1.5, shape).astype(np.float32) for name, shape in shapes.items()}


CASES = {
    "plain": ({"X": [2, 3, 6, 5], "W": [4, 3, 2, 3], "offset": [2, 12, 5, 3]}, "dilations = [1, 1]"),
    "strides": ({"X": [1, 2, 9, 8], "W": [2, 2, 3, 3], "offset": [1, 18, 5, 4]}, "strides = [2, 2], pads = [1, 0, 1, 1]"),
    "groups": (
        {"X": [2, 4, 5, 5], "W": [6, 2, 2, 2], "offset": [2, 16, 4, 4], "B": [6], "mask": [2, 8, 4, 4]},
        "group = 2, offset_group = 2",
    ),
    "dilations": (
        {"X": [1, 6, 7, 9], "W": [3, 2, 2, 2], "offset": [1, 48, 5, 6], "mask": [1, 24, 5, 6]},
        "group = 3, offset_group = 6, dilations = [2, 3], kernel_shape = [2, 2]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("version", [19, 22])
@pytest.mark.parametrize("case", CASES)
def test_planes(case: str, version: int, dynamic: bool) -> None:
    shapes, attributes = CASES[case]
    made, values = model(shapes, attributes, dynamic, version), draw(shapes)
    (expected,) = ReferenceEvaluator(made).run(None, values)
    np.testing.assert_allclose(module().compile(made)(*values.values()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_lines_are_planes_of_one_row(dynamic: bool) -> None:
    shapes = {"X": [2, 4, 11], "W": [3, 4, 3], "offset": [2, 6, 6], "mask": [2, 6, 6]}
    values = draw(shapes | {"offset": [2, 2, 3, 6]})
    rows = np.stack([np.zeros_like(values["offset"]), values["offset"]], axis=3).reshape(2, 2 * 3 * 2, 1, 6)
    values["offset"] = values["offset"].reshape(2, 6, 6)
    plane = {n: v[..., None, :] for n, v in values.items()}
    # The reference divides by the number of rows less one.
    plane["X"] = np.concatenate([plane["X"], 0 * plane["X"]], 2)
    plane["offset"], plane["mask"] = np.concatenate([rows, rows], 2), np.concatenate([plane["mask"]] * 2, 2)
    options = "offset_group = 2, strides = [{}2], pads = [{}1, {}1]"
    flat = model({n: list(v.shape) for n, v in plane.items()}, options.format("1, ", "0, ", "0, "), False)
    (expected,) = ReferenceEvaluator(flat).run(None, plane)
    made = model(shapes, options.format("", "", ""), dynamic)
    np.testing.assert_allclose(module().compile(made)(*values.values()), expected[:, :, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_volumes_of_whole_offsets(dynamic: bool) -> None:
    """Offsets that are the same everywhere move the input."""
    shapes = {"X": [1, 2, 5, 6, 7], "W": [3, 2, 2, 2, 2], "offset": [1, 24, 4, 5, 6]}
    values = draw(shapes)
    offset = np.array([1, -2, 1], np.float32)
    values["offset"] = np.broadcast_to(offset[:, None, None, None], (1, 8, 3, 4, 5, 6)).reshape(1, 24, 4, 5, 6).copy()
    moved = np.pad(values["X"], [(0, 0), (0, 0), (2, 2), (2, 2), (2, 2)])[:, :, 3:8, 0:6, 3:10]
    expected = F.conv3d(torch.tensor(moved), torch.tensor(values["W"]))
    made = model(shapes, "dilations = [1, 1, 1]", dynamic)
    np.testing.assert_allclose(module().compile(made)(*values.values()), expected, rtol=1e-4, atol=1e-5)


def test_faults() -> None:
    shapes = {"X": [1, 2, 5, 5], "W": [1, 2, 2, 2], "offset": [1, 8, 3, 4]}
    with pytest.raises(module().CompileError, match=r"DeformConv\): the offsets are not those of the window's places"):
        module().compile(model(shapes, "group = 1", False))
    with pytest.raises(module().CompileError, match="do not fit the channels"):
        module().compile(model(shapes | {"offset": [1, 8, 4, 4]}, "group = 1, offset_group = 3", False))
    program = module().compile(model(shapes, "group = 1", True))
    with pytest.raises(module().RunError, match="the offsets are not those of the window's places"):
        program(*draw(shapes).values())


def reference(x: Tensor, weight: Tensor, offset: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """Stride 1, no padding, one group, 2 x 2: places as grid_sample wants them."""
    n, _, height, width = x.shape
    rows, columns = height - 1, width - 1
    offsets = offset.reshape(n, 4, 2, rows, columns)
    taps = torch.arange(4)
    y = torch.arange(rows)[:, None] + (taps // 2)[:, None, None] + offsets[:, :, 0]
    x_places = torch.arange(columns) + (taps % 2)[:, None, None] + offsets[:, :, 1]
    grid = torch.stack([x_places / (width - 1) * 2 - 1, y / (height - 1) * 2 - 1], -1)
    samples = F.grid_sample(x, grid.reshape(n, 4 * rows, columns, 2), align_corners=True)
    samples = samples.reshape(n, -1, 4, rows, columns) * mask[:, None]
    return torch.einsum("nckhw,ock->nohw", samples, weight.reshape(weight.shape[0], -1, 4)) + bias[:, None, None]


DEFORMED = [
    Term(
        "{t}o = Constant <value_ints = [1]> () {t}a = Mul (y, {w}) {t}p = Unsqueeze ({t}a, {t}o)"
        " {out} = DeformConv ({t}p, {w1}, {w2}, {w3}, {w4})",
        lambda x, y, w, w1, w2, w3, w4: reference((y * w)[:, None], w1, w2, w3, w4),
        ((3, 1), (2, 1, 2, 2), (5, 8, 2, 3), (2,), (5, 4, 2, 3)),
        low=-0.9,
        high=0.9,
    )
]


@pytest.mark.parametrize("sizes", ["static", "open"])
def test_gradients(sizes: str) -> None:
    check(DEFORMED, sizes != "static", open_sizes=sizes == "open", head=small_models.HEAD.replace("21", "22"))
