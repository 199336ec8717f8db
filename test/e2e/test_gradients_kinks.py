"""Gradients where functions have a kink or a step, and where equal elements compete: PyTorch's conventions.

The parameters are 0, so that every term stands on its kink.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from test_gradients import Term, check

LAST = "{t}a = Constant <value_ints = [-1]> ()"
BOUNDS = "{t}l = Constant <value = double {{0.0}}> () {t}h = Constant <value = double {{6.0}}> ()"
TERMS = [
    ("{out} = Relu ({w})", F.relu, ((4,),)),
    ("{out} = LeakyRelu <alpha = 0.25> ({w})", lambda w: F.leaky_relu(w, 0.25), ((4,),)),
    ("{out} = PRelu ({w}, {w1})", lambda w, w1: torch.prelu(w, w1), ((1, 4), (4,))),
    ("{out} = ThresholdedRelu <alpha = 0.0> ({w})", lambda w: F.threshold(w, 0.0, 0.0), ((4,),)),
    ("{out} = Elu <alpha = 0.5> ({w})", lambda w: F.elu(w, 0.5), ((4,),)),
    ("{out} = Selu ({w})", F.selu, ((4,),)),
    # At both ends of its slope.
    (
        "{t}s = Constant <value = double[2] {{-3.0, 3.0}}> () {t} = Add ({w}, {t}s)"
        " {out} = HardSigmoid <alpha = 0.16666666666666666, beta = 0.5> ({t})",
        lambda w: F.hardsigmoid(w + torch.tensor([-3.0, 3.0])),
        ((2,),),
    ),
    ("{out} = Abs ({w})", torch.abs, ((4,),)),
    ("{t} = Sign ({w}) {out} = Add ({t}, {w})", lambda w: torch.sign(w) + w, ((4,),)),
    ("{t} = Floor ({w}) {out} = Add ({t}, {w})", lambda w: torch.floor(w) + w, ((4,),)),
    ("{t} = Ceil ({w}) {out} = Add ({t}, {w})", lambda w: torch.ceil(w) + w, ((4,),)),
    ("{t} = Round ({w}) {out} = Add ({t}, {w})", lambda w: torch.round(w) + w, ((4,),)),
    ("{out} = Softsign ({w})", F.softsign, ((4,),)),
    ("{out} = Max ({w}, {w1})", torch.maximum, ((4,), (4,))),
    ("{out} = Min ({w}, {w1})", torch.minimum, ((4,), (4,))),
    (BOUNDS + " {out} = Clip ({w}, {t}l, {t}h)", lambda w: w.clamp(0, 6), ((4,),)),
    (BOUNDS + " {out} = Clip ({w}, , {t}l)", lambda w: w.clamp(max=0), ((4,),)),
    (LAST + " {out} = ReduceMax ({w}, {t}a)", lambda w: w.amax(-1, keepdim=True), ((4,),)),
    (LAST + " {out} = ReduceMin ({w}, {t}a)", lambda w: w.amin(-1, keepdim=True), ((4,),)),
    (LAST + " {out} = ReduceL1 ({w}, {t}a)", lambda w: w.norm(1, -1, keepdim=True), ((4,),)),
    (LAST + " {out} = ReduceL2 ({w}, {t}a)", lambda w: w.norm(2, -1, keepdim=True), ((4,),)),
    ("{out} = LpNormalization ({w})", lambda w: w, ((4,),)),  # zeros are divided by 1
    ("{out} = GlobalLpPool <p = 2> ({w})", lambda w: w.norm(2, -1, keepdim=True), ((1, 2, 4),)),
    ("{out} = GlobalLpPool <p = 3> ({w})", lambda w: w.norm(3, -1, keepdim=True), ((1, 2, 4),)),
    ("{out} = LpPool <kernel_shape = [2], p = 2> ({w})", lambda w: w.unfold(-1, 2, 1).norm(2, -1), ((1, 2, 4),)),
    (LAST + " {out} = ReduceProd ({w}, {t}a)", lambda w: w.prod(-1, keepdim=True), ((2,),)),
    (
        "{out} = MaxPool <kernel_shape = [2], strides = [1]> ({w})",
        lambda w: F.max_pool1d(w, 2, 1),
        ((1, 1, 6),),
    ),
    (
        "{out} = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> ({w})",
        lambda w: F.max_pool2d(w, 3, 1, 1),
        ((1, 2, 4, 4),),
    ),
]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("nodes,reference,shapes", TERMS, ids=[t[0].split(" = ")[-1].split(" ")[0] for t in TERMS])
def test_kinks(nodes: str, reference: object, shapes: tuple[tuple[int, ...], ...], dynamic: bool) -> None:
    term = Term(nodes, lambda x, y, *w: reference(*w), shapes, low=0.0, high=0.0, smooth=False)
    check([term], dynamic)
