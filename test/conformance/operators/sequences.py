"""Sequences and optionals of tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from operators.node import Node, Numbers, node

DATA = Numbers(11)


def nodes() -> Iterator[Node]:
    three = [DATA.normal(2, 3) for _ in range(3)]
    yield node("SequenceConstruct", *three, expected=lambda: [three])
    yield node("SequenceAt", three, np.array(1))
    yield node("SequenceAt", three, np.array(-1, np.int32), label="negative", fixed=(1,))
    yield node("SequenceLength", three)
    yield node("SequenceErase", three, np.array(0), fixed=(1,), expected=lambda: [three[1:]])
    yield node("SequenceErase", three, label="last", expected=lambda: [three[:-1]])
    yield node("SequenceInsert", three, three[0] + 1, np.array(1), fixed=(2,), expected=lambda: [[three[0], three[0] + 1, *three[1:]]])
    yield node("ConcatFromSequence", three, axis=1)
    yield node("ConcatFromSequence", three, label="new_axis", axis=0, new_axis=1)
    x = DATA.normal(6, 2)
    yield node("SplitToSequence", x, label="each", expected=lambda: [list(np.split(x, 6))])
    yield node("SplitToSequence", x, label="dropped", keepdims=0, expected=lambda: [list(x)])
    yield node("SplitToSequence", x, np.array([2, 4]), label="sizes", fixed=(1,), expected=lambda: [[x[:2], x[2:]]])
    yield node("Optional", x, expected=lambda: x)
    yield node("OptionalGetElement", x, label="tensor", expected=lambda: x)
    yield node("OptionalHasElement", x, label="tensor", expected=lambda: np.array(True))
    yield node("OptionalHasElement", label="nothing", expected=lambda: np.array(False))
