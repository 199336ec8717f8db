"""Full-size models: right within 1e-4 of a float64 reference, and the same bits however run.

Each model is compiled ahead of time by `nacre compile` and just in time by the
Python module, and run on one and two threads. Models with dynamic dimensions
run twice: with the sizes of their first data set fixed at compile time, and
dynamic on every data set.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import zoo
from support import assert_close_to_range, module, nacre

TOLERANCE = 1e-4
THREADS = (1, 2)
# Model -> sizes of its first data set, where it has dynamic dimensions.
DYNAMIC = {
    "mlp": {"batch": 64},
    "bert_base": {"batch": 1, "sequence": 128},
    "gpt2": {"batch": 1, "sequence": 64},
}
VARIANTS = [(n, "static") for n in zoo.NAMES] + [(n, "dynamic") for n in DYNAMIC]


def programs(
    files: zoo.Files, dims: dict[str, int], folder: Path
) -> Iterator[tuple[str, Any]]:
    """The model in every way of running it."""
    artefact = folder / "model.so"
    options = [o for name, size in dims.items() for o in ("--dim", f"{name}={size}")]
    nacre("compile", files.model, *options, "-o", artefact)
    for threads in THREADS:
        yield f"AOT, {threads} threads", module().load(artefact, threads=threads)
        yield (
            f"JIT, {threads} threads",
            module().compile(str(files.model), dims=dims, threads=threads),
        )


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_model(name: str, variant: str, tmp_path: Path) -> None:
    files = zoo.get(name)
    dims = DYNAMIC.get(name, {}) if variant == "static" else {}
    data_sets = files.data_sets()
    if variant == "static":
        data_sets = data_sets[:1]
    first: list[list[np.ndarray]] = []
    for way, program in programs(files, dims, tmp_path):
        for number, data in enumerate(data_sets):
            outputs = program.run(data.inputs)
            names = [output.name for output in program.outputs]
            assert names == list(data.outputs)
            for output, array in zip(names, outputs):
                where = f"{way}, data set {number}, output {output}"
                assert_close_to_range(where, array, data.outputs[output], TOLERANCE)
            if len(first) == number:
                first.append([array.copy() for array in outputs])
            for output, array, bits in zip(names, outputs, first[number]):
                assert array.tobytes() == bits.tobytes(), (
                    f"{output}: other bits by {way} than ahead of time on one thread"
                )
