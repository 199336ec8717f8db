"""Classical machine learning (ai.onnx.ml)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from onnx import helper

from operators.node import Node, Numbers, node, run_node, texts

DATA = Numbers(14)
ml = partial(node, domain="ai.onnx.ml")
TYPES = (np.float32, np.float64, np.int32, np.int64)
TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def named(dtype: Any) -> str:
    return np.dtype(dtype).name


def features() -> Iterator[Node]:
    for dtype in TYPES:
        x = DATA.integers(-4, 5, 3, 4, dtype=dtype)
        name = named(dtype)
        yield ml("Scaler", x, label=name, offset=[1.0, 2.0, 3.0, 4.0], scale=[0.5, 2.0, 1.0, -1.0], expected=lambda x=x: ((x - np.array([1, 2, 3, 4.0])) * [0.5, 2, 1, -1]).astype(np.float32))
        yield ml("Scaler", x, label=f"{name}_one", offset=[1.0], scale=[0.5], expected=lambda x=x: ((x - 1.0) * 0.5).astype(np.float32))
        for norm in ("MAX", "L1", "L2"):
            yield ml("Normalizer", x + 10 * (norm == "MAX"), label=f"{name}_{norm.lower()}", norm=norm)
        yield ml("LinearRegressor", x, label=name, coefficients=[0.5, 1.0, -1.0, 2.0], expected=lambda x=x: (x @ np.array([[0.5], [1.0], [-1.0], [2.0]])).astype(np.float32))
        yield ml("FeatureVectorizer", x, x[:, :2] + 1, label=name, inputdimensions=[4, 2],
                 expected=lambda x=x: np.hstack([x, x[:, :2] + 1]).astype(np.float32))  # fmt: skip
        yield ml("Binarizer", x, label=name, threshold=1.0, expected=lambda x=x: (x > 1).astype(x.dtype))
        yield ml("ArrayFeatureExtractor", x, np.array([3, 0]), label=name)
        if np.dtype(dtype).kind == "f":
            holes = np.where(x == 2, np.nan, x).astype(dtype)
            yield ml("Imputer", holes, label=f"{name}_nan", imputed_value_floats=[1.5, 2.5, 3.5, 4.5], replaced_value_float=float("nan"),
                     expected=lambda h=holes: np.where(np.isnan(h), [1.5, 2.5, 3.5, 4.5], h).astype(h.dtype))  # fmt: skip
            yield ml("Imputer", x, label=f"{name}_value", imputed_value_floats=[7.5], replaced_value_float=2.0, expected=lambda x=x: np.where(x == 2, 7.5, x).astype(x.dtype))
        else:
            yield ml("Imputer", x, label=name, imputed_value_int64s=[7], replaced_value_int64=2, expected=lambda x=x: np.where(x == 2, 7, x).astype(x.dtype))
            yield ml("Imputer", x, label=f"{name}_columns", imputed_value_int64s=[5, 6, 7, 8], replaced_value_int64=2,
                     expected=lambda x=x: np.where(x == 2, [5, 6, 7, 8], x).astype(x.dtype))  # fmt: skip
    x = DATA.normal(3, 4)
    yield ml("Scaler", x[0], label="vector", offset=[1.0, 2.0, 3.0, 4.0], scale=[0.5, 2.0, 1.0, -1.0])
    yield ml("Normalizer", x[0], label="vector", norm="L2", expected=lambda: x[0] / np.sqrt((x[0] ** 2).sum()))
    yield ml("Normalizer", np.zeros((2, 3), np.float32), label="zeros", norm="L2")
    yield ml("LinearRegressor", x, label="targets", coefficients=[float(v) for v in range(8)], intercepts=[1.0, -1.0], targets=2)
    for transform in TRANSFORMS[:-1]:
        yield ml("LinearRegressor", x, label=f"transform_{transform.lower()}", coefficients=[float(v) / 4 for v in range(8)], targets=2, post_transform=transform)


def categories() -> Iterator[Node]:
    for dtype in TYPES:
        x = np.array([[3, 1], [7, 2]], dtype)
        yield ml("OneHotEncoder", x, label=named(dtype), cats_int64s=[1, 2, 3])
    yield ml("OneHotEncoder", np.array([3, 1, 3]), label="known", cats_int64s=[1, 2, 3], zeros=0)
    yield ml("OneHotEncoder", texts("b", "x", "a"), label="strings", cats_strings=["a", "b"])
    both = dict(cats_int64s=[5, 6, 7], cats_strings=["a", "b", "c"])
    yield ml("CategoryMapper", texts("b", "?", "a"), label="to_numbers", **both, default_int64=9, expected=lambda: np.array([6, 9, 5]))
    yield ml("CategoryMapper", np.array([[7, 1, 5]]), label="to_strings", **both, default_string="none", expected=lambda: np.array([["c", "none", "a"]], object))
    yield ml("CategoryMapper", texts("b", "?", "a"), label="defaults", **both, expected=lambda: np.array([6, -1, 5]))
    yield ml("LabelEncoder", texts("b", "?", "a"), label="classes", classes_strings=["a", "b"], default_int64=7, expected=lambda: np.array([1, 7, 0]))
    yield ml("LabelEncoder", np.array([1, 5, 0]), label="classes_back", classes_strings=["a", "b"], default_string="none", expected=lambda: np.array(["b", "none", "a"], object))
    values = {"strings": (texts("a", "b"), texts("b", "?")), "int64s": (np.array([3, 4]), np.array([4, 9])),
              "floats": (np.array([1.5, 2.5], np.float32), np.array([2.5, 9], np.float32))}  # fmt: skip
    for keys, (known, asked) in values.items():
        for results, (given, _) in values.items():
            yield ml("LabelEncoder", asked, label=f"{keys}_{results}", **{f"keys_{keys}": known.tolist(), f"values_{results}": given.tolist()})
    for dtype in (np.float64, np.float32, np.int64):
        tensor = helper.make_tensor("k", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [2], [1, 2])
        yield ml("LabelEncoder", np.array([2, 5], dtype), label=f"tensors_{named(dtype)}", keys_tensor=tensor, values_tensor=tensor, default_tensor=helper.make_tensor("d", tensor.data_type, [1], [9]),
                 expected=lambda d=dtype: np.array([2, 9], d))  # fmt: skip


def classifiers() -> Iterator[Node]:
    for dtype in TYPES:
        x = DATA.integers(-4, 5, 5, 3, dtype=dtype)
        yield ml("LinearClassifier", x, label=named(dtype), outputs=2, coefficients=[0.5, 1.0, -1.0, -0.5, 0.25, 1.0, 1.0, 1.0, 0.5], intercepts=[0.1, 0.2, -0.3], classlabels_ints=[4, 5, 6])
    x = DATA.normal(6, 3)
    weights = [0.5, 1.0, -1.0, -0.5, 0.25, 1.0, 1.0, 1.0, 0.5]
    for transform in TRANSFORMS[:-1]:
        yield ml("LinearClassifier", x, label=f"three_{transform.lower()}", outputs=2, coefficients=weights, intercepts=[0.1, 0.2, -0.3], classlabels_strings=["a", "b", "c"], post_transform=transform)
        yield ml("LinearClassifier", x, label=f"two_{transform.lower()}", outputs=2, coefficients=weights[:6], intercepts=[0.1, 0.2], classlabels_ints=[0, 1], post_transform=transform)
        yield ml("LinearClassifier", x, label=f"one_{transform.lower()}", outputs=2, coefficients=weights[:3], intercepts=[0.1], classlabels_ints=[0, 1], post_transform=transform)
    yield ml("LinearClassifier", x, label="one_strings", outputs=2, coefficients=weights[:3], intercepts=[0.1], classlabels_strings=["no", "yes"])


def machines() -> Iterator[Node]:
    x = DATA.normal(6, 3)
    vectors = DATA.normal(5, 3).ravel().tolist()
    kernels = {"LINEAR": [0.5, 0.0, 3.0], "POLY": [0.5, 1.0, 2.0], "RBF": [0.7, 0.0, 3.0], "SIGMOID": [0.3, 0.1, 3.0]}
    for kernel, params in kernels.items():
        yield ml("SVMRegressor", x, label=kernel.lower(), kernel_type=kernel, kernel_params=params, n_supports=5, support_vectors=vectors, coefficients=[1.0, -0.5, 0.3, 0.7, -1.0], rho=[0.25])
        yield ml("SVMClassifier", x, label=f"two_{kernel.lower()}", outputs=2, kernel_type=kernel, kernel_params=params, support_vectors=vectors, vectors_per_class=[3, 2],
                 coefficients=[1.0, 0.5, 0.3, -0.7, -1.0], rho=[0.25], classlabels_ints=[3, 8])  # fmt: skip
        yield ml("SVMClassifier", x, label=f"three_{kernel.lower()}", outputs=2, kernel_type=kernel, kernel_params=params, support_vectors=vectors, vectors_per_class=[2, 2, 1],
                 coefficients=DATA.normal(2, 5).ravel().tolist(), rho=[0.25, -0.1, 0.3], classlabels_strings=["a", "b", "c"])  # fmt: skip
    yield ml("SVMClassifier", x, label="probabilities", outputs=2, kernel_type="RBF", kernel_params=kernels["RBF"], support_vectors=vectors, vectors_per_class=[2, 2, 1],
             coefficients=DATA.normal(2, 5).ravel().tolist(), rho=[0.25, -0.1, 0.3], prob_a=[-1.0, -0.7, -1.2], prob_b=[0.1, 0.2, -0.1], classlabels_ints=[0, 1, 2])  # fmt: skip
    # Five classes, and rows enough for different numbers of iterations.
    drawn = Numbers(15)
    yield ml("SVMClassifier", drawn.normal(40, 3), label="five_probabilities", outputs=2, kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0],
             support_vectors=drawn.normal(10, 3).ravel().tolist(), vectors_per_class=[3, 2, 1, 2, 2], coefficients=drawn.normal(4, 10).ravel().tolist(),
             rho=drawn.normal(10).tolist(), prob_a=drawn.uniform(-3, -0.5, 10).tolist(), prob_b=drawn.normal(10).tolist(), classlabels_strings=list("abcde"))  # fmt: skip
    # Of two classes: the score through a logistic function. ONNX Runtime comes near it by iterations.
    two: dict[str, Any] = dict(kernel_type="RBF", kernel_params=kernels["RBF"], support_vectors=vectors, vectors_per_class=[3, 2],
                               coefficients=[1.0, 0.5, 0.3, -0.7, -1.0], rho=[0.25], classlabels_ints=[0, 1])  # fmt: skip

    def shares() -> list[np.ndarray]:
        labels, scores = run_node("SVMClassifier", 1, x, domain="ai.onnx.ml", outputs=2, **two)
        share = 1 / (1 + np.exp(-1.3 * scores[:, 1] + 0.1))
        return [labels, np.stack([share, 1 - share], 1)]

    yield ml("SVMClassifier", x, label="two_probabilities", outputs=2, prob_a=[-1.3], prob_b=[0.1], expected=shares, **two)
    yield ml("SVMClassifier", x, label="linear", outputs=2, kernel_type="LINEAR", coefficients=[0.5, 1.0, -1.0, -0.5, 0.25, 1.0, 1.0, 1.0, 0.5], rho=[0.1, 0.2, 0.3], classlabels_ints=[0, 1, 2])
    yield ml("SVMRegressor", x, label="no_vectors", kernel_type="LINEAR", coefficients=[0.5, 1.0, -1.0], rho=[0.25], n_supports=0)
    yield ml("SVMRegressor", x, label="one_class", kernel_type="RBF", kernel_params=kernels["RBF"], n_supports=5, support_vectors=vectors, coefficients=[1.0, -0.5, 0.3, 0.7, -1.0], rho=[0.25], one_class=1)
    for dtype in TYPES[1:]:
        wide = DATA.integers(-3, 4, 6, 3, dtype=dtype)
        more: dict[str, Any] = dict(kernel_type="LINEAR", kernel_params=kernels["LINEAR"], n_supports=5, support_vectors=vectors, coefficients=[1.0, -0.5, 0.3, 0.7, -1.0], rho=[0.25])
        yield ml("SVMRegressor", wide, label=named(dtype), **more,
                 expected=lambda w=wide, more=more: run_node("SVMRegressor", 1, w.astype(np.float32), domain="ai.onnx.ml", **more))  # fmt: skip


def trees() -> Iterator[Node]:
    x = DATA.normal(8, 3)
    tree = partial(ml, like=3)
    # Two trees: one of depth two, one of depth one.
    shape: dict[str, Any] = dict(
        nodes_treeids=[0, 0, 0, 0, 0, 1, 1, 1], nodes_nodeids=[0, 1, 2, 3, 4, 0, 1, 2], nodes_featureids=[0, 1, 0, 0, 0, 2, 0, 0],
        nodes_truenodeids=[1, 3, 0, 0, 0, 1, 0, 0], nodes_falsenodeids=[2, 4, 0, 0, 0, 2, 0, 0],
        nodes_modes=["BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"], nodes_values=[0.1, -0.2, 0, 0, 0, 0.3, 0, 0],
    )  # fmt: skip
    ends = dict(treeids=[0, 0, 0, 1, 1], nodeids=[2, 3, 4, 1, 2])

    def leaves(prefix: str, ids: list[int], weights: list[float]) -> dict[str, Any]:
        return {f"{prefix}_{k}": v for k, v in ends.items()} | {f"{prefix}_ids": ids, f"{prefix}_weights": weights}

    for kind in ("SUM", "AVERAGE", "MIN", "MAX"):
        yield tree("TreeEnsembleRegressor", x, label=kind.lower(), aggregate_function=kind, n_targets=1, **shape, **leaves("target", [0] * 5, [1.0, -2.0, 3.0, 0.5, -0.5]))
    yield tree("TreeEnsembleRegressor", x, label="base", n_targets=2, base_values=[0.5, 1.5], **shape, **leaves("target", [0, 1, 0, 1, 0], [1.0, -2.0, 3.0, 0.5, -0.5]), standard=True, until=3)
    yield tree("TreeEnsembleRegressor", x.astype(np.float64), label="f64", n_targets=1, **shape, **leaves("target", [0] * 5, [1.0, -2.0, 3.0, 0.5, -0.5]))
    for transform in TRANSFORMS[:-1]:
        yield tree("TreeEnsembleClassifier", x, label=f"three_{transform.lower()}", outputs=2, post_transform=transform, classlabels_int64s=[3, 4, 5], **shape, **leaves("class", [0, 1, 2, 1, 0], [1.0, 2.0, 3.0, 0.5, 0.25]))
        yield tree("TreeEnsembleClassifier", x, label=f"two_{transform.lower()}", outputs=2, post_transform=transform, classlabels_strings=["a", "b"], **shape, **leaves("class", [0] * 5, [0.1, 0.9, 0.4, 0.2, 0.3]))
    tensors = {k: v for k, v in shape.items() if k != "nodes_values"} | {"nodes_values_as_tensor": helper.make_tensor("v", 11, [8], shape["nodes_values"])}
    last = leaves("target", [0] * 5, [])
    del last["target_weights"]
    yield tree("TreeEnsembleRegressor", x.astype(np.float64), label="tensors", n_targets=1, **tensors, **last, target_weights_as_tensor=helper.make_tensor("w", 11, [5], [1.0, -2.0, 3.0, 0.5, -0.5]))
    # Any integers may name trees and nodes.
    far = [-(1 << 63), (1 << 63) - 1, 5, -1, 0]
    renamed = {k: [far[i] for i in v] if k.endswith("ids") and "feature" not in k else v
               for k, v in (shape | leaves("target", [0] * 5, [1.0, -2.0, 3.0, 0.5, -0.5])).items()}  # fmt: skip
    yield tree("TreeEnsembleRegressor", x, label="far_names", n_targets=1, **renamed | {"target_ids": [0] * 5})


def floats(numbers: dict[Any, float]) -> dict[Any, np.float32]:
    """A map to f32."""
    return {key: np.float32(number) for key, number in numbers.items()}


def maps() -> Iterator[Node]:
    """By ONNX Runtime; maps to something else than f32, which its Python interface does not take, and strings of
    numbers, which it writes in a form of its own, are written here."""
    x = DATA.normal(3, 2)
    yield ml("ZipMap", x, classlabels_int64s=[4, 5])
    yield ml("ZipMap", x, label="strings", classlabels_strings=["no", "yes"])
    yield ml("ZipMap", x[0], label="row", classlabels_int64s=[-1, 1 << 40])
    numbers = floats({7: 2.75, 0: 1e10, 3: -4.5, 12: 0.25})
    cast = partial(ml, "CastMap")
    yield cast(numbers)
    for kind in ("FLOAT", "INT64"):
        for form in ("DENSE", "SPARSE"):
            yield cast(numbers, label=f"{kind}_{form}".lower(), cast_to=f"TO_{kind}", map_form=form, max_map=9)
    words = {4: "-7", 1: "12", 9: "5"}
    for kind, dtype in (("FLOAT", np.float32), ("INT64", np.int64), ("STRING", object)):
        zero = "" if dtype is object else 0
        yield cast(words, label=f"strings_{kind}_dense".lower(), cast_to=f"TO_{kind}",
                   expected=lambda d=dtype: np.array([["12", "-7", "5"]], object).astype(d))  # fmt: skip
        yield cast(words, label=f"strings_{kind}_sparse".lower(), cast_to=f"TO_{kind}", map_form="SPARSE", max_map=6,
                   expected=lambda d=dtype, z=zero: np.array([[z, "12", z, z, "-7", z]], object).astype(d))  # fmt: skip
    yield cast(floats({2: 0.5, 0: -3.0}), label="string_sparse", cast_to="TO_STRING", map_form="SPARSE", max_map=4,
               expected=lambda: texts("-3.0", "0.0", "0.5", "0.0")[None])  # fmt: skip
    vectorize = partial(ml, "DictVectorizer")
    yield vectorize(floats({"a": 2.5, "z": 4.5, "": 1.5}), string_vocabulary=["z", "b", "a", ""])
    yield vectorize(floats({5: 2.5, -1: 4.5}), label="integers", int64_vocabulary=[-1, 9, 5])
    yield vectorize(floats({"q": 2.5}), label="unknown", string_vocabulary=["a", "b"])
    for value, zero in ((np.float64(1 / 3), np.float64(0)), (1 << 40, 0), ("word", "")):
        name = named(np.asarray(value).dtype) if zero != "" else "strings"
        if zero != "":
            yield vectorize({"b": value}, label=name, string_vocabulary=["a", "b"],
                            expected=lambda v=value, z=zero: np.array([[z, v]]))  # fmt: skip
        if name != "int64":
            yield vectorize({6: value}, label=f"integers_{name}", int64_vocabulary=[6, 5],
                            expected=lambda v=value, z=zero: np.array([[v, z]], object if z == "" else None))  # fmt: skip


def nodes() -> Iterator[Node]:
    for family in (maps, features, categories, classifiers, machines, trees):
        yield from family()
