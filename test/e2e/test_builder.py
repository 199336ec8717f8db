"""nacre.nn: graphs and layers, against ONNX's reference evaluator and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from support import module

nacre = module()
nn = nacre.nn


def draw(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def run(
    layer: Any, x: np.ndarray, open_axes: tuple[int, ...] = (0,), seed: int = 3, has_reference: bool = True
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The layer's output and weights; it is compared with the reference, and its sizes with those that
    were known while it was written."""
    graph = nn.Graph(seed=seed)
    given = graph.input("x", [f"d{i}" if i in open_axes else n for i, n in enumerate(x.shape)], x.dtype)
    y = layer(given)
    data = graph.serialize([given], [y])
    proto = onnx.load_from_string(data)
    onnx.checker.check_model(proto, full_check=True)
    got = nacre.compile(data)(x)
    if has_reference:
        (want,) = ReferenceEvaluator(proto).run(None, {"x": x})
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-6)
    assert all(known in (None, size) for known, size in zip(y.shape, got.shape, strict=True))
    return got, {t.name.split(".", 1)[1]: onnx.numpy_helper.to_array(t).copy() for t in proto.graph.initializer}


IMAGES = {"Conv1D": (3, 9, 4), "Conv2D": (3, 9, 8, 4), "Conv3D": (2, 5, 6, 5, 4)}


@pytest.mark.parametrize("transposed", [False, True], ids=["conv", "transposed"])
@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "same"}, {"strides": 2, "activation": "relu"}, {"dilation_rate": 2, "groups": 2}, {"use_bias": False}],
    ids=lambda o: "-".join(o) or "plain",
)
def test_convolution(kind: str, options: dict[str, Any], transposed: bool) -> None:
    """Against PyTorch, whose weights have the same layout."""
    x = draw(IMAGES[kind])
    layer = getattr(nn, kind + ("Transpose" if transposed else ""))(6, 2, **options)
    # ONNX's reference evaluator has no transposed convolution in groups.
    y, weights = run(layer, x, has_reference=not (transposed and "groups" in options))
    rank = int(kind[4])
    name = f"conv{'_transpose' if transposed else ''}{rank}d"
    if options.get("padding") == "same":
        assert y.shape[1:-1] == x.shape[1:-1]
        return  # PyTorch pads the transposed form otherwise; the reference evaluator has checked the values
    bias = torch.from_numpy(weights["bias"]) if options.get("use_bias", True) else None
    keywords = {"stride": options.get("strides", 1), "dilation": options.get("dilation_rate", 1), "groups": options.get("groups", 1)}
    want = getattr(torch.nn.functional, name)(
        torch.from_numpy(np.moveaxis(x, -1, 1).copy()), torch.from_numpy(weights["kernel"]), bias, **keywords
    )
    want = np.moveaxis(want.numpy(), 1, -1)
    np.testing.assert_allclose(y, np.maximum(want, 0) if "activation" in options else want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_recurrence(kind: str, bidirectional: bool, sequences: bool) -> None:
    """Against PyTorch, the gates put in its order."""
    x = draw((3, 7, 5))
    layer = getattr(nn, kind)(4, return_sequences=sequences, bias_initializer="normal")
    y, weights = run(nn.Bidirectional(layer) if bidirectional else layer, x, open_axes=(0, 1))
    order = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "SimpleRNN": [0]}[kind]  # of input, output, forget, cell
    reference = getattr(torch.nn, kind.removeprefix("Simple"))(5, 4, batch_first=True, bidirectional=bidirectional)
    gates = len(order)

    def arrange(rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([np.split(rows, gates)[i] for i in order]))

    with torch.no_grad():
        for d in range(1 + bidirectional):
            suffix = "_reverse" if d else ""
            recurrent = weights["recurrent_kernel" + (f".{d}" if bidirectional else "")]
            getattr(reference, "weight_ih_l0" + suffix).copy_(arrange(weights["kernel"][d]))
            getattr(reference, "weight_hh_l0" + suffix).copy_(arrange(recurrent))
            getattr(reference, "bias_ih_l0" + suffix).copy_(arrange(np.split(weights["bias"][d], 2)[0]))
            getattr(reference, "bias_hh_l0" + suffix).copy_(arrange(np.split(weights["bias"][d], 2)[1]))
            # Orthogonal columns.
            np.testing.assert_allclose(recurrent.T @ recurrent, np.eye(4), atol=1e-6)
        output, state = reference(torch.from_numpy(x))
    last = np.concatenate(list((state[0] if kind == "LSTM" else state).numpy()), axis=-1)
    np.testing.assert_allclose(y, output.numpy() if sequences else last, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool) -> None:
    x = draw((3, 6, 8))
    y, weights = run(nn.MultiHeadAttention(2, 5, causal=causal, bias_initializer="normal"), x, open_axes=(0, 1))
    q, k, v = (x @ weights[f"{n}.kernel"] + weights[f"{n}.bias"] for n in ("query", "key", "value"))
    q, k, v = (torch.from_numpy(t.reshape(3, 6, 2, 5).transpose(0, 2, 1, 3).copy()) for t in (q, k, v))
    heads = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal).numpy()
    want = heads.transpose(0, 2, 1, 3).reshape(3, 6, 10) @ weights["output.kernel"] + weights["output.bias"]
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-5)


OTHERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dense": (lambda: nn.Dense(4, activation="tanh"), (3, 7)),
    "dense_of_sequences": (lambda: nn.Dense(4, activation="softmax"), (3, 5, 7)),
    "same_stride": (lambda: nn.Conv2D(3, 3, strides=(2, 1), padding="same"), (2, 7, 6, 2)),
    "channels_first": (lambda: nn.Conv2D(3, (3, 2), channels_first=True, activation="softmax"), (2, 4, 7, 6)),
    "depthwise": (lambda: nn.DepthwiseConv2D(3, depth_multiplier=2), (2, 5, 6, 3)),
    "up_nearest": (lambda: nn.UpSampling2D((2, 3)), (2, 3, 4, 2)),
    "up_bilinear": (lambda: nn.UpSampling2D(2, interpolation="bilinear"), (2, 3, 4, 2)),
    "batch_norm": (lambda: nn.BatchNormalization(), (3, 4, 5, 6)),
    "batch_norm_of_rows": (lambda: nn.BatchNormalization(scale=False, center=False), (3, 6)),
    "group_norm": (lambda: nn.GroupNormalization(groups=2), (3, 4, 5, 6)),
    "instance_norm": (lambda: nn.InstanceNormalization(), (3, 4, 5, 6)),
    "layer_norm": (lambda: nn.LayerNormalization(), (3, 4, 6)),
    "layer_norm_plain": (lambda: nn.LayerNormalization(center=False, scale=False), (3, 4, 6)),
    "rms_norm": (lambda: nn.RMSNormalization(), (3, 4, 6)),
    "dropout": (lambda: nn.Dropout(0.3), (3, 4)),
    "flatten": (lambda: nn.Flatten(), (3, 4, 5)),
    "reshape": (lambda: nn.Reshape([2, -1]), (3, 4, 5)),
    "permute": (lambda: nn.Permute([2, 1]), (3, 4, 5)),
    "global_max": (lambda: nn.GlobalMaxPooling(), (3, 4, 5, 6)),
    "global_average": (lambda: nn.GlobalAveragePooling(keepdims=True), (3, 4, 5, 6)),
} | {
    f"{kind}_pooling_{rank}d": (lambda kind=kind, rank=rank: getattr(nn, f"{kind}Pooling{rank}D")(2, strides=1), (2, 5, 4, 6, 3)[: rank + 1] + (3,))
    for kind in ("Max", "Average")
    for rank in (1, 2, 3)
}


@pytest.mark.parametrize("name", OTHERS)
def test_layer(name: str) -> None:
    make, shape = OTHERS[name]
    run(make(), draw(shape))


ACTIVATIONS = {
    "relu": torch.relu, "relu6": torch.nn.functional.relu6, "elu": torch.nn.functional.elu, "selu": torch.selu,
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.2), "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu, "mish": torch.nn.functional.mish, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "hard_sigmoid": torch.nn.functional.hardsigmoid, "softplus": torch.nn.functional.softplus,
    "softsign": torch.nn.functional.softsign, "exponential": torch.exp, "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1), "linear": lambda x: x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    x = draw((3, 50)) * 4
    y, _ = run(nn.Activation(name), x)
    np.testing.assert_allclose(y, ACTIVATIONS[name](torch.from_numpy(x)).numpy(), rtol=1e-5, atol=1e-6)


def test_embedding() -> None:
    x = np.array([[0, 9, 3], [1, 1, 0]])
    y, weights = run(nn.Embedding(10, 4), x)
    np.testing.assert_array_equal(y, weights["embeddings"][x])


def test_shared_layer_has_one_weight() -> None:
    graph = nn.Graph()
    a, b = graph.input("a", ["n", 3]), graph.input("b", ["n", 3])
    layer = nn.Dense(2)
    y = layer(a) + layer(b)
    proto = onnx.load_from_string(graph.serialize([a, b], [y]))
    assert sorted(t.name for t in proto.graph.initializer) == ["dense.bias", "dense.kernel"]
    # A second layer has weights and a name of its own.
    assert nn.Dense(2)(a).name.startswith("dense_1")


def test_only_what_outputs_need() -> None:
    graph = nn.Graph()
    a, b = graph.input("a", ["n", 3]), graph.input("b", ["n", 3])
    y, unused = nn.Dense(2)(a), nn.Dense(2)(b)
    proto = onnx.load_from_string(graph.serialize([a], [y]))
    assert all(not t.name.startswith("dense_1") for t in proto.graph.initializer)
    with pytest.raises(nacre.GraphError, match="depend on the input 'b'"):
        graph.serialize([a], [unused])


def test_arithmetic() -> None:
    graph = nn.Graph()
    x = graph.input("x", ["n", 3])
    y = (2 * x + 1) / (x - np.float32(0.5)) - -x
    z = x @ np.ones((3, 2), np.float32)
    v = draw((4, 3))
    got = nacre.compile(graph.serialize([x], [y, z]))(v)
    np.testing.assert_allclose(got[0], (2 * v + 1) / (v - np.float32(0.5)) + v, rtol=1e-4)
    np.testing.assert_allclose(got[1], v.sum(1, keepdims=True).repeat(2, 1), rtol=1e-5)


@pytest.mark.parametrize("values", [np.array([3, 4]), np.array([[0.5, 2]], np.float32), np.float32(3)])
def test_parameter_of_values(values: np.ndarray) -> None:
    """An array is the values, also one that could be a shape."""
    graph = nn.Graph()
    w = graph.parameter("w", values)
    (tensor,) = onnx.load_from_string(graph.serialize([], [graph.op("Identity", [w])])).graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), values)
    assert w.shape == values.shape and w.dtype == values.dtype


# --- initial values ---

N = 200_000
STATISTICS = {  # mean, deviation, largest magnitude
    "zeros": (0, 0, 0), "ones": (1, 0, 1), "constant:value=2.5": (2.5, 0, 2.5),
    "uniform": (0, 0.05 / 3**0.5, 0.05), "uniform:min=1,max=3": (2, 2 / 12**0.5, 3),
    "normal": (0, 0.05, None), "normal:mean=1,stddev=2": (1, 2, None), "truncated_normal:stddev=1": (0, 0.8796, 2),
    "glorot_uniform": (0, (2 / 1200) ** 0.5, (6 / 1200) ** 0.5), "glorot_normal": (0, (2 / 1200) ** 0.5, None),
    "he_normal": (0, (2 / 200) ** 0.5, None), "he_uniform": (0, (2 / 200) ** 0.5, (6 / 200) ** 0.5),
    "lecun_normal": (0, (1 / 200) ** 0.5, None), "lecun_uniform": (0, (1 / 200) ** 0.5, (3 / 200) ** 0.5),
    "kaiming_uniform": (0, (2 / 200) ** 0.5, (6 / 200) ** 0.5), "fan_in_uniform": (0, (1 / 600) ** 0.5, (1 / 200) ** 0.5),
}


def initial(initializer: str, shape: list[int], seed: int = 0) -> np.ndarray:
    graph = nn.Graph(seed=seed)
    w = graph.parameter("w", shape, initializer)
    proto = onnx.load_from_string(graph.serialize([], [graph.op("Identity", [w])]))
    return onnx.numpy_helper.to_array(proto.graph.initializer[0])


@pytest.mark.parametrize("name", STATISTICS)
def test_initial_values(name: str) -> None:
    values = initial(name, [200, 1000]).astype(np.float64)
    mean, deviation, most = STATISTICS[name]
    # Five deviations of the estimates.
    assert abs(values.mean() - mean) <= 5 * deviation / N**0.5
    assert abs(values.std() - deviation) <= 5 * deviation / (2 * N) ** 0.5 + 1e-4 * deviation
    if most is not None:
        assert np.abs(values).max() <= most * (1 + 1e-6)
        assert np.abs(values).max() >= most * 0.99
    if name == "normal":  # Kolmogorov's distance from the normal distribution
        from statistics import NormalDist

        inside = np.linspace(-0.15, 0.15, 61)
        measured = (values.ravel()[:, None] < inside).mean(0) if N < 10_000 else np.searchsorted(np.sort(values.ravel()), inside) / N
        assert np.abs(measured - [NormalDist(0, 0.05).cdf(x) for x in inside]).max() < 1.95 / N**0.5


def test_orthogonal() -> None:
    tall, wide = initial("orthogonal", [30, 8]), initial("orthogonal:gain=2", [8, 5, 6])
    np.testing.assert_allclose(tall.T @ tall, np.eye(8), atol=1e-6)
    rows = wide.reshape(8, 30)
    np.testing.assert_allclose(rows @ rows.T, 4 * np.eye(8), atol=1e-5)


def test_seeds() -> None:
    assert np.array_equal(initial("normal", [50], seed=7), initial("normal", [50], seed=7))
    assert not np.array_equal(initial("normal", [50], seed=7), initial("normal", [50], seed=8))
    graph = nn.Graph()
    a, b = graph.parameter("a", [50], "normal"), graph.parameter("b", [50], "normal")
    proto = onnx.load_from_string(graph.serialize([], [a + b]))
    a, b = (onnx.numpy_helper.to_array(t) for t in proto.graph.initializer)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.5


# --- errors, where they are made ---

FAULTS = {
    "sizes": (lambda g, x: x @ g.parameter("w", [4, 2]), r"node 'matmul' \(MatMul\): .*3 and 4"),
    "units": (lambda g, x: nn.Dense(0)(x), r"layer 'dense' \(Dense\): it has 0 units, expected 1 or more"),
    "rank": (lambda g, x: nn.Conv2D(3, 3)(x), r"layer 'conv2d' \(Conv2D\): its input 'x' has 2 dimensions, expected 4"),
    "kernel": (lambda g, x: nn.Conv1D(3, (3, 3))(g.input("y", ["n", 9, 2])), "its kernelSize must be 1 numbers"),
    "padding": (lambda g, x: nn.Conv1D(3, 3, padding="full")(g.input("y", ["n", 9, 2])), "its padding is 'full'"),
    "groups": (lambda g, x: nn.Conv1D(3, 3, groups=2)(g.input("y", ["n", 9, 4])), "must be multiples of 2 groups"),
    "open_features": (lambda g, x: nn.Dense(2)(g.input("y", ["n", None])), "dimension -1 of its input 'y' must be known"),
    "operator": (lambda g, x: g.op("Foo", [x]), r"node 'foo' \(Foo\): there is no operator 'Foo'"),
    "attribute": (lambda g, x: g.op("Softmax", [x], {"axs": 1}), "the attribute 'axs' does not exist"),
    "attribute_type": (lambda g, x: g.op("Softmax", [x], {"axis": "last"}), "attribute 'axis'"),
    "axis": (lambda g, x: g.op("Concat", [x, x], {"axis": 5}), "axis 5 is out of range"),
    "initializer": (lambda g, x: g.parameter("w", [2], "foo"), "'foo': it is unknown; expected zeros"),
    "setting": (lambda g, x: g.parameter("w", [2], "normal:std=1"), "it has no setting 'std'"),
    "number": (lambda g, x: g.parameter("w", [2], "normal:stddev=x"), "'stddev=x' is no setting"),
    "taken": (lambda g, x: g.input("x", [2]), "has a value 'x' already"),
    "negative": (lambda g, x: g.parameter("w", [-2]), "sizes below 0"),
    "huge": (lambda g, x: g.parameter("w", [1 << 40, 1 << 40]), "too many elements"),
    "other_graph": (lambda g, x: x + nn.Graph().input("z", [3]), "'z' belongs to another graph"),
    "activation": (lambda g, x: nn.Dense(3, activation="x")(x), "the activation 'x' is unknown"),
    "dropout": (lambda g, x: nn.Dropout(1.0)(x), "its rate is 1.0"),
    "dtype": (lambda g, x: g.op("MatMul", [x, g.input("y", [3, 3], "float64")]), r"node 'matmul' \(MatMul\)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str) -> None:
    make, message = FAULTS[name]
    graph = nn.Graph()
    x = graph.input("x", ["n", 3])
    with pytest.raises(nacre.GraphError, match=message) as raised:
        make(graph, x)
    assert isinstance(raised.value, ValueError) and isinstance(raised.value, nacre.CompileError)
    y = nn.Dense(2)(x)  # the graph can be used on
    assert nacre.compile(graph.serialize([x], [y]))(draw((4, 3))).shape == (4, 2)


def test_layer_of_another_graph() -> None:
    layer = nn.Dense(2)
    layer(nn.Graph().input("x", [1, 3]))
    with pytest.raises(nacre.GraphError, match="has its weights in another graph"):
        layer(nn.Graph().input("x", [1, 3]))
