"""A small transformer language model: two blocks of causal attention, trained to predict the next token of
texts in which a random word comes twice, "abcdefgh|abcdefgh". The second time it can be known, by looking
back; what is measured is how often it is.
"""

from __future__ import annotations

import numpy as np

from nacre import nn

WORD, LETTERS, WIDTH = 8, 16, 64
LENGTH = 2 * WORD  # of what is read: all tokens but the last
BAR = LETTERS


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens to read, and what comes next: -100 where nobody can know."""
    words = np.random.default_rng(seed).integers(0, LETTERS, (count, WORD))
    texts = np.concatenate([words, np.full((count, 1), BAR), words], axis=1)
    following = texts[:, 1:].copy()
    following[:, : WORD - 1] = -100
    return texts[:, :-1], following


def block(x: nn.Tensor) -> nn.Tensor:
    h = nn.LayerNormalization()(x)
    x = x + nn.MultiHeadAttention(4, WIDTH // 4, causal=True)(h)
    h = nn.Dense(4 * WIDTH, activation="gelu")(nn.LayerNormalization()(x))
    return x + nn.Dense(WIDTH)(h)


tokens = nn.Input([LENGTH], dtype="int64", seed=1)
places = tokens.graph.parameter("places", [LENGTH, WIDTH], "normal:stddev=0.1")
h = nn.Embedding(LETTERS + 1, WIDTH)(tokens) + places
for _ in range(2):
    h = block(h)
scores = nn.Dense(LETTERS + 1)(nn.LayerNormalization()(h))
model = nn.Model(tokens, nn.Permute((2, 1))(scores))  # classes before places, as losses take them
model.compile("adamw:lr=2e-3,weight_decay=0.01", metrics=["accuracy"], clip_norm=1.0)

model.fit(*draw(4000, 1), batch_size=50, epochs=6, schedule="one-cycle", verbose=True)

accuracy = model.evaluate(*draw(500, 2), batch_size=50)["accuracy"]
print(f"accuracy {accuracy:.2%}")
