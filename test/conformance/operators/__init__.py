"""Cases of our own: every version of every operator, above all those that ONNX's suite has no
case for. A form of a node is written once, and becomes a case of the first version that has it. Of
a version to which no form is new one form is tried; with NACRE_OPERATORS=all in the environment, all are,
and all types of integers.
"""

from __future__ import annotations

from cases import Case
from operators import (
    control,
    convolutions,
    drawn,
    elementwise,
    indexing,
    learning,
    normalizations,
    products,
    quantized,
    recurrent,
    reductions,
    sequences,
    shapes,
    windows,
)
from operators.node import ALL_VERSIONS

FAMILIES = (
    control,
    convolutions,
    drawn,
    elementwise,
    indexing,
    learning,
    normalizations,
    products,
    quantized,
    recurrent,
    reductions,
    sequences,
    shapes,
    windows,
)


def load_operator_cases() -> list[Case]:
    cases: list[Case] = []
    tried: set[tuple[str, str, int]] = set()
    for family in FAMILIES:
        for node in family.nodes():
            versions = list(node.versions())
            new = [s for i, s in enumerate(versions) if ALL_VERSIONS or i == 0 or (s.domain, s.name, s.since_version) not in tried]
            tried |= {(s.domain, s.name, s.since_version) for s in new}
            cases += node.cases(new)
    return cases
