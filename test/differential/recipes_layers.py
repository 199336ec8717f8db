"""Recipes: convolutions, pooling, normalisations, recurrent layers, attention, resampling, losses."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from drawing import Draw, Operand
from graphs import Unfit
from recipes_math import recipe
from values import FLOATS, draw, dtype_of


def image(d: Draw, channels: int, spatial: int, index: int = 0, low: float = -3, high: float = 3) -> Operand:
    shape = (d.between(1, 2), channels, *(d.between(3, 8) for _ in range(spatial)))
    return d.new(index, shape, low, high)


def picture(d: Draw, ranks: tuple[int, int] = (3, 5)) -> Operand:
    """A batch of images of any number of channels."""
    spatial = d.choose([r - 2 for r in (3, 4, 4, 4, 5) if ranks[0] <= r <= ranks[1]])
    shape = (d.between(1, 2), d.between(1, 5), *(d.between(1, 8) for _ in range(spatial)))
    return d.any(0, ranks, lambda v: 0 not in v.shape, shape=shape)


def window(d: Draw, spatial: int, kernel: list[int], dilated: bool = True, pads: bool = True) -> None:
    if d.flag():
        d.set("strides", [d.between(1, 3) for _ in range(spatial)])
    if dilated and d.flag(0.3):
        d.set("dilations", [d.between(1, 2) for _ in range(spatial)])
    if not pads:
        return
    how = d.random.random()
    if how < 0.45:
        d.set("pads", [d.between(0, max(0, k - 1)) for k in kernel * 2])
    elif how < 0.7:
        d.set("auto_pad", d.choose(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]))


@recipe("Conv", "ConvTranspose", "ConvInteger")
def conv(d: Draw) -> list[Operand]:
    spatial = d.choose([1, 2, 2, 2, 3])
    group = d.choose([1, 1, 1, 2, 3])
    inputs, outputs = d.between(1, 4), d.between(1, 4)
    if group > 1 and d.flag():
        inputs = outputs = 1
    kernel = [d.between(1, 3) for _ in range(spatial)]
    limit = 100 if d.name == "ConvInteger" else 3
    x = d.any(
        0, (spatial + 2, spatial + 2), lambda v: 0 not in v.shape and v.shape[1] == inputs * group and min(v.shape[2:]) > 2,
        -limit, limit, shape=(d.between(1, 2), inputs * group, *(d.between(3, 8) for _ in range(spatial))),
    )  # fmt: skip
    assert x is not None
    weight = (inputs * group, outputs, *kernel) if d.name == "ConvTranspose" else (outputs * group, inputs, *kernel)
    if group > 1 or d.flag(0.2):
        d.set("group", group)
    d.maybe("kernel_shape", kernel)
    window(d, spatial, kernel)
    if d.name == "ConvTranspose" and "strides" in d.attributes and d.flag(0.3):
        d.set("output_padding", [d.between(0, s - 1) for s in d.attributes["strides"]])
    w = d.new(1, weight, -limit, limit)
    if d.name == "ConvInteger":
        return [x, w, *([d.new(2, (), 0, 20), d.new(3, (), 0, 20)][: d.between(0, 2)])]
    return [x, w, d.of(2, (outputs * group,))] if d.flag() else [x, w]


@recipe("QLinearConv")
def qlinear_conv(d: Draw) -> list[Operand]:
    spatial = 2
    inputs, outputs, kernel = d.between(1, 3), d.between(1, 3), [d.between(1, 3)] * 2
    window(d, spatial, kernel)
    x = image(d, inputs, spatial, 0, -100, 100)
    per = d.choose([(), (outputs,)])
    return [
        x, d.new(1, (), 0.01, 0.1), d.new(2, (), 0, 20), d.new(3, (outputs, inputs, *kernel), -60, 60),
        d.new(4, per, 0.01, 0.1), d.new(5, per, 0, 9), d.new(6, (), 0.05, 0.3), d.new(7, (), 0, 20),
        *([d.new(8, (outputs,), -100, 100)] if d.flag() else []),
    ]  # fmt: skip


@recipe("DeformConv")
def deform_conv(d: Draw) -> list[Operand]:
    c, m, k = d.between(1, 3), d.between(1, 3), d.between(1, 3)
    h, w = d.between(k, 6), d.between(k, 6)
    d.maybe("kernel_shape", [k, k])
    oh, ow = h - k + 1, w - k + 1
    x = d.new(0, (1, c, h, w))
    made: list[Operand] = [x, d.new(1, (m, c, k, k)), d.new(2, (1, 2 * k * k, oh, ow), -1.3, 1.3)]
    made.append(d.new(3, (m,)) if d.flag() else None)
    return [*made, d.new(4, (1, k * k, oh, ow), 0, 1)] if d.flag() else made


@recipe("MaxPool", "AveragePool", "LpPool")
def pool(d: Draw) -> list[Operand]:
    x = picture(d)
    assert x is not None
    spatial = len(x.shape) - 2
    kernel = [d.between(1, min(3, s)) for s in x.shape[2:]]
    d.set("kernel_shape", kernel)
    window(d, spatial, kernel, pads=True)
    d.maybe("ceil_mode", d.between(0, 1))
    d.maybe("count_include_pad", d.between(0, 1))
    if d.name == "LpPool":
        d.maybe("p", d.between(1, 3))
    if d.name == "MaxPool" and d.since >= 8 and d.flag(0.3):
        d.outputs = 2
        d.maybe("storage_order", d.between(0, 1))
    return [x]


@recipe("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(d: Draw) -> list[Operand]:
    d.maybe("p", d.between(1, 3))
    return [picture(d)]


@recipe("MaxUnpool")
def max_unpool(d: Draw) -> list[Operand]:
    d.set("kernel_shape", [2, 2])
    d.set("strides", [2, 2])
    h, w = d.between(1, 3), d.between(1, 3)
    x = d.new(0, (1, 1, h, w))
    flat = np.sort(d.random.permutation(4 * h * w)[: h * w]).reshape(1, 1, h, w)
    return [x, d.source(flat.astype(np.int64), TensorProto.INT64)]


@recipe("MaxRoiPool")
def max_roi_pool(d: Draw) -> list[Operand]:
    d.set("pooled_shape", [d.between(1, 3), d.between(1, 3)])
    x = d.new(0, (2, 2, 6, 7))
    corners = np.sort(d.random.integers(0, 6, (3, 2, 2)), axis=1).reshape(3, 4)
    rois = np.concatenate([d.random.integers(0, 2, (3, 1)), corners], 1)
    return [x, d.source(rois.astype(x.value.dtype), x.kind)]


@recipe("RoiAlign")
def roi_align(d: Draw) -> list[Operand]:
    d.maybe("mode", d.choose(["avg", "max"]))
    d.maybe("output_height", d.between(1, 3))
    d.maybe("output_width", d.between(1, 3))
    d.maybe("sampling_ratio", d.between(1, 3))
    d.maybe("spatial_scale", d.choose([0.5, 1.0]))
    d.maybe("coordinate_transformation_mode", d.choose(["half_pixel", "output_half_pixel"]))
    x = d.new(0, (2, 2, 6, 7))
    rois = np.sort(d.random.uniform(0, 7, (3, 2, 2)), axis=1).reshape(3, 4).astype(x.value.dtype)
    return [x, d.source(rois, x.kind), d.source(d.random.integers(0, 2, 3), TensorProto.INT64)]


@recipe("BatchNormalization")
def batch_norm(d: Draw) -> list[Operand]:
    x = d.any(0, (2, 5), lambda v: 0 not in v.shape, shape=(2, d.between(1, 5), *d.shape((0, 2))))
    d.maybe("epsilon", d.choose([1e-5, 1e-3]))
    if d.since < 7:
        d.set("is_test", 1)
        d.set("consumed_inputs", [0, 0, 0, 1, 1])
    c = (x.shape[1],)
    if d.has("training_mode") and d.flag(0.2):
        d.set("training_mode", 1)
        d.outputs = 3
    for i in (1, 3):
        d.kinds.setdefault(d.variable(i), x.kind)
    return [x, d.of(1, c), d.of(2, c), d.of(3, c), d.new(4, c, 0.2, 3)]


@recipe("InstanceNormalization")
def instance_norm(d: Draw) -> list[Operand]:
    x = picture(d)
    assert x is not None
    d.maybe("epsilon", d.choose([1e-5, 1e-2]))
    return [x, d.of(1, (x.shape[1],)), d.of(2, (x.shape[1],))]


@recipe("GroupNormalization")
def group_norm(d: Draw) -> list[Operand]:
    groups, each = d.between(1, 3), d.between(1, 3)
    d.set("num_groups", groups)
    x = d.new(0, (d.between(1, 2), groups * each, *(d.between(1, 5) for _ in range(d.between(1, 3)))))
    c = (groups * each if d.since >= 21 else groups,)
    return [x, d.of(1, c), d.of(2, c)]


@recipe("LayerNormalization", "RMSNormalization")
def layer_norm(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4), lambda v: 0 not in v.shape)
    if 0 in x.shape:
        raise Unfit("nothing to normalise")
    axis = d.axis(len(x.shape))
    d.set("axis", axis)
    d.maybe("epsilon", d.choose([1e-5, 1e-2]))
    shape = x.shape[axis:]
    d.kinds.setdefault(d.variable(1), x.kind)
    if d.name == "RMSNormalization":
        return [x, d.of(1, shape)]
    d.outputs = d.between(1, 3) if d.flag(0.3) else 1
    return [x, d.of(1, shape), d.of(2, shape)] if d.flag() else [x, d.of(1, shape)]


@recipe("MeanVarianceNormalization")
def mvn(d: Draw) -> list[Operand]:
    shape = (d.between(2, 3), d.between(1, 4), d.between(2, 5), d.between(2, 5))
    x = d.new(0, shape, among=[TensorProto.FLOAT])  # in the function that defines it constants are of f32
    d.maybe("axes", d.choose([[0, 2, 3], [2, 3], [0, 1, 2, 3]]))
    return [x]


@recipe("LRN")
def lrn(d: Draw) -> list[Operand]:
    d.set("size", d.choose([1, 3, 5]))
    d.maybe("alpha", 0.01)
    d.maybe("beta", 0.75)
    d.maybe("bias", 1.5)
    return [picture(d, (4, 4))]


@recipe("Dropout")
def dropout(d: Draw) -> list[Operand]:
    x = d.any(0)
    d.maybe("is_test", 1)
    if d.since < 7:
        d.set("is_test", 1)
    if d.since >= 10 and d.flag(0.3):
        d.outputs = 2
    if d.since < 12:
        d.maybe("ratio", 0.3)
        return [x]
    return [x, d.new(1, (), 0, 0.9)] if d.flag() else [x]


@recipe("RNN", "GRU", "LSTM")
def recurrent(d: Draw) -> list[Operand]:
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[d.name]
    steps, batch, inputs, hidden = d.between(1, 5), d.between(1, 3), d.between(1, 5), d.between(1, 5)
    direction = d.choose(["forward", "reverse", "bidirectional"])
    n = 2 if direction == "bidirectional" else 1
    d.set("hidden_size", hidden)
    d.set("direction", direction)
    layout = int(d.has("layout") and d.flag(0.3))
    d.maybe("layout", layout)
    layout = d.attributes.get("layout", 0)
    if d.name == "GRU":
        d.maybe("linear_before_reset", d.between(0, 1))
    if d.name == "LSTM":
        d.maybe("input_forget", d.between(0, 1))
    if d.flag(0.2):
        d.set("clip", 1.5)
    if d.flag(0.3):
        count = {"RNN": 1, "GRU": 2, "LSTM": 3}[d.name]
        names = ["Sigmoid", "Tanh", "Relu", "Softsign", "Softplus"]
        d.set("activations", [d.choose(names) for _ in range(count * n)])
    flip = (lambda a, b: (b, a)) if layout else (lambda a, b: (a, b))
    made: list[Operand] = [
        d.of(0, (*flip(steps, batch), inputs)), d.new(1, (n, gates * hidden, inputs), -1, 1),
        d.new(2, (n, gates * hidden, hidden), -1, 1),
    ]  # fmt: skip
    made.append(d.new(3, (n, 2 * gates * hidden), -1, 1) if d.flag() else None)
    made.append(d.source(d.random.integers(1, steps + 1, batch).astype(np.int32), 6) if d.flag(0.4) else None)
    state = (*flip(n, batch), hidden)
    made.append(d.new(5, state, -1, 1) if d.flag() else None)
    if d.name == "LSTM":
        made.append(d.new(6, state, -1, 1) if d.flag() else None)
        made.append(d.new(7, (n, 3 * hidden), -1, 1) if d.flag(0.3) else None)
    d.outputs = d.between(1, 3 if d.name == "LSTM" else 2)
    return made


@recipe("Attention")
def attention(d: Draw) -> list[Operand]:
    batch, kv_heads, times = d.between(1, 2), d.between(1, 2), d.between(1, 2)
    heads, q_len, kv_len = kv_heads * times, d.between(1, 5), d.between(1, 6)
    size, v_size = d.between(1, 4) * 2, d.between(1, 4) * 2
    flat = d.flag(0.4)
    if flat:
        d.set("q_num_heads", heads)
        d.set("kv_num_heads", kv_heads)
    d.maybe("is_causal", d.between(0, 1))
    d.maybe("scale", d.number(0.2, 1))
    if d.flag(0.2):
        d.set("softcap", 2.0)
    form = lambda h, l, s: (batch, l, h * s) if flat else (batch, h, l, s)  # noqa: E731
    made: list[Operand] = [
        d.new(0, form(heads, q_len, size)), d.new(1, form(kv_heads, kv_len, size)),
        d.new(2, form(kv_heads, kv_len, v_size)),
    ]  # fmt: skip
    past = d.between(1, 3) if d.flag(0.3) else 0
    if d.flag(0.4):
        shape = d.choose([(q_len, kv_len + past), (batch, 1, q_len, kv_len + past), (1, heads, q_len, kv_len + past)])
        mask = d.new(3, shape, among=[made[0].kind, TensorProto.BOOL])
        if mask.kind == TensorProto.BOOL:  # something is seen everywhere
            seen = mask.value.copy()
            seen[..., 0] = True
            d.change(mask, seen)
        made.append(mask)
    elif past:
        made.append(None)
    if past:
        made += [d.new(4, (batch, kv_heads, past, size)), d.new(5, (batch, kv_heads, past, v_size))]
        d.outputs = 3
    return made


@recipe("RotaryEmbedding")
def rotary(d: Draw) -> list[Operand]:
    batch, heads, length, size = d.between(1, 2), d.between(1, 3), d.between(1, 5), 2 * d.between(1, 4)
    d.maybe("interleaved", d.between(0, 1))
    flat = d.flag(0.4)
    if flat:
        d.set("num_heads", heads)
    x = d.new(0, (batch, length, heads * size) if flat else (batch, heads, length, size))
    if d.flag():
        rows = 8
        ids = d.source(d.random.integers(0, rows, (batch, length)), TensorProto.INT64)
        return [x, d.new(1, (rows, size // 2)), d.new(2, (rows, size // 2)), ids]
    return [x, d.new(1, (batch, length, size // 2)), d.new(2, (batch, length, size // 2))]


@recipe("CausalConvWithState")
def causal_conv(d: Draw) -> list[Operand]:
    batch, channels, length, k = d.between(1, 2), d.between(1, 4), d.between(1, 6), d.between(1, 4)
    d.outputs = 2
    d.maybe("activation", d.choose(["none", "silu", "swish"]))
    made: list[Operand] = [d.new(0, (batch, channels, length)), d.new(1, (channels, 1, k))]
    made.append(d.new(2, (channels,)) if d.flag() else None)
    return [*made, d.new(3, (batch, channels, k - 1))] if d.flag() and k > 1 else made


@recipe("LinearAttention")
def linear_attention(d: Draw) -> list[Operand]:
    batch, heads, length, size, v_size = d.between(1, 2), d.between(1, 3), d.between(1, 5), d.between(1, 4), d.between(1, 4)
    d.set("q_num_heads", heads)
    d.set("kv_num_heads", heads)
    rule = d.choose(["linear", "gated", "delta", "gated_delta"])
    d.set("update_rule", rule)
    d.maybe("scale", d.number(0.2, 1))
    d.outputs = 2
    made: list[Operand] = [
        d.new(0, (batch, length, heads * size), -1, 1), d.new(1, (batch, length, heads * size), -1, 1),
        d.new(2, (batch, length, heads * v_size), -1, 1),
    ]  # fmt: skip
    d.kinds[d.variable(3)] = made[0].kind if made[0].kind in d.allowed(3) else TensorProto.FLOAT  # type: ignore[union-attr]
    made.append(d.new(3, (batch, heads, size, v_size), -1, 1) if d.flag() else None)
    made.append(d.new(4, (batch, length, heads), -1, 0) if "gated" in rule else None)
    made.append(d.new(5, (batch, length, heads), 0, 1) if "delta" in rule else None)
    return made


@recipe("Resize", "Upsample")
def resize(d: Draw) -> list[Operand]:
    modes = ["nearest", "linear"] + (["cubic"] if d.since >= 11 else [])
    mode = d.choose(modes)
    kinds = d.allowed(0) if mode == "nearest" else list(FLOATS)  # no integers lie between two
    shape = (1, d.between(1, 2), d.between(1, 6), d.between(1, 6))
    x = d.any(0, (2, 4), lambda v: 0 not in v.shape, among=kinds, shape=shape)
    rank = len(x.shape)
    if 0 in x.shape:
        raise Unfit("nothing to resize")
    d.set("mode", mode)
    if d.since >= 11:
        ways = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
        d.maybe("coordinate_transformation_mode", d.choose(ways + (["half_pixel_symmetric"] if d.since >= 19 else [])))
        if mode == "nearest":
            d.maybe("nearest_mode", d.choose(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
        if mode == "cubic":
            d.maybe("exclude_outside", d.between(0, 1))
            d.maybe("cubic_coeff_a", -0.5)
    if mode != "nearest" and d.flag(0.2):
        d.set("antialias", 1)
    scales = [1.0] * rank
    for axis in range(max(0, rank - 2), rank):
        scales[axis] = d.choose([1.0, 2.0, 3.0, 1.5, 0.5, 2.5] if d.name == "Resize" else [1.0, 2.0, 3.0])
    sizes = [max(1, int(s * k)) for s, k in zip(x.shape, scales)]
    if d.since < 9 and d.name == "Upsample":
        d.set("scales", scales)
        return [x]
    if d.has("axes") and rank > 2 and d.flag(0.4):
        d.set("axes", [rank - 2, rank - 1])
        scales, sizes = scales[-2:], sizes[-2:]
    given = d.source(np.array(scales, np.float32), TensorProto.FLOAT, pinned=True)
    if d.since < 11:
        return [x, given]
    roi = d.source(np.zeros(0, np.float32), TensorProto.FLOAT, "constant", pinned=True) if d.since < 13 else None
    if d.flag(0.4):
        none = d.source(np.zeros(0, np.float32), TensorProto.FLOAT, "constant", pinned=True) if d.since < 13 else None
        return [x, roi, none, d.ints(sizes)]
    return [x, roi, given]


@recipe("GridSample")
def grid_sample(d: Draw) -> list[Operand]:
    new = d.since >= 20
    d.set("mode", d.choose(["nearest", "linear", "cubic"] if new else ["nearest", "bilinear", "bicubic"]))
    d.maybe("padding_mode", d.choose(["zeros", "border", "reflection"]))
    d.maybe("align_corners", d.between(0, 1))
    spatial = 3 if new and d.attributes["mode"] != "cubic" and d.flag(0.3) else 2
    n = d.between(1, 2)
    kinds = d.allowed(0) if d.attributes["mode"] == "nearest" else list(FLOATS)  # no integers lie between two
    x = d.new(0, (n, d.between(1, 2), *(d.between(2, 5) for _ in range(spatial))), among=kinds)
    return [x, d.new(1, (n, *(d.between(1, 4) for _ in range(spatial)), spatial), -1.3, 1.3)]


@recipe("AffineGrid")
def affine_grid(d: Draw) -> list[Operand]:
    spatial, n = d.between(2, 3), d.between(1, 2)
    d.maybe("align_corners", d.between(0, 1))
    theta = d.new(0, (n, spatial, spatial + 1))
    return [theta, d.ints([n, d.between(1, 3), *(d.between(1, 5) for _ in range(spatial))])]


@recipe("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(d: Draw) -> list[Operand]:
    n, c = d.between(1, 4), d.between(1, 5)
    rest = d.shape((0, 2))
    if 0 in rest:
        raise Unfit("a loss of nothing")
    x = d.new(0, (n, c, *rest))
    kind = d.kind(1)
    target = draw(d.random, kind, (n, *rest), 0, c - 1)
    if d.has("ignore_index") and d.flag(0.3):
        ignored = d.choose([0, c - 1, -1, 100])
        d.set("ignore_index", ignored)
        target = np.where(d.random.random(target.shape) < 0.2, ignored, target).astype(dtype_of(kind))
    d.maybe("reduction", d.choose(["none", "mean", "sum"]))
    if d.name[0] == "S" and d.flag(0.3):
        d.outputs = 2
    made: list[Operand] = [x, d.source(target, kind)]
    return [*made, d.new(2, (c,), 0.1, 2)] if d.flag() else made


@recipe("NonMaxSuppression")
def nms(d: Draw) -> list[Operand]:
    n, boxes, classes = d.between(1, 2), d.between(1, 8), d.between(1, 2)
    corners = np.sort(d.random.uniform(0, 4, (n, boxes, 2, 2)), axis=2).reshape(n, boxes, 4).astype(np.float32)
    d.maybe("center_point_box", d.between(0, 1))
    scores = (d.random.permutation(n * classes * boxes).reshape(n, classes, boxes) / 16).astype(np.float32)
    made: list[Operand] = [d.source(corners, 1), d.source(scores, 1), d.ints([d.between(0, 5)])]
    if d.flag(0.7):
        made.append(d.source(np.array([0.4], np.float32), 1))
        if d.flag():
            made.append(d.source(np.array([0.2], np.float32), 1))
    return made


@recipe("HannWindow", "HammingWindow", "BlackmanWindow")
def signal_window(d: Draw) -> list[Operand]:
    d.maybe("periodic", d.between(0, 1))
    d.maybe("output_datatype", d.choose([1, 11, 10]))
    return [d.ints(d.between(1, 12), 0)]


@recipe("MelWeightMatrix")
def mel(d: Draw) -> list[Operand]:
    return [d.ints(d.between(2, 6), 0), d.ints(16, 1), d.ints(8000, 2), d.source(np.array(0.0, np.float32), 1),
            d.source(np.array(4000.0, np.float32), 1)]  # fmt: skip


@recipe("DFT")
def dft(d: Draw) -> list[Operand]:
    length = d.between(1, 9)
    inverse, complex_ = d.flag(0.4), d.flag(0.5)
    onesided = not inverse and not complex_ and d.flag()
    d.maybe("inverse", int(inverse))
    inverse = bool(d.attributes.get("inverse", 0))
    if inverse:
        complex_ = True
    d.set("onesided", int(onesided and not inverse))
    x = d.new(0, (d.between(1, 2), length, d.between(1, 3), 2 if complex_ else 1))
    if d.since < 20:
        d.set("axis", 1)
        return [x, d.ints(d.between(1, 10), 1)] if d.flag(0.4) else [x]
    return [x, d.ints(d.between(1, 10), 1) if d.flag(0.4) else None, d.ints(1)]


@recipe("STFT")
def stft(d: Draw) -> list[Operand]:
    size = d.between(2, 8)
    d.maybe("onesided", d.between(0, 1))
    x = d.new(0, (d.between(1, 2), d.between(size, 20), 1))
    d.kinds.pop("T2", None)
    step = d.ints(d.between(1, 4), 1)
    if d.flag():
        return [x, step, d.of(2, (size,))] if d.flag() else [x, step, d.of(2, (size,)), d.ints(size, 3)]
    return [x, step, None, d.ints(size, 3)]
