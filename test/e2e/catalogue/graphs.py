"""Graph neural networks: nodes and edges in any number."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .model import Input, Model, floats

SIZES = ({"nodes": 7, "edges": 20}, {"nodes": 1, "edges": 1}, {"nodes": 12, "edges": 5}, {"nodes": 5, "edges": 33})
NODES = floats("nodes", 6)
EDGES = Input((2, "edges"), lambda shape, sizes: torch.randint(0, sizes["nodes"], shape))


def gather(values: Tensor, to: Tensor, nodes: Tensor) -> Tensor:
    """The sum of what edges bring to each node."""
    # Not index_add: the older exporter loses all but one of the edges that meet.
    index = to[:, None].expand(-1, values.shape[1])
    return torch.zeros_like(nodes[:, :1]).repeat(1, values.shape[1]).scatter_add(0, index, values)


class GCN(nn.Module):
    """Kipf and Welling 2017: sums over neighbours and oneself, by the roots of both degrees."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 16), nn.Linear(16, 4)])

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        degree = 1 + gather(torch.ones_like(source[:, None]).to(x), target, x)
        scale = degree.rsqrt()
        for i, layer in enumerate(self.layers):
            y = layer(x) * scale
            x = (gather(y[source], target, y) + y) * scale
            x = x.relu() if i == 0 else x.log_softmax(1)
        return x


class GAT(nn.Module):
    """Velickovic et al. 2018: each node's softmax over the edges that reach it."""

    def __init__(self, heads: int = 2, width: int = 8) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.values = nn.Linear(6, heads * width)
        self.left, self.right = nn.Parameter(torch.randn(heads, width)), nn.Parameter(torch.randn(heads, width))

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        y = self.values(x).view(-1, self.heads, self.width)
        scores = nn.functional.leaky_relu((y * self.left).sum(2)[source] + (y * self.right).sum(2)[target], 0.2)
        index = target[:, None].expand(-1, self.heads)
        least = torch.full_like(y[:, :, 0], -1e9)
        most = least.scatter_reduce(0, index, scores, "amax", include_self=True)
        powers = (scores - most[target]).exp()
        chances = powers / gather(powers, target, x)[target]
        return gather((chances[:, :, None] * y[source]).flatten(1), target, x)


class SAGE(nn.Module):
    """Hamilton et al. 2017: the mean of the neighbours beside oneself, then whether an edge is missing between two nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(6, 16), nn.Linear(6, 16, bias=False)

    def forward(self, x: Tensor, edges: Tensor, pairs: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        count = gather(torch.ones_like(source[:, None]).to(x), target, x).clamp(min=1)
        y = nn.functional.normalize(self.own(x) + self.others(gather(x[source], target, x) / count))
        return (y[pairs[0]] * y[pairs[1]]).sum(1).sigmoid()


class Messages(nn.Module):
    """Messages over edges with values, a GRU at each node, and the sum over each molecule (Gilmer et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.message = nn.Sequential(nn.Linear(35, 24), nn.SiLU(), nn.Linear(24, 16))
        self.cell = nn.GRUCell(16, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor, edges: Tensor, values: Tensor, molecule: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        x = self.first(x)
        for _ in range(2):
            seen = self.message(torch.cat([x[source], x[target], values], 1))
            x = self.cell(gather(seen, target, x), x)
        return gather(self.head(x), molecule, torch.zeros(3, 1).to(x))


class GIN(nn.Module):
    """Xu et al. 2019, on a dense matrix of neighbours, for a batch of graphs of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor([0.3, 0.2]))
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(i, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU()) for i in (6, 16))
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor, near: Tensor) -> Tensor:
        pools = []
        for i, layer in enumerate(self.layers):
            x = layer(torch.baddbmm((1 + self.share[i]) * x, near.to(x), x))
            pools.append(x.sum(1))
        return self.head(torch.cat(pools, 1))


PAIRS = Input((2, "pairs"), lambda shape, sizes: torch.randint(0, sizes["nodes"], shape))
BOOLS = Input(("graphs", "nodes", "nodes"), lambda shape, _: torch.rand(shape) < 0.3)
GRAPHS = ({"graphs": 2, "nodes": 6}, {"graphs": 1, "nodes": 1}, {"graphs": 3, "nodes": 11})
MODELS = [
    Model("gcn", "graph neural network", "dynamo", GCN, {"x": NODES, "edges": EDGES}, ["chances"], SIZES, fast=True),
    Model("gat", "graph neural network", "torchscript", GAT, {"x": NODES, "edges": EDGES}, ["features"], SIZES),
    Model("graph_sage", "graph neural network", "dynamo", SAGE, {"x": NODES, "edges": EDGES, "pairs": PAIRS}, ["chances"],
          tuple(s | {"pairs": n + 2} for n, s in enumerate(SIZES))),
    Model("message_passing", "graph neural network", "torchscript", Messages,
          {"x": NODES, "edges": EDGES, "values": floats("edges", 3), "molecule": Input(("nodes",), lambda s, _: torch.randint(0, 3, s))},
          ["energy"], SIZES),
    Model("gin", "graph neural network", "dynamo", GIN, {"x": floats("graphs", "nodes", 6), "near": BOOLS}, ["logits"], GRAPHS),
]  # fmt: skip
