"""Random valid models: from a seed, a graph with its inputs and what comes out."""

from __future__ import annotations

import functools
import re
from collections import Counter

import numpy as np
import onnx
from onnx import defs, helper

import recipes_control  # noqa: F401 (each registers its recipes)
import recipes_layers  # noqa: F401
import recipes_tensor  # noqa: F401
from drawing import Draw
from graphs import Graph, Unfit, infer
from recipes_math import RECIPES

# Operators without a recipe, and why.
EXCLUDED: dict[str, str] = {
    **dict.fromkeys(
        ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"],
        "random numbers, for which the standard prescribes no generator (test/e2e/test_random.py)",
    ),
    "Constant": "every model has some",
    "ImageDecoder": "files of images (ONNX's own cases)",
    "TreeEnsemble": "made of the same trees as TreeEnsembleRegressor",
    "TreeEnsembleClassifier": "its scores are defined by ONNX Runtime alone (test/e2e/test_trees.py)",
    **dict.fromkeys(
        ["CastMap", "CategoryMapper", "DictVectorizer", "FeatureVectorizer", "Imputer", "LinearClassifier",
         "LinearRegressor", "Normalizer", "OneHotEncoder", "Scaler", "SVMClassifier", "SVMRegressor", "ZipMap"],
        "not supported",
    ),
}  # fmt: skip
DOMAINS = ("", "ai.onnx.ml")
LATEST = defs.onnx_opset_version()
ML_LATEST = 5
MAX_NODES = 40


@functools.cache
def schemas(opset: int) -> list[defs.OpSchema]:
    """The operators of an opset that have a recipe."""
    newest: dict[tuple[str, str], defs.OpSchema] = {}
    for schema in defs.get_all_schemas_with_history():
        limit = opset if schema.domain == "" else ML_LATEST
        if schema.domain not in DOMAINS or schema.name not in RECIPES or schema.since_version > limit:
            continue
        key = schema.domain, schema.name
        if key not in newest or newest[key].since_version < schema.since_version:
            newest[key] = schema
    return [s for _, s in sorted(newest.items()) if not s.deprecated]


def without_recipe() -> list[str]:
    """Operators that neither have a recipe nor a reason."""
    names = {s.name for s in defs.get_all_schemas_with_history() if s.domain in DOMAINS}
    return sorted(names - set(RECIPES) - set(EXCLUDED))


class Generator:
    """One model. `only` makes operators that match likely."""

    def __init__(self, seed: int, only: str = "") -> None:
        self.seed = seed
        self.random = np.random.default_rng(seed)
        self.only = re.compile(only) if only else None
        self.depth = 0
        self.unfit: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self._names: Counter[str] = Counter()
        self._zeros = self.random.random() < 0.1
        self._large = self.random.random() < 0.15

    def name(self, prefix: str) -> str:
        self._names[prefix] += 1
        return f"{prefix}{self._names[prefix]}"

    def size(self) -> int:
        kind = self.random.random()
        if self._zeros and kind < 0.2:
            return 0
        if kind < 0.35:
            return 1
        if self._large and kind < 0.6:
            return int(self.random.integers(8, 40))
        return int(self.random.integers(2, 8))

    def generate(self, dynamic: bool) -> tuple[Graph, list[str]]:
        """A graph and the names of its outputs."""
        old = self.random.random()
        opset = int(self.random.integers(18, LATEST + 1) if old < 0.65 else self.random.integers(7, 18) if old < 0.95 else self.random.integers(1, 7))
        graph = Graph(opset, ML_LATEST, seed=self.seed)
        self.grow(graph, 1 + int((MAX_NODES - 1) * self.random.random() ** 3))
        used = {name for node in graph.nodes for name in node.input}
        made = [v.name for v in graph.values.values() if not v.source]
        outputs = [n for n in made if n not in used or self.random.random() < 0.15]
        graph = graph.prune(outputs)
        if dynamic:
            graph.make_dynamic(self.random)
        if not valid(graph, outputs, dynamic):
            # Nodes are valid by themselves, but inference may see a contradiction in the whole.
            outputs = [n for n in outputs if valid(graph.prune([n]), [n], dynamic)]
            graph = graph.prune(outputs)
        return graph, outputs

    def grow(self, graph: Graph, count: int, inside: bool = False) -> None:
        """Adds so many nodes, or fewer where nothing fits."""
        every = schemas(graph.opset)
        likely = [s for s in every if self.only and self.only.fullmatch(s.name)]
        tries = 0
        while count and tries < 40:
            pool = likely if likely and self.random.random() < 0.6 else every
            schema = pool[int(self.random.integers(len(pool)))]
            before = dict(graph.values), list(graph.nodes)
            try:
                self.add(graph, schema, inside)
                count -= 1
                tries = 0
            except (Unfit, ValueError) as error:  # attributes: no empty lists
                graph.values, graph.nodes = before
                self.unfit[f"{schema.name}: {error}"] += 1
                tries += 1

    def add(self, graph: Graph, schema: defs.OpSchema, inside: bool) -> None:
        draw = Draw(self, graph, schema, inside)
        operands = RECIPES[schema.name](draw)
        inputs = [v.name if v else "" for v in operands]
        while inputs and not inputs[-1]:
            inputs.pop()
        wanted = sum(o.option == defs.OpSchema.FormalParameterOption.Single for o in schema.outputs)
        outputs = [self.name("v") for _ in range(draw.outputs or wanted or 1)]
        node = helper.make_node(schema.name, inputs, outputs, name=self.name("n"), domain=schema.domain, **draw.attributes)
        graph.add(node)
        self.used[schema.name] += 1


def valid(graph: Graph, outputs: list[str], dynamic: bool) -> bool:
    try:
        check(graph.model(outputs, dynamic))
    except Exception:
        return False
    return True


def check(model: onnx.ModelProto) -> None:
    """Raises unless the model is valid by ONNX's own tools."""
    onnx.checker.check_model(model)
    infer(model)
