"""A recommender: embeddings of users and items, their dot product beside what a small network makes of them
and of the item's features; it predicts whether a user likes an item. The likes are made here, from tastes
that the model does not see.
"""

from __future__ import annotations

import numpy as np

from nacre import nn

USERS, ITEMS, FEATURES, WIDTH = 300, 200, 4, 8
random = np.random.default_rng(0)
tastes, kinds = random.standard_normal((USERS, 3)), random.standard_normal((ITEMS, 3))
features = random.standard_normal((ITEMS, FEATURES)).astype(np.float32)
appeal = features @ random.standard_normal(FEATURES)


def draw(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Users, items and the items' features; 1 where the user likes the item."""
    random = np.random.default_rng(seed)
    users, items = random.integers(0, USERS, count), random.integers(0, ITEMS, count)
    strength = 1.5 * (tastes[users] * kinds[items]).sum(1) + appeal[items]
    likes = random.random(count) < 1 / (1 + np.exp(-3 * strength))
    return [users, items, features[items]], likes.astype(np.float32)[:, None]


graph = nn.Graph(seed=1)
user = nn.Input([], dtype="int64", name="user", graph=graph)
item = nn.Input([], dtype="int64", name="item", graph=graph)
dense = nn.Input([FEATURES], name="features", graph=graph)
u, i = nn.Embedding(USERS, WIDTH)(user), nn.Embedding(ITEMS, WIDTH)(item)
dot = graph.op("ReduceSum", [u * i, np.array([1])], {"keepdims": 1})
deep = nn.Dense(32, activation="relu")(nn.Concatenate()(u, i, dense))
model = nn.Model([user, item, dense], dot + nn.Dense(1)(deep))
# Above 0 the logit means yes.
model.compile("adam:lr=1e-2", "bce-with-logits", ["binary-accuracy:threshold=0"], groups="embedding*:weight_decay=1e-5")

model.fit(*draw(40000, 1), batch_size=200, epochs=6, schedule="cosine", verbose=True)

inputs, likes = draw(5000, 2)
accuracy = model.evaluate(inputs, likes)["binary-accuracy:threshold=0"]
scores, order = model.predict(inputs)[:, 0], np.argsort(model.predict(inputs)[:, 0])
ranks = np.empty(len(scores))
ranks[order] = np.arange(len(scores))
yes = likes[:, 0] == 1
auc = (ranks[yes].sum() - yes.sum() * (yes.sum() - 1) / 2) / (yes.sum() * (~yes).sum())
print(f"area under the ROC curve: {auc:.3f}")
print(f"accuracy {accuracy:.2%}")
