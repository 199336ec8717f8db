"""Models as Keras has them: written with layers, compiled, trained, measured, used, saved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import _nn
from ._training import Data, History, Trainer

if TYPE_CHECKING:
    from .nn import Graph, Layer, Tensor


def Input(  # noqa: N802 - named like layers
    shape: Sequence[int | str | None],
    batch_size: int | None = None,
    dtype: Any = "float32",
    name: str = "x",
    graph: Graph | None = None,
    seed: int = 0,
) -> Tensor:
    """What a model takes, of that shape for each example. It begins a graph, whose random initial
    values come from `seed`, or belongs to `graph`: a model's inputs must all be of one."""
    batch = "batch" if batch_size is None else batch_size
    return (graph or _nn.Graph(seed)).input(name, [batch, *shape], dtype)


class Model:
    """What computes `outputs` from `inputs`, tensors of one graph:

        x = nn.Input([28, 28, 1])
        h = nn.Flatten()(nn.Conv2D(32, 3, activation="relu")(x))
        model = nn.Model(x, nn.Dense(10)(h))
        model.compile(optimizer="adam", loss="softmax-cross-entropy", metrics=["accuracy"])
        model.fit(images, labels, epochs=5, validation_data=(others, their_labels))
        model.evaluate(others, their_labels)      # {"loss": ..., "accuracy": ...}
        scores = model.predict(others)
        model.save("model.onnx")
    """

    def __init__(self, inputs: Tensor | Sequence[Tensor], outputs: Tensor | Sequence[Tensor]) -> None:
        self.inputs = [inputs] if isinstance(inputs, _nn.Tensor) else list(inputs)
        self.outputs = [outputs] if isinstance(outputs, _nn.Tensor) else list(outputs)
        if not self.inputs or not self.outputs:
            raise ValueError("a model has at least one input and one output")
        self.trainer: Trainer | None = None
        self._program: _core.Model | None = None  # of a model that is not to be trained

    def compile(
        self,
        optimizer: str = "sgd",
        loss: str = "softmax-cross-entropy",
        metrics: Sequence[str] = (),
        **options: Any,
    ) -> None:
        """Makes code for training, evaluation and prediction. The options are those of nacre.Trainer.
        Compiled again, a model keeps its weights; the optimizer's state begins anew."""
        self.trainer = Trainer(self.serialize(), loss, optimizer, metrics, **options)

    def fit(self, x: Data, y: Data | None = None, batch_size: int = 0, epochs: int = 1, **options: Any) -> History:
        """Trains on every example once per epoch: see nacre.Trainer.fit, whose options it takes."""
        return self._trained("fit").fit(x, y, batch_size, epochs, **options)

    def evaluate(self, x: Data, y: Data | None = None, batch_size: int = 0) -> dict[str, float]:
        """The loss, and each metric, over all examples."""
        return self._trained("evaluate").evaluate(x, y, batch_size)

    def predict(self, x: Data, batch_size: int = 0) -> Any:
        """The output for all examples, computed in batches; a tuple if the model has several."""
        if self.trainer is not None:
            return self.trainer.predict(x, batch_size)
        from . import compile

        if self._program is None:
            self._program = compile(self.serialize())
        columns = Trainer._collect(x, self._program.inputs, "input")
        outputs = _core._predict(self._program, columns, batch_size)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def state_dict(self) -> dict[str, Any]:
        """Copies of the trained weights, by name."""
        return self._trained("state_dict").state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Gives the trained weights other values."""
        self._trained("load_state_dict").load_state_dict(state)

    def serialize(self) -> bytes:
        """An ONNX model with the weights as they are now."""
        if self.trainer is not None:
            return self.trainer.serialize()
        return self.inputs[0].graph.serialize(self.inputs, self.outputs)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes that model into a file, which appears complete or not at all."""
        if self.trainer is not None:
            self.trainer.save(path)
        else:
            _core._write_file(os.fspath(path), self.serialize())

    def summary(self) -> str:
        """Prints each layer with its output's shape and how many weights it has, and sums; returns that."""
        text = self.outputs[0].graph.summary(self.outputs)
        print(text, end="")
        return text

    def _trained(self, what: str) -> Trainer:
        if self.trainer is None:
            raise ValueError(f"the model is not compiled: call compile() before {what}()")
        return self.trainer


class Sequential(Model):
    """Layers one after the other: `nn.Sequential([nn.Input([784]), nn.Dense(64), nn.Dense(10)])`."""

    def __init__(self, layers: Sequence[Tensor | Layer]) -> None:
        if not layers or not isinstance(layers[0], _nn.Tensor):
            raise ValueError("the first of the layers must be an nn.Input(shape)")
        y = x = layers[0]
        for layer in layers[1:]:
            y = layer(y)
        super().__init__(x, y)
