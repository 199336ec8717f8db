"""`nacre report`: what a model tells of how it was compiled, and its times."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from browser import open_file
from support import nacre

RANDOM = np.random.default_rng(7)


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array((RANDOM.standard_normal(shape) / 8).astype(np.float32), name)


def save(folder: Path, nodes: list[onnx.NodeProto], inputs: dict[str, list], outputs: list[str], weights: list[onnx.TensorProto]) -> Path:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()], [info(n, TensorProto.FLOAT, None) for n in outputs], weights
    )
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def convnet(folder: Path, batch: int | str = 1, first: str = "first") -> Path:
    """Two convolutions with a residual connection, and a classifier."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "a"], ["c1"], name=first, pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], name="relu"),
        node("Conv", ["r1", "b"], ["c2"], name="second", pads=[1, 1, 1, 1]),
        node("Add", ["c2", "r1"], ["s"], name="residual"),
        node("GlobalAveragePool", ["s"], ["p"], name="pool"),
        node("Flatten", ["p"], ["f"], name="flatten"),
        node("Gemm", ["f", "w"], ["y"], name="classifier"),
    ]
    weights = [weight("a", 32, 16, 3, 3), weight("b", 32, 32, 3, 3), weight("w", 32, 10)]
    return save(folder, nodes, {"x": [batch, 16, 32, 32]}, ["y"], weights)


def report_of(model: Path, *options: str | Path) -> dict[str, Any]:
    return json.loads(nacre("report", model, "--json", "--no-cache", *options).out)


def check_structure(report: dict[str, Any]) -> None:
    """Every step launches a kernel of the table, reads what was written before it, and no two buffers are in the same
    place of the arena at the same time."""
    for function in report["functions"]:
        buffers, written = function["buffers"], set()
        for number, step in enumerate(function["steps"]):
            assert 0 <= step["kernel"] < len(report["kernels"])
            for read in step["reads"]:
                assert buffers[read]["kind"] in ("input", "parameter") or read in written, (number, buffers[read])
            written.update(step["writes"])
            for used in step["reads"] + step["writes"]:
                assert buffers[used]["first"] <= number <= buffers[used]["last"]
        arena = [b for b in buffers if b["kind"] == "arena"]
        for i, one in enumerate(arena):
            assert one["offset"] + one["bytes"] <= function["arena_bytes"]
            for other in arena[:i]:
                apart_in_time = one["last"] < other["first"] or other["last"] < one["first"]
                apart_in_place = one["offset"] + one["bytes"] <= other["offset"] or other["offset"] + other["bytes"] <= one["offset"]
                assert apart_in_time or apart_in_place, (one, other)


def texts(report: dict[str, Any], passed: str) -> list[str]:
    return [r["text"] for k in report["kernels"] for r in k["remarks"] if r["pass"] == passed]


def test_explains(tmp_path: Path) -> None:
    report = report_of(convnet(tmp_path), "--no-measure", "--target-cpu", "x86-64-v4")
    check_structure(report)
    nodes = [node for kernel in report["kernels"] for node in kernel["nodes"]]
    for name in ("first (Conv)", "relu (Relu)", "second (Conv)", "residual (Add)", "pool (GlobalAveragePool)", "classifier (Gemm)"):
        assert name in nodes
    first = next(k for k in report["kernels"] if "relu (Relu)" in k["nodes"])
    assert "first (Conv)" in first["nodes"]
    assert first["flops"] == 2 * 32 * 32 * 32 * 16 * 9
    assert any("several kernels read it" in r["text"] and r["kind"] == "missed" for r in first["remarks"] if r["pass"] == "form-kernels")
    assert any("cost model" in text for text in texts(report, "choose-winograd"))
    assert any("w lie in panels" in text for text in texts(report, "pack-parameters"))
    assert texts(report, "choose-tiles") and texts(report, "vectorize-tiles")
    main = report["functions"][0]
    assert main["inputs"] == [{"name": "x", "dtype": "f32", "dims": [1, 16, 32, 32]}]
    assert {b.get("name") for b in main["buffers"] if b["kind"] in ("input", "output")} == {"x", "y"}
    assert "machine" not in report and "trace" not in report
    # Bytes: the input, the weights and the result, each once (the weights may be transformed).
    gemm = next(k for k in report["kernels"] if "classifier (Gemm)" in k["nodes"])
    assert gemm["bytes"] == 4 * (32 + 32 * 10 + 10)


def test_measures(tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    path = tmp_path / "model.so"
    nacre("compile", convnet(tmp_path), "-o", path, "--no-cache")
    report = json.loads(nacre("report", path, "--json", "--seconds", "0.2", "--threads", "2", "--chrome-trace", trace).out)
    check_structure(report)
    assert report["machine"]["threads"] == 2
    assert report["machine"]["peak_gflops"] > 0 and report["machine"]["memory_gbs"] > 0 and report["machine"]["cache_gbs"] > 0
    assert 0 < report["run"]["min_ms"] <= report["run"]["median_ms"]
    measured = [k for k in report["kernels"] if "measured_ms" in k]
    assert len(measured) == len(report["kernels"])
    convolution = next(k for k in measured if "relu (Relu)" in k["nodes"])
    assert convolution["predicted_ms"] > 0 and convolution["bound"] in ("compute", "memory")
    assert convolution["roofline_percent"] == pytest.approx(100 * convolution["predicted_ms"] / convolution["measured_ms"])
    # The timeline: every step of the run, by the caller at least, within the run.
    steps = {s["kernel"] for s in report["functions"][0]["steps"]}
    assert {bar["kernel"] for bar in report["trace"]} == steps
    assert all(0 <= bar["begin_us"] <= bar["end_us"] and bar["thread"] in (0, 1) for bar in report["trace"])
    events = json.loads(trace.read_text())["traceEvents"]
    assert {e["name"] for e in events} >= {k["name"] for k in report["kernels"]} | {"run"}


def test_text(tmp_path: Path) -> None:
    text = nacre("report", convnet(tmp_path), "--no-cache", "--seconds", "0.1").out
    assert re.search(r"run +\d+\.\d+ ms", text) and "form-kernels" in text and "first (Conv)" in text


def test_dynamic_sizes(tmp_path: Path) -> None:
    report = report_of(convnet(tmp_path, "N"), "--no-measure")
    check_structure(report)
    assert report["functions"][0]["inputs"][0]["dims"] == ["N", 16, 32, 32]
    assert any(b["kind"] == "allocated" and b["bytes"] == -1 for b in report["functions"][0]["buffers"])
    assert any(k["bytes"] == -1 for k in report["kernels"])


def test_versions_for_sizes(tmp_path: Path) -> None:
    report = report_of(convnet(tmp_path, "N"), "--no-measure", "--specialize", "N=1,4")
    check_structure(report)
    main = report["functions"][0]
    assert len(main["regions"]) >= 3 and all(s["region"] >= 0 for s in main["steps"])


def test_loops(tmp_path: Path) -> None:
    node, info = helper.make_node, helper.make_tensor_value_info
    body = helper.make_graph(
        [node("MatMul", ["s", "w"], ["t"], name="product"), node("Tanh", ["t"], ["next"], name="tanh"), node("Identity", ["c"], ["go"])],
        "body",
        [info("i", TensorProto.INT64, []), info("c", TensorProto.BOOL, []), info("s", TensorProto.FLOAT, [64, 64])],
        [info("go", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [64, 64])],
    )
    path = save(tmp_path, [node("Loop", ["n", "", "x"], ["y"], body=body, name="loop")], {"x": [64, 64]}, ["y"],
                [weight("w", 64, 64), numpy_helper.from_array(np.array(5), "n")])  # fmt: skip
    report = report_of(path, "--no-measure")
    check_structure_of_loops(report)


def check_structure_of_loops(report: dict[str, Any]) -> None:
    main = report["functions"][0]
    loops = [r for r in main["regions"] if r["kind"] == "loop"]
    steps = [s for s in main["steps"] if s["region"] >= 0]
    # Either a loop of kernels, or one kernel that has the loop inside.
    assert (loops and steps) or any("product (MatMul)" in k["nodes"] and "tanh (Tanh)" in k["nodes"] for k in report["kernels"])


def test_several_cpus(tmp_path: Path) -> None:
    path = tmp_path / "model.so"
    nacre("compile", convnet(tmp_path), "-o", path, "--no-cache", "--target-cpu", "x86-64-v2,x86-64-v3")
    report = json.loads(nacre("report", path, "--json", "--no-measure").out)
    check_structure(report)
    vectors = texts(report, "vectorize-tiles")
    assert vectors and not any("16 lanes" in text for text in vectors)


def test_same_for_the_same_model(tmp_path: Path) -> None:
    model = convnet(tmp_path)
    assert report_of(model, "--no-measure") == report_of(model, "--no-measure")


def test_page_has_all_in_itself(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    ran = nacre("report", convnet(tmp_path, first="</script><b>"), "--no-cache", "--no-measure", "--html", page)
    assert ran.out == ""
    text = page.read_text()
    assert "</script><b>" not in text and "\\u003c/script>\\u003cb> (Conv)" in text
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    data = re.search(r'<script id="report" type="application/json">(.*?)</script>', text, re.S)
    assert data and any("</script><b> (Conv)" in k["nodes"] for k in json.loads(data[1])["kernels"])


def test_page_in_a_browser(tmp_path: Path) -> None:
    written = tmp_path / "report.html"
    nacre("report", convnet(tmp_path, first="<b>first"), "--no-cache", "--seconds", "0.1", "--threads", "2", "--html", written)
    report = report_of(tmp_path / "model.onnx", "--no-measure")
    page = open_file(written, "search=residual")
    assert page.errors == ""
    steps = report["functions"][0]["steps"]
    assert len(page.root.by_id("graph").all("g", "box")) == len(steps)
    assert len(page.root.by_id("kernels").all("tbody")[0].all("tr")) == len(report["kernels"])
    assert len(page.root.all("rect", "arena")) == sum(b["kind"] == "arena" for b in report["functions"][0]["buffers"])
    assert len(page.root.all("rect", "bar-of-lane")) >= len(steps)
    name = next(k["name"] for k in report["kernels"] if "relu (Relu)" in k["nodes"])
    details = open_file(written, f"kernel={name}").root.by_id("details")
    assert "<b>first (Conv)" in details.text and "several kernels read it" in details.text and "cost model" in details.text


def test_errors(tmp_path: Path) -> None:
    model = convnet(tmp_path)
    assert nacre("report", model, "--no-measure", "--chrome-trace", tmp_path / "t", ok=False).status == 2
    ran = nacre("report", model, "--no-cache", "--no-measure", "--html", tmp_path / "none" / "r.html", ok=False)
    assert ran.status != 0 and "cannot write" in ran.err
    assert nacre("report", tmp_path / "none.so", ok=False).status == 1


def attention(folder: Path, layers: int) -> Path:
    """Layers of attention with a residual connection."""
    node, rows, width, heads = helper.make_node, 32, 64, 4
    nodes, weights, x = [], [], "x"
    shape = numpy_helper.from_array(np.array([rows, heads, width // heads]), "heads")
    flat = numpy_helper.from_array(np.array([rows, width]), "flat")
    for i in range(layers):
        for name in "kvq":
            weights.append(weight(f"{name}w{i}", width, width))
            nodes += [node("MatMul", [x, f"{name}w{i}"], [f"{name}m{i}"]), node("Reshape", [f"{name}m{i}", "heads"], [f"{name}r{i}"])]
        nodes += [
            node("Transpose", [f"kr{i}"], [f"k{i}"], perm=[1, 0, 2]), node("Transpose", [f"vr{i}"], [f"v{i}"], perm=[1, 0, 2]),
            node("Mul", [f"qr{i}", "scale"], [f"qq{i}"]), node("Transpose", [f"qq{i}"], [f"qs{i}"], perm=[1, 0, 2]),
            node("Transpose", [f"k{i}"], [f"kt{i}"], perm=[0, 2, 1]), node("Mul", [f"kt{i}", "scale"], [f"ks{i}"]),
        ]  # fmt: skip
        weights.append(weight(f"ow{i}", width, width))
        nodes += [
            node("MatMul", [f"qs{i}", f"ks{i}"], [f"s{i}"]), node("Add", [f"s{i}", "mask"], [f"z{i}"]), node("Softmax", [f"z{i}"], [f"p{i}"], axis=-1),
            node("MatMul", [f"p{i}", f"v{i}"], [f"a{i}"]), node("Transpose", [f"a{i}"], [f"t{i}"], perm=[1, 0, 2]),
            node("Reshape", [f"t{i}", "flat"], [f"f{i}"]), node("MatMul", [f"f{i}", f"ow{i}"], [f"o{i}"]), node("Add", [f"o{i}", x], [f"x{i}"]),
        ]  # fmt: skip
        x = f"x{i}"
    nodes[-1].output[0] = "y"
    return save(folder, nodes, {"x": [rows, width], "scale": [], "mask": [rows, rows]}, ["y"], [shape, flat, *weights])


def test_arena_is_as_large_as_what_lives(tmp_path: Path) -> None:
    report = report_of(attention(tmp_path, 12), "--no-measure", "--target-cpu", "x86-64-v4")
    check_structure(report)
    main = report["functions"][0]
    arena = [b for b in main["buffers"] if b["kind"] == "arena"]
    live = [sum(-(-b["bytes"] // 64) * 64 for b in arena if b["first"] <= step <= b["last"]) for step in range(len(main["steps"]))]
    assert max(live) <= main["arena_bytes"] <= 1.05 * max(live)
