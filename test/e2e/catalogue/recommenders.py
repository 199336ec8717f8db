"""Recommenders: clicks from numbers and categories, and what comes next in a history."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.text import Recommender

from .model import Model, floats, mask, tokens

BATCHES = ({"batch": 4}, {"batch": 1}, {"batch": 13})
HISTORIES = ({"batch": 2, "length": 9}, {"batch": 1, "length": 1}, {"batch": 3, "length": 14})
ITEMS = 50


class WideDeep(nn.Module):
    """Cheng et al. 2016: a linear map of crossed categories beside a perceptron; bags of items of open length."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Embedding(ITEMS * 4, 1)
        self.items, self.user = nn.Embedding(ITEMS, 16), nn.Embedding(4, 8)
        self.deep = nn.Sequential(nn.Linear(29, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, user: Tensor, item: Tensor, numbers: Tensor) -> Tensor:
        wide = self.wide(user * ITEMS + item)
        deep = self.deep(torch.cat([self.user(user), self.items(item), numbers], 1))
        return (wide + deep).sigmoid()[:, 0]


class Machine(nn.Module):
    """DeepFM (Guo et al. 2017) with DCN-v2's crosses: products of pairs by sums of squares, and x0 * (W x + b) + x."""

    def __init__(self, fields: int = 6, width: int = 8) -> None:
        super().__init__()
        self.first, self.second = nn.Embedding(ITEMS, 1), nn.Embedding(ITEMS, width)
        self.crosses = nn.ModuleList(nn.Linear(fields * width, fields * width) for _ in range(2))
        self.deep = nn.Sequential(nn.Linear(fields * width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, fields: Tensor) -> Tensor:
        rows = self.second(fields)
        pairs = (rows.sum(1).pow(2) - rows.pow(2).sum(1)).sum(1) / 2
        first = x = rows.flatten(1)
        for cross in self.crosses:
            x = first * cross(x) + x
        return (self.first(fields).sum((1, 2)) + pairs + self.deep(x)[:, 0]).sigmoid()


class History(nn.Module):
    """SASRec (Kang and McAuley 2018): causal attention over what somebody took, and the best items that were not taken."""

    def __init__(self, width: int = 16, best: int = 5) -> None:
        super().__init__()
        self.best = best
        self.items, self.places = nn.Embedding(ITEMS, width, padding_idx=0), nn.Embedding(32, width)
        self.join, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        length = history.shape[1]
        x = self.items(history) + self.places(torch.arange(length))
        q, k, v = (t.unflatten(2, (2, 8)).transpose(1, 2) for t in self.join(self.norm(x)).chunk(3, 2))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        scores = x[:, -1] @ self.items.weight.T
        scores = scores.scatter(1, history, -1e4)
        return scores.topk(self.best)


class Towers(nn.Module):
    """Two towers: a person's vector from a bag of items with weights, an item's, and the best items for each person."""

    def __init__(self, best: int = 4) -> None:
        super().__init__()
        self.best = best
        self.items = nn.Embedding(ITEMS, 16)
        self.person, self.item = (nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 12)) for _ in range(2))

    def forward(self, history: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        weights = seen[:, :, None].to(self.items.weight)
        bag = (self.items(history) * weights).sum(1) / weights.sum(1)
        person = nn.functional.normalize(self.person(bag))
        items = nn.functional.normalize(self.item(self.items.weight))
        return (person @ items.T).topk(self.best)


HISTORY = {"history": tokens(ITEMS, "batch", "length")}
MODELS = [
    Model("dlrm", "recommendation", "dynamo", lambda: Recommender(rows=100, tables=4, width=16),
          {"numbers": floats("batch", 13), "categories": tokens(100, "batch", 4)}, ["logits"], BATCHES, fast=True),
    Model("wide_and_deep", "recommendation", "torchscript", WideDeep,
          {"user": tokens(4, "batch"), "item": tokens(ITEMS, "batch"), "numbers": floats("batch", 5)}, ["click"], BATCHES),
    Model("deep_fm", "recommendation", "dynamo", Machine, {"fields": tokens(ITEMS, "batch", 6)}, ["click"], BATCHES),
    Model("sasrec", "recommendation", "torchscript", History, HISTORY, ["scores", "items"], HISTORIES),
    Model("two_towers", "recommendation", "dynamo", Towers, HISTORY | {"seen": mask("batch", "length")}, ["scores", "items"], HISTORIES),
]  # fmt: skip
