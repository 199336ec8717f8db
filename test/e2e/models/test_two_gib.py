"""Weights beyond 2 GiB, in a file of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import nacre

ROWS, COLUMNS = 36_000_000, 16  # 2.3 GB


def test_external_weights_beyond_two_gib(tmp_path: Path) -> None:
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[ROWS, COLUMNS])
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value="table.bin")
    last = np.arange(COLUMNS, dtype=np.float32)
    with (tmp_path / "table.bin").open("wb") as file:  # sparse: zeros take no room on the disk
        file.seek((ROWS - 1) * COLUMNS * 4)
        file.write(last.tobytes())
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "row"], ["y"], name="lookup")],
        "embedding",
        [helper.make_tensor_value_info("row", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", COLUMNS])],
        [table],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "big.onnx").write_bytes(model.SerializeToString())
    np.save(tmp_path / "row.npy", np.array([ROWS - 1, 0, -1]))
    nacre("run", tmp_path / "big.onnx", "--input", f"row={tmp_path / 'row.npy'}", "--output-dir", tmp_path)
    assert np.array_equal(np.load(tmp_path / "y.npy"), [last, np.zeros(COLUMNS), last])
    (tmp_path / "table.bin").unlink()
