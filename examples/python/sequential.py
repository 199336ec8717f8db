"""A sequential net in Keras' order of dimensions: Conv2D(32, 3 x 3, relu) on 28 x 28 x 1, MaxPooling2D,
Conv2D(64, 3 x 3, relu), MaxPooling2D, Flatten, Dense(64, relu), Dense(10, softmax).

Its output are probabilities, so the loss is that of their logarithms.
"""

from __future__ import annotations

import digits
import numpy as np

import nacre
from nacre import nn

layers = [
    nn.Conv2D(32, (3, 3), activation="relu"),
    nn.MaxPooling2D((2, 2)),
    nn.Conv2D(64, (3, 3), activation="relu"),
    nn.MaxPooling2D((2, 2)),
    nn.Flatten(),
    nn.Dense(64, activation="relu"),
    nn.Dense(10, activation="softmax"),
]
graph = nn.Graph(seed=1)
y = x = graph.input("x", ["batch", 28, 28, 1])
for layer in layers:
    y = layer(y)
    print(f"{layer.name:16} {layer.kind:14} {y.shape}")
logarithms = graph.op("Log", [y], name="logarithms")

model = nacre.compile(
    graph.serialize([x], [y, logarithms]), train={"loss": "nll@logarithms", "optimizer": "adam"}
)

images, labels, test_images, test_labels = digits.load()
images, test_images = images[..., None], test_images[..., None]
random = np.random.default_rng(0)
for epoch in range(8):
    for batch in np.array_split(random.permutation(len(images)), 23):
        feeds = {"x": images[batch], "logarithms.labels": labels[batch], "learning_rate": np.float32(1e-3)}
        loss, *_ = model.run(feeds, function="step")
    print(f"epoch {epoch + 1}: loss {loss:.4f}")

probabilities, _ = model(test_images)
accuracy = (probabilities.argmax(1) == test_labels).mean()
print(f"accuracy {accuracy:.2%}")
