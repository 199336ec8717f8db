"""A convolutional net in an explicit loop, in PyTorch's order of dimensions: conv 1 to 32 of 5 x 5, ReLU,
max-pool 2, conv 32 to 64 of 5 x 5, ReLU, max-pool 2, a linear head; cross-entropy, Adam.

What a framework does in four calls (zero the gradients, forward, backward, step) is one compiled function
here, `step`, which a trainer calls.
"""

from __future__ import annotations

import digits
import numpy as np

import nacre
from nacre import nn

x = nn.Input([1, 28, 28], seed=1)
h = nn.Conv2D(32, 5, activation="relu", channels_first=True)(x)
h = nn.MaxPooling2D(2, channels_first=True)(h)
h = nn.Conv2D(64, 5, activation="relu", channels_first=True)(h)
h = nn.MaxPooling2D(2, channels_first=True)(h)
model = nn.Model(x, nn.Dense(10, name="logits")(nn.Flatten()(h)))
trainer = nacre.Trainer(model.serialize(), loss="softmax-cross-entropy", optimizer="adam")

images, labels, test_images, test_labels = digits.load()
images, labels = digits.moved(images, labels, copies=3)
images, test_images = images[:, None], test_images[:, None]
random = np.random.default_rng(0)
EPOCHS, STEPS = 2, 90
schedule = nacre.Schedule("one-cycle", steps=EPOCHS * STEPS)
for epoch in range(EPOCHS):
    for i, batch in enumerate(np.array_split(random.permutation(len(images)), STEPS)):
        rate = schedule.rate(4e-3, epoch * STEPS + i)
        loss = trainer.step((images[batch], labels[batch]), rate)
    print(f"epoch {epoch + 1}: loss {loss:.4f}")

accuracy = (trainer.predict(test_images).argmax(1) == test_labels).mean()
print(f"accuracy {accuracy:.2%}")
