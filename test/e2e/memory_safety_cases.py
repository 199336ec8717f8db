"""What test_memory_safety.py runs: models, and input values that no model should be given."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

LEAST, MOST = -(1 << 63), (1 << 63) - 1
NAN, INF = np.nan, np.inf
Inputs = dict[str, np.ndarray]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def scalar(value: int) -> np.ndarray:
    return np.array(value, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


@dataclass
class Subject:
    """A model, inputs that it takes, and others that it refuses or answers."""

    text: str
    good: Inputs
    # What is changed of the good inputs, and the message.
    faults: list[tuple[Inputs, str]] = field(default_factory=list)
    # What is changed, and the outputs (None: what ONNX's reference says).
    answers: list[tuple[Inputs, list[np.ndarray] | None]] = field(default_factory=list)


X = numbers(3, 4)
CUBE = numbers(2, 3, 4)
IMAGE = numbers(1, 2, 4, 4)
SUBJECTS: dict[str, Subject] = {}


def out_of_range(name: str, size: int, message: str = "an index is out of range", shape: tuple[int, ...] = (1,)):
    """Faults of an input of indices into a dimension."""
    values = [size, -size - 1, MOST, LEAST, 1 << 32, (1 << 31) + size, -(1 << 33)]
    return [({name: np.full(shape, value, np.int64)}, message) for value in values]


SUBJECTS["gather"] = Subject(
    "m (float[a, b] x, int64[k] i) => (float[r, s] y) { y = Gather (x, i) }",
    {"x": X, "i": ints(0, -1)},
    out_of_range("i", 3) + [({"x": numbers(0, 4), "i": ints(0)}, "an index is out of range")],
    [({"x": numbers(0, 4), "i": ints()}, [numbers(0, 4)]), ({"i": ints(2, -3)}, None)],
)
SUBJECTS["gather_i32"] = Subject(
    "m (float[a, b] x, int32[k] i) => (float[r, s] y) { y = Gather <axis = 1> (x, i) }",
    {"x": X, "i": np.array([0, -1], np.int32)},
    [({"i": np.array([v], np.int32)}, "an index is out of range") for v in (4, -5, (1 << 31) - 1, -(1 << 31))],
)
SUBJECTS["gather_scalar"] = Subject(
    "m (float[a, b] x, int64 i) => (float[s] y) { y = Gather (x, i) }",
    {"x": X, "i": scalar(0)},
    out_of_range("i", 3, shape=()),
)
SUBJECTS["gather_of_integers"] = Subject(  # shape arithmetic, on scalars
    "m (int64[4] x, int64 i) => (int64 y) { y = Gather (x, i) }",
    {"x": ints(5, 6, 7, 8), "i": scalar(1)},
    out_of_range("i", 4, shape=()),
)
SUBJECTS["gather_elements"] = Subject(
    "m (float[a, b] x, int64[k, l] i) => (float[r, s] y) { y = GatherElements <axis = 1> (x, i) }",
    {"x": X, "i": np.zeros((2, 3), np.int64)},
    out_of_range("i", 4, shape=(2, 2)) + [({"i": np.zeros((4, 1), np.int64)}, "")],
)
SUBJECTS["gather_nd"] = Subject(
    "m (float[a, b] x, int64[n, 2] i) => (float[r] y) { y = GatherND (x, i) }",
    {"x": X, "i": np.array([[0, 0]])},
    [({"i": np.array([pair])}, "an index is out of range")
     for pair in ([3, 0], [0, 4], [-4, 0], [0, -5], [MOST, 0], [0, LEAST], [MOST, MOST])],
)
SUBJECTS["gather_nd_batch"] = Subject(
    "m (float[a, b] x, int64[n, 1] i) => (float[r] y) { y = GatherND <batch_dims = 1> (x, i) }",
    {"x": X, "i": np.zeros((3, 1), np.int64)},
    out_of_range("i", 4, shape=(3, 1)) + [({"i": np.zeros((4, 1), np.int64)}, "")],
)
for op, more in {"ScatterElements": "", "Scatter": "", "ScatterElements_add": ' reduction = "add"'}.items():
    opset = ' <ir_version: 10, opset_import: ["" : 9]> ' if op == "Scatter" else ""
    SUBJECTS[op.lower()] = Subject(
        f"{opset}m (float[a, b] x, int64[k, l] i, float[p, q] u) => (float[r, s] y)"
        f" {{ y = {op.split('_')[0]} <axis = 0{',' if more else ''}{more}> (x, i, u) }}",
        {"x": X, "i": np.zeros((1, 2), np.int64), "u": numbers(1, 2)},
        out_of_range("i", 3, shape=(1, 2))
        + [({"i": np.zeros((1, 5), np.int64), "u": numbers(1, 5)}, ""), ({"u": numbers(1, 1)}, "")],
    )
for reduction in ("none", "add", "max"):
    SUBJECTS[f"scatter_nd_{reduction}"] = Subject(
        "m (float[a, b] x, int64[n, 1] i, float[n, q] u) => (float[r, s] y)"
        f' {{ y = ScatterND <reduction = "{reduction}"> (x, i, u) }}',
        {"x": X, "i": np.array([[0], [-1]]), "u": numbers(2, 4)},
        out_of_range("i", 3, shape=(2, 1)) + [({"u": numbers(2, 5)}, "")],
    )
SUBJECTS["tensor_scatter"] = Subject(
    '<ir_version: 11, opset_import: ["" : 24]> m (float[2, 4, 3] c, float[2, s, 3] u, int64[2] w) => (float[2, 4, 3] y)'
    " { y = TensorScatter <axis = 1> (c, u, w) }",
    {"c": numbers(2, 4, 3), "u": numbers(2, 2, 3), "w": ints(0, 2)},
    [({"w": ints(0, v)}, "an index is out of range") for v in (3, 5, MOST, LEAST, MOST - 1)],
)
SUBJECTS["tensor_scatter_circular"] = Subject(
    '<ir_version: 11, opset_import: ["" : 24]> m (float[2, 4, 3] c, float[2, s, 3] u, int64[2] w) => (float[2, 4, 3] y)'
    ' { y = TensorScatter <axis = 1, mode = "circular"> (c, u, w) }',
    {"c": numbers(2, 4, 3), "u": numbers(2, 2, 3), "w": ints(0, 3)},
    [],
    [({"w": ints(0, 4)}, None), ({"w": ints(0, 7)}, None)],
)
SLICE = (
    "m (float[a, b] x, int64[k] s, int64[k] e, int64[k] a, int64[k] t) => (float[r, q] y) { y = Slice (x, s, e, a, t) }"
)
SUBJECTS["slice"] = Subject(
    SLICE,
    {"x": X, "s": ints(0), "e": ints(2), "a": ints(0), "t": ints(1)},
    [({"t": ints(0)}, "the step of dimension 0 is 0")] + [({"a": ints(v)}, "an index is out of range") for v in (2, LEAST, MOST)],
    [({"s": ints(s), "e": ints(e), "t": ints(t)}, [X[s:e:t] if t > 0 or e != LEAST else X[s::t]])
     for s, e, t in ((0, MOST, 1), (MOST, MOST, 1), (LEAST, MOST, 1), (LEAST, MOST, MOST), (MOST, LEAST, -1),
                     (MOST, LEAST, LEAST), (2, LEAST, LEAST + 1), (1, LEAST, -MOST), (0, 0, 1), (5, 2, 1))],
)
SUBJECTS["one_hot"] = Subject(
    "m (int64[n] i, int64 d, float[2] v) => (float[r, s] y) { y = OneHot (i, d, v) }",
    {"i": ints(0, 2, -1), "d": scalar(3), "v": floats(0, 1)},
    [({"d": scalar(-1)}, "the depth is negative"), ({"d": scalar(LEAST)}, "the depth is negative"),
     ({"d": scalar(MOST)}, "its size overflows"), ({"d": scalar(1 << 60)}, "its size overflows")],
    [({"i": ints(3, -4, MOST, LEAST)}, [np.zeros((4, 3), np.float32)]),
     ({"d": scalar(0)}, [np.zeros((3, 0), np.float32)])],
)
SUBJECTS["top_k"] = Subject(
    "m (float[a, b] x, int64[1] k) => (float[r, s] y, int64[r, s] i) { y, i = TopK (x, k) }",
    {"x": X, "k": ints(2)},
    [({"k": ints(v)}, "k is larger than the dimension") for v in (5, MOST)]
    + [({"k": ints(v)}, "k is negative") for v in (-1, LEAST)],
    [({"k": ints(0)}, [np.zeros((3, 0), np.float32), np.zeros((3, 0), np.int64)]),
     ({"x": numbers(3, 0), "k": ints(0)}, [np.zeros((3, 0), np.float32), np.zeros((3, 0), np.int64)]),
     ({"x": numbers(0, 4)}, [np.zeros((0, 2), np.float32), np.zeros((0, 2), np.int64)])],
)
SUBJECTS["top_k_nan"] = Subject(
    "m (float[a] x, int64[1] k) => (int64[s] i) { y, i = TopK (x, k) }",
    {"x": floats(NAN, NAN, NAN, NAN), "k": ints(4)},
    [({"k": ints(5)}, "k is larger than the dimension")],
)
SUBJECTS["roi_align"] = Subject(
    "m (float[n, c, h, w] x, float[k, 4] r, int64[k] b) => (float[p, c, 2, 2] y)"
    " { y = RoiAlign <output_height = 2, output_width = 2> (x, r, b) }",
    {"x": IMAGE, "r": floats(0, 0, 3, 3).reshape(1, 4), "b": ints(0)},
    [({"b": ints(v)}, "an index is out of range") for v in (1, -2, MOST, LEAST)],
    [({"r": floats(*r).reshape(1, 4)}, [np.zeros((1, 2, 2, 2), np.float32)]) for r in ((0, 0, 1e30, 1e30), (0, 0, INF, 1))]
    + [({"x": numbers(1, 2, 4, 4), "r": numbers(0, 4), "b": ints()}, [np.zeros((0, 2, 2, 2), np.float32)])],
)
NMS = "m (float[n, s, 4] b, float[n, c, s] p, int64 k, float t, float u) => (int64[r, 3] y) { y = NonMaxSuppression (b, p, k, t, u) }"
SUBJECTS["nms"] = Subject(
    NMS,
    {"b": np.random.default_rng(1).random((1, 5, 4)).astype(np.float32), "p": numbers(1, 2, 5), "k": scalar(3),
     "t": np.float32(0.5), "u": np.float32(0)},
    [({"p": numbers(1, 2, 4)}, "input 'p': dimension 2"), ({"p": numbers(2, 2, 5)}, "input 'p': dimension 0")],
    [({"k": scalar(0)}, [np.zeros((0, 3), np.int64)]), ({"k": scalar(-1)}, [np.zeros((0, 3), np.int64)]),
     ({"k": scalar(LEAST)}, [np.zeros((0, 3), np.int64)]), ({"k": scalar(MOST), "u": np.float32(INF)}, [np.zeros((0, 3), np.int64)]),
     ({"b": numbers(1, 0, 4), "p": numbers(1, 2, 0)}, [np.zeros((0, 3), np.int64)])],
)
for mode in ("nearest", "linear", "cubic"):
    SUBJECTS[f"resize_scales_{mode}"] = Subject(
        f'm (float[a, b] x, float[2] s) => (float[r, t] y) {{ y = Resize <mode = "{mode}"> (x, , s) }}',
        {"x": X, "s": floats(2, 0.5)},
        [({"s": floats(v, 1)}, "a scale is not above 0") for v in (NAN, -INF, -1, 0, -1e-30)]
        + [({"s": floats(v, 1)}, "the new size is negative") for v in (INF, 1e30)],
        [({"s": floats(1e-30, 1)}, [numbers(0, 4)])],
    )
    SUBJECTS[f"resize_sizes_{mode}"] = Subject(
        f'm (float[a, b] x, int64[2] s) => (float[r, t] y) {{ y = Resize <mode = "{mode}"> (x, , , s) }}',
        {"x": X, "s": ints(6, 2)},
        [({"s": ints(v, 1)}, "the new size is negative") for v in (-1, LEAST)]
        + [({"s": ints(v, 1)}, "no memory for") for v in (MOST, 1 << 62)]
        + [({"x": numbers(0, 4)}, "a dimension without elements cannot become larger")],
    )
SUBJECTS["resize_roi"] = Subject(
    'm (float[a, b] x, float[4] roi, int64[2] s) => (float[r, t] y)'
    ' { y = Resize <mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize"> (x, roi, , s) }',
    {"x": X, "roi": floats(0, 0, 1, 1), "s": ints(6, 2)},
    [({"s": ints(-2, 2)}, "the new size is negative")],
    [({"roi": floats(v, 0, w, 1)}, None) for v, w in ((-5, 9), (-1e30, 1e30))],
)
SUBJECTS["upsample"] = Subject(
    '<ir_version: 8, opset_import: ["" : 9]> m (float[a, b] x, float[2] s) => (float[r, t] y) { y = Upsample (x, s) }',
    {"x": X, "s": floats(2, 1)},
    [({"s": floats(v, 1)}, "a scale is not above 0") for v in (NAN, -1, 0)]
    + [({"s": floats(v, 1)}, "the new size is negative") for v in (INF, 1e30)],
)
SUBJECTS["range_int"] = Subject(
    "m (int64 a, int64 b, int64 c) => (int64[n] y) { y = Range (a, b, c) }",
    {"a": scalar(0), "b": scalar(5), "c": scalar(2)},
    [({"c": scalar(0)}, "delta is 0")]
    + [({"a": scalar(a), "b": scalar(b), "c": scalar(c)}, "start or limit is beyond 2305843009213693952")
       for a, b, c in ((LEAST, MOST, 1), (0, MOST, 1), (MOST, LEAST, -1), (MOST, 0, LEAST))]
    + [({"a": scalar(-(1 << 61)), "b": scalar(1 << 61), "c": scalar(1)}, "its size overflows")],
    [({"c": scalar(-1)}, [ints()]), ({"c": scalar(LEAST)}, [ints()]), ({"c": scalar(MOST)}, [ints(0)]),
     ({"a": scalar(5), "b": scalar(0), "c": scalar(-2)}, [ints(5, 3, 1)]),
     ({"a": scalar(5), "b": scalar(-1), "c": scalar(LEAST)}, [ints(5)]),
     ({"a": scalar(-(1 << 61)), "b": scalar(1 << 61), "c": scalar(1 << 61)}, [ints(-(1 << 61), 0)])],
)
SUBJECTS["range_by_one"] = Subject(
    "m (int64 a, int64 b) => (int64[n] y) { c = Constant <value_int = 1> () y = Range (a, b, c) }",
    {"a": scalar(0), "b": scalar(5)},
    [({"a": scalar(a), "b": scalar(b)}, "start or limit is beyond") for a, b in ((0, MOST), (LEAST, 0), (LEAST, MOST))],
    [({"b": scalar(-7)}, [ints()])],
)
SUBJECTS["range_float"] = Subject(
    "m (float a, float b, float c) => (float[n] y) { y = Range (a, b, c) }",
    {"a": np.float32(0), "b": np.float32(5), "c": np.float32(2)},
    [({name: np.float32(value)}, "delta is 0, or there are more than 1099511627776 elements")
     for name, value in (("c", 0), ("b", NAN), ("b", INF), ("c", NAN), ("a", -INF), ("a", NAN), ("c", 1e-38))],
    [({"c": np.float32(-1)}, [floats()]), ({"b": np.float32(-INF)}, [floats()])],
)
HUGE = [ints(MOST, 1), ints(1, MOST), ints(1 << 62, 4), ints(1 << 32, 1 << 32), ints(1 << 33, 1 << 31)]
SUBJECTS["expand"] = Subject(
    "m (float[a, b] x, int64[2] s) => (float[r, t] y) { y = Expand (x, s) }",
    {"x": numbers(1, 1), "s": ints(2, 3)},
    [({"s": s}, "its size overflows") for s in HUGE]
    + [({"s": ints(v, 2)}, "the size of dimension 0 is negative") for v in (-1, LEAST)]
    + [({"x": X, "s": ints(2, 4)}, "the size of dimension 0 is neither 1 nor the wanted one")],
    [({"s": ints(0, 3)}, [numbers(0, 3)]), ({"x": numbers(0, 1), "s": ints(0, 3)}, [numbers(0, 3)])],
)
SUBJECTS["constant_of_shape"] = Subject(
    "m (int64[2] s) => (float[r, t] y) { y = ConstantOfShape (s) }",
    {"s": ints(2, 3)},
    [({"s": s}, "its size overflows") for s in HUGE]
    + [({"s": ints(v, 2)}, "the size of dimension 0 is negative") for v in (-1, LEAST)],
    [({"s": ints(0, 3)}, [numbers(0, 3)])],
)
SUBJECTS["tile"] = Subject(
    "m (float[a, b] x, int64[2] s) => (float[r, t] y) { y = Tile (x, s) }",
    {"x": X, "s": ints(2, 3)},
    [({"s": s}, "no memory for") for s in [*HUGE, ints(1 << 62, 1)]]
    + [({"s": ints(v, 2)}, "the size of dimension 0 is negative") for v in (-1, LEAST)],
    [({"s": ints(0, 3)}, [numbers(0, 12)]), ({"x": numbers(0, 4), "s": ints(2, 2)}, [numbers(0, 8)])],
)
SUBJECTS["reshape"] = Subject(
    "m (float[a, b] x, int64[2] s) => (float[r, t] y) { y = Reshape (x, s) }",
    {"x": X, "s": ints(2, 6)},
    [({"s": s}, "the input's elements do not fill the new shape") for s in [*HUGE, ints(-1, -1), ints(-2, -6), ints(5, -1), ints(3, 5), ints(-1, LEAST),
                               ints(-1, MOST), ints(12, (1 << 63) // 6 - 1)]],
    [({"x": numbers(0, 4), "s": ints(0, -1)}, [numbers(0, 0)]),
     ({"x": numbers(0, 4), "s": ints(0, 7)}, [numbers(0, 7)])],
)
OUT = "a pad of dimension 0 is out of range"
AWAY = "the pads take away more elements than dimension 0 has"
SUBJECTS["pad"] = Subject(
    "m (float[a, b] x, int64[4] p) => (float[r, t] y) { y = Pad (x, p) }",
    {"x": X, "p": ints(1, 0, 0, 1)},
    [({"p": ints(*p)}, OUT) for p in ((MOST, 0, 0, 0), (MOST, 0, MOST, 0), (LEAST, 0, 0, 0), (1 << 62, 0, 1 << 62, 0),
                                      (LEAST, 0, MOST, 0), (LEAST, 0, LEAST, 0))]
    + [({"p": ints(*p)}, AWAY) for p in ((-4, 0, 0, 0), (-2, 0, -2, 0), (0, 0, -4, 0))]
    + [({"p": ints(1 << 40, 0, 0, 0)}, "no memory for")],
    [({"p": ints(-1, 0, 0, 1)}, [np.pad(X[1:], ((0, 0), (0, 1)))]), ({"p": ints(-3, 0, 0, 0)}, [numbers(0, 4)])],
)
for mode in ("edge", "reflect", "wrap"):
    SUBJECTS[f"pad_{mode}"] = Subject(
        f'm (float[a, b] x, int64[4] p) => (float[r, t] y) {{ y = Pad <mode = "{mode}"> (x, p) }}',
        {"x": X, "p": ints(1, 0, 0, 1)},
        [({"p": ints(*p)}, OUT) for p in ((MOST, 0, 0, 0), (LEAST, 0, 0, 0), (1 << 62, 0, 1 << 62, 0))]
        + [({"p": ints(-4, 0, 0, 0)}, AWAY), ({"x": numbers(0, 4), "p": ints(1, 0, 1, 0)}, "nothing to pad it with")],
    )
SUBJECTS["split"] = Subject(
    "m (float[a, b] x, int64[2] s) => (float[r, t] y, float[u, t] z) { y, z = Split (x, s) }",
    {"x": X, "s": ints(1, 2)},
    [({"s": s}, "its sizes do not add up to dimension 0") for s in (ints(1, 1), ints(MOST, 4), ints(MOST, MOST))]
    + [({"s": s}, "a size is negative") for s in (ints(4, -1), ints(LEAST, LEAST), ints(-1, 4), ints(LEAST + 3, LEAST))],
    [({"s": ints(0, 3)}, [numbers(0, 4), X])],
)
SUBJECTS["cumsum"] = Subject(
    "m (float[a, b] x, int64 k) => (float[a, b] y) { y = CumSum (x, k) }",
    {"x": X, "k": scalar(1)},
    [({"k": scalar(v)}, "an axis is out of range") for v in (2, -3, MOST, LEAST)],
    [({"x": numbers(0, 4)}, [numbers(0, 4)])],
)
LENGTH = "a sequence's length is negative or above the number of time steps"
SUBJECTS["reverse_sequence"] = Subject(
    "m (float[t, b] x, int64[b] n) => (float[t, b] y) { y = ReverseSequence (x, n) }",
    {"x": X, "n": ints(1, 2, 3, 1)},
    [({"n": ints(1)}, "input 'n': dimension 0")]
    + [({"n": ints(1, 1, 1, v)}, LENGTH) for v in (4, MOST, 1 << 32, -1, LEAST)],
    [({"n": ints(0, 1, 3, 2)}, [np.stack([X[:, 0], X[:, 1], X[::-1, 2], X[[1, 0, 2], 3]], 1)]),
     ({"x": numbers(0, 4), "n": ints(0, 0, 0, 0)}, [numbers(0, 4)]), ({"x": numbers(3, 0), "n": ints()}, [numbers(3, 0)])],
)
SUBJECTS["reverse_sequence_batch"] = Subject(
    "m (float[b, t] x, int64[b] n) => (float[b, t] y) { y = ReverseSequence <batch_axis = 0, time_axis = 1> (x, n) }",
    {"x": X, "n": ints(1, 2, 4)},
    [({"n": ints(1, 1, v)}, LENGTH) for v in (5, -1)],
)
INTEGER = np.iinfo(np.int32)
for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    SUBJECTS[f"{op.lower()}_lengths"] = Subject(
        f"m (float[t, b, 3] x, float[1, {gates * 4}, 3] w, float[1, {gates * 4}, 4] r, int32[n] l)"
        f" => (float[t, 1, b, 4] y) {{ y = {op} <hidden_size = 4> (x, w, r, , l) }}",
        {"x": numbers(5, 2, 3), "w": numbers(1, gates * 4, 3), "r": numbers(1, gates * 4, 4), "l": np.array([5, 2], np.int32)},
        [({"l": np.array(l, np.int32)}, "dimension 0 of the lengths does not fit") for l in ([1, 1, 1], [1])]
        + [({"l": np.array([1, v], np.int32)}, LENGTH) for v in (6, -1, INTEGER.max, INTEGER.min)],
        [({"l": np.zeros(2, np.int32)}, [np.zeros((5, 1, 2, 4), np.float32)]),
         ({"x": numbers(5, 0, 3), "l": np.zeros(0, np.int32)}, [np.zeros((5, 1, 0, 4), np.float32)])],
    )
    SUBJECTS[f"{op.lower()}_both_ways"] = Subject(
        f"m (float[5, 2, 3] x, float[2, {gates * 4}, 3] w, float[2, {gates * 4}, 4] r, int32[2] l)"
        f' => (float[5, 2, 2, 4] y) {{ y = {op} <hidden_size = 4, direction = "bidirectional"> (x, w, r, , l) }}',
        {"x": numbers(5, 2, 3), "w": numbers(2, gates * 4, 3), "r": numbers(2, gates * 4, 4), "l": np.array([5, 2], np.int32)},
        [({"l": np.array([1, v], np.int32)}, LENGTH) for v in (6, -1)],
    )
SUBJECTS["max_roi_pool"] = Subject(
    "m (float[n, c, h, w] x, float[k, 5] r) => (float[k, c, 2, 2] y) { y = MaxRoiPool <pooled_shape = [2, 2]> (x, r) }",
    {"x": numbers(2, 2, 4, 4), "r": floats(1, 0, 0, 3, 3).reshape(1, 5)},
    [({"r": floats(v, 0, 0, 3, 3).reshape(1, 5)}, "a region is of an image that is not there") for v in (2, -1, INF, -INF, NAN, 1e30)],
    [({"r": numbers(0, 5)}, [np.zeros((0, 2, 2, 2), np.float32)])],
)
SUBJECTS["loop_trip_count"] = Subject(
    "m (int64 n, float[2] x) => (float[2] y) { c = Constant <value = bool {1}> () y = Loop (n, c, x)"
    " <body = b (int64 i, bool q, float[2] v) => (bool p, float[2] w) { p = Identity (q) w = Add (v, v) }> }",
    {"n": scalar(3), "x": floats(1, 2)},
    [],
    [({"n": scalar(v)}, [floats(1, 2)]) for v in (0, -1, LEAST)],
)
SUBJECTS["loop_scan_trip_count"] = Subject(
    "m (int64 n, float[2] x) => (float[k, 2] y) { c = Constant <value = bool {1}> () z, y = Loop (n, c, x)"
    " <body = b (int64 i, bool q, float[2] v) => (bool p, float[2] w, float[2] u) { p = Identity (q) w = Add (v, v) u = Identity (w) }> }",
    {"n": scalar(3), "x": floats(1, 2)},
    [],  # what never ends is cancelled: test_python.py
    [({"n": scalar(v)}, [np.zeros((0, 2), np.float32)]) for v in (0, -1, LEAST)],
)
SUBJECTS["eye_like"] = Subject(
    "m (float[a, b] x) => (float[a, b] y) { y = EyeLike <k = 9223372036854775807> (x) }",
    {"x": X},
    [],
    [({}, [np.zeros((3, 4), np.float32)]), ({"x": numbers(0, 4)}, [numbers(0, 4)])],
)
SUBJECTS["trilu"] = Subject(
    "m (float[a, b] x, int64 k) => (float[a, b] y) { y = Trilu (x, k) }",
    {"x": X, "k": scalar(0)},
    [],
    [({"k": scalar(MOST)}, [np.zeros_like(X)]), ({"k": scalar(LEAST)}, [X]), ({"x": numbers(0, 4)}, [numbers(0, 4)])],
)
SUBJECTS["compress"] = Subject(
    "m (float[a, b] x, bool[k] c) => (float[r, s] y) { y = Compress <axis = 0> (x, c) }",
    {"x": X, "c": np.array([True, False, True])},
    [({"c": np.array([False, False, False, True])}, "an index is out of range"), ({"c": np.ones(9, bool)}, "an index is out of range")],
    [({"c": np.zeros(0, bool)}, [numbers(0, 4)])],
)
SUBJECTS["unique"] = Subject(
    "m (float[a] x) => (float[n] y, int64[n] i, int64[k] j, int64[n] c) { y, i, j, c = Unique (x) }",
    {"x": floats(1, 2, 1)},
    [],
    [({"x": floats()}, [floats(), ints(), ints(), ints()]), ({"x": floats(INF, -INF, INF)}, None)],
)
SUBJECTS["non_zero"] = Subject(
    "m (float[a, b] x) => (int64[2, n] y) { y = NonZero (x) }",
    {"x": X},
    [],
    [({"x": numbers(0, 4)}, [np.zeros((2, 0), np.int64)]), ({"x": np.full((1, 2), NAN, np.float32)}, None)],
)
SUBJECTS["attention_lengths"] = Subject(
    '<ir_version: 11, opset_import: ["" : 24]> m (float[2, 1, s, 4] q, float[2, 1, t, 4] k, float[2, 1, t, 4] v, int64[n] l)'
    " => (float[2, 1, s, 4] y) { y = Attention (q, k, v, , , , l) }",
    {"q": numbers(2, 1, 3, 4), "k": numbers(2, 1, 5, 4), "v": numbers(2, 1, 5, 4), "l": ints(5, 2)},
    [({"l": ints(1, 1, 1)}, "the size of dimension 0 is neither 1 nor the wanted one")],
)
SUBJECTS["dft"] = Subject(
    '<ir_version: 10, opset_import: ["" : 20]> m (float[1, n, 1] x, int64 l) => (float[1, k, 2] y) { y = DFT (x, l) }',
    {"x": numbers(1, 4, 1), "l": scalar(6)},
    [({"l": scalar(v)}, "the transform's length is below 1") for v in (0, -1, LEAST)]
    + [({"l": scalar(MOST)}, "a pad of dimension 1 is out of range"), ({"l": scalar(1 << 40)}, "no memory for")],
)
SUBJECTS["dft_axis"] = Subject(
    '<ir_version: 10, opset_import: ["" : 20]> m (float[1, n, 1] x, int64 a) => (float[1, k, 2] y) { y = DFT (x, , a) }',
    {"x": numbers(1, 4, 1), "a": scalar(1)},
    [({"a": scalar(2)}, "the axis is that of real and imaginary parts")]
    + [({"a": scalar(v)}, "an axis is out of range for rank 3") for v in (-4, MOST, LEAST)],
)
SUBJECTS["stft"] = Subject(
    '<ir_version: 10, opset_import: ["" : 17]> m (float[1, n, 1] x, int64 s, float[w] u) => (float[1, f, k, 2] y) { y = STFT (x, s, u) }',
    {"x": numbers(1, 16, 1), "s": scalar(2), "u": numbers(4)},
    [({"s": scalar(v)}, "the frames' step is below 1") for v in (0, -1, LEAST)]
    + [({"u": numbers(17)}, "a frame is longer than the signal")],
    [({"s": scalar(MOST)}, None)],
)
SUBJECTS["hann_window"] = Subject(
    "m (int64 n) => (float[k] y) { y = HannWindow (n) }",
    {"n": scalar(4)},
    [({"n": scalar(v)}, "there are more than 1099511627776 elements") for v in (MOST, 1 << 41)],
    [({"n": scalar(v)}, [floats()]) for v in (0, -1, LEAST)],
)
SUBJECTS["max_unpool"] = Subject(
    "m (float[1, 1, 2, 2] x, int64[1, 1, 2, 2] i) => (float[1, 1, h, w] y)"
    " { y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i) }",
    {"x": numbers(1, 1, 2, 2), "i": ints(0, 3, 8, 15).reshape(1, 1, 2, 2)},
    out_of_range("i", 16, shape=(1, 1, 2, 2)),
)
SUBJECTS["max_unpool_shape"] = Subject(
    "m (float[1, 1, 2, 2] x, int64[1, 1, 2, 2] i, int64[4] s) => (float[a, b, h, w] y)"
    " { y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i, s) }",
    {"x": numbers(1, 1, 2, 2), "i": ints(0, 3, 8, 15).reshape(1, 1, 2, 2), "s": ints(1, 1, 5, 5)},
    [({"s": ints(1, 1, v, 5)}, "dimension 2") for v in (MOST, LEAST, -1, 1 << 62)],
)
SUBJECTS["col2im"] = Subject(
    '<ir_version: 10, opset_import: ["" : 18]> m (float[1, 4, l] x, int64[2] s, int64[2] b) => (float[1, c, h, w] y) { y = Col2Im (x, s, b) }',
    {"x": numbers(1, 4, 4), "s": ints(3, 3), "b": ints(2, 2)},
    [({"s": ints(*v)}, "the number of blocks does not fit") for v in ((9, 9), (1 << 40, 1 << 40))]
    + [({"s": ints(*v)}, "an image size is negative") for v in ((-1, 3), (LEAST, 3))]
    + [({"s": ints(MOST, MOST)}, "its size overflows")]
    + [({"b": ints(*v)}, "a block size is not positive") for v in ((0, 2), (-1, -4), (LEAST, 2))]
    + [({"b": ints(*v)}, "the number of blocks does not fit") for v in ((MOST, MOST), (3, 2))],
)
SUBJECTS["grid_sample"] = Subject(
    "m (float[1, 1, 4, 4] x, float[1, 2, 2, 2] g) => (float[1, 1, 2, 2] y) { y = GridSample (x, g) }",
    {"x": numbers(1, 1, 4, 4), "g": numbers(1, 2, 2, 2)},
    [],
    [({"g": np.full((1, 2, 2, 2), v, np.float32)}, [np.zeros((1, 1, 2, 2), np.float32)]) for v in (1e30, -1e30, 1e10)],
)
DEFORM = "m (float[1, 1, 4, 4] x, float[1, 1, 2, 2] w, float[1, 8, h, v] o) => (float[1, 1, 3, 3] y) { y = DeformConv (x, w, o) }"
SUBJECTS["deform_conv"] = Subject(
    '<ir_version: 10, opset_import: ["" : 22]> ' + DEFORM,
    {"x": numbers(1, 1, 4, 4), "w": numbers(1, 1, 2, 2), "o": numbers(1, 8, 3, 3)},
    [({"o": numbers(1, 8, *s)}, "the offsets are not those of the window's places") for s in ((3, 4), (0, 3), (2, 9))],
    [({"o": np.full((1, 8, 3, 3), v, np.float32)}, [np.zeros((1, 1, 3, 3), np.float32)]) for v in (1e30, -1e30, 1e10)],
)
SUBJECTS["sequence_of_a_run"] = Subject(
    "m (float[n, 2] x, int64 k, int64 i) => (float[a, b] y)"
    " { s = SplitToSequence <axis = 0> (x, k) t = SequenceErase (s, i) u = SequenceInsert (t, x, i) y = SequenceAt (u, i) }",
    {"x": numbers(6, 2), "k": scalar(2), "i": scalar(1)},
    [({"i": scalar(v)}, "the position is out of range") for v in (MOST, LEAST, 3, -4)] + [({"k": scalar(v)}, "a size below 1") for v in (0, -1, LEAST)],
)
for mode in ("border", "reflection"):
    for kind in ("nearest", "linear", "cubic"):
        SUBJECTS[f"grid_sample_{mode}_{kind}"] = Subject(
            "m (float[1, 1, 4, 4] x, float[1, 2, 2, 2] g) => (float[1, 1, 2, 2] y)"
            f' {{ y = GridSample <padding_mode = "{mode}", mode = "{kind}"> (x, g) }}',
            {"x": np.ones((1, 1, 4, 4), np.float32), "g": numbers(1, 2, 2, 2)},
            [],
            # Not NaN and infinities, which have no place: they must only not crash (below).
            [({"g": np.full((1, 2, 2, 2), v, np.float32)}, [np.ones((1, 1, 2, 2), np.float32)]) for v in (1e6, -1e9)],
        )
for bits in (8, 16, 32, 64):
    dtype = np.dtype(f"uint{bits}")
    for direction in ("LEFT", "RIGHT"):
        SUBJECTS[f"shift_{direction.lower()}_{bits}"] = Subject(
            f'm (uint{bits}[n] x, uint{bits}[n] s) => (uint{bits}[n] y) {{ y = BitShift <direction = "{direction}"> (x, s) }}',
            {"x": np.array([1, 255], dtype), "s": np.array([1, 2], dtype)},
            [],
            [({"x": np.array([255] * 3, dtype), "s": np.array([bits, bits + 1, np.iinfo(dtype).max], dtype)},
              [np.zeros(3, dtype)])],
        )
for bits in (8, 16, 32, 64):
    for sign in ("int", "uint"):
        dtype = np.dtype(f"{sign}{bits}")
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        # By zero: what the type's bits say, defined and without a trap.
        SUBJECTS[f"divide_{dtype}"] = Subject(
            f"m ({dtype}[n] x, {dtype}[n] y) => ({dtype}[n] q, {dtype}[n] r, {dtype}[n] f)"
            " { q = Div (x, y) r = Mod (x, y) f = Mod <fmod = 1> (x, y) }",
            {"x": np.array([7, 9], dtype), "y": np.array([2, 4], dtype)},
            [],
            [({"x": np.array([least, most, 5], dtype), "y": np.array([1, most, 5], dtype)}, None)],
        )
