"""Trainer.fit with patience: when it ends, and what it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_models
from support import module

nacre = module()


def examples(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 8)).astype(np.float32)
    noisy = x[:, :3] + 2 * rng.standard_normal((count, 3))  # so that it is learnt by heart
    return x, noisy.argmax(axis=1)


def make(folder: Path, **options: Any) -> Any:
    path = small_models.save_perceptron(folder / "mlp.onnx", 8, 3)
    return nacre.Trainer(path, optimizer="adam:lr=0.02", metrics=["accuracy"], **options)


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_it_ends_and_keeps_the_best(tmp_path: Path, monitor: str) -> None:
    trainer, others = make(tmp_path), examples(1, 60)
    options: dict[str, Any] = {"batch_size": 16, "validation_data": others, "verbose": False}
    history = trainer.fit(*examples(0, 60), epochs=300, patience=4, monitor=monitor, **options)
    values = history[f"val_{monitor}"]
    best = values.index(min(values) if monitor == "loss" else max(values))  # the first of them
    assert history.best_epoch == best and len(values) == best + 5 < 300
    assert trainer.evaluate(*others, batch_size=16)[monitor] == pytest.approx(values[best], rel=1e-12)
    # The same as of a training that ended there, the optimizer's state too.
    shorter = make(tmp_path)
    shorter.fit(*examples(0, 60), epochs=best + 1, **options)
    for name in shorter.model.parameters:
        np.testing.assert_array_equal(trainer.model.read_parameter(name), shorter.model.read_parameter(name), err_msg=name)


def test_without_progress_at_the_end_it_is_the_best_too(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    history = trainer.fit(*examples(0, 60), epochs=3, patience=100, validation_data=examples(1, 60), verbose=False)
    assert len(history["loss"]) == 3 and history.best_epoch is not None
    assert trainer.fit(*examples(0, 60), verbose=False).best_epoch is None


def test_what_is_refused(tmp_path: Path) -> None:
    trainer, data = make(tmp_path), examples(0, 10)
    with pytest.raises(ValueError, match="expected a number of epochs, and validation_data"):
        trainer.fit(*data, patience=3)
    with pytest.raises(ValueError, match="monitor f1: expected what is measured: loss, accuracy"):
        trainer.fit(*data, patience=3, monitor="f1", validation_data=data)


def test_averages(tmp_path: Path) -> None:
    trainer = make(tmp_path, average=0.9)
    trainer.fit(*examples(0, 60), epochs=2, verbose=False)
    expected = {name: trainer.model.read_parameter(f"{name}.average") for name in trainer.parameters}
    trainer.use_averages()
    for name, value in trainer.state_dict().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
