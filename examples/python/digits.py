"""scikit-learn's digits as images of 28 x 28, in two parts."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images [n, 28, 28] from 0 to 1 and labels to train on; the same to test with."""
    digits = load_digits()
    images = np.kron(digits.images / 16, np.ones((1, 3, 3))).astype(np.float32)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:1437], order[1437:]
    return images[train], digits.target[train], images[test], digits.target[test]


def moved(images: np.ndarray, labels: np.ndarray, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """The images [n, 28, 28], and as many copies of them that lie up to two pixels elsewhere."""
    random = np.random.default_rng(1)
    shifts = random.integers(-2, 3, (copies, 2))
    shifted = [np.roll(images, tuple(shift), axis=(1, 2)) for shift in shifts]
    return np.concatenate([images, *shifted]), np.concatenate([labels] * (copies + 1))
