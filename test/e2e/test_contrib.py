"""ONNX Runtime's own operators (com.microsoft), against ONNX Runtime; those that it has on GPUs
alone against what they are made of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from scipy import special

from support import module

Arrays = dict[str, np.ndarray]


def model(op: str, feed: Arrays, outputs: int, dynamic: bool, domain: str = "com.microsoft", order: list[str] | None = None, **attributes: Any) -> onnx.ModelProto:
    """One node; inputs are `feed`'s in `order`, "" for one that is not there."""
    names = order or list(feed)
    dims = {n: [f"{n}{i}" if dynamic else s for i, s in enumerate(a.shape)] for n, a in feed.items()}
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), dims[n]) for n, a in feed.items()]
    results = [f"out{i}" for i in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, results, domain=domain, **attributes)], "g", inputs,
        [helper.make_empty_tensor_value_info(n) for n in results],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def run_peer(made: onnx.ModelProto, feed: Arrays) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)


def check(op: str, feed: Arrays, outputs: int = 1, expected: list[np.ndarray] | None = None, units: int = 0, rtol: float = 1e-4, **more: Any) -> None:
    wanted = run_peer(model(op, feed, outputs, False, **more), feed) if expected is None else expected
    for dynamic in (False, True):
        found = module().compile(model(op, feed, outputs, dynamic, **more)).run(list(feed.values()))
        for one, other in zip(found, wanted, strict=True):
            if one.dtype.kind in "iu" and units:
                assert np.abs(one.astype(int) - other.astype(int)).max() <= units
            else:
                np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-5)


RANDOM = np.random.default_rng(0)


def f32(*shape: int, scale: float = 1) -> np.ndarray:
    return RANDOM.normal(0, scale, shape).astype(np.float32)


@pytest.mark.parametrize("op", ["Gelu", "FastGelu", "QuickGelu"])
def test_activations(op: str) -> None:
    check(op, {"x": f32(2, 3, 8)})


@pytest.mark.parametrize("op", ["BiasGelu", "FastGelu"])
def test_activations_of_sums(op: str) -> None:
    check(op, {"x": f32(2, 3, 8), "b": f32(8)})


def test_halves() -> None:
    x, b = f32(2, 3, 8), f32(8)
    left, right = np.split(x + b, 2, -1)
    check("BiasSplitGelu", {"x": x, "b": b}, expected=[left * right * 0.5 * (1 + special.erf(right / np.sqrt(2)))])
    check("QuickGelu", {"x": x}, alpha=0.7)


@pytest.mark.parametrize(
    ("a", "b", "attributes"),
    [
        ([2, 3, 4], [2, 4, 5], {"alpha": 0.5}),
        ([2, 4, 3], [2, 4, 5], {"transA": 1}),
        ([2, 3, 4], [5, 4], {"transB": 1, "alpha": 2.0}),
        ([3, 2, 4], [2, 4, 5], {"transBatchA": 1}),
        ([4, 2, 3], [4, 2, 5], {"transBatchA": 1, "transBatchB": 1, "transA": 1}),
    ],
)
def test_products(a: list[int], b: list[int], attributes: dict[str, Any]) -> None:
    check("FusedMatMul", {"a": f32(*a), "b": f32(*b)}, **attributes)


@pytest.mark.parametrize("activation", ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid"])
def test_fused_products(activation: str) -> None:
    check("FusedGemm", {"a": f32(4, 3), "b": f32(4, 5), "c": f32(5)}, activation=activation, transA=1, alpha=0.5, beta=2.0,
          **({"LeakyRelu": {"activation_alpha": 0.1}, "HardSigmoid": {"activation_alpha": 0.3, "activation_beta": 0.4}}.get(activation, {})))  # fmt: skip


@pytest.mark.parametrize(("activation", "numbers"), [("Relu", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.2, 0.4])])
def test_fused_convolutions(activation: str, numbers: list[float]) -> None:
    feed = {"x": f32(1, 3, 7, 7), "w": f32(4, 3, 3, 3), "b": f32(4)}
    check("FusedConv", feed, activation=activation, pads=[1, 1, 1, 1], strides=[2, 2], **({"activation_params": numbers} if numbers else {}))
    if activation == "Relu":
        check("FusedConv", feed | {"z": f32(1, 4, 5, 5)}, activation=activation)


def test_convolutions_with_channels_last() -> None:
    x, w, b = f32(2, 7, 6, 3), f32(4, 3, 3, 2), f32(4)
    conv = model("Conv", {"x": x.transpose(0, 3, 1, 2), "w": w, "b": b}, 1, False, domain="", pads=[1, 0, 1, 0])
    (wanted,) = run_peer(conv, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2)), "w": w, "b": b})
    check("NhwcConv", {"x": x, "w": w, "b": b}, expected=[wanted.transpose(0, 2, 3, 1)], pads=[1, 0, 1, 0])


def test_normalisations() -> None:
    x, skip, g, b = f32(2, 3, 8), f32(2, 3, 8), f32(8), f32(8)
    check("SkipLayerNormalization", {"x": x, "s": skip, "g": g, "b": b}, epsilon=1e-5)
    check("SkipLayerNormalization", {"x": x, "s": skip, "g": g, "b": b, "c": f32(8)}, epsilon=1e-5)
    check("SkipSimplifiedLayerNormalization", {"x": x, "s": skip, "g": g}, epsilon=1e-5)
    check("SimplifiedLayerNormalization", {"x": x, "g": g}, domain="", axis=-1, epsilon=1e-5)
    check("LayerNormalization", {"x": x, "g": g, "b": b}, domain="", axis=-1)
    made = model("SkipLayerNormalization", {"x": x, "s": skip, "g": g}, 4, False)
    made.graph.node[0].output[:] = ["out0", "", "", "out3"]
    del made.graph.output[1:3]
    y, total = module().compile(made).run([x, skip, g])
    np.testing.assert_allclose(total, x + skip, rtol=1e-6)
    np.testing.assert_allclose(y, run_peer(made, {"x": x, "s": skip, "g": g})[0], rtol=1e-4, atol=1e-5)


def test_embeddings() -> None:
    ids = RANDOM.integers(0, 10, (2, 5)).astype(np.int32)
    feed = {"ids": ids, "seg": ids % 2, "w": f32(10, 8), "p": f32(6, 8), "t": f32(2, 8), "g": f32(8), "b": f32(8), "m": (ids > 3).astype(np.int32)}
    check("EmbedLayerNormalization", feed, outputs=2, epsilon=1e-5)
    order = ["ids", "", "w", "p", "", "g", "b"]
    check("EmbedLayerNormalization", {n: feed[n] for n in order if n}, outputs=2, order=order, epsilon=1e-5)


def test_groups_and_softmax() -> None:
    x, g, b = f32(2, 4, 5, 8), f32(8), f32(8)
    rows = x.reshape(2, 20, 4, 2)
    normal = (rows - rows.mean((1, 3), keepdims=True)) / np.sqrt(rows.var((1, 3), keepdims=True) + 1e-5)
    y = normal.reshape(x.shape) * g + b
    check("GroupNorm", {"x": x, "g": g, "b": b}, groups=4, activation=0, expected=[y])
    check("GroupNorm", {"x": x, "g": g, "b": b}, groups=4, activation=1, expected=[y * special.expit(y)])
    data, bias = f32(2, 3, 4, 4), f32(2, 1, 4, 4)
    check("BiasSoftmax", {"x": data, "b": bias}, axis=3, is_inner_broadcast=0, expected=[special.softmax(data + bias, -1)])
    flat = special.softmax((data + bias).reshape(2, 3, 16), -1).reshape(data.shape)
    check("BiasSoftmax", {"x": data, "b": bias}, axis=2, is_inner_broadcast=1, expected=[flat])


def test_matrices() -> None:
    check("Inverse", {"x": f32(3, 4, 4) + 2 * np.eye(4, dtype=np.float32)}, rtol=1e-3)
    check("Inverse", {"x": np.array([[0, 2], [1, 0]], np.float32)})
    check("Trilu", {"x": f32(3, 4, 5), "k": np.array(1)}, upper=0)


def test_frequencies() -> None:
    x = f32(2, 3, 8)
    wanted = np.fft.rfft(x)
    check("Rfft", {"x": x}, expected=[np.stack([wanted.real, wanted.imag], -1)], signal_ndim=1, normalized=0, onesided=1)
    parts = f32(2, 5, 2)
    check("Irfft", {"x": parts}, expected=[np.fft.irfft(parts[..., 0] + 1j * parts[..., 1])], signal_ndim=1, normalized=0, onesided=1)


@pytest.mark.parametrize("mask", [None, [3, 4], "raw"])
@pytest.mark.parametrize("causal", [0, 1])
def test_attention(causal: int, mask: Any) -> None:
    feed = {"x": f32(2, 4, 8), "w": f32(8, 24), "b": f32(24)}
    if mask is not None:
        feed["m"] = np.array([[1, 1, 0, 1], [1, 0, 1, 1]] if mask == "raw" else mask, np.int32)
    check("Attention", feed, num_heads=2, unidirectional=causal)
    if mask is None:
        past = feed | {"past": f32(2, 2, 2, 3, 4)}
        check("Attention", past, outputs=2, order=["x", "w", "b", "", "past"], num_heads=2, unidirectional=causal)
        wide = {"x": f32(2, 4, 8), "w": f32(8, 28), "b": f32(28)}
        check("Attention", wide, num_heads=2, unidirectional=causal, qkv_hidden_sizes=[8, 8, 12], scale=0.3)


def test_many_heads() -> None:
    q, k, v = f32(2, 3, 8), f32(2, 5, 8), f32(2, 5, 12)
    check("MultiHeadAttention", {"q": q, "k": k, "v": v}, num_heads=2)
    check("MultiHeadAttention", {"q": q, "k": k, "v": v, "b": f32(28)}, num_heads=2, scale=0.4)
    # Forms that ONNX Runtime has on GPUs alone.
    def flat(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x).reshape(*x.shape[:2], -1)

    for packed, last in (("q", f32(2, 3, 2, 3, 4)), ("k", f32(2, 5, 2, 2, 4))):
        parts = [flat(last[:, :, :, i]) for i in range(last.shape[3])]
        apart = dict(zip("qkv", parts if packed == "q" else [q, *parts], strict=True))
        wanted = run_peer(model("MultiHeadAttention", apart, 1, False, num_heads=2), apart)
        feed = {"q": last} if packed == "q" else {"q": q, "k": last}
        check("MultiHeadAttention", feed, expected=wanted, num_heads=2)
    check("MultiHeadAttention", {"q": q, "k": f32(2, 2, 5, 4), "v": f32(2, 2, 5, 4)}, num_heads=2)
    order = ["q", "k", "v", "", "m"]
    check("MultiHeadAttention", {"q": q, "k": k, "v": v, "m": np.array([3, 5], np.int32)}, order=order, num_heads=2)
    check("MultiHeadAttention", {"q": q, "k": k, "v": v, "m": RANDOM.integers(0, 2, (2, 5)).astype(np.int32)}, order=order, num_heads=2)
    order = ["q", "k", "v", "", "", "a", "pk", "pv"]
    past = {"q": q, "k": f32(2, 3, 8), "v": f32(2, 3, 8), "a": f32(2, 2, 3, 7), "pk": f32(2, 2, 4, 4), "pv": f32(2, 2, 4, 4)}
    check("MultiHeadAttention", past, outputs=3, order=order, num_heads=2)


def angles(places: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    turns = np.outer(np.arange(places), 1 / 10 ** np.arange(half)).astype(np.float32)
    return np.cos(turns), np.sin(turns)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_turned(interleaved: int) -> None:
    cosine, sine = angles(10, 4)
    tables = {"c": cosine, "s": sine}
    check("RotaryEmbedding", {"x": f32(2, 3, 16), "p": np.array([2]), **tables}, interleaved=interleaved)
    check("RotaryEmbedding", {"x": f32(2, 3, 16), "p": RANDOM.integers(0, 10, (2, 3)), **tables}, interleaved=interleaved)
    check("RotaryEmbedding", {"x": f32(2, 2, 3, 8), "p": RANDOM.integers(0, 10, (2, 3)), **tables}, interleaved=interleaved)
    feed = {"x": f32(2, 3, 24), "p": RANDOM.integers(0, 10, (2, 3)), **tables}
    check("RotaryEmbedding", feed, interleaved=interleaved, num_heads=2, rotary_embedding_dim=8)


@pytest.mark.parametrize("attributes", [{}, {"local_window_size": 2}, {"softcap": 5.0, "scale": 0.2}, {"do_rotary": 1}, {"do_rotary": 1, "rotary_interleaved": 1},
                                        {"smooth_softmax": 1}, {"smooth_softmax": 1, "local_window_size": 2, "softcap": 5.0}])  # fmt: skip
def test_grouped_queries(attributes: dict[str, Any]) -> None:
    heads = {"num_heads": 4, "kv_num_heads": 2}
    cosine, sine = angles(16, 8)
    tables = {"c": cosine, "s": sine} if "do_rotary" in attributes else {}
    names = ["c", "s"] if tables else []
    # A prompt; then one token more, and several, behind what is there.
    prompt = {"q": f32(2, 5, 64), "k": f32(2, 5, 32), "v": f32(2, 5, 32), "l": np.array([4, 4], np.int32), "t": np.array(5, np.int32)}
    check("GroupQueryAttention", prompt | tables, outputs=3, order=["q", "k", "v", "", "", "l", "t", *names], **heads, **attributes)
    past = {"pk": f32(2, 2, 6, 16), "pv": f32(2, 2, 6, 16)}
    order = ["q", "k", "v", "pk", "pv", "l", "t", *names]
    token = {"q": f32(2, 1, 64), "k": f32(2, 1, 32), "v": f32(2, 1, 32), **past, "l": np.array([6, 6], np.int32), "t": np.array(7, np.int32)}
    check("GroupQueryAttention", token | tables, outputs=3, order=order, **heads, **attributes)
    packed = {"q": f32(2, 1, 128), **past, "l": np.array([6, 6], np.int32), "t": np.array(7, np.int32)}
    check("GroupQueryAttention", packed | tables, outputs=3, order=["q", "", "", "pk", "pv", "l", "t", *names], **heads, **attributes)


def quantised(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0 if kind is np.uint8 else -100, 200 if kind is np.uint8 else 100, shape).astype(kind)


def scale(value: float) -> np.ndarray:
    return np.array(value, np.float32)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_quantised_numbers(kind: type) -> None:
    zero = [np.array(n, kind) for n in (100, 90, 60)] if kind is np.uint8 else [np.array(n, kind) for n in (3, -5, 0)]
    two = {"a": quantised(2, 3, 4, kind=kind), "as": scale(0.1), "az": zero[0], "b": quantised(4, kind=kind), "bs": scale(0.05), "bz": zero[1], "ys": scale(0.2), "yz": zero[2]}
    check("QLinearAdd", two, units=1)
    check("QLinearMul", two, units=1)
    one = {"x": quantised(1, 2, 6, 6, kind=kind), "xs": scale(0.05), "xz": zero[0], "ys": scale(0.04), "yz": zero[2]}
    check("QLinearSigmoid", one, units=1)
    check("QLinearLeakyRelu", one, units=1, alpha=0.3)
    check("QLinearAveragePool", one, units=1, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    check("QLinearAveragePool", one, units=1, kernel_shape=[2, 2], channels_last=1)
    check("QLinearGlobalAveragePool", one, units=1, channels_last=0)
    soft = one | {"ys": scale(1 / 256), "yz": np.array(0 if kind is np.uint8 else -128, kind)}
    check("QLinearSoftmax", soft, units=1, axis=-1, opset=13)
    parts = {"ys": scale(0.1), "yz": zero[2], "a": quantised(2, 3, kind=kind), "as": scale(0.1), "az": zero[0], "b": quantised(2, 2, kind=kind), "bs": scale(0.2), "bz": zero[1]}
    check("QLinearConcat", parts, units=1, axis=1)


def test_quantised_products() -> None:
    a, b = quantised(3, 6), quantised(6, 4, kind=np.int8)
    feed = {"a": a, "b": b, "as": scale(0.02), "bs": np.array([0.1, 0.2, 0.05, 0.3], np.float32), "az": np.array(100, np.uint8)}
    check("MatMulIntegerToFloat", feed | {"bz": np.array([1, -2, 0, 3], np.int8), "c": f32(4)})
    check("DynamicQuantizeMatMul", {"a": f32(3, 6), "b": b, "bs": scale(0.1), "bz": np.array(2, np.int8), "c": f32(4)})
    gemm = {"a": a, "as": scale(0.02), "az": np.array(100, np.uint8), "b": b, "bs": scale(0.1), "bz": np.array(0, np.int8)}
    check("QGemm", gemm)
    bias = gemm | {"c": RANDOM.integers(-99, 99, 4).astype(np.int32)}
    check("QGemm", bias | {"ys": scale(0.3), "yz": np.array(120, np.uint8)}, units=1, alpha=0.5)
    check("QGemm", {**gemm, "b": np.ascontiguousarray(b.T)}, transB=1)


@pytest.mark.parametrize("zero", [None, "packed"])
@pytest.mark.parametrize(("depth", "bits"), [(64, 4), (50, 4), (64, 8)])
def test_few_bits(depth: int, bits: int, zero: str | None) -> None:
    rows, block = 5, 16
    blocks = -(-depth // block)
    feed = {"a": f32(3, depth), "b": RANDOM.integers(0, 256, (rows, blocks, block * bits // 8)).astype(np.uint8), "s": f32(rows, blocks, scale=0.1)}
    if zero:
        feed["z"] = RANDOM.integers(0, 256, (rows, -(-blocks * bits // 8))).astype(np.uint8)
    check("MatMulNBits", feed, K=depth, N=rows, bits=bits, block_size=block, rtol=1e-3)
    if bits == 4:  # columns whose block is told by a list
        order = ["a", "b", "s", "z" if zero else "", "g"]
        places = {"g": RANDOM.permutation(np.arange(blocks * block) // block).astype(np.int32)}
        expected = None
        if zero:  # which ONNX Runtime 1.32 passes over where there is such a list
            low = lambda x: np.stack([x & 15, x >> 4], -1).reshape(rows, -1).astype(np.float32)  # noqa: E731
            at = places["g"][:depth]
            numbers = (low(feed["b"])[:, :depth] - low(feed["z"])[:, at]) * feed["s"][:, at]
            expected = [feed["a"] @ numbers.T]
        check("MatMulNBits", feed | places, expected=expected, order=order, K=depth, N=rows, bits=bits, block_size=block, rtol=1e-3)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_lstm_of_few_bits(kind: type, direction: str) -> None:
    steps, batch, size, hidden, ways = 5, 2, 6, 4, 2 if direction == "bidirectional" else 1
    feed = {"x": f32(steps, batch, size), "w": quantised(ways, size, 4 * hidden, kind=kind), "r": quantised(ways, hidden, 4 * hidden, kind=kind), "b": f32(ways, 8 * hidden),
            "ws": np.full(ways, 0.01, np.float32), "wz": np.full(ways, 120 if kind is np.uint8 else 3, kind), "rs": np.full(ways, 0.01, np.float32), "rz": np.full(ways, 110 if kind is np.uint8 else -2, kind)}  # fmt: skip
    more: dict[str, Any] = {"order": ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"], "hidden_size": hidden, "direction": direction}
    # Weights are constants there.
    constant = model("DynamicQuantizeLSTM", feed, 3, False, **more)
    for name in list(feed)[1:]:
        constant.graph.initializer.append(onnx.numpy_helper.from_array(feed[name], name))
    del constant.graph.input[1:]
    wanted = run_peer(constant, {"x": feed["x"]})
    # The same with weights of f32.
    wide = {name: ((feed[name].astype(np.float32) - np.float32(feed[f"{name}z"][0])) * feed[f"{name}s"][0]).transpose(0, 2, 1) for name in "wr"}
    outputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("y", "h", "c")]
    node = onnx.helper.make_node("LSTM", ["x", "w", "r", "b"], ["y", "h", "c"], hidden_size=hidden, direction=direction)
    inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, feed["x"].shape)]
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in (wide | {"b": feed["b"]}).items()]
    graph = onnx.helper.make_graph([node], "wide", inputs, outputs, weights)
    exact = run_peer(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8), {"x": feed["x"]})
    for dynamic in (False, True):
        found = module().compile(model("DynamicQuantizeLSTM", feed, 3, dynamic, **more)).run(list(feed.values()))
        for one, other, same in zip(found, wanted, exact, strict=True):  # inputs and states are rounded to 8 bits there
            assert one.shape == other.shape and np.abs(one - other).max() < 0.05 * np.abs(other).max()
            np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-5)


def test_faults() -> None:
    for op, feed, attributes, message in [
        ("FusedMatMul", {"a": f32(3), "b": f32(3, 3)}, {}, "input 0 has rank 1, expected 2 or more"),
        ("FusedConv", {"x": f32(1, 1, 3, 3), "w": f32(1, 1, 1, 1)}, {"activation": "Swirl"}, "the activation 'Swirl' is not supported"),
        ("Attention", {"x": f32(1, 2, 4), "w": f32(4, 12)}, {"num_heads": 0}, "attribute 'num_heads' is 0, expected 1 to 16777216"),
        ("BiasGelu", {}, {}, "it has 0 inputs, expected 1 to 2"),
        ("Gelu", {"x": f32(2)}, {"strange": 1}, "the attribute 'strange' is not supported"),
    ]:
        with pytest.raises(module().CompileError, match=message):
            module().compile(model(op, feed, 1, False, **attributes))


def test_one_opset_beside_another() -> None:
    """TensorProto's types are those of the default domain's schemas; here there is none."""
    text = model("Gelu", {"x": np.zeros(2, np.int64)}, 1, False)
    assert text.graph.input[0].type.tensor_type.elem_type == TensorProto.INT64
    with pytest.raises(module().CompileError, match="Gelu"):
        module().compile(text)
