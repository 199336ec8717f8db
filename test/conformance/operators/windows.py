"""Pooling, regions, resizing and sampling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.node import Node, Numbers, node, run_node, run_reference

DATA = Numbers(5)


def pools() -> Iterator[Node]:
    x = DATA.normal(2, 3, 7, 6)
    for op in ("AveragePool", "MaxPool", "LpPool"):
        yield node(op, x, kernel_shape=[3, 2])
        yield node(op, x, label="strides", kernel_shape=[3, 2], strides=[2, 1])
        # The evaluator counts padding in opset 1, which has no say in it; later the default is not to.
        for first, last in ((1, 6), (7, 99)) if op == "AveragePool" else ((1, 99),):
            window = dict(kernel_shape=[3, 3], strides=[2, 2])
            later = (lambda op=op, w=window: run_node(op, 7, x, pads=[1, 1, 0, 1], **w)) if last == 6 else None
            yield node(op, x, label="pads", pads=[1, 1, 0, 1], since=first, until=last, expected=later, **window)
            for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
                later = (lambda op=op, w=window, a=auto: run_node(op, 7, x, auto_pad=a, **w)) if last == 6 else None
                yield node(op, x, label=auto.lower(), auto_pad=auto, since=first, until=last, expected=later, **window)
        yield node(op, x, label="inclusive", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
        yield node(op, x, label="ceil", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        yield node(op, x, label="dilations", kernel_shape=[2, 2], dilations=[2, 3])
        yield node(op, DATA.normal(2, 3, 9), label="1d", kernel_shape=[3], strides=[2])
        yield node(op, DATA.normal(1, 2, 4, 5, 6), label="3d", kernel_shape=[2, 2, 3])
        yield node(op, x.astype(np.float64), label="f64", kernel_shape=[3, 2], expected=lambda op=op: run_node(op, 11, x, kernel_shape=[3, 2]).astype(np.float64))
    yield node("MaxPool", x, label="indices", outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    yield node("MaxPool", x, label="column_major", outputs=2, kernel_shape=[2, 2], strides=[2, 2], storage_order=1)
    for dtype in (np.int8, np.uint8):
        yield node("MaxPool", DATA.integers(0, 99, 1, 2, 5, 5, dtype=dtype), label=np.dtype(dtype).name, kernel_shape=[2, 2])
    yield node("LpPool", x, label="p1", kernel_shape=[2, 2], p=1)
    yield node("LpPool", x, label="p3", kernel_shape=[2, 2], p=3, strides=[2, 2])
    for p in (1.0, 3.0):
        yield node("LpPool", x, label=f"real_p{p:.0f}", kernel_shape=[2, 2], p=p, expected=lambda p=p: run_node("LpPool", 11, x, kernel_shape=[2, 2], p=int(p)))
    # Until opset 1 that was not always a whole number, and it did not have to be given.
    yield node("LpPool", x, label="half", kernel_shape=[2, 2], p=1.5, until=1, expected=lambda: lp(x, 1.5))
    total = (np.abs(x) ** 1.5).sum((2, 3), keepdims=True) ** (1 / 1.5)
    yield node("GlobalLpPool", x, label="half", p=1.5, until=1, expected=lambda: total)
    for p in (1, 2, 3):
        want = (np.abs(x) ** p).sum((2, 3), keepdims=True) ** (1 / p)
        yield node("GlobalLpPool", x, label=f"p{p}", p=p, expected=lambda w=want: w)
        yield node("GlobalLpPool", x, label=f"real_p{p}", p=float(p), expected=lambda w=want: w)
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        yield node(op, x, label="default", like=2)
        yield node(op, DATA.normal(2, 3, 5), label="1d", like=2)
        yield node(op, x.astype(np.float64), label="f64", expected=lambda op=op: run_node(op, 2 if op == "GlobalLpPool" else 1, x).astype(np.float64))


def lp(x: np.ndarray, p: float) -> np.ndarray:
    """Of windows of 2 by 2."""
    power = np.abs(x) ** p
    parts = power[:, :, :-1, :-1] + power[:, :, 1:, :-1] + power[:, :, :-1, 1:] + power[:, :, 1:, 1:]
    return (parts ** (1 / p)).astype(x.dtype)


def unpools() -> Iterator[Node]:
    x = DATA.shuffled(2, 3, 6, 4)
    values, places = np.empty((2, 3, 3, 2), np.float32), np.empty((2, 3, 3, 2), np.int64)
    for n, c, i, j in np.ndindex(values.shape):
        window = x[n, c, 2 * i:2 * i + 2, 2 * j:2 * j + 2]
        k, m = np.unravel_index(window.argmax(), (2, 2))
        values[n, c, i, j] = window[k, m]
        places[n, c, i, j] = ((n * 3 + c) * 6 + 2 * i + k) * 4 + 2 * j + m
    want = np.zeros(x.size, np.float32)
    want[places.ravel()] = values.ravel()
    yield node("MaxUnpool", values, places, kernel_shape=[2, 2], strides=[2, 2], expected=lambda: want.reshape(x.shape))


def regions() -> Iterator[Node]:
    x = DATA.normal(2, 3, 8, 10)
    boxes = np.array([[0, 0, 0, 5, 5], [1, 2, 1, 9, 7], [0, 3, 3, 4, 4], [1, 6, 2, 6, 2]], np.float32)
    yield node("MaxRoiPool", x, boxes, pooled_shape=[2, 3], like=1)
    yield node("MaxRoiPool", x, boxes, label="scale", pooled_shape=[2, 2], spatial_scale=0.5, like=1)
    corners, images = boxes[:, 1:] + np.float32(0.25), boxes[:, 0].astype(np.int64)
    for mode in ("avg", "max"):
        yield node("RoiAlign", x, corners, images, label=mode, mode=mode, output_height=3, output_width=2, sampling_ratio=2)
    yield node("RoiAlign", x, corners, images, label="scale", output_height=2, output_width=2, spatial_scale=0.5)
    for mode in ("half_pixel", "output_half_pixel"):
        yield node("RoiAlign", x, corners, images, label=mode, coordinate_transformation_mode=mode, output_height=2, output_width=2, sampling_ratio=2)


def boxes() -> Iterator[Node]:
    corners = DATA.uniform(0, 1, 1, 8, 4)
    scores = DATA.uniform(0, 1, 1, 2, 8)
    limits = np.array([3]), np.array([0.4], np.float32), np.array([0.1], np.float32)
    corners[..., 2:] += corners[..., :2]
    yield node("NonMaxSuppression", corners, scores, *limits)
    yield node("NonMaxSuppression", corners, scores, *limits, label="centres", center_point_box=1)
    yield node("NonMaxSuppression", corners, scores, limits[0], label="few")


def resizes() -> Iterator[Node]:
    x = DATA.normal(1, 2, 4, 5)
    scales = np.array([1, 1, 2, 3], np.float32)
    repeated = x.repeat(2, 2).repeat(3, 3)
    yield node("Upsample", x, label="nearest", height_scale=2.0, width_scale=3.0, mode="nearest", expected=lambda: repeated)
    yield node("Upsample", x, label="bilinear", height_scale=2.0, width_scale=3.0, mode="bilinear",
               expected=lambda: run_node("Upsample", 9, x, scales, mode="linear"))  # fmt: skip
    for mode in ("nearest", "linear"):
        yield node("Upsample", x, label=mode, mode=mode, scales=[1.0, 1.0, 2.0, 3.0])
        yield node("Upsample", x, scales, label=mode, mode=mode, expected=lambda mode=mode: run_node("Upsample", 9, x, scales, mode=mode))
        yield node("Upsample", x, scales, label=f"{mode}_constant", mode=mode, fixed=(1,), expected=lambda mode=mode: run_node("Upsample", 9, x, scales, mode=mode))
        for label, factors in {"up": (2, 1.5), "down": (0.5, 0.6)}.items():
            by = np.array([1, 1, *factors], np.float32)
            yield node("Resize", x, by, label=f"{mode}_{label}", mode=mode, until=10)
            yield node("Resize", x, None, by, label=f"{mode}_{label}", mode=mode, since=13)
            yield node("Resize", x, np.array([], np.float32), by, label=f"roi_{mode}_{label}", mode=mode, until=12)
        for transformation in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            yield node("Resize", x, np.array([], np.float32), np.array([1, 1, 1.5, 0.8], np.float32), label=f"{mode}_{transformation}", mode=mode,
                       coordinate_transformation_mode=transformation, until=18)  # fmt: skip
            for nothing in (None, np.array([], np.float32)):
                yield node("Resize", x, nothing, nothing, np.array([1, 2, 7, 3]), label=f"{mode}_{transformation}_sizes", mode=mode, coordinate_transformation_mode=transformation,
                           fixed=() if nothing is None else (1, 2), since=11 if nothing is not None else 13, until=12 if nothing is not None else 99)  # fmt: skip
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        yield node("Resize", x, None, np.array([1, 1, 1.5, 2.5], np.float32), label=rounding, nearest_mode=rounding)
    yield node("Resize", x, None, None, np.array([1, 2, 6, 9]), label="cubic", mode="cubic")
    yield node("Resize", x, None, None, np.array([1, 2, 6, 9]), label="cubic_excluded", mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)
    yield node("Resize", x, np.array([0, 0, 0.1, 0.2, 1, 1, 0.8, 1.2], np.float32), None, np.array([1, 2, 3, 4]), label="crop", mode="linear",
               coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.0)  # fmt: skip


def samples() -> Iterator[Node]:
    x, grid = DATA.normal(2, 3, 4, 5), DATA.uniform(-1.3, 1.3, 2, 3, 6, 2)
    for padding in ("zeros", "border", "reflection"):
        for corners in (0, 1):
            for old, new in (("bilinear", "linear"), ("nearest", "nearest"), ("bicubic", "cubic")):
                more = dict(padding_mode=padding, align_corners=corners)
                if (new, padding) == ("cubic", "border"):
                    # The evaluator brings the place inside, and then its neighbours; ONNX Runtime only these.
                    want = lambda m=more: run_reference(node("GridSample", x, grid, mode="cubic", **m).model(20), {"x0": x, "x1": grid})  # noqa: E731
                    yield node("GridSample", x, grid, label=f"cubic_border_{corners}", until=19, mode=old, **more, expected=want)
                    yield node("GridSample", x, grid, label=f"cubic_border_{corners}", since=20, mode=new, **more, expected=want)
                    continue
                yield node("GridSample", x, grid, label=f"{new}_{padding}_{corners}", until=19, mode=old, **more, rtol=1e-3, atol=1e-5)
                yield node("GridSample", x, grid, label=f"{new}_{padding}_{corners}", since=20, mode=new, **more, rtol=1e-3, atol=1e-5,
                           expected=lambda o=old, m=more: run_node("GridSample", 16, x, grid, mode=o, **m))  # fmt: skip
    deep, space = DATA.normal(1, 2, 3, 4, 5), DATA.uniform(-1.1, 1.1, 1, 2, 3, 4, 3)
    yield node("GridSample", deep, space, label="3d", since=20)


def nodes() -> Iterator[Node]:
    for family in (pools, unpools, regions, boxes, resizes, samples):
        yield from family()
