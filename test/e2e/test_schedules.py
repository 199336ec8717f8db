"""The learning rate of every schedule against torch.optim.lr_scheduler."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as s

from support import module

LR = 0.3
Make = Callable[[torch.optim.Optimizer], s.LRScheduler]

CASES: dict[str, tuple[int, Make]] = {
    "constant": (20, lambda o: s.LambdaLR(o, lambda t: 1)),
    "constant:warmup=5,warmup_start=0.25": (20, lambda o: s.LinearLR(o, 0.25, 1, 5)),
    "constant:warmup=8": (20, lambda o: s.LambdaLR(o, lambda t: min(t / 8, 1))),
    "step:step_size=7": (30, lambda o: s.StepLR(o, 7)),
    "step:step_size=3,gamma=0.5": (30, lambda o: s.StepLR(o, 3, 0.5)),
    "multi-step:milestones=4/9/20,gamma=0.3": (30, lambda o: s.MultiStepLR(o, [4, 9, 20], 0.3)),
    "exponential:gamma=0.9": (30, lambda o: s.ExponentialLR(o, 0.9)),
    "polynomial:total=12,power=2": (30, lambda o: s.PolynomialLR(o, 12, 2)),
    "polynomial": (30, lambda o: s.PolynomialLR(o, 30)),
    "cosine": (30, lambda o: s.CosineAnnealingLR(o, 30)),
    "cosine:total=25,min_lr=0.01": (26, lambda o: s.CosineAnnealingLR(o, 25, 0.01)),
    "cosine:warmup=6,warmup_start=0.1,total=20": (
        26,
        lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1, 6), s.CosineAnnealingLR(o, 20)], [6]),
    ),
    "cosine-restarts:period=7": (40, lambda o: s.CosineAnnealingWarmRestarts(o, 7)),
    "cosine-restarts:period=4,factor=2,min_lr=0.02": (
        60,
        lambda o: s.CosineAnnealingWarmRestarts(o, 4, 2, 0.02),
    ),
    "one-cycle": (40, lambda o: s.OneCycleLR(o, LR, total_steps=40, cycle_momentum=False)),
    "one-cycle:pct_start=0.5,anneal=linear,div_factor=10,final_div_factor=100": (
        40,
        lambda o: s.OneCycleLR(
            o,
            LR,
            total_steps=40,
            pct_start=0.5,
            anneal_strategy="linear",
            div_factor=10,
            final_div_factor=100,
            cycle_momentum=False,
        ),
    ),
    "one-cycle:three_phase": (
        40,
        lambda o: s.OneCycleLR(o, LR, total_steps=40, three_phase=True, cycle_momentum=False),
    ),
}


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)


@pytest.mark.parametrize("text", CASES)
def test_against_pytorch(text: str) -> None:
    steps, make = CASES[text]
    torch_optimizer = optimizer()
    schedule = make(torch_optimizer)
    own = module().Schedule(text, steps)
    for step in range(steps):
        expected = torch_optimizer.param_groups[0]["lr"]
        np.testing.assert_allclose(own.rate(LR, step), expected, rtol=1e-9, atol=1e-15, err_msg=f"step {step}")
        torch_optimizer.step()
        if step + 1 < steps:
            schedule.step()


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("plateau:patience=2", {"patience": 2}),
        ("plateau:patience=1,factor=0.5,cooldown=2,min_lr=0.02", {"patience": 1, "factor": 0.5, "cooldown": 2, "min_lr": 0.02}),
        ("plateau:patience=0,mode=max,threshold=0.1", {"patience": 0, "mode": "max", "threshold": 0.1}),
        (
            "plateau:patience=1,threshold_mode=abs,threshold=0.2",
            {"patience": 1, "threshold_mode": "abs", "threshold": 0.2},
        ),
    ],
)
def test_plateau(text: str, options: dict[str, object]) -> None:
    random = np.random.default_rng(0)
    torch_optimizer = optimizer()
    schedule = s.ReduceLROnPlateau(torch_optimizer, **options)
    own = module().Schedule(text, 1000)
    changes = set()
    for step in range(60):
        expected = torch_optimizer.param_groups[0]["lr"]
        np.testing.assert_allclose(own.rate(LR, step), expected, rtol=1e-12)
        changes.add(expected)
        metric = float(random.normal(3 - step / 30))
        schedule.step(metric)
        own.observe(LR, metric)
    assert len(changes) > 2


def test_epochs_are_counted() -> None:
    own = module().Schedule("step:step_size=2,by=epoch,gamma=0.5", 100, 10)
    assert [own.rate(1, t) for t in (0, 19, 20, 39, 40)] == [1, 1, 0.5, 0.5, 0.25]
    own = module().Schedule("cosine:by=epoch", 100, 10)
    assert own.rate(1, 0) == own.rate(1, 9) == 1
    np.testing.assert_allclose(own.rate(1, 50), 0.5)


def test_what_there_is_not() -> None:
    for text, pattern in (
        ("cosin", "unknown schedule 'cosin', expected constant, step, .* or plateau"),
        ("cosine:warmup=x", "schedule 'cosine': 'warmup=x', expected a whole number, a number from 0 up"),
        ("cosine:warmup=1.5", "expected a whole number"),
        ("cosine:gamma=2", "schedule 'cosine' has no setting 'gamma': it takes total, min_lr, by, warmup"),
        ("step:gamma=1,gamma=2", "gamma is given twice"),
        ("step:by=day", "expected by=step or epoch"),
        ("multi-step", "needs milestones=A/B/..."),
        ("multi-step:milestones=1/x", "expected milestones=A/B/..., each a number from 0 up"),
        ("one-cycle:three_phase=1", "expected three_phase without a value"),
    ):
        with pytest.raises(ValueError, match=pattern):
            module().Schedule(text, 10)
