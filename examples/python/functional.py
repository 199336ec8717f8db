"""A functional network 784-64-64-10 with ReLU: written, trained, tested, saved.

    python functional.py [mlp.onnx]
"""

from __future__ import annotations

import sys

import digits

from nacre import nn

x = nn.Input([784], seed=1)
h = nn.Dense(64, activation="relu")(x)
h = nn.Dense(64, activation="relu")(h)
model = nn.Model(x, nn.Dense(10, name="logits")(h))
model.summary()
model.compile(optimizer="adam:lr=2e-3", loss="softmax-cross-entropy", metrics=["accuracy"])

images, labels, test_images, test_labels = digits.load()
images, test_images = images.reshape(-1, 784), test_images.reshape(-1, 784)
model.fit(images, labels, batch_size=64, epochs=20, verbose=True)
if len(sys.argv) > 1:
    model.save(sys.argv[1])

accuracy = model.evaluate(test_images, test_labels)["accuracy"]
print(f"accuracy {accuracy:.2%}")
