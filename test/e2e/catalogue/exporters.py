"""How models are exported and get their references: `model.onnx` and `data-<n>.npz`, as zoo.read reads them."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.generate import export, references
from zoo.specs import Spec

from .model import Model
from .parts import vary


def dynamo(model: Model, folder: Path) -> None:
    _pytorch(model, folder, torchscript=False)


def torchscript(model: Model, folder: Path) -> None:
    _pytorch(model, folder, torchscript=True)


def _pytorch(model: Model, folder: Path, *, torchscript: bool) -> None:
    spec = Spec(
        model.build, model.feeds, model.outputs, dynamic=model.dynamic(), data_sets=list(model.sizes),
        torchscript=torchscript, **(model.options or {}),
    )  # fmt: skip
    torch.manual_seed(2026)
    module = vary(model.build()).eval()
    logging.disable()  # pytest listens to all that is said, and PyTorch then writes a trace of its export
    try:
        export(spec, module, folder / "model.onnx")
    finally:
        logging.disable(logging.NOTSET)
    torch.manual_seed(7)
    references(spec, module, folder)


def keras(model: Model, folder: Path) -> None:
    """Keras' own export over PyTorch; the reference is ONNX Runtime's."""
    import onnxruntime

    path = folder / "model.onnx"
    built = _keras_model(model)
    first = list(model.feeds(model.sizes[0]).values())
    built(first if len(first) > 1 else first[0])
    signature = None  # with an open batch, which Keras exports by PyTorch's older exporter, and others by the newer
    if not model.dynamic():
        import keras as library

        signature = [library.InputSpec(shape=t.shape, dtype=str(t.dtype)[6:], name=n) for n, t in model.feeds({}).items()]
        signature = [signature] if len(signature) > 1 else signature
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built.export(path, format="onnx", verbose=False, input_signature=signature)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]  # Keras has none for them
    for number, sizes in enumerate(model.sizes):
        feeds = {name: value.numpy() for name, value in model.feeds(sizes).items()}
        save(folder, number, feeds, dict(zip(names, session.run(None, feeds), strict=True)))


def _keras_model(model: Model) -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as library

    library.utils.set_random_seed(2026)
    built = model.build()
    random = np.random.default_rng(2026)
    weights = [w if np.ptp(w) > 0 else w + random.uniform(0.1, 0.3, w.shape) for w in built.get_weights()]
    built.set_weights(weights)
    return built


def skl2onnx(model: Model, folder: Path) -> None:
    """A fitted estimator; what it should give is what it says itself."""
    import skl2onnx as library
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    estimator = model.build()
    types = {"f": FloatTensorType, "i": Int64TensorType, "O": StringTensorType}
    first = model.feeds(model.sizes[0])
    initial = [
        (name, types[first[name].dtype.kind]([None if isinstance(d, str) else d for d in value.shape]))
        for name, value in model.inputs.items()
    ]
    made = library.to_onnx(estimator, initial_types=initial, **(model.options or {}))
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    names = [output.name for output in made.graph.output]
    assert names == model.outputs, names
    for number, sizes in enumerate(model.sizes):
        feeds = model.feeds(sizes)
        found = predictions(estimator, feeds, len(names))
        shapes = [[d.dim_value for d in output.type.tensor_type.shape.dim] for output in made.graph.output]
        found = [a[:, None] if len(s) == 2 and a.ndim == 1 else a for a, s in zip(found, shapes, strict=True)]
        save(folder, number, feeds, dict(zip(names, found, strict=True)))


def predictions(estimator: Any, feeds: dict[str, np.ndarray], count: int) -> list[np.ndarray]:
    """What an estimator's ONNX form returns: a transformer's features, or predictions and then scores."""
    columns = list(feeds.values())
    x = columns[0] if len(columns) == 1 else np.hstack([column.astype(object) for column in columns])
    if not hasattr(estimator, "predict"):
        return [np.asarray(estimator.transform(x))]
    found = [np.asarray(estimator.predict(x))]
    if count == 2:
        for method in ("predict_proba", "decision_function", "transform"):
            if hasattr(estimator, method):
                found.append(np.asarray(getattr(estimator, method)(x)))
                break
    return found


def save(folder: Path, number: int, feeds: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
    """Strings are kept as NumPy's own, not as objects."""
    arrays = {f"in:{k}": v for k, v in feeds.items()} | {f"out:{k}": v for k, v in outputs.items()}
    plain = {k: v.astype(str) if v.dtype.kind == "O" else v for k, v in arrays.items()}
    np.savez(folder / f"data-{number}.npz", flops=0, **plain)
