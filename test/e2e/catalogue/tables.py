"""Rows of a table: scikit-learn's estimators and pipelines, by skl2onnx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .model import Input, Model

ROWS = ({"rows": 4}, {"rows": 1}, {"rows": 33})
FEATURES = 6
LABELS, SCORES = "label", "probabilities"


def random_rows(shape: tuple[int, ...]) -> np.ndarray:
    return torch.randn(shape).numpy()


NUMBERS = {"X": Input(("rows", FEATURES), lambda s, _: random_rows(s))}
def names(shape: tuple[int, ...], _: Any = None) -> np.ndarray:
    """Columns of cities and of kinds."""
    columns = [np.array(values, object)[torch.randint(0, len(values), (shape[0],)).numpy()] for values in (CITIES, ["new", "old"])]
    return np.stack(columns, 1)


CITIES = ["Bern", "Basel", "Chur", "Olten"]
MIXED = {"numbers": Input(("rows", 2), lambda s, _: (torch.rand(s) * 60).numpy()), "names": Input(("rows", 2), names)}


def data(count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, one of three classes, and a number, that depend on each other."""
    random = np.random.default_rng(5)
    x = random.standard_normal((count, FEATURES)).astype(np.float32)
    kinds = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [-0.5, 0.5])
    return x, kinds, np.sin(x[:, 0]) + x[:, 1] ** 2 + 0.1 * random.standard_normal(count)


def fitted(make: Callable[[], Any], target: str) -> Callable[[], Any]:
    """An estimator fitted to classes, named classes, a number, or nothing."""

    def build() -> Any:
        x, kinds, number = data()
        targets = {"classes": kinds, "names": np.array(["low", "middle", "high"])[kinds], "number": number, "nothing": None}
        return make().fit(x, targets[target])

    return build


def classifier(name: str, make: Callable[[], Any], target: str = "classes", fast: bool = False) -> Model:
    # Probabilities as a tensor, not as a map for each row.
    return Model(name, "classification of rows", "skl2onnx", fitted(make, target), NUMBERS, [LABELS, SCORES], ROWS, fast, {"options": {"zipmap": False}})


def regressor(name: str, make: Callable[[], Any], fast: bool = False) -> Model:
    return Model(name, "regression of rows", "skl2onnx", fitted(make, "number"), NUMBERS, ["variable"], ROWS, fast)


def logistic() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression())


def polynomial() -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures

    return make_pipeline(MinMaxScaler(), PolynomialFeatures(2), Ridge())


def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(12, max_depth=6, random_state=0)


def boosting() -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(n_estimators=20, random_state=0)


def isolation() -> Any:
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=8, random_state=0)


def machine() -> Any:
    from sklearn.svm import SVR

    return SVR()


def neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(5)


def perceptron() -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=60, random_state=0, tol=1e-2))


def process() -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    return GaussianProcessRegressor(RBF(2.0), alpha=0.1, optimizer=None)


def voting() -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import VotingClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    members = [("nb", GaussianNB()), ("lda", LinearDiscriminantAnalysis()), ("tree", DecisionTreeClassifier(max_depth=4, random_state=0))]
    return VotingClassifier(members, voting="soft", flatten_transform=False)


def clusters() -> Any:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline

    return make_pipeline(PCA(4), KMeans(5, n_init=2, random_state=0))


def features() -> Any:
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, Normalizer, RobustScaler

    bins = KBinsDiscretizer(4, encode="ordinal", strategy="uniform", quantile_method="linear")
    return make_pipeline(SimpleImputer(), RobustScaler(), FeatureUnion([("pca", PCA(3)), ("bins", bins), ("length", Normalizer())]))


def customers() -> Any:
    """Numbers scaled, and names of cities and kinds as columns of their own."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    torch.manual_seed(12)
    x = np.hstack([value.make({"rows": 200}).astype(object) for value in MIXED.values()])
    stays = (x[:, 0].astype(float) > 30) ^ (x[:, 2] == "Bern")
    columns = ColumnTransformer([("n", StandardScaler(), [0, 1]), ("c", OneHotEncoder(handle_unknown="ignore"), [2, 3])])
    return make_pipeline(columns, LogisticRegression()).fit(x, np.where(stays, "stays", "goes"))


PLAIN = {"options": {"zipmap": False}}
MODELS = [
    classifier("logistic_regression", logistic, "names", fast=True),
    classifier("random_forest", forest, fast=True),
    Model("outliers", "anomalies", "skl2onnx", fitted(isolation, "nothing"), NUMBERS, ["label", "scores"], ROWS, False, {"target_opset": {"": 21, "ai.onnx.ml": 3}}),
    classifier("nearest_neighbours", neighbours),
    classifier("perceptron_of_rows", perceptron, "names"),
    classifier("voting", voting),
    regressor("gradient_boosting", boosting, fast=True),
    regressor("support_vectors", machine),
    regressor("polynomial_ridge", polynomial),
    Model("gaussian_process", "regression of rows", "skl2onnx", fitted(process, "number"), NUMBERS, ["GPmean"], ROWS),
    Model("clusters", "clustering", "skl2onnx", fitted(clusters, "nothing"), NUMBERS, ["label", "scores"], ROWS),
    Model("features", "features of rows", "skl2onnx", fitted(features, "nothing"), NUMBERS, ["union"], ROWS),
    Model("customers", "classification of rows", "skl2onnx", customers, MIXED, [LABELS, SCORES], ROWS, True, PLAIN),
]
