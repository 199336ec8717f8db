"""Products with one left side (merge-products), as attention's projections are, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper, parser

from support import module

WIDTH, HEADS = 64, 4


def attention(batch: int | str, sequence: int | str, biased: bool, columns: dict[str, int]) -> ModelProto:
    """Projections whose heads are taken apart, and the product of two of them with the third."""
    random = np.random.default_rng(3)
    lines = []
    for name, count in columns.items():
        product = f"m{name} = MatMul (x, w{name})" if biased else f"a{name} = MatMul (x, w{name})"
        lines += [product, *([f"a{name} = Add (m{name}, b{name})"] if biased else [])]
        lines += [f"r{name} = Reshape (a{name}, s{name})", f"{name} = Transpose <perm = [0, 2, 1, 3]> (r{name})"]
    body = "\n".join(lines)
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 21]>
    m (float[{batch}, {sequence}, {WIDTH}] x) => (float[b, h, s, c] y) {{
        {body}
        kt = Transpose <perm = [0, 1, 3, 2]> (k)
        qk = MatMul (q, kt)
        p = Softmax (qk)
        y = MatMul (p, v)
    }}""")
    for name, count in columns.items():
        weights = random.standard_normal((WIDTH, count)).astype(np.float32) / 8
        model.graph.initializer.append(numpy_helper.from_array(weights, f"w{name}"))
        model.graph.initializer.append(numpy_helper.from_array(random.standard_normal(count).astype(np.float32), f"b{name}"))
        shape = np.array([0, -1, HEADS, count // HEADS], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(shape, f"s{name}"))
    return model


@pytest.mark.parametrize("columns", [{"q": 64, "k": 64, "v": 64}, {"q": 48, "k": 48, "v": 20}], ids=["equal", "unequal"])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("batch", "sequence"), [(2, 33), (1, 1), ("n", "s")])
def test_projections(batch: int | str, sequence: int | str, biased: bool, columns: dict[str, int]) -> None:
    model = attention(batch, sequence, biased, columns)
    program = module().compile(model.SerializeToString())
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for shape in [(batch, sequence)] if isinstance(batch, int) else [(2, 33), (1, 1), (3, 128)]:
        x = np.random.default_rng(4).standard_normal((*shape, WIDTH)).astype(np.float32)
        np.testing.assert_allclose(program(x), session.run(None, {"x": x})[0], rtol=1e-4, atol=1e-5)
