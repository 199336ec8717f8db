"""Parameters of one value, which is given back after the last of their readers while weights are laid out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import module, nacre

SIZE = 1024  # so that what is given back is another mapping of the heap's, or none

TEXT = """module {
  nn.parameter @w1 = dense_resource<w> : tensor<1024x1024xf32>
  nn.parameter @w2 = dense_resource<w> : tensor<1024x1024xf32>
  func.func @main(%%x: tensor<4x1024xf32> {nn.name = "x"}) -> (tensor<4x1024xf32> {nn.name = "y"}) {
    %%0 = nn.get_parameter @%s : tensor<1024x1024xf32>
    %%1 = nn.get_parameter @%s : tensor<1024x1024xf32>
    %%2 = nn.matmul %%x, %%0 : (tensor<4x1024xf32>, tensor<1024x1024xf32>) -> tensor<4x1024xf32>
    %%3 = nn.relu %%2 : (tensor<4x1024xf32>) -> tensor<4x1024xf32>
    %%4 = nn.matmul %%3, %%1 {transpose_rhs} : (tensor<4x1024xf32>, tensor<1024x1024xf32>) -> tensor<4x1024xf32>
    return %%4 : tensor<4x1024xf32>
  }
}
{-#
  dialect_resources: { builtin: { w: "0x40000000%s" } }
#-}
"""


@pytest.mark.parametrize("order", [("w1", "w2"), ("w2", "w1")])
def test_parameters_of_one_value(tmp_path: Path, order: tuple[str, str]) -> None:
    generator = np.random.default_rng(0)
    w = generator.standard_normal((SIZE, SIZE)).astype("<f4")
    x = generator.standard_normal((4, SIZE)).astype(np.float32)
    (tmp_path / "m.mlir").write_text(TEXT % (*order, w.tobytes().hex()))
    nacre("compile", tmp_path / "m.mlir", "-o", tmp_path / "m.so")
    (got,) = module().load(tmp_path / "m.so").run({"x": x})
    wanted = np.maximum(x.astype(np.float64) @ w, 0) @ w.T.astype(np.float64)
    np.testing.assert_allclose(got, wanted, atol=1e-5 * np.abs(wanted).max())
