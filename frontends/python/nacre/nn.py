"""Models written in Python, checked while they are written.

    from nacre import nn

    graph = nn.Graph(seed=1)
    x = graph.input("x", ["batch", 28, 28, 1])
    h = nn.Conv2D(32, 3, activation="relu")(x)
    h = nn.MaxPooling2D()(h)
    y = nn.Dense(10)(nn.Flatten()(h))
    model = nacre.compile(graph.serialize([x], [y]))       # an ONNX model

Layers have Keras' names and defaults, weights ONNX's layouts. A layer is a function of tensors;
called twice, it uses the same weights. What does not fit raises GraphError at once, with the
layer's or the node's name. Any other operator of ONNX is `graph.op("Gather", [x, i], {"axis": 1})`.
"""

from __future__ import annotations

from ._core import _nn
from ._core._nn import *  # noqa: F403 - the layers, which the C++ library has

__all__ = sorted(name for name in vars(_nn) if not name.startswith("_"))
