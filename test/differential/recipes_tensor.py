"""Recipes: operators that move, select and make elements; strings; trees."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from drawing import Draw, Operand
from graphs import Unfit, to_tensor
from recipes_math import recipe
from values import FLOATS, INTEGERS, STRINGS, draw, dtype_of


def factors(d: Draw, count: int) -> list[int]:
    """A shape with so many elements."""
    if count == 0:
        return [0, *d.shape((0, 2))] if d.flag() else [d.size(), 0]
    shape: list[int] = []
    while count > 1 and len(shape) < 4:
        divisors = [k for k in range(2, count + 1) if count % k == 0 and (k < 40 or k == count)]
        shape.append(d.choose(divisors))
        count //= shape[-1]
    if count > 1:
        shape.append(count)
    if len(shape) < 4 and d.flag(0.3):
        shape.insert(d.between(0, len(shape)), 1)
    return [int(s) for s in d.random.permutation(shape)]


@recipe("Reshape")
def reshape(d: Draw) -> list[Operand]:
    x = d.any(0)
    shape = factors(d, x.value.size)
    zero = 0 in shape
    if d.has("allowzero") and zero:
        d.set("allowzero", 1)
    elif zero:
        raise Unfit("a zero would copy")
    else:
        for i, (new, old) in enumerate(zip(shape, x.shape)):
            if new == old and d.flag(0.3):
                shape[i] = 0
    if shape and not zero and d.flag(0.5):
        shape[d.between(0, len(shape) - 1)] = -1
    return [x, *d.sizes("shape", shape, 1)]


@recipe("Flatten")
def flatten(d: Draw) -> list[Operand]:
    x = d.any(0, (0 if d.since >= 9 else 1, 4))
    rank = len(x.shape)
    d.maybe("axis", d.between(-rank if d.opset >= 11 else 0, rank))
    return [x]


@recipe("Squeeze")
def squeeze(d: Draw) -> list[Operand]:
    x = d.any(0, where=lambda v: 1 in v.shape, shape=(1, *d.shape((0, 2)), 1))
    ones = [i for i, s in enumerate(x.shape) if s == 1]
    if d.flag(0.2):
        return [x]
    chosen = sorted(d.some(ones) or ones[:1])
    return [x, *d.sizes("axes", [a - len(x.shape) if d.opset >= 11 and d.flag(0.3) else a for a in chosen], 1)]


@recipe("Unsqueeze")
def unsqueeze(d: Draw) -> list[Operand]:
    x = d.any(0, (0, 3))
    count = d.between(1, 2)
    rank = len(x.shape) + count
    axes = [int(a) for a in d.random.permutation(rank)[:count]]
    return [x, *d.sizes("axes", [a - rank if d.opset >= 11 and d.flag(0.3) else a for a in sorted(axes)], 1)]


@recipe("Expand")
def expand(d: Draw) -> list[Operand]:
    x = d.any(0, (0, 3), where=lambda v: 0 not in v.shape)
    shape = [d.size() if s == 1 and d.flag() else d.choose([1, s]) for s in x.shape]
    if d.flag(0.3):
        shape.insert(0, d.size())
    elif d.flag(0.2) and shape:
        shape = shape[1:]
    return [x, d.ints(np.array(shape, np.int64), 1)]


@recipe("Tile")
def tile(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 3))
    if d.since < 6:
        return [x, d.new(1, (), 1, 3), d.ints(0, 2)]
    return [x, d.ints([d.between(0 if d.flag(0.1) else 1, 3) for _ in x.shape], 1)]


@recipe("Transpose")
def transpose(d: Draw) -> list[Operand]:
    x = d.any(0)
    if x.shape and d.flag(0.85):
        d.set("perm", [int(p) for p in d.random.permutation(len(x.shape))])
    return [x]


@recipe("Shape")
def shape_of(d: Draw) -> list[Operand]:
    x = d.any(0)
    d.maybe("start", d.between(-3, 3))
    d.maybe("end", d.between(-3, 3))
    return [x]


@recipe("Slice")
def slice_(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    rank = len(x.shape)
    axes = d.axes(rank, 1)
    steps = [d.choose([1, 1, 2, 3] + ([-1, -2] if d.since >= 10 else [])) for _ in axes]
    if d.since < 11:
        axes = [abs(a) if a >= 0 else a + rank for a in axes]
    starts, ends = [], []
    for axis, step in zip(axes, steps):
        size = x.shape[axis]
        a, b = sorted([d.between(-size - 1, size + 1), d.between(-size - 1, size + 1)])
        if step < 0:
            a, b = d.choose([(size - 1, -(2**31)), (max(b, -size), a), (-1, -size - 1)])
        elif d.flag(0.2):
            b = d.choose([2**31 - 1, 1000])
        starts.append(a)
        ends.append(b)
    if d.since < 10:
        d.set("starts", starts)
        d.set("ends", ends)
        d.set("axes", axes)
        return [x]
    made: list[Operand] = [x, d.ints(starts, 1), d.ints(ends, 2)]
    if axes == list(range(len(axes))) and d.flag():
        if set(steps) == {1}:
            return made
        return [*made, None, d.ints(steps, 4)]
    return [*made, d.ints(axes, 3), d.ints(steps, 4)] if set(steps) != {1} or d.flag() else [*made, d.ints(axes, 3)]


@recipe("Split")
def split(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    axis = d.axis(len(x.shape))
    d.set("axis", axis)
    size = x.shape[axis]
    if d.flag(0.4):
        parts = [n for n in (1, 2, 3, 4) if d.has("num_outputs") and n <= size or size % n == 0]
        d.outputs = d.choose(parts or [1])
        d.set("num_outputs", d.outputs)
        return [x]
    cuts = sorted(d.between(0, size) for _ in range(d.between(0, 2)))
    sizes = [b - a for a, b in zip([0, *cuts], [*cuts, size])]
    d.outputs = len(sizes)
    return [x, *d.sizes("split", sizes, 1)]


@recipe("Concat")
def concat(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    axis = d.axis(len(x.shape))
    if d.since >= 4 or d.flag():
        d.set("axis", axis)
    else:
        axis = 1
    made = [x]
    for _ in range(d.between(0, 3)):
        shape = list(x.shape)
        if len(shape) <= axis:
            raise Unfit("no axis")
        shape[axis] = d.size()
        made.append(d.of(0, shape))
    return [made[int(i)] for i in d.random.permutation(len(made))]


def indices(d: Draw, size: int, shape: tuple[int, ...], index: int, negative: bool = True) -> Operand:
    if size == 0 and 0 not in shape:
        raise Unfit("no index")
    kind = d.kind(index)
    array = draw(d.random, kind, shape, -size if negative and d.opset >= 11 else 0, size - 1)
    return d.source(array, kind)


@recipe("Gather")
def gather(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    axis = d.axis(len(x.shape))
    d.set("axis", axis)
    return [x, indices(d, x.shape[axis], d.shape((0, 2)), 1)]


@recipe("GatherElements")
def gather_elements(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    axis = d.axis(len(x.shape))
    d.set("axis", axis)
    shape = [d.between(min(1, s), s) for s in x.shape]
    shape[axis] = d.size()
    return [x, indices(d, x.shape[axis], tuple(shape), 1)]


@recipe("GatherND")
def gather_nd(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    rank = len(x.shape)
    batch = d.between(0, rank - 1) if d.has("batch_dims") and d.flag(0.4) else 0
    d.set("batch_dims", batch)
    depth = d.between(1, rank - batch)
    shape = (*x.shape[:batch], *d.shape((0 if not batch else 1, 2)))
    parts = [draw(d.random, TensorProto.INT64, shape, -s if d.opset >= 11 else 0, s - 1) for s in x.shape[batch : batch + depth]]
    if 0 in x.shape:
        raise Unfit("no index")
    array = np.stack(parts, -1)
    # The result's rank depends on how long a tuple of indices is.
    return [x, d.source(array, TensorProto.INT64, pinned=True)]


@recipe("Scatter", "ScatterElements")
def scatter(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    rank = len(x.shape)
    axis = d.axis(rank)
    d.set("axis", axis)
    if d.flag() and x.kind not in (TensorProto.STRING, TensorProto.BOOL):
        d.set("reduction", d.choose(["none", "add", "mul", "min", "max"]))
    shape = [d.between(min(1, s), s) for s in x.shape]
    size = x.shape[axis]
    if 0 in x.shape:
        raise Unfit("no index")
    if d.attributes.get("reduction", "none") == "none":  # places only once
        picked = np.stack(
            [d.random.permutation(size)[: shape[axis]] for _ in range(int(np.prod(shape)) // shape[axis])]
        )
        other = [s for i, s in enumerate(shape) if i != axis % rank]
        array = np.moveaxis(picked.reshape(*other, shape[axis]), -1, axis)
        if d.opset >= 11 and d.flag():
            array = array - size
    else:
        array = d.random.integers(-size, size, shape)
    kind = d.kind(1)
    return [x, d.source(array.astype(dtype_of(kind)), kind), d.of(2, shape)]


@recipe("ScatterND")
def scatter_nd(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    if 0 in x.shape:
        raise Unfit("no index")
    if d.flag() and x.kind not in (TensorProto.STRING, TensorProto.BOOL):
        d.set("reduction", d.choose(["none", "add", "mul", "min", "max"]))
    depth = d.between(1, len(x.shape))
    count = int(np.prod(x.shape[:depth]))
    many = d.between(1, count)
    flat = d.random.permutation(count)[:many]
    if d.attributes.get("reduction", "none") != "none":
        flat = d.random.integers(0, count, many)
    array = np.stack(np.unravel_index(flat, x.shape[:depth]), -1).astype(np.int64)
    if d.opset >= 11 and d.flag():
        array = array - np.array(x.shape[:depth])
    return [x, d.source(array, TensorProto.INT64, pinned=True), d.of(2, (many, *x.shape[depth:]))]


@recipe("TensorScatter")
def tensor_scatter(d: Draw) -> list[Operand]:
    x = d.any(0, (2, 4), lambda v: 0 not in v.shape)
    rank = len(x.shape)
    axis = d.between(1, rank - 1)
    d.set("axis", axis - rank)
    shape = list(x.shape)
    shape[axis] = d.between(1, shape[axis])
    update = d.of(1, shape)
    circular = d.flag(0.4)
    d.set("mode", "circular" if circular else "linear")
    if d.flag(0.2):
        return [x, update]
    top = x.shape[axis] - (1 if circular else shape[axis])
    return [x, update, d.source(d.random.integers(0, top + 1, x.shape[0]), TensorProto.INT64)]


@recipe("Pad")
def pad(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    mode = d.choose(["constant", "constant", "reflect", "edge"] + (["wrap"] if d.since >= 19 else []))
    axes = list(range(len(x.shape)))
    with_axes = d.since >= 18 and d.flag(0.4)
    if with_axes:
        axes = d.axes(len(x.shape), 1)

    def amount(size: int) -> int:
        if mode == "constant":
            return d.between(-min(1, size // 2), 3)
        return 0 if size == 0 else d.between(0, size - 1 if mode == "reflect" else size if mode == "wrap" else 3)

    sides = [amount(x.shape[a]) for a in axes] + [amount(x.shape[a]) for a in axes]
    if mode != "constant" or d.flag():
        d.set("mode", mode)
    if d.since < 11:
        d.set("pads", sides)
        d.set("paddings", sides)
        d.maybe("value", d.number(-2, 2))
        return [x]
    value = d.new(2, (), -3, 3) if d.flag(0.4) and mode == "constant" else None
    made: list[Operand] = [x, d.ints(sides, 1), value]
    return [*made, d.ints(axes, 3)] if with_axes else made if value else made[:2]


@recipe("CenterCropPad")
def center_crop_pad(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    axes = d.axes(len(x.shape), 1)
    if d.flag(0.3):
        axes = list(range(len(x.shape)))
    else:
        d.set("axes", axes)
    return [x, d.ints([d.size() for _ in axes], 1)]


@recipe("DepthToSpace", "SpaceToDepth")
def depth_to_space(d: Draw) -> list[Operand]:
    block = d.between(1, 3)
    d.set("blocksize", block)
    n, c, h, w = (d.between(1, 3) for _ in range(4))
    if d.name == "SpaceToDepth":
        return [d.new(0, (n, c, h * block, w * block))]
    d.maybe("mode", d.choose(["DCR", "CRD"]))
    return [d.any(0, (4, 4), lambda v: v.shape[1] % (block * block) == 0, shape=(n, c * block * block, h, w))]


@recipe("ConstantOfShape")
def constant_of_shape(d: Draw) -> list[Operand]:
    if d.flag(0.7):
        kind = d.choose([k for k in (1, 10, 11, 6, 7, 3, 2, 9)])
        d.set("value", to_tensor(draw(d.random, kind, (1,))))
    return [d.ints(np.array(d.shape((0, 3)), np.int64), 0)]


@recipe("EyeLike")
def eye_like(d: Draw) -> list[Operand]:
    d.maybe("k", d.between(-3, 3))
    d.maybe("dtype", d.choose([1, 10, 11, 6, 7]))
    return [d.any(0, (2, 2))]


@recipe("Range")
def range_(d: Draw) -> list[Operand]:
    kind = d.kind(0)
    start, step, count = d.between(-5, 5), d.choose([1, 2, 3, -1, -2]), d.between(0, 9)
    numbers = np.array([start, start + step * count, step])
    if kind in FLOATS and d.flag():
        numbers = numbers * 0.5
    made = numbers.astype(dtype_of(kind))
    return [d.source(np.asarray(v), kind) for v in made]


@recipe("OneHot")
def one_hot(d: Draw) -> list[Operand]:
    depth = d.between(1, 6)
    shape = d.shape((1, 3))
    x = d.new(0, shape, -depth - 1 if d.since >= 11 else 0, depth + 1)
    d.set("axis", d.between(-len(shape) - 1, len(shape)))
    kind = d.kind(1, [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT])
    many = np.full(d.choose([(), (1,)]), depth).astype(dtype_of(kind))
    return [x, d.source(many, kind, pinned=True), d.new(2, (2,))]


@recipe("ReverseSequence")
def reverse_sequence(d: Draw) -> list[Operand]:
    x = d.any(0, (2, 4))
    batch = d.between(0, 1)
    d.set("batch_axis", batch)
    d.set("time_axis", 1 - batch)
    if x.shape[1 - batch] == 0:
        raise Unfit("no time")
    return [x, d.source(d.random.integers(1, x.shape[1 - batch] + 1, x.shape[batch]), TensorProto.INT64)]


@recipe("Compress")
def compress(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    size = x.value.size
    if d.flag(0.7):
        axis = d.axis(len(x.shape))
        d.set("axis", axis)
        size = x.shape[axis]
    return [x, d.new(1, (d.between(0, size) if d.flag(0.3) else size,))]


@recipe("Unique")
def unique(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 3))
    d.maybe("sorted", d.between(0, 1))
    if d.flag(0.4):
        d.set("axis", d.axis(len(x.shape)))
    d.outputs = d.between(1, 4)
    return [x]


@recipe("TopK")
def top_k(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4))
    axis = d.axis(len(x.shape))
    d.set("axis", axis)
    d.maybe("largest", d.between(0, 1))
    d.outputs = 2
    k = d.between(0 if d.flag(0.1) else min(1, x.shape[axis]), x.shape[axis])
    if d.since < 10:
        d.set("k", k)
        return [x]
    return [x, d.ints([k], 1)]


@recipe("Col2Im")
def col2im(d: Draw) -> list[Operand]:
    image, block = [d.between(3, 6), d.between(3, 6)], [d.between(1, 3), d.between(1, 3)]
    strides, dilations, pads = [d.between(1, 2)] * 2, [1, d.choose([1, 1, 2])], [d.between(0, 1)] * 4
    d.maybe("strides", strides)
    d.maybe("dilations", dilations)
    d.maybe("pads", pads)
    get = lambda n, o: d.attributes.get(n, o)  # noqa: E731
    p, s, l = get("pads", [0] * 4), get("strides", [1, 1]), get("dilations", [1, 1])
    blocks = 1
    for i in range(2):
        blocks *= (image[i] + p[i] + p[i + 2] - l[i] * (block[i] - 1) - 1) // s[i] + 1
    if blocks < 1:
        raise Unfit("no block")
    sums = [k for k in d.allowed(0) if k in FLOATS or k in INTEGERS]
    x = d.new(0, (d.between(1, 2), d.between(1, 3) * block[0] * block[1], blocks), among=sums)
    return [x, d.ints(image), d.ints(block)]


# Strings


@recipe("RegexFullMatch")
def regex(d: Draw) -> list[Operand]:
    d.set("pattern", d.choose(["a.*", "[A-Za-z]+", "", "(a|b)*", "\\w ?\\w", ".*ß.*"]))
    return [d.any(0)]


@recipe("StringNormalizer")
def normalizer(d: Draw) -> list[Operand]:
    d.maybe("case_change_action", d.choose(["LOWER", "UPPER", "NONE"]))
    d.maybe("is_case_sensitive", d.between(0, 1))
    if d.flag():
        d.set("stopwords", [d.choose(STRINGS[1:])])
    d.set("locale", "C")  # ONNX Runtime takes those that are installed
    count = d.between(1, 5)
    return [d.new(0, d.choose([(count,), (1, count)]))]


@recipe("StringSplit")
def string_split(d: Draw) -> list[Operand]:
    d.maybe("delimiter", d.choose([" ", ",", "a"]))
    d.maybe("maxsplit", d.between(1, 3))
    d.outputs = 2
    return [d.any(0, (0, 2))]


@recipe("TfIdfVectorizer")
def tf_idf(d: Draw) -> list[Operand]:
    d.set("mode", d.choose(["TF", "IDF", "TFIDF"]))
    d.set("min_gram_length", 1)
    d.set("max_gram_length", 2)
    d.set("max_skip_count", d.between(0, 2))
    d.set("ngram_counts", [0, 3])
    d.set("ngram_indexes", [0, 1, 2, 3, 4])
    x = d.new(0, d.choose([(6,), (2, 5)]), 0, 4)
    if x.kind == TensorProto.STRING:
        d.set("pool_strings", ["a", "b", "ab", "a", "b", "b", "a"])
    else:
        d.set("pool_int64s", [0, 1, 2, 0, 1, 3, 2])
    if d.flag():
        d.set("weights", [d.number(0.2, 2) for _ in range(5)])
    return [x]


# ai.onnx.ml


@recipe("ArrayFeatureExtractor")
def array_feature_extractor(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 2), lambda v: 0 not in v.shape, shape=(d.between(1, 4), d.between(1, 5)))
    return [x, d.source(d.random.integers(0, x.shape[-1], d.between(1, 4)), TensorProto.INT64)]


@recipe("Binarizer")
def binarizer(d: Draw) -> list[Operand]:
    d.maybe("threshold", d.number(-1, 1))
    return [d.any(0)]


@recipe("LabelEncoder")
def label_encoder(d: Draw) -> list[Operand]:
    if d.since < 2:
        d.set("classes_strings", ["a", "b", "ab"])
        return [d.any(0)]
    keys, default = d.choose([("strings", "int64"), ("int64s", "string"), ("int64s", "float"), ("floats", "int64")])[:2], 0
    to = {"int64": "int64s", "string": "strings", "float": "floats"}[keys[1]]
    values = {"strings": ["a", "b", "7"], "int64s": [1, 0, 5], "floats": [0.5, 1.0, -2.0]}
    d.set(f"keys_{keys[0]}", values[keys[0]])
    d.set(f"values_{to}", values[to][::-1])
    d.maybe(f"default_{keys[1]}", {"int64": 9, "string": "none", "float": 7.5}[keys[1]])
    d.kinds[d.variable(0)] = {"strings": TensorProto.STRING, "int64s": TensorProto.INT64, "floats": TensorProto.FLOAT}[keys[0]]
    return [d.any(0)]


@recipe("TreeEnsembleRegressor")
def tree_regressor(d: Draw) -> list[Operand]:
    features, targets, trees = d.between(1, 4), d.between(1, 3), d.between(1, 3)
    columns: dict[str, list] = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves: list[tuple[int, int]] = []
    for tree in range(trees):
        inner = d.between(0, 3)
        for node in range(2 * inner + 1):
            leaf = node >= inner
            row = (tree, node, 0 if leaf else d.between(0, features - 1), 0.0 if leaf else d.number(-2, 2),
                   "LEAF" if leaf else d.choose(["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"]),
                   0 if leaf else 2 * node + 1, 0 if leaf else 2 * node + 2)  # fmt: skip
            for name, item in zip(columns, row):
                columns[name].append(item)
            if leaf:
                leaves.append((tree, node))
    for name, items in columns.items():
        d.set(f"nodes_{name}", items)
    picked = [(leaf, t) for leaf in leaves for t in range(targets)]
    d.set("target_treeids", [leaf[0] for leaf, _ in picked])
    d.set("target_nodeids", [leaf[1] for leaf, _ in picked])
    d.set("target_ids", [t for _, t in picked])
    d.set("target_weights", [d.number(-2, 2) for _ in picked])
    d.set("n_targets", targets)
    d.maybe("aggregate_function", d.choose(["SUM", "MIN", "MAX", "AVERAGE"]))
    if d.flag():
        d.set("base_values", [d.number(-1, 1) for _ in range(targets)])
    return [d.new(0, (d.between(1, 5), features))]


# Sequences and optionals


@recipe("SequenceConstruct")
def sequence_construct(d: Draw) -> list[Operand]:
    x = d.any(0)
    return [x, *(d.of(0, x.shape) if d.flag(0.7) else d.any(0) for _ in range(d.between(0, 3)))]


@recipe("SequenceEmpty")
def sequence_empty(d: Draw) -> list[Operand]:
    d.maybe("dtype", d.choose([1, 7, 11]))
    return []


def position(d: Draw, length: int) -> Operand:
    kind = d.choose([TensorProto.INT64, TensorProto.INT32])
    return d.source(np.array(d.between(-length, length - 1), dtype_of(kind)), kind)


@recipe("SequenceAt")
def sequence_at(d: Draw) -> list[Operand]:
    s = d.sequence(1)
    return [s, position(d, len(s.value))]


@recipe("SequenceErase")
def sequence_erase(d: Draw) -> list[Operand]:
    s = d.sequence(1)
    return [s, position(d, len(s.value))] if d.flag() else [s]


@recipe("SequenceInsert")
def sequence_insert(d: Draw) -> list[Operand]:
    s = d.sequence()
    d.kinds["T"] = s.kind
    x = d.any(1)
    return [s, x, position(d, max(1, len(s.value)))] if d.flag() else [s, x]


@recipe("SequenceLength")
def sequence_length(d: Draw) -> list[Operand]:
    return [d.sequence()]


@recipe("ConcatFromSequence")
def concat_from_sequence(d: Draw) -> list[Operand]:
    s = d.sequence(1, alike=True)
    rank = len(s.value[0].shape)
    new = d.flag()
    d.set("new_axis", int(new))
    d.set("axis", d.axis(rank + 1 if new else rank))
    return [s]


@recipe("SplitToSequence")
def split_to_sequence(d: Draw) -> list[Operand]:
    x = d.any(0, (1, 4), lambda v: 0 not in v.shape)
    axis = d.axis(len(x.shape))
    d.set("axis", axis)
    size = x.shape[axis]
    if d.flag(0.3):
        d.set("keepdims", d.between(0, 1))
        return [x]
    if d.flag():
        return [x, d.ints(d.between(1, max(1, size)), 1)]
    cut = d.between(0, size)
    return [x, d.ints([cut, size - cut], 1)]


@recipe("Optional")
def optional(d: Draw) -> list[Operand]:
    if d.flag(0.3):
        d.set("type", helper.make_tensor_type_proto(TensorProto.FLOAT, [2]))
        return []
    return [d.sequence() if d.flag(0.3) else d.any(0)]


@recipe("OptionalHasElement", "OptionalGetElement")
def optional_use(d: Draw) -> list[Operand]:
    get = d.name == "OptionalGetElement"
    for form in ("optional", "optional sequence"):
        found = d.find(0, lambda v: not get or v.value is not None, form=form)
        if found:
            return [found]
    if d.since < 18:
        raise Unfit("no optional")
    return [] if not get and d.flag(0.3) else [d.sequence() if d.flag(0.3) else d.any(0)]
