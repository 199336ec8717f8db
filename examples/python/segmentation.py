"""A U-Net for segmentation: discs among bars and noise, made here. Going down it halves the images, going
up it doubles them and looks again at what it saw on the way down.
"""

from __future__ import annotations

import numpy as np

from nacre import nn

SIZE = 32


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images [count, SIZE, SIZE, 1], and 1 where a disc is."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    images, masks = random.normal(0, 0.3, (count, SIZE, SIZE)), np.zeros((count, SIZE, SIZE))
    for image, mask in zip(images, masks, strict=True):
        for _ in range(2):
            row, column, radius = random.uniform(6, SIZE - 6, 2).tolist() + [random.uniform(3, 6)]
            mask[(y - row) ** 2 + (x - column) ** 2 < radius**2] = 1
        image += mask
        start = random.integers(0, SIZE - 3)  # a bar as bright as the discs
        image[start : start + 3] = np.where(mask[start : start + 3], image[start : start + 3], 1 + image[start : start + 3])
    return images.astype(np.float32)[..., None], masks.astype(np.float32)[..., None]


def convolve(x: nn.Tensor, filters: int) -> nn.Tensor:
    return nn.Activation("relu")(nn.BatchNormalization(momentum=0.9)(nn.Conv2D(filters, 3, padding="same")(x)))


h = x = nn.Input([SIZE, SIZE, 1], seed=1)
seen = []
for filters in (8, 16):
    h = convolve(h, filters)
    seen.append(h)
    h = nn.MaxPooling2D()(h)
h = convolve(h, 32)
for filters in (16, 8):
    h = nn.Conv2DTranspose(filters, 2, strides=2)(h)
    h = convolve(nn.Concatenate()(h, seen.pop()), filters)
model = nn.Model(x, nn.Conv2D(1, 1, name="logits")(h))
model.summary()
model.compile("adam:lr=1e-2", "bce-with-logits + dice:logits,target=targets", ["f1:threshold=0"])

model.fit(*draw(200, 1), batch_size=20, epochs=10, schedule="one-cycle", verbose=True)

# The f1 score of pixels is Dice's coefficient.
dice = model.evaluate(*draw(50, 2))["f1:threshold=0"]
print(f"dice {dice:.2%}")
