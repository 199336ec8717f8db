"""A functional network 784-64-64-10 with ReLU: written, trained, tested, saved.

    python functional.py [mlp.onnx]
"""

from __future__ import annotations

import sys

import digits
import numpy as np

import nacre
from nacre import nn

graph = nn.Graph(seed=1)
x = graph.input("x", ["batch", 784])
h = nn.Dense(64, activation="relu")(x)
h = nn.Dense(64, activation="relu")(h)
logits = nn.Dense(10, name="logits")(h)

data = graph.serialize([x], [logits])
if len(sys.argv) > 1:
    with open(sys.argv[1], "wb") as file:
        file.write(data)
model = nacre.compile(data, train={"loss": "softmax-cross-entropy", "optimizer": "adam"})

images, labels, test_images, test_labels = digits.load()
images, test_images = images.reshape(-1, 784), test_images.reshape(-1, 784)
random = np.random.default_rng(0)
for epoch in range(20):
    losses = []
    for batch in np.array_split(random.permutation(len(images)), 23):
        feeds = {"x": images[batch], "labels": labels[batch], "learning_rate": np.float32(2e-3)}
        losses.append(model.run(feeds, function="step")[0])
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}")

accuracy = (model(test_images).argmax(1) == test_labels).mean()
print(f"accuracy {accuracy:.2%}")
