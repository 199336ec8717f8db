"""What is known to be wrong with the references, and what Nacre refuses with good reason.

Each entry has a reason, which is what the specification says. A node that an entry of
`REFERENCE` describes is computed by ONNX Runtime instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import onnx

Feed = dict[str, Any]


def attribute(node: onnx.NodeProto, name: str, otherwise: Any = None) -> Any:
    for item in node.attribute:
        if item.name == name:
            return onnx.helper.get_attribute_value(item)
    return otherwise


def inner_nodes(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """All nodes of its subgraphs, and of theirs."""
    direct = [inner for item in node.attribute if item.HasField("g") for inner in item.g.node]
    return direct + [inner for each in direct for inner in inner_nodes(each)]


def operators(node: onnx.NodeProto) -> set[str]:
    """The node's and those in its subgraphs."""
    return {node.op_type, *(inner.op_type for inner in inner_nodes(node))}


def has(node: onnx.NodeProto, *names: str) -> bool:
    return any(item.name in names for item in node.attribute)


def given(node: onnx.NodeProto, index: int) -> bool:
    return len(node.input) > index and bool(node.input[index])


When = Callable[[onnx.NodeProto, Feed, int], bool]
def is_uneven(pads: list[int]) -> bool:
    """Whether some dimension has other padding before than behind."""
    return pads[: len(pads) // 2] != pads[len(pads) // 2 :]


def spread(x: np.ndarray) -> float:
    """How far the largest element is from the least."""
    numbers = x.astype(np.float64)
    return float(np.ptp(numbers)) if x.size else 0.0


def near_element(node: onnx.NodeProto, feed: Feed) -> bool:
    """Whether Resize has a place that is an element's but for a rounding, by some formula for places."""
    x = feed[node.input[0]]
    sizes, scales = (feed.get(node.input[i]) if given(node, i) else None for i in (3, 2 if len(node.input) > 2 else 1))
    axes = list(attribute(node, "axes", range(x.ndim)))
    for index, axis in enumerate(axes):
        scale = float(scales[index]) if scales is not None and len(scales) else sizes[index] / max(x.shape[axis], 1)
        count = int(sizes[index]) if sizes is not None else int(x.shape[axis] * scale)
        to = np.arange(count)
        half = (to + 0.5) / scale - 0.5
        symmetric = half + x.shape[axis] / 2 * (1 - count / max(x.shape[axis] * scale, 1e-9))
        for place in (half, symmetric, to / scale, to * (x.shape[axis] - 1) / max(count - 1, 1)):
            distance = np.abs(place - np.round(place))
            if np.any((distance > 0) & (distance < 1e-6)):
                return True
    return False


def near_tie(node: onnx.NodeProto, feed: Feed) -> bool:
    """Whether QLinearMatMul has a result that lies between two integers but for a rounding of its scales."""
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, _ = (feed[name].astype(np.float64) for name in node.input)
    if a_scale.ndim or b_scale.ndim or y_scale.ndim:
        return False
    scaled = (a - a_zero) @ (b - b_zero) * (a_scale * b_scale / y_scale)
    return bool(np.any(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-5 * (1 + np.abs(scaled))))


COERCED: When = lambda node, feed, opset: opset < 13  # noqa: E731
RECURRENT: When = lambda node, feed, opset: (  # noqa: E731
    given(node, 4)
    or attribute(node, "direction", b"forward") != b"forward"
    or has(node, "activations", "clip", "input_forget", "activation_alpha")
)

COERCION = "before version 13 the input is coerced to two dimensions; the reference takes one axis"

# Operator -> (when, why)
REFERENCE: dict[str, list[tuple[When, str]]] = {
    **dict.fromkeys(["Softmax", "Hardmax"], [(COERCED, COERCION)]),
    "LogSoftmax": [
        (COERCED, COERCION),
        (
            lambda node, feed, opset: spread(x := feed[node.input[0]]) > -np.log(float(ml_dtypes.finfo(x.dtype).tiny)),
            "it takes the logarithm of a softmax that is too small for its type's digits, or 0",
        ),
    ],
    **dict.fromkeys(
        ["LayerNormalization", "RMSNormalization", "GroupNormalization", "InstanceNormalization"],
        [
            (
                lambda node, feed, opset: feed[node.input[0]].dtype.itemsize < 4,
                "statistics are of the input's type, which overflows and loses digits, whatever stash_type says",
            )
        ],
    ),
    **dict.fromkeys(
        ["RNN", "GRU", "LSTM"],
        [(RECURRENT, "lengths of sequences, directions, activations, clip and input_forget are ignored")],
    ),
    **dict.fromkeys(
        ["If", "Loop", "Scan", "SequenceMap"],
        [
            (
                lambda node, feed, opset: any(n.op_type == "Loop" and not given(n, 1) for n in inner_nodes(node)),
                "a loop that has no condition ends at once",
            )
        ],
    ),
    "LRN": [
        (
            lambda node, feed, opset: feed[node.input[0]].shape[0] != feed[node.input[0]].shape[1],
            "its loop over channels goes over the batch",
        )
    ],
    "LpNormalization": [
        (lambda node, feed, opset: attribute(node, "p", 2) == 1, "the sum of p = 1 is of numbers, not of their sizes")
    ],
    "Unique": [
        (
            lambda node, feed, opset: attribute(node, "sorted", 1) == 0,
            "with one output it is sorted nevertheless; with more, axis and rank are ignored",
        )
    ],
    "StringNormalizer": [
        (lambda node, feed, opset: True, "stopwords do not change case as words do, and empty words are dropped")
    ],
    "ConvTranspose": [
        (
            lambda node, feed, opset: attribute(node, "group", 1) > 1 and given(node, 2),
            "of several groups, the bias of the first is added to all",
        )
    ],
    "MatMulInteger": [
        (
            lambda node, feed, opset: given(node, 2) and feed[node.input[2]].ndim > 0,
            "zero points of rows are subtracted from columns",
        )
    ],
    "OneHot": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype.kind not in "iu",
            "indices that are no integers are not cast to integers",
        )
    ],
    **dict.fromkeys(
        ["Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"],
        [(lambda node, feed, opset: has(node, "axis"), "before version 7 the axis of broadcasting is ignored")],
    ),
    "QLinearMatMul": [
        (
            lambda node, feed, opset: any("float8" in feed[node.input[i]].dtype.name for i in (0, 3)),
            "f8 values are cut to integers before they are multiplied",
        )
    ],
    "PRelu": [
        (lambda node, feed, opset: opset < 7, "before version 7 there is a slope for each channel, or one for all")
    ],
    "Selu": [
        (
            lambda node, feed, opset: opset < 6 and not (has(node, "alpha") and has(node, "gamma")),
            "version 1 has rounded defaults, 1.6732 and 1.0507",
        )
    ],
    "DequantizeLinear": [
        (
            lambda node, feed, opset: given(node, 2) and "float" in feed[node.input[0]].dtype.name,
            "zero points of f8 and f4 are ignored",
        )
    ],
    "GridSample": [
        (
            lambda node, feed, opset: feed[node.input[1]].dtype.itemsize < feed[node.input[0]].dtype.itemsize,
            "places are computed in the type of the grid, f16 say",
        )
    ],
    "LpPool": [
        (lambda node, feed, opset: attribute(node, "ceil_mode", 0), "windows at the end are moved into the input")
    ],
    "AveragePool": [
        (lambda node, feed, opset: opset < 7, "before version 7 padding does not count"),
        (
            lambda node, feed, opset: attribute(node, "ceil_mode", 0) and max(attribute(node, "dilations", [1])) > 1,
            "with ceil_mode and dilations, windows are moved",
        ),
    ],
    **dict.fromkeys(
        ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"],
        [
            (
                lambda node, feed, opset: attribute(node, "ignore_index") == -1,
                "an ignore_index of -1 is taken for none when the mean is computed",
            )
        ],
    ),
    "MaxPool": [
        (lambda node, feed, opset: len(node.output) > 1, "indices count from the beginning of the channel, not of X"),
        (
            lambda node, feed, opset: attribute(node, "auto_pad") == b"SAME_LOWER",
            "there are fewer windows than by the formula for SAME_LOWER",
        ),
        (
            lambda node, feed, opset: attribute(node, "ceil_mode", 0) and is_uneven(attribute(node, "pads", [])),
            "with ceil_mode, padding of one end is taken for that of the other",
        ),
    ],
    "BatchNormalization": [
        (lambda node, feed, opset: 7 <= opset < 14, "versions 7 and 9 compute the statistics of the batch")
    ],
    "Gemm": [
        (
            lambda node, feed, opset: opset < 7 and not attribute(node, "broadcast", 0) and attribute(node, "beta", 1.0) != 1,
            "in version 6, C is added without beta unless it is broadcast",
        )
    ],
    "Resize": [
        (
            lambda node, feed, opset: (
                attribute(node, "mode", b"nearest") != b"nearest"
                or attribute(node, "coordinate_transformation_mode") == b"half_pixel_symmetric"
            )
            and near_element(node, feed),
            "at a place that a rounding keeps from being an element's, the neighbour on the wrong side is taken",
        )
    ],
    "Gelu": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype.itemsize < 4,
            "1 + erf(x) loses all digits in the input's type where it is nearly 0",
        )
    ],
    "RoiAlign": [
        (lambda node, feed, opset: opset < 16, "version 10 does not shift by half a pixel")
    ],
}

# Operators that the reference, or the function that defines them, computes in f32 whatever the type.
# What follows from them is compared as f32 is, with such an error in elements of about 1.
COARSE: dict[str, str] = {
    **dict.fromkeys(
        ["HannWindow", "HammingWindow", "BlackmanWindow"],
        "the function that defines it computes in f32; that of 0 is the sine of a rounded pi",
    ),
    "HardSwish": "its 1/6 is an attribute, a f32",
    "DeformConv": "places are computed in f32",
    **dict.fromkeys(["Resize", "GridSample", "RoiAlign", "AffineGrid"], "places are computed in f32"),
    **dict.fromkeys(["Erf", "Gelu"], "it is computed in f32"),
    "LogSoftmax": "it is the logarithm of what may be nearly 1",
    "Attention": "the root of a scale that is given is a f32",
    "LRN": "alpha, beta and bias are f32",
    **dict.fromkeys(
        ["GroupNormalization", "LayerNormalization", "RMSNormalization"],
        "statistics are of type stash_type, f32; Nacre computes f64 in f64",
    ),
}
COARSE_UNITS = 2.0**-20

# What neither reference computes as the standard says.
UNDEPENDABLE: dict[str, list[tuple[When, str]]] = {
    "QLinearMatMul": [
        (
            lambda node, feed, opset: near_tie(node, feed),
            "which of two integers a result between them becomes is up to the order of the scales' product",
        )
    ],
    "Resize": [
        (
            lambda node, feed, opset: attribute(node, "coordinate_transformation_mode") == b"align_corners"
            and near_element(node, feed),
            "the reference is wrong there, and ONNX Runtime takes a length that is rounded, where the tests have not",
        )
    ],
    **dict.fromkeys(
        ["Cast", "CastLike"],
        [
            (
                lambda node, feed, opset: "float" in (x := feed[node.input[0]]).dtype.name
                and bool(np.isnan(x.astype(np.float64)).any()),
                "what integer is made of what is no number is not defined",
            )
        ],
    ),
    "DynamicQuantizeLinear": [
        (
            lambda node, feed, opset: not feed[node.input[0]].any(),
            "of zeros, or of nothing, the scale is 0 by the standard's formula, 1 or 1/255 by the references",
        )
    ],
    "GridSample": [
        (
            lambda node, feed, opset: attribute(node, "mode", b"").endswith(b"cubic")
            and attribute(node, "padding_mode") == b"border",
            "the one moves a place to the border, the other only what is read around it",
        )
    ],
    "StringNormalizer": [
        (
            lambda node, feed, opset: not all(str(text).isascii() for text in feed[node.input[0]].ravel()),
            "letters that ASCII lacks change by the locale, which Nacre does not look at",
        )
    ],
    "CenterCropPad": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype == object,
            "strings are padded with numbers",
        )
    ],
    "Pad": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype == object and not given(node, 2),
            "without a value the reference puts numbers among strings, not empty ones; ONNX Runtime takes none",
        )
    ],
    "Trilu": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype == object,
            "the reference puts numbers among strings; ONNX Runtime takes none",
        )
    ],
    "ConvTranspose": [
        (
            lambda node, feed, opset: attribute(node, "auto_pad", b"").startswith(b"SAME")
            and any(s > k for s, k in zip(attribute(node, "strides", []), feed[node.input[1]].shape[2:])),
            "the result is as large as the strides say, but the references do not reach beyond the windows",
        )
    ],
    **dict.fromkeys(
        ["If", "Loop", "Scan", "SequenceMap"],
        [
            (
                lambda node, feed, opset: "LpNormalization" in (inner := operators(node))
                and not inner.isdisjoint({"HannWindow", "HammingWindow", "BlackmanWindow"}),
                "a window's ends are 0 or a rounding error, of which a normalisation makes 0 or 1",
            ),
        ],
    ),
    "NonZero": [
        (
            lambda node, feed, opset: feed[node.input[0]].ndim == 0,
            "of a scalar it gives [0, N] by the standard, [1, N] by the references",
        )
    ],
    "Gemm": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype.kind == "u"
            and min(attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)) < 0,
            "a negative factor makes negative numbers of unsigned ones, whose casts back are not defined",
        )
    ],
    "Erf": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype.kind in "iu",
            "of integers, whether what is nearly 1 is 1 or 0 is up to the last rounding",
        )
    ],
    "ReduceMean": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype.kind in "iu"
            and np.abs(feed[node.input[0]].astype(np.float64)).max(initial=0) > 2.0**50,
            "the reference divides a sum of 64-bit integers, which may have wrapped, in f64; ONNX Runtime has not all types",
        )
    ],
    "ReduceLogSumExp": [
        (
            lambda node, feed, opset: feed[node.input[0]].dtype.kind in "iu",
            "Exp and Log are of floats alone: the reference refuses integers, as the standard does since opset 28, and "
            "ONNX Runtime cuts each exponential to an integer",
        )
    ],
    "StringSplit": [
        (
            lambda node, feed, opset: feed[node.input[0]].ndim == 0,
            "of a scalar the reference counts letters; ONNX Runtime takes the empty text for none",
        )
    ],
    **dict.fromkeys(
        ["MaxPool", "AveragePool", "LpPool"],
        [
            (
                lambda node, feed, opset: attribute(node, "ceil_mode", 0) and attribute(node, "auto_pad") == b"VALID",
                "references let a window hang over the end; by the formula for VALID none does",
            ),
            (
                lambda node, feed, opset: attribute(node, "auto_pad", b"").startswith(b"SAME")
                and any(s > k for s, k in zip(attribute(node, "strides", []), attribute(node, "kernel_shape"))),
                "where windows leave elements out, the formula's padding is negative: one reference cuts, one fails",
            ),
            (
                lambda node, feed, opset: attribute(node, "auto_pad", b"").startswith(b"SAME")
                and max(attribute(node, "dilations", [1])) > 1,
                "the references' padding does not take dilations into account as the formula does",
            ),
        ],
    ),
    "LSTM": [
        (lambda node, feed, opset: has(node, "clip"), "ONNX Runtime does not clip the cell before its activation")
    ],
}

# What ONNX Runtime computes otherwise than the standard says: there, in a node or inside of it, it is no reference.
PEER: dict[str, str] = {
    "BatchNormalization": "in training, of a channel of equal f16 elements ONNX Runtime does not give the bias",
    "Shrink": "numbers of type f64 are computed in f32",
    "StringSplit": "an empty text has one part, as two delimiters have one between them; ONNX Runtime says none",
}

# Messages of refusals -> why they are right.
REFUSALS: dict[str, str] = {
    r"the window does not fit into the padded input": "the same, of sizes that only a run knows",
    r"interpolating elements of type U?INT": "the standard does not say how a number between two integers is rounded",
    r"\(Tile\): it has \d+ repeats, expected \d+": "there are as many repeats as dimensions; the reference takes any number",
    r"a window of \d+ does not fit": "the standard says nothing of a window that is larger than what it moves over",
}


def of_reference(node: onnx.NodeProto, feed: Feed, opset: int) -> str:
    """Why the reference does not hold for a node; "" if it does."""
    for when, why in REFERENCE.get(node.op_type, []):
        if when(node, feed, opset):
            return why
    return ""


def of_both(node: onnx.NodeProto, feed: Feed, opset: int) -> str:
    """Why no reference holds for a node; "" if one does."""
    return next((why for when, why in UNDEPENDABLE.get(node.op_type, []) if when(node, feed, opset)), "")


def of_peer(operators: set[str]) -> str:
    """Why ONNX Runtime is no reference where there are such operators; "" if it is one."""
    return next((PEER[name] for name in sorted(operators & PEER.keys())), "")


def of_refusal(message: str) -> str:
    return next((why for pattern, why in REFUSALS.items() if re.search(pattern, message)), "")
