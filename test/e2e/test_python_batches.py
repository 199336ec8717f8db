"""Batches from a program: generators, functions and loaders in the place of arrays."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small_models
from support import BUILD, module

nacre = module()


def batch(epoch: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(100 * epoch + step)
    count = 3 + step
    return rng.standard_normal((count, 8)).astype(np.float32), rng.integers(0, 3, count)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small_models.save_perceptron(tmp_path / "mlp.onnx", 8, 3)


def make(path: Path, **options: Any) -> Any:
    return nacre.Trainer(path, optimizer="adam:lr=0.01", **options)


def by_hand(path: Path, epochs: int = 2, steps: int = 4) -> tuple[dict[str, np.ndarray], list[float]]:
    """What single steps give: weights, and the mean loss of each epoch by examples."""
    trainer = make(path)
    means = []
    for epoch in range(epochs):
        losses = [trainer.step(batch(epoch, step)) * (3 + step) for step in range(steps)]
        means.append(sum(losses) / sum(3 + step for step in range(steps)))
    return trainer.state_dict(), means


def check(trainer: Any, history: Any, path: Path, **expected: int) -> None:
    weights, losses = by_hand(path, **expected)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)
    for name, value in trainer.state_dict().items():
        assert value.tobytes() == weights[name].tobytes(), name


@pytest.mark.parametrize("read_ahead", [True, False])
def test_each_form(path: Path, read_ahead: bool) -> None:
    threads = threading.active_count()
    epoch = -1

    def batches() -> Iterator[Any]:
        nonlocal epoch
        epoch += 1
        own = epoch
        for step in range(4):
            x, labels = batch(own, step)
            yield {"data": x, "labels": labels.astype(np.int32)} if step % 2 else (x, labels)

    trainer = make(path, metrics=["accuracy"])
    history = trainer.fit(batches, epochs=2, read_ahead=read_ahead)
    check(trainer, history, path)
    assert len(history["accuracy"]) == 2
    # A generator: one epoch, or as many as there are batches for.
    trainer = make(path)
    check(trainer, trainer.fit((batch(0, step) for step in range(4)), read_ahead=read_ahead), path, epochs=1)
    trainer = make(path)
    endless = (batch(n // 4, n % 4) for n in range(10**9))
    check(trainer, trainer.fit(endless, epochs=2, steps_per_epoch=4, read_ahead=read_ahead), path)
    assert next(endless)[0].tobytes() == batch(2, 0)[0].tobytes(), "more was taken than was needed"
    with pytest.raises(ValueError, match="a generator gives its batches once"):
        make(path).fit((batch(0, step) for step in range(4)), epochs=2, read_ahead=read_ahead)
    assert threading.active_count() == threads


def test_a_loader(path: Path) -> None:
    """torch's DataLoader, which has a length: so a schedule knows the end."""
    x, labels = (np.concatenate(parts) for parts in zip(*(batch(0, step) for step in range(4)), strict=True))
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(labels))
    loader = torch.utils.data.DataLoader(data, batch_size=5, shuffle=False)
    trainer = make(path)
    trainer.fit(loader, epochs=2, schedule="cosine", validation_data=(x, labels))
    expected = make(path)
    schedule = nacre.Schedule("cosine", steps=2 * len(loader))
    for step in range(2 * len(loader)):
        at = step % len(loader) * 5
        expected.step((x[at : at + 5], labels[at : at + 5]), learning_rate=schedule.rate(float(np.float32(0.01)), step))
    for name, value in trainer.state_dict().items():
        np.testing.assert_array_equal(value, expected.state_dict()[name], err_msg=name)


def test_what_is_refused(path: Path) -> None:
    trainer = make(path)
    x, labels = batch(0, 0)
    for call, message in (
        (lambda: trainer.fit(iter([(x, labels)]), labels), "expected no y"),
        (lambda: trainer.fit(x, labels, steps_per_epoch=3), "steps_per_epoch is for batches"),
        (lambda: trainer.fit(iter([(x, labels)]), steps_per_epoch=-1), "steps_per_epoch is -1"),
        (lambda: trainer.fit(iter([(x, labels)]), schedule="cosine"), "how many batches an epoch"),
        (lambda: trainer.fit(iter([])), "the stream has no batches in epoch 1"),
        (lambda: trainer.fit(iter([(x, labels), (x[:, :5], labels)])), "batch 2: array 'data' does not fit"),
        (lambda: trainer.fit(iter([(x, labels), (x, labels[:2])])), "batch 2: array 'labels' has 2 entries"),
        (lambda: trainer.fit(iter([(x, labels + 3)])), "batch 1: labels must be from 0 to 2"),
        (lambda: trainer.fit(iter([{"data": x}])), "input 'labels' is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_what_it_raises_comes_through(path: Path) -> None:
    class OwnError(Exception):
        pass

    def batches() -> Iterator[Any]:
        yield batch(0, 0)
        yield batch(0, 1)
        raise OwnError("the disk is gone")

    threads = threading.active_count()
    trainer = make(path)
    with pytest.raises(OwnError, match="the disk is gone"):
        trainer.fit(batches)
    weights, _ = by_hand(path, epochs=1, steps=2)
    for name, value in trainer.state_dict().items():
        np.testing.assert_array_equal(value, weights[name], err_msg=name)
    assert threading.active_count() == threads
    trainer.fit(lambda: [batch(0, 0)])  # it can be used on


def test_who_reads(path: Path) -> None:
    """All batches but an epoch's first are asked for by another thread, or none is."""

    def watch() -> Iterator[Any]:
        for step in range(4):
            asked.append(threading.get_ident() == threading.main_thread().ident)
            yield batch(0, step)

    for read_ahead, expected in ((True, [True, False, False, False]), (False, [True] * 4)):
        asked: list[bool] = []
        make(path).fit(watch, read_ahead=read_ahead)
        assert asked == expected


def test_ctrl_c_while_a_batch_is_waited_for(path: Path) -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(BUILD / "python")!r})
import numpy as np, nacre
def batches():
    yield np.zeros((4, 8), np.float32), np.zeros(4, np.int64)
    print("waiting", flush=True)
    time.sleep(3)
    yield np.zeros((4, 8), np.float32), np.zeros(4, np.int64)
    print("never", flush=True)
    while True:
        yield np.zeros((4, 8), np.float32), np.zeros(4, np.int64)
trainer = nacre.Trainer({str(path)!r})
try:
    trainer.fit(batches)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert running.stdout and running.stdout.readline() == "waiting\n"
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert out == "interrupted\n" and running.returncode == 0
