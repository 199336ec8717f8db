"""nacre.onnx_backend: ONNX's own suite on it directly (a part; test/conformance runs all of it
through its own harness), and what the suite does not call."""

from __future__ import annotations

import unittest

import numpy as np
import onnx.backend.test
import pytest
from onnx import helper, parser

import small_models
from support import module

# Tensors, sequences and optionals, models with and without initializers.
PORTION = (
    r"^test_(add|conv_with_|gemm_|softmax_|reduce_mean_|lstm_|gather_|range_|if|loop13_seq|optional_get_element|"
    r"optional_has_element|sequence_insert|identity_opt|identity_sequence|bitshift|string_concat|cast_FLOAT_to_BFLOAT16|"
    r"Linear|ReLU|operator_mm|dequantizelinear).*_cpu$"
)


def test_a_portion_of_the_suite() -> None:
    module()
    import nacre.onnx_backend

    suite = onnx.backend.test.BackendTest(nacre.onnx_backend, __name__)
    suite.include(PORTION)
    result = unittest.TestResult()
    # What Nacre refuses counts for nothing here: test/conformance keeps the list of it.
    suite.test_suite.run(result)
    passed = result.testsRun - len(result.skipped) - len(result.failures) - len(result.errors)
    wrong = [text for _, text in result.failures + result.errors if "nacre.CompileError" not in text]
    assert not wrong, "\n".join(wrong[:3])
    assert passed >= 100, f"{passed} passed, {len(result.errors)} refused of {result.testsRun}"


def test_interface() -> None:
    module()
    import nacre.onnx_backend as backend

    assert backend.supports_device("CPU")
    assert backend.supports_device("CPU:0")
    assert not backend.supports_device("CUDA")
    model = parser.parse_model(small_models.SUM)
    x, y = np.ones((2, 4), np.float32), np.full((2, 4), 2, np.float32)
    with pytest.raises(ValueError, match="CUDA"):
        backend.prepare(model, "CUDA")
    assert backend.is_compatible(model)
    assert not backend.is_compatible(parser.parse_model(small_models.UNKNOWN))
    rep = backend.prepare(model, threads=1)
    for inputs in ([x, y], (x, y), {"y": y, "x": x}):
        (z,) = rep.run(inputs)
        np.testing.assert_array_equal(z, x + y)
    (z,) = backend.run_model(model, [x, y])
    np.testing.assert_array_equal(z, x + y)
    (z,) = backend.run_node(helper.make_node("Sub", ["a", "b"], ["c"]), [x, y])
    np.testing.assert_array_equal(z, x - y)
