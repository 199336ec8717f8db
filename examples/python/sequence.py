"""A text classifier: embedding, LSTM in both directions, dense. The texts are made here: brackets that
are balanced or not, which takes memory to tell.
"""

from __future__ import annotations

import numpy as np

from nacre import nn

LENGTH = 20


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Texts of 1 for "(" and 2 for ")" [count, LENGTH], and whether each is balanced."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for label in random.integers(0, 2, count):
        depth, text = 0, []
        for place in range(LENGTH):  # a random balanced text
            closes = depth == LENGTH - place or (depth and random.random() < 0.5)
            depth += -1 if closes else 1
            text.append(2 if closes else 1)
        if not label:  # a pair of its brackets exchanged, where that breaks it
            depths = np.cumsum([1 if c == 1 else -1 for c in text])
            i = random.integers(0, LENGTH // 2)
            j = int(np.flatnonzero(depths[i:] == 0)[0]) + i
            text[i], text[j] = 3 - text[i], 3 - text[j]
            depths = np.cumsum([1 if c == 1 else -1 for c in text])
            label = int(depths.min() >= 0)
        texts.append(text)
        labels.append(label)
    return np.array(texts), np.array(labels)


x = nn.Input([LENGTH], dtype="int64", seed=3)
h = nn.Bidirectional(nn.LSTM(32))(nn.Embedding(3, 8)(x))
model = nn.Model(x, nn.Dense(2, name="logits")(h))
model.compile(optimizer="adam:lr=5e-3", metrics=["accuracy"], clip_norm=1.0)

model.fit(*draw(4000, 1), batch_size=50, epochs=12, verbose=True)

accuracy = model.evaluate(*draw(1000, 2))["accuracy"]
print(f"accuracy {accuracy:.2%}")
