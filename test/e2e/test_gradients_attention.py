"""Gradients of attention with queries that see no key: 0 and not NaN; as in test_gradients.py."""

from __future__ import annotations

import pytest
import torch

from test_gradients import Tensor, Term, check

# Attention is of opset 23.
HEAD = '<ir_version: 12, opset_import: ["" : 23]>\n'
SEEN = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])


def attention(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, bias: Tensor | None = None) -> Tensor:
    scores = q @ k.transpose(-1, -2) / 2 + (0 if bias is None else bias)
    weights = torch.where(seen, torch.exp(scores), 0)
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30) @ v


def of(mask: str, function: object, attributes: str = "", *shapes: tuple[int, ...]) -> Term:
    """Query, key and value are y times parameters, [N, 1, 3, 4]."""
    nodes = (
        "{t}a = Constant <value_ints = [1]> () {t}u = Unsqueeze (y, {t}a) {t}q0 = Mul ({t}u, {w}) {t}k0 = Mul ({t}u, {w1})"
        f" {{t}}v0 = Mul ({{t}}u, {{w2}}) {mask} {{out}} = Attention{attributes} ({{t}}q0, {{t}}k0, {{t}}v0, {{t}}m)"
    )
    return Term(nodes, lambda x, y, q, k, v, *m: function(*((y * p)[:, None] for p in (q, k, v)), *m), ((4,), (4,), (4,), *shapes))


BOOLEANS = "{t}m = Constant <value = bool[3, 3] {{1, 0, 1, 0, 0, 0, 1, 1, 1}}> ()"
TERMS = [
    of(BOOLEANS, lambda q, k, v: attention(q, k, v, SEEN)),
    of(BOOLEANS, lambda q, k, v: attention(q, k, v, SEEN.tril()), " <is_causal = 1>"),
    # The sum of a mask that is trained and of one of minus infinity.
    of(
        "{t}l = Constant <value = double {{-1.0e308}}> () {t}b = Mul ({t}l, {t}l) {t}n = Neg ({t}b)"
        " {t}z = Constant <value = double {{0.0}}> () {t}s = Constant <value = bool[3, 3] {{1, 0, 1, 0, 0, 0, 1, 1, 1}}> ()"
        " {t}i = Where ({t}s, {t}z, {t}n) {t}m = Add ({w3}, {t}i)",
        lambda q, k, v, m: attention(q, k, v, SEEN, m),
        "",
        (3, 3),
    ),
]


@pytest.mark.parametrize("sizes", ["static", "dynamic"])
def test_masked_attention(sizes: str) -> None:
    check(TERMS, sizes != "static", head=HEAD)
