"""Every loss and its settings: value and gradient against torch.nn.functional.

A model's outputs are its weights times an input; a step of plain SGD with rate 1 shows the
gradient. Losses that PyTorch has not are written with its tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper, parser

import small_models
from support import module

Tensors = dict[str, torch.Tensor]


@dataclass
class Case:
    loss: str
    reference: Callable[[list[torch.Tensor], Tensors], torch.Tensor]
    shapes: list[tuple[int, ...]] = field(default_factory=lambda: [(6, 5)])  # of the outputs
    targets: Callable[[np.random.Generator], dict[str, np.ndarray]] = lambda random: {}
    log: bool = False  # the outputs are log-probabilities
    probability: bool = False


def draw(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.normal(size=shape)


def labels(*shape: int, classes: int = 5, ignored: int | None = None) -> Callable[..., dict[str, np.ndarray]]:
    def make(random: np.random.Generator) -> dict[str, np.ndarray]:
        values = random.integers(0, classes, shape)
        if ignored is not None:
            values.flat[1::3] = ignored
        return {"labels": values}

    return make


def targets(*shape: int) -> Callable[..., dict[str, np.ndarray]]:
    return lambda random: {"targets": draw(random, *shape)}


def shares(*shape: int) -> Callable[..., dict[str, np.ndarray]]:
    """Probabilities along dimension 1, some of them 0."""

    def make(random: np.random.Generator) -> dict[str, np.ndarray]:
        values = np.maximum(random.uniform(-0.3, 1, shape), 0)
        values[:, 0] += 0.1
        return {"targets": values / values.sum(1, keepdims=True)}

    return make


def parts(*shape: int) -> Callable[..., dict[str, np.ndarray]]:
    return lambda random: {"targets": random.uniform(size=shape)}


def signs(*shape: int) -> Callable[..., dict[str, np.ndarray]]:
    return lambda random: {"targets": random.choice([-1.0, 1.0], shape)}


def cross(**options: object) -> Callable[[list[torch.Tensor], Tensors], torch.Tensor]:
    weight = options.pop("weight", None)
    return lambda y, t: F.cross_entropy(
        y[0],
        t.get("labels", t.get("targets")),
        weight=None if weight is None else torch.tensor(weight, dtype=y[0].dtype),
        **options,
    )


def dice(y: torch.Tensor, t: torch.Tensor, smooth: float = 1) -> torch.Tensor:
    """1 - (2 |y t| + s) / (|y| + |t| + s) over the places of each sample and channel."""
    axes = tuple(range(1 if y.dim() == 2 else 2, y.dim()))
    return 1 - (2 * (y * t).sum(axes) + smooth) / (y.sum(axes) + t.sum(axes) + smooth)


def policy(y: list[torch.Tensor], t: Tensors, entropy: float = 0) -> torch.Tensor:
    chosen = torch.distributions.Categorical(logits=y[0].movedim(1, -1))
    return -(chosen.log_prob(t["actions"]) * t["advantages"] + entropy * chosen.entropy()).mean()


def actions(*shape: int) -> Callable[..., dict[str, np.ndarray]]:
    return lambda random: {"actions": random.integers(0, 5, shape), "advantages": draw(random, *shape)}


def bce(**options: object) -> Callable[[list[torch.Tensor], Tensors], torch.Tensor]:
    pos = options.pop("pos_weight", None)
    return lambda y, t: F.binary_cross_entropy_with_logits(
        y[0], t["targets"], pos_weight=None if pos is None else torch.tensor(pos, dtype=y[0].dtype), **options
    )


W = [0.5, 1, 2, 0, 1.5]
CE = "softmax-cross-entropy"
BLOCK = (3, 5, 2, 4)  # logits at places
CASES = [
    Case(CE, cross(), targets=labels(6)),
    Case(f"{CE}:reduction=sum", cross(reduction="sum"), targets=labels(6)),
    Case(CE, cross(), targets=labels(6, ignored=-100)),
    Case(f"{CE}:ignore_index=2", cross(ignore_index=2), targets=labels(6, ignored=2)),
    Case(f"{CE}:weight=0.5/1/2/0/1.5", cross(weight=W), targets=labels(6)),
    Case(f"{CE}:label_smoothing=0.2", cross(label_smoothing=0.2), targets=labels(6, ignored=-100)),
    Case(f"{CE}:label_smoothing=1", cross(label_smoothing=1), targets=labels(6)),
    Case(
        f"{CE}:label_smoothing=0.2,weight=0.5/1/2/0/1.5,ignore_index=1",
        cross(label_smoothing=0.2, weight=W, ignore_index=1),
        [BLOCK],
        labels(3, 2, 4, ignored=1),
    ),
    Case(
        f"{CE}:label_smoothing=0.2,weight=0.5/1/2/0/1.5,reduction=sum",
        cross(label_smoothing=0.2, weight=W, reduction="sum"),
        [BLOCK],
        labels(3, 2, 4),
    ),
    Case(CE, cross(), [BLOCK], labels(3, 2, 4)),
    Case(CE, cross(), [(4, 5, 3)], labels(4, 3)),
    Case(f"{CE}:soft", cross(), targets=shares(6, 5)),
    Case(f"{CE}:soft,label_smoothing=0.1", cross(label_smoothing=0.1), [BLOCK], shares(*BLOCK)),
    Case(f"{CE}:soft,weight=0.5/1/2/0/1.5", cross(weight=W), [BLOCK], shares(*BLOCK)),
    Case(f"{CE}:soft,reduction=sum", cross(reduction="sum"), targets=shares(6, 5)),
    Case("nll", lambda y, t: F.nll_loss(y[0], t["labels"]), targets=labels(6, ignored=-100), log=True),
    Case(
        "nll:probabilities",
        lambda y, t: F.nll_loss(y[0].clamp(min=1e-7).log(), t["labels"]),
        targets=labels(6, ignored=-100),
    ),
    Case(
        "nll:weight=0.5/1/2/0/1.5,reduction=sum,ignore_index=3",
        lambda y, t: F.nll_loss(
            y[0], t["labels"], torch.tensor(W, dtype=y[0].dtype), reduction="sum", ignore_index=3
        ),
        [BLOCK],
        labels(3, 2, 4, ignored=3),
        log=True,
    ),
    Case("bce-with-logits", bce(), targets=parts(6, 5)),
    Case("bce-with-logits:reduction=sum", bce(reduction="sum"), [(6,)], parts(6)),
    Case("bce-with-logits:pos_weight=3", bce(pos_weight=3.0), [BLOCK], parts(*BLOCK)),
    Case("bce-with-logits:pos_weight=0.5/1/2/0/1.5", bce(pos_weight=W), targets=parts(6, 5)),
    Case("mse", lambda y, t: F.mse_loss(y[0], t["targets"]), [BLOCK], targets(*BLOCK)),
    Case("mse:reduction=sum", lambda y, t: F.mse_loss(y[0], t["targets"], reduction="sum"), [(6,)], targets(6)),
    Case("mae", lambda y, t: F.l1_loss(y[0], t["targets"]), targets=targets(6, 5)),
    Case("huber", lambda y, t: F.huber_loss(y[0], t["targets"]), targets=targets(6, 5)),
    Case(
        "huber:delta=0.3,reduction=sum",
        lambda y, t: F.huber_loss(y[0], t["targets"], delta=0.3, reduction="sum"),
        targets=targets(6, 5),
    ),
    Case("smooth-l1", lambda y, t: F.smooth_l1_loss(y[0], t["targets"]), targets=targets(6, 5)),
    Case("smooth-l1:beta=0.3", lambda y, t: F.smooth_l1_loss(y[0], t["targets"], beta=0.3), targets=targets(6, 5)),
    Case("smooth-l1:beta=0", lambda y, t: F.smooth_l1_loss(y[0], t["targets"], beta=0), targets=targets(6, 5)),
    Case("kl-divergence", lambda y, t: F.kl_div(y[0], t["targets"]), targets=shares(6, 5), log=True),
    Case(
        "kl-divergence:reduction=batchmean",
        lambda y, t: F.kl_div(y[0], t["targets"], reduction="batchmean"),
        [BLOCK],
        shares(*BLOCK),
        log=True,
    ),
    Case(
        "kl-divergence:log_target,reduction=sum",
        lambda y, t: F.kl_div(y[0], t["targets"], log_target=True, reduction="sum"),
        targets=targets(6, 5),
        log=True,
    ),
    Case("hinge", lambda y, t: F.relu(1 - y[0] * t["targets"]).mean(), targets=signs(6, 5)),
    Case("hinge:margin=0.4,reduction=sum", lambda y, t: F.relu(0.4 - y[0] * t["targets"]).sum(), targets=signs(6, 5)),
    Case("hinge-embedding", lambda y, t: F.hinge_embedding_loss(y[0], t["targets"]), targets=signs(6, 5)),
    Case(
        "hinge-embedding:margin=0.5,reduction=sum",
        lambda y, t: F.hinge_embedding_loss(y[0], t["targets"], margin=0.5, reduction="sum"),
        targets=signs(6, 5),
    ),
    Case(
        "cosine-embedding",
        lambda y, t: F.cosine_embedding_loss(y[0], y[1], t["targets"]),
        [(6, 5), (6, 5)],
        signs(6),
    ),
    Case(
        "cosine-embedding:margin=0.3,reduction=sum",
        lambda y, t: F.cosine_embedding_loss(y[0], y[1], t["targets"], margin=0.3, reduction="sum"),
        [(6, 5), (6, 5)],
        signs(6),
    ),
    Case("triplet-margin", lambda y, t: F.triplet_margin_loss(*y), [(6, 5)] * 3),
    Case("triplet-margin:p=1,swap", lambda y, t: F.triplet_margin_loss(*y, p=1, swap=True), [(6, 5)] * 3),
    Case(
        "triplet-margin:p=3,margin=2,reduction=sum,eps=1e-4",
        lambda y, t: F.triplet_margin_loss(*y, p=3, margin=2, eps=1e-4, reduction="sum"),
        [(6, 5)] * 3,
    ),
    Case("dice", lambda y, t: dice(y[0], t["targets"]).mean(), [BLOCK], parts(*BLOCK), probability=True),
    Case("dice:smooth=0.1", lambda y, t: dice(y[0], t["targets"], 0.1).mean(), [(6, 5)], parts(6, 5), probability=True),
    Case(
        "dice:logits,reduction=sum", lambda y, t: dice(torch.sigmoid(y[0]), t["targets"]).sum(), [BLOCK], parts(*BLOCK)
    ),
    Case("policy-gradient", policy, targets=actions(6)),
    Case("policy-gradient:entropy=0.1", lambda y, t: policy(y, t, 0.1), [(4, 5, 3)], actions(4, 3)),
]


def build(shapes: list[tuple[int, ...]], batch: int | str, dtype: str, *, post: str = "Identity") -> bytes:
    """y0 = post(x0 * w0), and so on: each weight is of the output's shape but for the batch."""
    dims = [", ".join(str(d) for d in (batch, *s[1:])) for s in shapes]
    inputs = ", ".join(f"{dtype}[{d}] x{i}" for i, d in enumerate(dims))
    outputs = ", ".join(f"{dtype}[{d}] y{i}" for i, d in enumerate(dims))
    nodes = " ".join(f"m{i} = Mul (x{i}, w{i}) y{i} = {post} (m{i})" for i in range(len(shapes)))
    made = parser.parse_model(small_models.HEAD + f"net ({inputs}) => ({outputs}) {{ {nodes} }}")
    for number, node in enumerate(made.graph.node):
        node.name = f"node{number}"
    return made.SerializeToString()


def attach(model: bytes, weights: dict[str, np.ndarray]) -> bytes:
    made = onnx.load_from_string(model)
    for name, value in weights.items():
        made.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    onnx.checker.check_model(made)
    return made.SerializeToString()


def check(case: Case, batch: str, dtype: type) -> None:
    random = np.random.default_rng(3)
    data = case.targets(random)
    data = {n: v.astype(dtype) if v.dtype == np.float64 else v for n, v in data.items()}
    xs = {f"x{i}": draw(random, *s).astype(dtype) for i, s in enumerate(case.shapes)}
    weights = {f"w{i}": draw(random, *s[1:]).astype(dtype) for i, s in enumerate(case.shapes)}
    post = "LogSoftmax <axis = 1>" if case.log else "Sigmoid" if case.probability else "Identity"
    name = {np.float32: "float", np.float64: "double"}[dtype]
    size = case.shapes[0][0] if batch == "static" else "N"
    program = module().compile(
        attach(build(case.shapes, size, name, post=post), weights), train={"loss": case.loss, "optimizer": "sgd"}
    )
    loss, *_ = program.run(xs | data | {"learning_rate": np.float32(1)}, function="step")

    tensors = [torch.tensor(w, requires_grad=True) for w in weights.values()]
    outputs = [torch.tensor(x) * w for x, w in zip(xs.values(), tensors)]
    if case.log:
        outputs = [torch.log_softmax(y, 1) for y in outputs]
    if case.probability:
        outputs = [torch.sigmoid(y) for y in outputs]
    wanted = case.reference(outputs, {n: torch.tensor(v) for n, v in data.items()})
    wanted.backward()
    np.testing.assert_allclose(loss, wanted.item(), rtol=1e-6 if dtype is np.float64 else 1e-5)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    for (key, before), tensor in zip(weights.items(), tensors):
        gradient = before - program.read_parameter(key)
        expected = tensor.grad.numpy()
        scale = max(np.abs(expected).max(), np.abs(before).max())
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * scale, err_msg=key)


@pytest.mark.parametrize("batch", ["static", "dynamic"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.loss}-{len(case.shapes[0])}d")
def test_against_pytorch(case: Case, batch: str) -> None:
    check(case, batch, np.float64)
    check(case, batch, np.float32)
