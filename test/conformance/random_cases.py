"""Cases whose expected output is one draw of a random generator.

The standard leaves the generator free, so that the stored output is no
reference. These cases check instead what the standard does say of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compare import Mismatch, check_value

Check = Callable[[list[Any], list[Any]], None]


def bernoulli(inputs: list[Any], outputs: list[Any]) -> None:
    """Ones and zeros, and certain where the probability is 0 or 1."""
    (probability,), (drawn,) = inputs, outputs
    if not np.isin(drawn, (0, 1)).all():
        raise Mismatch("output 0: values other than 0 and 1")
    certain = np.isin(probability, (0, 1))
    if not np.array_equal(drawn[certain], probability[certain]):
        raise Mismatch("output 0: a draw against probability 0 or 1")


def dropout(inputs: list[Any], outputs: list[Any]) -> None:
    """What is kept is scaled, the rest zero, the mask says which; neither all nor none."""
    data, ratio, _ = inputs
    result = outputs[0]
    kept = outputs[1] if len(outputs) > 1 else result != 0
    check_value("output 0", np.where(kept, data / (1 - ratio), 0), result, 1e-3, 1e-7)
    if kept.all() or not kept.any():
        raise Mismatch(f"output 0: {int(kept.sum())} of {kept.size} kept at ratio {ratio}")


CHECKS: dict[str, Check] = {
    "test_bernoulli": bernoulli,
    "test_bernoulli_expanded": bernoulli,
    "test_bernoulli_double": bernoulli,
    "test_bernoulli_double_expanded": bernoulli,
    "test_bernoulli_seed": bernoulli,
    "test_bernoulli_seed_expanded": bernoulli,
    "test_training_dropout": dropout,
    "test_training_dropout_mask": dropout,
    "test_training_dropout_default": dropout,
    "test_training_dropout_default_mask": dropout,
}


def check_random(check: Check, inputs: list[Any], expected: list[Any], actual: list[Any]) -> None:
    """Raises Mismatch unless shapes and types are as expected and `check` holds."""
    if len(expected) != len(actual):
        raise Mismatch(f"{len(actual)} outputs, expected {len(expected)}")
    for index, (want, got) in enumerate(zip(expected, actual)):
        if (got.shape, got.dtype) != (want.shape, want.dtype):
            raise Mismatch(
                f"output {index}: {got.dtype}{got.shape}, expected {want.dtype}{want.shape}"
            )
    check(inputs, actual)
