"""The catalogue's models: each compiled once, run with all of its sizes, and compared with its reference.

The default run takes the fast ones; `tools/dev/test models` all.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from catalogue import MODELS
from catalogue.model import Model
from support import assert_close_to_range, module

TOLERANCE = 1e-4
pytestmark = pytest.mark.filterwarnings("ignore")  # what exporters say of themselves


@pytest.mark.parametrize(
    "model", [pytest.param(m, id=m.name, marks=() if m.fast else pytest.mark.whole) for m in MODELS.values()]
)
def test_model(model: Model) -> None:
    files = model.get()
    program = module().compile(str(files.model), threads=2)
    for axes, value in ((model.dynamic().get(value.name, {}), value) for value in program.inputs):
        for axis in axes:
            assert not isinstance(value.shape[axis], int), f"{value.name} is {value.shape}"
    data_sets = files.data_sets()
    assert len(data_sets) == len(model.sizes)
    for sizes, data in zip(model.sizes, data_sets, strict=True):
        outputs = program.run(data.inputs)
        assert [output.name for output in program.outputs] == list(data.outputs)
        for (name, expected), found in zip(data.outputs.items(), outputs, strict=True):
            where = f"{name} of {sizes}"
            if expected.dtype.kind == "f":
                assert_close_to_range(where, found, expected, TOLERANCE)
            else:
                np.testing.assert_array_equal(found, expected, err_msg=where)


def test_what_there_is() -> None:
    """Of every kind of task, by every exporter, most with sizes that only a run tells."""
    assert len(MODELS) >= 60
    assert sum(bool(model.dynamic()) for model in MODELS.values()) >= 45
    assert {model.exporter for model in MODELS.values()} == {"dynamo", "torchscript", "keras", "skl2onnx"}
