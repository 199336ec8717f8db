"""Models written in Python, checked while they are written.

    from nacre import nn

    x = nn.Input([28, 28, 1])
    h = nn.MaxPooling2D()(nn.Conv2D(32, 3, activation="relu")(x))
    model = nn.Model(x, nn.Dense(10)(nn.Flatten()(h)))
    model.compile(optimizer="adam", loss="softmax-cross-entropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=5)
    model.save("model.onnx")

    graph = nn.Graph(seed=1)                               # the same by hand
    x = graph.input("x", ["batch", 784])
    model = nacre.compile(graph.serialize([x], [nn.Dense(10)(x)]))

Layers have Keras' names and defaults, weights ONNX's layouts. A layer is a function of tensors;
called twice, it uses the same weights. What does not fit raises GraphError at once, with the
layer's or the node's name. Any other operator of ONNX is `graph.op("Gather", [x, i], {"axis": 1})`.
"""

from __future__ import annotations

from ._core import _nn
from ._core._nn import *  # noqa: F403 - the layers, which the C++ library has
from ._model import Input, Model, Sequential

__all__ = sorted([*(name for name in vars(_nn) if not name.startswith("_")), "Input", "Model", "Sequential"])
