"""The model whose artefacts are kept: one of each version of the binary interface."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper, parser

TEXT = """<ir_version: 10, opset_import: ["" : 21]>
kept (float[N, 8] x, int64[M] rows) => (float[N, 4] y, float[M, 4] z, int64[2, K] where) {
  h = Gemm (x, w, b)
  y = Relu (h)
  z = Gather <axis = 0> (y, rows)
  where = NonZero (y)
}"""


def make_model() -> onnx.ModelProto:
    """Parameters, two symbols, an index that is checked, and an output whose size the run finds."""
    model = parser.parse_model(TEXT)
    weight = (np.arange(32, dtype=np.float32).reshape(8, 4) % 5 - 2) / 4
    bias = np.array([0.5, -0.25, 0, 1], np.float32)
    model.graph.initializer.extend([numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")])
    return model


def make_inputs() -> dict[str, np.ndarray]:
    x = (np.arange(24, dtype=np.float32).reshape(3, 8) % 7 - 3) / 2
    return {"x": x, "rows": np.array([2, 0, -1, 1, 0], np.int64)}
