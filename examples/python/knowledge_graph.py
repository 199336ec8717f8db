"""Embeddings of a knowledge graph, TransE (Bordes et al. 2013) and DistMult (Yang et al. 2015), trained with
negative samples. The graph is made here: the fields of a board, with relations like "is two to the right
of" for TransE, to which relations are steps, and "is in the same row as" for DistMult, to which they are
likenesses. A tenth of the facts is kept back; what is measured is how often a fact that was not seen
ranks among the first ten of all that could be said instead.
"""

from __future__ import annotations

import numpy as np

import nacre
from nacre import nn

SIDE, WIDTH, NEGATIVES = 12, 32, 8
FIELDS = SIDE * SIDE


def steps() -> np.ndarray:
    """Facts (head, relation, tail) [n, 3] of fields that lie at fixed distances."""
    places = [(r, c) for r in range(SIDE) for c in range(SIDE)]
    offsets = [(0, 1), (1, 0), (0, 2), (2, 1), (-1, 1), (3, 0)]
    return np.array(
        [
            (r * SIDE + c, relation, (r + dr) * SIDE + c + dc)
            for r, c in places
            for relation, (dr, dc) in enumerate(offsets)
            if 0 <= r + dr < SIDE and 0 <= c + dc < SIDE
        ]
    )


def likenesses() -> np.ndarray:
    """Facts of fields that share their row, column, or block of three by three."""
    fields = np.arange(FIELDS)
    row, column = fields // SIDE, fields % SIDE
    groups = [row, column, row // 3 * SIDE + column // 3]
    return np.array(
        [(a, k, b) for k, group in enumerate(groups) for a in fields for b in fields if a != b and group[a] == group[b]]
    )


def write(kind: str, relations: int) -> nn.Model:
    """Of a fact [batch, 3] and other tails [batch, NEGATIVES]: the loss."""
    graph = nn.Graph(seed=1)
    fact = nn.Input([3], dtype="int64", name="fact", graph=graph)
    others = nn.Input([NEGATIVES], dtype="int64", name="others", graph=graph)
    fields = graph.parameter("fields", [FIELDS, WIDTH], "uniform:min=-0.5,max=0.5")
    names = graph.parameter("relations", [relations, WIDTH], "uniform:min=-0.5,max=0.5")
    head, relation, tail = (graph.op("Gather", [fact, np.array([i])], {"axis": 1}) for i in range(3))
    head, tail, wrong = (graph.op("Gather", [fields, which]) for which in (head, tail, others))
    relation = graph.op("Gather", [names, relation])
    axis = np.array([2])
    if kind == "TransE":  # close where the fact holds
        near, far = (graph.op("ReduceL2", [head + relation - t, axis], {"keepdims": 0}) for t in (tail, wrong))
        losses = graph.op("Relu", [near - far + 1.0])
    else:  # alike where the fact holds
        good, bad = (graph.op("ReduceSum", [head * relation * t, axis], {"keepdims": 0}) for t in (tail, wrong))
        losses = graph.op("Softplus", [-good]) + graph.op("Softplus", [bad])
    return nn.Model([fact, others], graph.op("ReduceMean", [losses], {"keepdims": 0}, name="loss"))


def score(kind: str, state: dict[str, np.ndarray], facts: np.ndarray) -> np.ndarray:
    """Of every field as the tail of each fact."""
    head, relation = state["fields"][facts[:, 0]], state["relations"][facts[:, 1]]
    if kind == "TransE":
        return -np.linalg.norm((head + relation)[:, None] - state["fields"][None], axis=2)
    return (head * relation) @ state["fields"].T


for kind, facts, epochs in (("TransE", steps(), 400), ("DistMult", likenesses(), 30)):
    random = np.random.default_rng(0)
    facts = random.permutation(facts)
    known, kept = facts[len(facts) // 10 :], facts[: len(facts) // 10]
    model = write(kind, int(facts[:, 1].max()) + 1)
    trainer = nacre.Trainer(model.serialize(), "output:loss", "adam:lr=1e-2")
    for _ in range(epochs):
        others = random.integers(0, FIELDS, (len(known), NEGATIVES))  # a tail at random is wrong, mostly
        trainer.fit([known, others], batch_size=100)
    scores = score(kind, trainer.state_dict(), kept)
    true = scores[np.arange(len(kept)), kept[:, 2]].copy()
    for head, relation, tail in facts:  # what is true as well does not count
        scores[(kept[:, 0] == head) & (kept[:, 1] == relation), tail] = -np.inf
    hits = ((scores > true[:, None]).sum(1) < 10).mean()
    print(f"{kind} {hits:.2%}")
