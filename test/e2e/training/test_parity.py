"""Training agrees with PyTorch, in f32, from the same weights and data: architectures as their ONNX exports
through `nacre train` alone, and written with nacre.nn.

With SGD: the first loss within 1e-5, each gradient within 1e-4 (of its norm), and twenty losses within 1e-4; within 2e-3
where batch normalisation over few values makes much of little (U-Net). ResNet-18 at this rate is chaotic:
PyTorch itself parts from itself between thread counts, so there the first step decides. With Adam twenty losses
are compared with PyTorch's in f64 (ADAM_TOLERANCE).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import architectures
import native
import numpy as np
import onnx
import pytest
import torch
from architectures import SMALL, Architecture
from support import module, nacre
from torch.overrides import TorchFunctionMode

RATE = 0.05
STEPS = dict.fromkeys(SMALL, 20) | {"resnet18": 2}
# With this rate a step leaves nothing but the gradient of a weight, and loses no bit of it.
GRADIENT_RATE = 2.0**20
# A gradient is well defined where no pre-activation of a ReLU is as near to 0 as rounding reaches. Of ResNet-18's
# 750,000 the nearest is, with most weights and images, as far from it as f32 is from f64; with these it is 6 times as far.
SEEDS = dict.fromkeys(SMALL, 1) | {"resnet18": 20}
KINK_DISTANCE = {"resnet18": 6}
TOLERANCE = {"unet": 2e-3, "resnet18": None}  # of the losses after the first
# With Adam, whose first steps are as long for a small gradient as for a large one, so that a gradient that is nothing
# but rounding moves its weight as far as any. Most models do not feel it: twenty losses stay within 3.2e-7 of
# PyTorch's f64, the vision transformer's within 1.5e-5. Batch normalisation makes more of it: on the U-Net PyTorch's
# f32 parts from itself by 1.5e-4 between one thread and two. ResNet-18 learns its four images by heart, down to a loss
# of 1.2e-4, of which PyTorch's f32 and f64 differ by 2e-3: there losses are measured by the first.
ADAM_RATE = 1e-3
ADAM_TOLERANCE = dict.fromkeys(SMALL, 5e-6) | {"vit": 1e-4, "unet": 2e-3, "resnet18": 0}
ADAM_ABSOLUTE = {"resnet18": 1e-4}
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Reference:
    module: torch.nn.Module  # with the gradients of the first step, and the weights before it
    exact: torch.nn.Module  # the same in f64, where gradients that are 0 are not rounding
    inputs: dict[str, torch.Tensor]
    arrays: Arrays  # inputs and targets
    losses: list[float]


@cache
def reference(name: str) -> Reference:
    architecture = SMALL[name]
    start, inputs, targets = architectures.make(architecture, seed=SEEDS[name])
    gradients(architecture, start, inputs, targets)
    exact, _, _ = architectures.make(architecture, seed=SEEDS[name])
    exact.double()
    doubles = {n: v.double() if v.is_floating_point() else v for n, v in inputs.items()}
    gradients(architecture, exact, doubles, {n: v if v.dtype == torch.int64 else v.double() for n, v in targets.items()})

    assert measure_kinks(start, inputs, exact, doubles) > KINK_DISTANCE.get(name, 0)

    trained, _, _ = architectures.make(architecture, seed=SEEDS[name])
    optimizer = torch.optim.SGD(trained.parameters(), RATE)
    losses = []
    for _ in range(STEPS[name]):
        optimizer.zero_grad()
        losses.append(gradients(architecture, trained, inputs, targets))
        optimizer.step()
    return Reference(start, exact, inputs, {n: v.numpy() for n, v in (inputs | targets).items()}, losses)


class ReluInputs(TorchFunctionMode):
    """What ReLUs are given while it is entered, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.relu, torch.nn.functional.relu):
            self.seen.append(args[0].double())
        return func(*args, **(kwargs or {}))


def measure_kinks(module: torch.nn.Module, inputs: Any, exact: torch.nn.Module, doubles: Any) -> float:
    """How far from 0 the nearest pre-activation of a ReLU is, in root mean squares of its layer's rounding errors."""
    seen = []
    for m, values in ((module, inputs), (exact, doubles)):
        state = {n: b.clone() for n, b in m.named_buffers()}
        with torch.no_grad(), ReluInputs() as relus:
            m(*values.values())
        for n, buffer in m.named_buffers():
            buffer.copy_(state[n])
        seen.append(relus.seen)
    distances = [float(e.abs().min() / (e - x).square().mean().sqrt()) for x, e in zip(*seen, strict=True)]
    return min(distances, default=float("inf"))


def gradients(architecture: Architecture, module: torch.nn.Module, inputs: Any, targets: Any) -> float:
    """Leaves the gradients in the module, and returns the loss."""
    (target,) = targets.values()
    state = {n: b.clone() for n, b in module.named_buffers()}  # the running statistics stay as they are
    loss = architecture.torch_loss(module(*inputs.values()), target)
    loss.backward()
    for name, buffer in module.named_buffers():
        buffer.data.copy_(state[name])
    return loss.item()


def check_losses(name: str, losses: list[float]) -> None:
    expected = reference(name).losses
    assert len(losses) == len(expected)
    assert losses[0] == pytest.approx(expected[0], rel=1e-5)
    if tolerance := TOLERANCE.get(name, 1e-4):
        np.testing.assert_allclose(losses, expected, rtol=tolerance)


def check_gradients(before: Arrays, after: Arrays, expected: Arrays, exact: Arrays) -> None:
    """That a step with GRADIENT_RATE made `after` of `before`."""
    most = max(float(np.linalg.norm(g)) for g in expected.values())
    for name, gradient in expected.items():
        step = (before[name].astype(np.float64) - after[name]) / GRADIENT_RATE
        if np.linalg.norm(exact[name]) < 1e-12 * most:
            assert np.linalg.norm(step) < 1e-6 * most, f"{name}: its gradient is 0"
        else:
            error = np.linalg.norm(step - gradient) / np.linalg.norm(gradient)
            assert error <= 1e-4, f"{name}: the gradient is wrong by {error:.2g} of its norm"


# ---- nacre train --------------------------------------------------------------------------------


def weights(path: Path) -> Arrays:
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    tied = "model.transformer.wte.weight", "model.lm_head.weight"  # exporters take either name
    return arrays | {other: arrays[one] for one, other in (tied, tied[::-1]) if one in arrays}


def train(model: Path, folder: Path, out: str, *options: str) -> Path:
    # A cache of kernels of this test's own: the second training differs in its rate alone.
    fixed = ["--data", folder / "data.npz", "--cache-dir", folder / "cache", "-o", folder / out]
    nacre("train", model, *fixed, *options)
    return folder / out


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
@pytest.mark.parametrize("name", SMALL)
def test_exported(name: str, exporter: str, tmp_path: Path) -> None:
    """TorchScript's exporter with all sizes fixed, the newer one with a dynamic batch."""
    architecture, wanted = SMALL[name], reference(name)
    np.savez(tmp_path / "data.npz", **wanted.arrays)
    is_dynamic = exporter == "dynamo"
    # Exported with another batch than it is trained with.
    sample = {n: v[:3] if is_dynamic else v for n, v in wanted.inputs.items()}
    model = tmp_path / "model.onnx"
    architectures.export(wanted.module, sample, model, dynamo=is_dynamic, dynamic=is_dynamic)

    options = ["--loss", architecture.loss, "--batch-size", str(architecture.batch)]
    once = train(model, tmp_path, "once.onnx", *options, "--optimizer", f"sgd:lr={GRADIENT_RATE}", "--steps", "1")
    expected, exact = ({n: p.grad.numpy() for n, p in m.named_parameters()} for m in (wanted.module, wanted.exact))
    check_gradients(weights(model), weights(once), expected, exact)

    options += ["--optimizer", f"sgd:lr={RATE}", "--steps", str(STEPS[name])]
    log = ["--log", str(tmp_path / "log.jsonl"), "--log-every", "1"]
    two = train(model, tmp_path, "two.onnx", *options, *log, "--threads", "2")
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    check_losses(name, [event["loss"] for event in events if event["event"] == "step"])
    # The same bits on one thread.
    one = train(model, tmp_path, "one.onnx", *options, "--threads", "1")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("name", ADAM_TOLERANCE)
def test_adam(name: str, tmp_path: Path) -> None:
    architecture = SMALL[name]
    start, inputs, targets = architectures.make(architecture, seed=SEEDS[name])
    np.savez(tmp_path / "data.npz", **{n: v.numpy() for n, v in (inputs | targets).items()})
    architectures.export(start, inputs, tmp_path / "model.onnx", dynamo=False, dynamic=False)
    options = ["--loss", architecture.loss, "--batch-size", str(architecture.batch), "--steps", "20"]
    log = ["--log", str(tmp_path / "log.jsonl"), "--log-every", "1"]
    train(tmp_path / "model.onnx", tmp_path, "out.onnx", *options, *log, "--optimizer", f"adam:lr={ADAM_RATE}")
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]

    exact, inputs, targets = architectures.make(architecture, seed=SEEDS[name])
    exact.double()
    doubles = {n: v.double() if v.is_floating_point() else v for n, v in (inputs | targets).items()}
    optimizer = torch.optim.Adam(exact.parameters(), ADAM_RATE)
    expected = []
    for _ in range(20):
        optimizer.zero_grad()
        expected.append(gradients(architecture, exact, {n: doubles[n] for n in inputs}, {n: doubles[n] for n in targets}))
        optimizer.step()
    losses = [event["loss"] for event in events if event["event"] == "step"]
    absolute = ADAM_ABSOLUTE.get(name, 0) * expected[0]
    np.testing.assert_allclose(losses, expected, rtol=ADAM_TOLERANCE[name], atol=absolute)


# ---- nacre.nn ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_native(name: str, tmp_path: Path) -> None:
    architecture, wanted = SMALL[name], reference(name)
    start = native.arrange(wanted.module, lambda p: p)
    expected, exact = (native.arrange(m, lambda p: p.grad) for m in (wanted.module, wanted.exact))

    model = native.SMALL[name]()
    model.compile("sgd", architecture.loss, threads=2, cache_dir=tmp_path / "cache")
    # The running statistics begin as they are; all other weights are PyTorch's.
    own = model.state_dict()
    assert {n for n in own if n.rsplit(".")[-1] not in ("moving_mean", "moving_variance")} == set(start)
    state = own | start
    model.load_state_dict(state)
    model.trainer.step(wanted.arrays, GRADIENT_RATE)
    check_gradients(state, model.state_dict(), expected, exact)

    def steps(program: Any) -> tuple[list[float], Arrays]:
        for parameter, value in state.items():
            program.write_parameter(parameter, value)
        feeds = wanted.arrays | {"learning_rate": np.float32(RATE)}
        losses = [float(program.run(feeds, function="step")[0]) for _ in range(STEPS[name])]
        return losses, {parameter: program.read_parameter(parameter) for parameter in state}

    losses, end = steps(model.trainer.model)
    check_losses(name, losses)
    # The same bits ahead of time, on one thread.
    model.save(tmp_path / "model.onnx")
    options = ["--train", architecture.loss, "--optimizer", "sgd", "--cache-dir", tmp_path / "cache"]
    nacre("compile", tmp_path / "model.onnx", *options, "-o", tmp_path / "model.so")
    others, their_end = steps(module().load(tmp_path / "model.so", threads=1))
    assert losses == others
    for parameter, value in end.items():
        assert value.tobytes() == their_end[parameter].tobytes(), parameter

