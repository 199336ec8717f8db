"""A sequential net in Keras' order of dimensions: Conv2D(32, 3 x 3, relu) on 28 x 28 x 1, MaxPooling2D,
Conv2D(64, 3 x 3, relu), MaxPooling2D, Flatten, Dense(64, relu), Dense(10, softmax).
"""

from __future__ import annotations

import digits

from nacre import nn

model = nn.Sequential(
    [
        nn.Input((28, 28, 1), seed=1),
        nn.Conv2D(32, (3, 3), activation="relu"),
        nn.MaxPooling2D((2, 2)),
        nn.Conv2D(64, (3, 3), activation="relu"),
        nn.MaxPooling2D((2, 2)),
        nn.Flatten(),
        nn.Dense(64, activation="relu"),
        nn.Dense(10, activation="softmax"),
    ]
)
model.summary()
model.compile(optimizer="adam:lr=4e-3", loss="nll:probabilities", metrics=["accuracy"])

images, labels, test_images, test_labels = digits.load()
images, labels = digits.moved(images, labels, copies=3)
images, test_images = images[..., None], test_images[..., None]
model.fit(images, labels, batch_size=64, epochs=3, schedule="one-cycle", verbose=True)

accuracy = model.evaluate(test_images, test_labels)["accuracy"]
print(f"accuracy {accuracy:.2%}")
