"""An attention model: it reads pairs of a key and a value, and then a key whose value it must tell. The
query attends to the pairs; where it looks is an output of the model too.
"""

from __future__ import annotations

import numpy as np

from nacre import nn

PAIRS, KEYS, VALUES, WIDTH = 12, 20, 10, 32


def draw(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Keys and values [count, PAIRS] and the key asked for [count]; its value, and where that is."""
    random = np.random.default_rng(seed)
    keys = np.stack([random.permutation(KEYS)[:PAIRS] for _ in range(count)])
    values = random.integers(0, VALUES, (count, PAIRS))
    places = random.integers(0, PAIRS, count)
    rows = np.arange(count)
    return [keys, values, keys[rows, places]], values[rows, places], places


graph = nn.Graph(seed=1)
keys = nn.Input([PAIRS], dtype="int64", name="keys", graph=graph)
values = nn.Input([PAIRS], dtype="int64", name="values", graph=graph)
asked = nn.Input([], dtype="int64", name="asked", graph=graph)

names = nn.Embedding(KEYS, WIDTH)
query = nn.Reshape([1, WIDTH])(nn.Dense(WIDTH)(names(asked)))
there = nn.Dense(WIDTH)(names(keys))
likeness = query @ graph.op("Transpose", [there], {"perm": [0, 2, 1]}) * WIDTH**-0.5
weights = nn.Activation("softmax", name="weights")(likeness)
found = nn.Reshape([WIDTH])(weights @ nn.Embedding(VALUES, WIDTH)(values))
model = nn.Model([keys, values, asked], [nn.Dense(VALUES)(found), nn.Reshape([PAIRS])(weights)])
model.compile("adam:lr=5e-3", metrics=["accuracy"])

pairs, answers, _ = draw(4000, 1)
model.fit(pairs, answers, batch_size=50, epochs=8, verbose=True)

pairs, answers, places = draw(1000, 2)
scores, weights = model.predict(pairs)
print(f"looks at the right pair: {(weights.argmax(1) == places).mean():.2%}")
print(f"accuracy {(scores.argmax(1) == answers).mean():.2%}")
