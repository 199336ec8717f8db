"""Every optimiser and its options, step by step, against torch.optim; LAMB and Lion
against their papers' formulas in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper, parser

import small_models
from support import module

STEPS = 12

# A matrix, a vector, a convolution's weight, a scalar, and one that is used twice.
TEXT = """net (TYPE[BATCH, 2, 5] x, TYPE[BATCH, 3] goal) => (TYPE[BATCH, 3] y, TYPE l) {
  c = Conv (x, kernel) t = Tanh (c) f = Flatten (t) m = MatMul (f, w) b = Add (m, bias)
  s = Mul (b, scale) u = Mul (s, bias) y = Add (u, scale)
  d = Sub (y, goal) q = Mul (d, d) l = ReduceMean <keepdims = 0> (q) }"""


def weights(dtype: type) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"kernel": (4, 2, 3), "w": (12, 3), "bias": (3,), "scale": ()}
    return {n: np.asarray(random.normal(0, 0.7, s), dtype) for n, s in shapes.items()}


def build(batch: str, dtype: type) -> bytes:
    name = {np.float32: "float", np.float64: "double"}[dtype]
    made = parser.parse_model(small_models.HEAD + TEXT.replace("TYPE", name).replace("BATCH", batch))
    for number, node in enumerate(made.graph.node):
        node.name = f"node{number}"
    for key, value in weights(dtype).items():
        made.graph.initializer.append(numpy_helper.from_array(value, key))
    onnx.checker.check_model(made)
    return made.SerializeToString()


def losses(tensors: dict[str, torch.Tensor], x: np.ndarray, goal: np.ndarray) -> torch.Tensor:
    t = torch.tanh(torch.nn.functional.conv1d(torch.tensor(x), tensors["kernel"])).flatten(1)
    b = t @ tensors["w"] + tensors["bias"]
    y = b * tensors["scale"] * tensors["bias"] + tensors["scale"]
    return ((y - torch.tensor(goal)) ** 2).mean()


Make = Callable[[list[torch.Tensor], float], torch.optim.Optimizer]


class Formula(torch.optim.Optimizer):
    """An optimiser that PyTorch has not, in NumPy: `update(x, gradient, state, t)` gives x."""

    def __init__(self, parameters: list[torch.Tensor], update: Callable[..., np.ndarray]) -> None:
        super().__init__(parameters, {})
        self.update, self.count = update, 0

    def step(self) -> None:  # type: ignore[override]
        self.count += 1
        for p in self.param_groups[0]["params"]:
            state = self.state[p]
            with torch.no_grad():
                moved = self.update(p.numpy().copy(), p.grad.numpy(), state, self.count)
                p.copy_(torch.tensor(moved, dtype=p.dtype))


def lamb(rate: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-6, decay: float = 0) -> Callable[..., np.ndarray]:
    """You et al., "Large batch optimization for deep learning", algorithm 2, phi(z) = z."""

    def update(x: np.ndarray, g: np.ndarray, state: dict, t: int) -> np.ndarray:
        m = state["m"] = b1 * state.get("m", 0) + (1 - b1) * g
        v = state["v"] = b2 * state.get("v", 0) + (1 - b2) * g * g
        r = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * x
        norm, length = np.sqrt((x * x).sum()), np.sqrt((r * r).sum())
        return x - rate * (norm / length if norm > 0 and length > 0 else 1) * r

    return update


def lion(rate: float, b1: float = 0.9, b2: float = 0.99, decay: float = 0) -> Callable[..., np.ndarray]:
    """Chen et al., "Symbolic discovery of optimization algorithms", algorithm 2."""

    def update(x: np.ndarray, g: np.ndarray, state: dict, t: int) -> np.ndarray:
        m = state.get("m", np.zeros_like(g))
        c = np.sign(b1 * m + (1 - b1) * g)
        state["m"] = b2 * m + (1 - b2) * g
        return x - rate * (c + decay * x)

    return update


class DecoupledSgd(torch.optim.SGD):
    """SGD with decoupled weight decay, as in SGDW: the parameter shrinks by rate * decay."""

    def __init__(self, parameters: list[torch.Tensor], lr: float, decay: float, **options: float) -> None:
        super().__init__(parameters, lr=lr, **options)
        self.decay, self.rate = decay, lr

    def step(self) -> None:  # type: ignore[override]
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                p.mul_(1 - self.rate * self.decay)
        super().step()


o = torch.optim
CASES: dict[str, tuple[float, Make]] = {
    "sgd": (0.1, lambda p, lr: o.SGD(p, lr=lr)),
    "sgd:weight_decay=0.1": (0.1, lambda p, lr: o.SGD(p, lr=lr, weight_decay=0.1)),
    "sgd:momentum=0.9": (0.05, lambda p, lr: o.SGD(p, lr=lr, momentum=0.9)),
    "sgd:momentum=0.9,dampening=0.3,weight_decay=0.02": (
        0.05,
        lambda p, lr: o.SGD(p, lr=lr, momentum=0.9, dampening=0.3, weight_decay=0.02),
    ),
    "sgd:momentum=0.8,nesterov": (0.05, lambda p, lr: o.SGD(p, lr=lr, momentum=0.8, nesterov=True)),
    "sgd:momentum=0.8,weight_decay=0.1,decoupled_weight_decay": (
        0.05,
        lambda p, lr: DecoupledSgd(p, lr, 0.1, momentum=0.8),
    ),
    "adam": (0.02, lambda p, lr: o.Adam(p, lr=lr)),
    "adam:beta1=0.8,beta2=0.95,eps=1e-3,weight_decay=0.1": (
        0.02,
        lambda p, lr: o.Adam(p, lr=lr, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    ),
    "adamw": (0.02, lambda p, lr: o.AdamW(p, lr=lr)),
    "adamw:weight_decay=0.3,amsgrad": (0.02, lambda p, lr: o.AdamW(p, lr=lr, weight_decay=0.3, amsgrad=True)),
    "amsgrad:beta2=0.5": (0.05, lambda p, lr: o.Adam(p, lr=lr, betas=(0.9, 0.5), amsgrad=True)),
    "adam:amsgrad,weight_decay=0.1": (0.05, lambda p, lr: o.Adam(p, lr=lr, amsgrad=True, weight_decay=0.1)),
    "rmsprop": (0.01, lambda p, lr: o.RMSprop(p, lr=lr)),
    "rmsprop:alpha=0.9,momentum=0.5,weight_decay=0.1,eps=1e-4": (
        0.01,
        lambda p, lr: o.RMSprop(p, lr=lr, alpha=0.9, momentum=0.5, weight_decay=0.1, eps=1e-4),
    ),
    "rmsprop:centered,momentum=0.3": (0.01, lambda p, lr: o.RMSprop(p, lr=lr, centered=True, momentum=0.3)),
    "adagrad": (0.1, lambda p, lr: o.Adagrad(p, lr=lr)),
    "adagrad:lr_decay=0.1,weight_decay=0.05,initial_accumulator_value=0.2,eps=1e-6": (
        0.1,
        lambda p, lr: o.Adagrad(
            p, lr=lr, lr_decay=0.1, weight_decay=0.05, initial_accumulator_value=0.2, eps=1e-6
        ),
    ),
    "adadelta": (1.0, lambda p, lr: o.Adadelta(p, lr=lr)),
    "adadelta:rho=0.7,eps=1e-4,weight_decay=0.1": (
        1.0,
        lambda p, lr: o.Adadelta(p, lr=lr, rho=0.7, eps=1e-4, weight_decay=0.1),
    ),
    "adamax": (0.02, lambda p, lr: o.Adamax(p, lr=lr)),
    "adamax:beta1=0.7,beta2=0.9,weight_decay=0.1": (
        0.02,
        lambda p, lr: o.Adamax(p, lr=lr, betas=(0.7, 0.9), weight_decay=0.1),
    ),
    "nadam": (0.02, lambda p, lr: o.NAdam(p, lr=lr)),
    "nadam:momentum_decay=0.1,weight_decay=0.1": (
        0.02,
        lambda p, lr: o.NAdam(p, lr=lr, momentum_decay=0.1, weight_decay=0.1),
    ),
    "nadam:weight_decay=0.1,decoupled_weight_decay": (
        0.02,
        lambda p, lr: o.NAdam(p, lr=lr, weight_decay=0.1, decoupled_weight_decay=True),
    ),
    "lamb": (0.05, lambda p, lr: Formula(p, lamb(lr))),
    "lamb:weight_decay=0.1,eps=1e-4": (0.05, lambda p, lr: Formula(p, lamb(lr, eps=1e-4, decay=0.1))),
    "lion": (0.01, lambda p, lr: Formula(p, lion(lr))),
    "lion:beta1=0.8,weight_decay=0.5": (0.01, lambda p, lr: Formula(p, lion(lr, b1=0.8, decay=0.5))),
}


def compare(
    make: Make, rate: float, batch: str, dtype: type, tolerance: float, train: dict[str, object]
) -> None:
    """Steps of both; every parameter after every step."""
    train = {"loss": "output:l"} | train
    program = module().compile(build(batch, dtype), train=train, threads=2)
    tensors = {n: torch.tensor(a, requires_grad=True) for n, a in weights(dtype).items()}
    rate = float(np.float32(rate))
    optimizer = make(list(tensors.values()), rate)
    random = np.random.default_rng(1)
    for step in range(STEPS):
        x = random.normal(size=(4 if batch == "4" else 1 + step % 5, 2, 5)).astype(dtype)
        goal = random.normal(size=(len(x), 3)).astype(dtype)
        optimizer.zero_grad()
        wanted = losses(tensors, x, goal)
        wanted.backward()
        optimizer.step()
        loss, *_ = program.run([x, goal, np.float32(rate)], function="step")
        np.testing.assert_allclose(loss, wanted.item(), rtol=1e-5)
        for name, tensor in tensors.items():
            expected = tensor.detach().numpy()
            scale = max(np.abs(expected).max(), 0.1)
            np.testing.assert_allclose(
                program.read_parameter(name), expected, rtol=0, atol=tolerance * scale, err_msg=f"{name}, step {step}"
            )


@pytest.mark.parametrize("batch", ["4", "N"], ids=["static", "dynamic"])
@pytest.mark.parametrize("optimizer", CASES)
def test_against_pytorch(optimizer: str, batch: str) -> None:
    rate, make = CASES[optimizer]
    # In f64 the formulas show to the last digits (of PyTorch's own state of numbers too); in f32
    # twelve steps differ by the roundings of the whole model.
    torch.set_default_dtype(torch.float64)
    try:
        compare(make, rate, batch, np.float64, 1e-10, {"optimizer": optimizer})
    finally:
        torch.set_default_dtype(torch.float32)
    compare(make, rate, batch, np.float32, 5e-6, {"optimizer": optimizer})
