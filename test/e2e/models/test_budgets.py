"""What compiling may cost, and how large its results may be."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parents[1]))

import zoo
from support import nacre

MIB = 1 << 20


def model_bytes(files: zoo.Files) -> int:
    return sum(path.stat().st_size for path in files.model.parent.glob("model.onnx*"))


# Compile times are measured by benchmarks, not asserted here: the machine is shared.
@pytest.mark.parametrize("name", ["resnet50", "bert_base", "mlp", "vit_b16", "gpt2"])
def test_compile_memory(name: str, tmp_path: Path) -> None:
    files = zoo.get(name)
    ran = nacre("compile", files.model, "-o", tmp_path / "model.so")
    assert ran.peak_bytes <= 1.5 * model_bytes(files) + 300 * MIB


@pytest.mark.parametrize("name", ["resnet50", "bert_base", "mlp"])
def test_compile_in_process_memory(name: str, tmp_path: Path) -> None:
    files = zoo.get(name)
    ran = nacre("info", files.model)
    assert ran.peak_bytes <= 1.5 * model_bytes(files) + 300 * MIB


def test_chain_of_100000_nodes(tmp_path: Path) -> None:
    count = 100_000
    nodes = [
        helper.make_node("Relu" if i % 2 else "Neg", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}")
        for i in range(count)
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [4, 8])],
        [helper.make_tensor_value_info(f"v{count}", TensorProto.FLOAT, [4, 8])],
    )
    path = tmp_path / "chain.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path)
    ran = nacre("compile", path, "-o", tmp_path / "chain.so", timeout=300)
    assert ran.seconds <= 60


def test_mlp_artefact_is_small(tmp_path: Path) -> None:
    files = zoo.get("mlp")
    artefact = tmp_path / "mlp.so"
    nacre("compile", files.model, "-o", artefact)
    weights = sum(
        4 * array_size(tensor) for tensor in onnx.load(files.model).graph.initializer
    )
    assert artefact.stat().st_size - weights <= 100_000


def array_size(tensor: TensorProto) -> int:
    size = 1
    for dim in tensor.dims:
        size *= dim
    return size


def test_compiling_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    files = zoo.get("mobilenet_v2")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        nacre("compile", files.model, "-o", tmp_path / folder / "m.so")
    assert (tmp_path / "a" / "m.so").read_bytes() == (tmp_path / "b" / "m.so").read_bytes()
