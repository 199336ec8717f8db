"""A policy-gradient agent (REINFORCE with the mean return as baseline) that learns to balance a pole on a
cart, the classic problem of Barto, Sutton and Anderson (1983), written below for many carts at once.
"""

from __future__ import annotations

import numpy as np

import nacre
from nacre import nn

CARTS, MOST = 32, 200  # at once; steps after which the task counts as solved
GRAVITY, CART, POLE, HALF, FORCE, TICK = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02


def push(state: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The next place, speed, angle and turning of each cart [n, 4], pushed right or left."""
    x, speed, angle, turning = state.T
    total = CART + POLE
    pull = (np.where(right, FORCE, -FORCE) + POLE * HALF * turning**2 * np.sin(angle)) / total
    turn = (GRAVITY * np.sin(angle) - np.cos(angle) * pull) / (HALF * (4 / 3 - POLE * np.cos(angle) ** 2 / total))
    push = pull - POLE * HALF * turn * np.cos(angle) / total
    return np.stack([x + TICK * speed, speed + TICK * push, angle + TICK * turning, turning + TICK * turn], axis=1)


def play(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, actions and which of them count [steps, CARTS], until every pole has fallen."""
    state, stands = random.uniform(-0.05, 0.05, (CARTS, 4)), np.ones(CARTS, bool)
    states, actions, counted = [], [], []
    while stands.any() and len(states) < MOST:
        states.append(state.astype(np.float32))
        logits = trainer.model(states[-1])
        action = random.random(CARTS) < 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        actions.append(action.astype(np.int64))
        counted.append(stands.copy())
        state = push(state, action)
        stands &= (np.abs(state[:, 0]) < 2.4) & (np.abs(state[:, 2]) < np.pi / 15)
    return np.stack(states), np.stack(actions), np.stack(counted)


x = nn.Input([4], seed=1)
model = nn.Model(x, nn.Dense(2, name="logits")(nn.Dense(32, activation="tanh")(x)))
trainer = nacre.Trainer(model.serialize(), "policy-gradient", "adam:lr=1e-2")

random = np.random.default_rng(1)
lengths: list[float] = []
for update in range(150):
    states, actions, counted = play(random)
    lengths.append(counted.sum(0).mean())
    # A reward of 1 for each step; what is still to come, less what is usual at that time.
    returns = counted[::-1].cumsum(0)[::-1].astype(np.float32)
    usual = (returns * counted).sum(1, keepdims=True) / counted.sum(1, keepdims=True).clip(1)
    advantages = (returns - usual)[counted]
    advantages /= advantages.std() + 1e-6
    trainer.step({"x": states[counted], "actions": actions[counted], "advantages": advantages})
    if update % 10 == 9:
        print(f"update {update + 1}: poles stand for {np.mean(lengths[-10:]):.1f} steps")
    if np.mean(lengths[-5:]) > 0.98 * MOST:
        break

print(f"steps {np.mean(lengths[-5:]):.1f}")
