"""Reinforcement learning: policies, values, and plans."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .model import Input, Model, floats
from .parts import conv, library

BATCHES = ({"batch": 2}, {"batch": 1}, {"batch": 5})


class Policy(nn.Module):
    """An actor and a critic (PPO): chances of actions that are allowed, the best of them, and the state's value."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.actor, self.critic = nn.Linear(32, 5), nn.Linear(32, 1)

    def forward(self, state: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.body(state)
        chances = self.actor(y).masked_fill(~allowed, float("-inf")).softmax(1)
        return chances, chances.argmax(1), self.critic(y)[:, 0]


class Gaussian(nn.Module):
    """Soft actor-critic's policy: an action by its mean, its spread, and noise from outside, squashed; its log density."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 6))

    def forward(self, state: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = self.body(state).chunk(2, 1)
        spread = spread.clamp(-5, 2)
        raw = mean + spread.exp() * noise
        density = (-0.5 * noise**2 - spread - 0.919).sum(1) - (2 * (0.693 - raw - nn.functional.softplus(-2 * raw))).sum(1)
        return raw.tanh(), density


class Duel(nn.Module):
    """DQN for pictures of a game: what a state and what an action is worth (Wang et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 16, 4, 2), nn.ReLU(), nn.Flatten())
        self.value, self.action = nn.Linear(16 * 7 * 7, 1), nn.Linear(16 * 7 * 7, 4)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        y = self.body(frames.to(self.value.weight) / 255)
        action = self.action(y)
        worth = self.value(y) + action - action.mean(1, keepdim=True)
        return worth, worth.argmax(1)


class Memory(nn.Module):
    """A policy that remembers: an LSTM over so many steps, whose state is cleared where an episode starts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.cell, self.head = nn.Linear(6, 16), nn.LSTMCell(16, 16), nn.Linear(16, 3)

    def forward(self, state: Tensor, starts: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        going = 1 - starts.to(h)[:, None]
        h, c = self.cell(self.first(state).relu(), (h * going, c * going))
        return self.head(h).tanh(), h, c


class Zero(nn.Module):
    """AlphaZero's network: residual blocks over a board, moves and a value."""

    def __init__(self, side: int = 7) -> None:
        super().__init__()
        self.first = conv(5, 16)
        self.blocks = nn.ModuleList(nn.Sequential(conv(16, 16), nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)) for _ in range(2))
        self.moves = nn.Sequential(conv(16, 2, 1), nn.Flatten(), nn.Linear(2 * side**2, side**2 + 1), nn.LogSoftmax(1))
        self.value = nn.Sequential(conv(16, 1, 1), nn.Flatten(), nn.Linear(side**2, 16), nn.ReLU(), nn.Linear(16, 1), nn.Tanh())

    def forward(self, board: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(board)
        for block in self.blocks:
            x = (x + block(x)).relu()
        return self.moves(x), self.value(x)


DECISIONS = {"state_dim": 6, "act_dim": 3, "hidden_size": 32, "max_ep_len": 50, "n_layer": 2, "n_head": 4, "vocab_size": 2}
STEPS = ({"batch": 2, "steps": 5}, {"batch": 1, "steps": 2}, {"batch": 3, "steps": 9})
PAST = {"states": floats("batch", "steps", 6), "actions": floats("batch", "steps", 3), "returns_to_go": floats("batch", "steps", 1),
        "timesteps": Input(("batch", "steps"), lambda s, _: torch.randint(0, 50, s)),
        "attention_mask": Input(("batch", "steps"), lambda s, _: torch.ones(s, dtype=torch.int64))}  # fmt: skip
ALLOWED = Input(("batch", 5), lambda s, _: (torch.rand(s) < 0.6) | (torch.arange(5) == 2))
FRAMES = Input(("batch", 4, 68, 68), lambda s, _: torch.randint(0, 256, s).to(torch.uint8))
MODELS = [
    Model("ppo", "policy", "dynamo", Policy, {"state": floats("batch", 8), "allowed": ALLOWED}, ["chances", "action", "value"], BATCHES,
          fast=True),
    Model("sac", "policy", "torchscript", Gaussian, {"state": floats("batch", 8), "noise": floats("batch", 3)}, ["action", "density"], BATCHES),
    Model("dueling_dqn", "policy", "torchscript", Duel, {"frames": FRAMES}, ["worth", "action"], BATCHES),
    Model("recurrent_policy", "policy", "dynamo", Memory,
          {"state": floats("batch", 6), "starts": Input(("batch",), lambda s, _: torch.rand(s) < 0.5), "h": floats("batch", 16),
           "c": floats("batch", 16)}, ["action", "h_out", "c_out"], BATCHES),
    Model("alpha_zero", "policy", "dynamo", Zero, {"board": floats("batch", 5, 7, 7)}, ["moves", "value"], BATCHES),
    library("decision_transformer", "policy", "dynamo", "DecisionTransformerConfig", "DecisionTransformerModel", DECISIONS, PAST,
            ["action_preds"], *STEPS),
]  # fmt: skip
