"""Ensembles of decision trees, against ONNX's reference and ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from support import module

LEQ, LT, GTE, GT, EQ, NEQ, MEMBER = range(7)
NAMES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
FEATURES = 5


def grow(random: np.random.Generator, trees: int, modes: list[int], targets: int) -> dict[str, Any]:
    """Random trees of up to four levels, in opset 5's form."""
    a: dict[str, list] = {name: [] for name in ("feature", "split", "mode", "yes", "no", "yes_leaf", "no_leaf", "missing")}
    leaves: list[tuple[int, float]] = []
    roots = []

    def node(depth: int) -> int:
        number = len(a["feature"])
        for name, value in [
            ("feature", int(random.integers(FEATURES))),
            ("split", float(random.integers(-2, 3))),
            ("mode", int(random.choice(modes))),
            ("missing", int(random.integers(2))),
            *((name, 0) for name in ("yes", "no", "yes_leaf", "no_leaf")),
        ]:
            a[name].append(value)
        for side in ("yes", "no"):
            if depth > 3 or random.uniform() < 0.3:
                a[side][number], a[f"{side}_leaf"][number] = len(leaves), 1
                leaves.append((int(random.integers(targets)), float(np.float32(random.normal()))))
            else:
                a[side][number] = node(depth + 1)
        return number

    for _ in range(trees):
        roots.append(node(0))
    return {**a, "roots": roots, "leaves": leaves}


def ensemble(forest: dict[str, Any], element: type, targets: int, joining: int, post: int, dynamic: bool) -> onnx.ModelProto:
    sets: list[float] = []
    for mode, split in zip(forest["mode"], forest["split"], strict=True):
        if mode == MEMBER:
            sets += [abs(split), abs(split) + 2, np.nan]  # ONNX Runtime takes small integers alone
    node = helper.make_node(
        "TreeEnsemble", ["X"], ["Y"], domain="ai.onnx.ml", n_targets=targets, aggregate_function=joining, post_transform=post,
        tree_roots=forest["roots"], nodes_featureids=forest["feature"],
        nodes_splits=numpy_helper.from_array(np.array(forest["split"], element)),
        nodes_modes=numpy_helper.from_array(np.array(forest["mode"], np.uint8)),
        nodes_truenodeids=forest["yes"], nodes_falsenodeids=forest["no"],
        nodes_trueleafs=forest["yes_leaf"], nodes_falseleafs=forest["no_leaf"],
        nodes_missing_value_tracks_true=forest["missing"],
        leaf_targetids=[t for t, _ in forest["leaves"]],
        leaf_weights=numpy_helper.from_array(np.array([w for _, w in forest["leaves"]], element)),
        **({"membership_values": numpy_helper.from_array(np.array(sets, element))} if sets else {}),
    )  # fmt: skip
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(element))
    sizes: list[Any] = ["N", "F"] if dynamic else [64, FEATURES]
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("X", kind, sizes)],
        [helper.make_tensor_value_info("Y", kind, ["M", targets])],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("", 21)], ir_version=10)


def rows(random: np.random.Generator, element: type = np.float32) -> np.ndarray:
    x = np.where(random.uniform(size=(64, FEATURES)) < 0.5, random.integers(-2, 3, (64, FEATURES)), random.normal(0, 2, (64, FEATURES)))
    x[random.uniform(size=x.shape) < 0.1] = np.nan
    x[0], x[1] = np.inf, -np.inf
    return x.astype(element)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("element", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("joining", range(4))
@pytest.mark.parametrize("targets", [1, 3])
def test_all_modes(targets: int, joining: int, element: type, dynamic: bool) -> None:
    random = np.random.default_rng(targets * 10 + joining)
    forest = grow(random, 6, list(range(6)), targets)
    made, x = ensemble(forest, element, targets, joining, 0, dynamic), rows(random, element)
    (expected,) = ReferenceEvaluator(made).run(None, {"X": x})
    tolerance = 1e-2 if element is np.float16 else 1e-6
    np.testing.assert_allclose(module().compile(made)(x), expected.astype(element), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("post", range(5))
def test_sets_and_transforms(post: int) -> None:
    """ONNX's reference takes sets in another order than the standard says, and no transform."""
    random = np.random.default_rng(post)
    forest = grow(random, 4, [LEQ, EQ, MEMBER], 3)
    if post == 4:  # of probabilities
        forest["leaves"] = [(t, 0.2 / (1 + abs(w))) for t, w in forest["leaves"]]
    made, x = ensemble(forest, np.float32, 3, 1, post, False), rows(random)
    x = np.nan_to_num(x, nan=0.5)
    # ONNX Runtime takes the standard's softmax (1) for the logistic function (2), and that for softmax.
    peer = ensemble(forest, np.float32, 3, 1, [0, 2, 1, 3, 4][post], False).SerializeToString()
    (expected,) = onnxruntime.InferenceSession(peer, providers=["CPUExecutionProvider"]).run(None, {"X": x})
    np.testing.assert_allclose(module().compile(made)(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("element", [np.float32, np.int64])
@pytest.mark.parametrize("joining", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("targets", [1, 2])
def test_regressor(targets: int, joining: str, element: type) -> None:
    random = np.random.default_rng(3)
    nodes: list[tuple] = []  # tree, node, feature, value, mode, yes, no, missing
    leaves: list[tuple] = []  # tree, node, target, weight

    def node(tree: int, depth: int) -> int:
        number = sum(n[0] == tree for n in nodes)
        nodes.append(())
        at = len(nodes) - 1
        nodes[at] = (tree, number)
        if depth > 3 or (depth > 0 and random.uniform() < 0.3):
            nodes[at] = (tree, number, 0, 0.0, "LEAF", 0, 0, 0)
            for target in range(targets):
                leaves.append((tree, number, target, float(np.float32(random.normal()))))
        else:
            yes, no = node(tree, depth + 1), node(tree, depth + 1)
            nodes[at] = (tree, number, int(random.integers(FEATURES)), float(random.integers(-2, 3)), "BRANCH_LEQ", yes, no, int(random.integers(2)))
        return number

    for tree in range(5):
        node(tree, 0)
    names = ["nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes", "nodes_truenodeids",
             "nodes_falsenodeids", "nodes_missing_value_tracks_true"]  # fmt: skip
    attributes = {n: [row[i] for row in nodes] for i, n in enumerate(names)}
    for i, n in enumerate(["target_treeids", "target_nodeids", "target_ids", "target_weights"]):
        attributes[n] = [row[i] for row in leaves]
    made = helper.make_node(
        "TreeEnsembleRegressor", ["X"], ["Y"], domain="ai.onnx.ml", n_targets=targets, aggregate_function=joining,
        base_values=[0.5] * targets, **attributes
    )  # fmt: skip
    graph = helper.make_graph(
        [made], "g",
        [helper.make_tensor_value_info("X", helper.np_dtype_to_tensor_dtype(np.dtype(element)), ["N", FEATURES])],
        [helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, ["N", targets])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)], ir_version=8)
    x = rows(random).astype(np.float32)
    if element is np.int64:
        x = np.nan_to_num(x, nan=7, posinf=9, neginf=-9)
    x = x.astype(element)
    found = module().compile(model)(x)
    if element is np.int64:  # which ONNX Runtime lacks
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    feed = {"X": x.astype(np.float32)}
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_faults() -> None:
    forest = grow(np.random.default_rng(0), 1, [LEQ], 1)
    with pytest.raises(module().CompileError, match="leads to"):
        module().compile(ensemble(forest | {"yes": [999] * len(forest["yes"])}, np.float32, 1, 1, 0, False))
    cycle = {"feature": [0, 0], "split": [0.0, 0.0], "mode": [0, 0], "yes": [1, 0], "no": [0, 0], "yes_leaf": [0, 0], "no_leaf": [1, 1],
             "missing": [0, 0], "roots": [0], "leaves": [(0, 1.0)]}  # fmt: skip
    with pytest.raises(module().CompileError, match="comes back to a node"):
        module().compile(ensemble(cycle, np.float32, 1, 1, 0, False))
    with pytest.raises(module().CompileError, match="the trees look at feature 9 of 5"):
        module().compile(ensemble(forest | {"feature": [9] * len(forest["feature"])}, np.float32, 1, 1, 0, False))
    program = module().compile(ensemble(forest | {"feature": [9] * len(forest["feature"])}, np.float32, 1, 1, 0, True))
    with pytest.raises(module().RunError, match="the trees look at feature 9 of too few"):
        program(np.zeros((64, FEATURES), np.float32))


@pytest.mark.parametrize("labels", ["numbers", "strings"])
@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize(("classes", "of_one"), [(3, False), (5, False), (2, True)])
def test_classifier(classes: int, of_one: bool, post: str, labels: str) -> None:
    random = np.random.default_rng(classes)
    nodes: list[tuple] = []
    leaves: list[tuple] = []

    def node(tree: int, depth: int) -> int:
        number, at = sum(n[0] == tree for n in nodes), len(nodes)
        nodes.append((tree, number))
        if depth > 3 or (depth > 0 and random.uniform() < 0.3):
            nodes[at] = (tree, number, 0, 0.0, "LEAF", 0, 0)
            leaves.extend((tree, number, k, float(np.float32(random.normal()))) for k in range(1 if of_one else classes))
        else:
            yes, no = node(tree, depth + 1), node(tree, depth + 1)
            nodes[at] = (tree, number, int(random.integers(FEATURES)), float(random.normal()), "BRANCH_LEQ", yes, no)
        return number

    for tree in range(4):
        node(tree, 0)
    names = ["nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes", "nodes_truenodeids", "nodes_falsenodeids"]
    attributes = {n: [row[i] for row in nodes] for i, n in enumerate(names)}
    for i, n in enumerate(["class_treeids", "class_nodeids", "class_ids", "class_weights"]):
        attributes[n] = [row[i] for row in leaves]
    if labels == "numbers":
        attributes["classlabels_int64s"] = [10 * k for k in range(classes)]
    else:
        attributes["classlabels_strings"] = [f"class {k}" for k in range(classes)]
    made = helper.make_node("TreeEnsembleClassifier", ["X"], ["L", "S"], domain="ai.onnx.ml", post_transform=post, **attributes)
    graph = helper.make_graph(
        [made], "g",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("L", onnx.TensorProto.INT64 if labels == "numbers" else onnx.TensorProto.STRING, ["N"]),
         helper.make_tensor_value_info("S", onnx.TensorProto.FLOAT, ["N", classes])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)], ir_version=8)
    x = random.normal(0, 1, (64, FEATURES)).astype(np.float32)
    peer = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = peer.run(None, {"X": x})
    if of_one and post == "SOFTMAX":  # which ONNX Runtime leaves out here; ONNX's reference does not
        powers = np.exp(expected[1])
        expected[1] = powers / powers.sum(1, keepdims=True)
    label, scores = module().compile(model).run([x])
    assert label.tolist() == expected[0].tolist()
    np.testing.assert_allclose(scores, expected[1], rtol=1e-5, atol=1e-6)
