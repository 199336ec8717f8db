"""Gradients of tensors made of places: Range, OneHot; as in test_gradients.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from test_gradients import F, Tensor, Term, check


def span(start: Tensor, delta: Tensor, limit: float) -> Tensor:
    count = max(int(np.ceil((limit - start.item()) / delta.item())), 0)
    return start + delta * torch.arange(count, dtype=start.dtype)


RANGES = [
    Term(
        "{t}l = Constant <value = double {{5.0}}> () {out} = Range ({w}, {t}l, {w1})",
        lambda x, y, w, d: span(w, d, 5.0),
        ((), ()),
    ),
    Term(  # downwards, and of a delta that is known
        "{t}l = Constant <value = double {{-3.0}}> () {t}d = Constant <value = double {{-0.5}}> ()"
        " {out} = Range ({w}, {t}l, {t}d)",
        lambda x, y, w: span(w, torch.tensor(-0.5, dtype=torch.float64), -3.0),
        ((),),
    ),
    Term(  # of nothing
        "{t}l = Constant <value = double {{-3.0}}> () {out} = Range ({w}, {t}l, {w1})",
        lambda x, y, w, d: span(w, d, -3.0),
        ((), ()),
    ),
    Term(  # start, limit and delta are made in the run
        "{t}m = ReduceMean <keepdims = 0> (x) {t}b = Mul ({t}m, {w}) {t}l = ReduceSum <keepdims = 0> (x)"
        " {t}a = ReduceMax <keepdims = 0> (x) {t}d = Mul ({t}a, {w1}) {out} = Range ({t}b, {t}l, {t}d)",
        lambda x, y, w, d: span(w * x.mean(), d * x.max(), x.sum().item()),
        ((), ()),
    ),
    Term(
        "{t}l = Constant <value = float {{5.0}}> () {t}b = Cast <to = 1> ({w}) {t}d = Cast <to = 1> ({w1})"
        " {t}r = Range ({t}b, {t}l, {t}d) {out} = Cast <to = 11> ({t}r)",
        lambda x, y, w, d: span(w.float(), d.float(), 5.0).double(),
        ((), ()),
        smooth=False,
        tolerance=1e-5,
        value=1e-6,
    ),
]

INDICES = torch.tensor([[0, 2, -1], [3, 7, -5]])  # two of them name no place
MASK = torch.stack([F.one_hot(torch.tensor([0, 2, 3]), 4), F.one_hot(torch.tensor([3, 0, 0]), 4)]) > 0
MASK[1, 1:] = False


def one_hot(axis: int) -> Term:
    return Term(
        "{t}i = Constant <value = int64[2, 3] {{0, 2, -1, 3, 7, -5}}> () {t}d = Constant <value = int64 {{4}}> ()"
        f" {{t}}v = Mul ({{w}}, {{w1}}) {{out}} = OneHot <axis = {axis}> ({{t}}i, {{t}}d, {{t}}v)",
        lambda x, y, w, v: torch.where(MASK.movedim(-1, axis), (w * v)[1], (w * v)[0]),
        ((2,), (2,)),
    )


ONE_HOTS = [one_hot(axis) for axis in (-1, 0, 1)] + [
    Term(  # places and their number are known in the run
        "{t}i = ArgMax <axis = 1, keepdims = 0> (x) {t}s = Shape <start = 1> (x) {out} = OneHot ({t}i, {t}s, {w})",
        lambda x, y, w: torch.where(F.one_hot(x.argmax(1), x.shape[1]) > 0, w[1], w[0]),
        ((2,),),
    ),
    Term(  # what is on is a parameter, what is off is not
        "{t}i = ArgMax <axis = 2, keepdims = 0> (y) {t}d = Constant <value = int64 {{6}}> ()"
        " {t}z = Constant <value = double[1] {{0.25}}> () {t}v = Concat <axis = 0> ({t}z, {w})"
        " {t}o = OneHot ({t}i, {t}d, {t}v) {out} = Mul ({t}o, {w1})",
        lambda x, y, w, v: torch.where(F.one_hot(y.argmax(2), 6) > 0, w, 0.25) * v,
        ((1,), (6,)),
    ),
]
# Steps: they pass nothing on.
STEPS = [
    Term(
        "{t} = Mul (y, {w}) {t}h = Hardmax ({t}) {out} = Mul ({t}h, {t})",
        lambda x, y, w: F.one_hot((y * w).argmax(-1), 4) * (y * w),
        ((3, 1),),
    )
]
THEMES = {"ranges": RANGES, "one_hots": ONE_HOTS, "steps": STEPS}


@pytest.mark.parametrize("sizes", ["static", "dynamic", "open"])
@pytest.mark.parametrize("theme", THEMES)
def test_made(theme: str, sizes: str) -> None:
    check(THEMES[theme], sizes != "static", open_sizes=sizes == "open")
