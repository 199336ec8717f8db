"""Trainer.fit with checkpoints: however it was stopped it goes on to the same bits; in the command too."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_models
from support import BUILD, module, nacre

# Everything that keeps state: optimizer, averages, accumulated gradients, a schedule that looks at losses, random
# numbers, and the best weights.
TRAINER: dict[str, Any] = {"optimizer": "adam:lr=0.01", "average": 0.9, "accumulate": 2, "metrics": ["accuracy"]}
FIT: dict[str, Any] = {"batch_size": 48, "schedule": "plateau:patience=0,factor=0.7", "patience": 500, "monitor": "accuracy"}
COMMAND = ["--optimizer", "adam:lr=0.01", "--average", "0.9", "--accumulate", "2", "--metric", "accuracy"]
COMMAND += ["--batch-size", "48", "--schedule", FIT["schedule"], "--patience", "500", "--monitor", "accuracy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, which drops out, digits.npz and valid.npz: 15 steps an epoch."""
    folder = tmp_path_factory.mktemp("train")
    small_models.save_digits(folder)
    return folder


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as file:
        return file["data"], file["labels"]


def make(folder: Path, **options: Any) -> Any:
    return module().Trainer(folder / "m.onnx", **(TRAINER | options))


def fit(trainer: Any, folder: Path, **options: Any) -> Any:
    others = read(folder / "valid.npz")
    return trainer.fit(*read(folder / "digits.npz"), validation_data=others, verbose=False, **(FIT | options))


def number(path: Path) -> int:
    return int(path.name.split("-")[1].split(".")[0])


def steps(where: Path) -> list[int]:
    return sorted(number(path) for path in where.glob("step-*")) if where.exists() else []


@pytest.fixture(scope="module")
def whole(folder: Path) -> Callable[[int], tuple[bytes, dict[str, list[float]]]]:
    """The file and the history of an uninterrupted training of so many epochs."""
    known: dict[int, tuple[bytes, dict[str, list[float]]]] = {}

    def get(epochs: int) -> tuple[bytes, dict[str, list[float]]]:
        if epochs not in known:
            trainer = make(folder)
            history = fit(trainer, folder, epochs=epochs)
            known[epochs] = trainer.serialize(), {**history, "best": history.best_epoch}
        return known[epochs]

    return get


def check(trainer: Any, history: Any, expected: tuple[bytes, dict[str, list[float]]]) -> None:
    assert {**history, "best": history.best_epoch} == expected[1]
    assert trainer.serialize() == expected[0]


@pytest.mark.parametrize("every", [1, "2epochs", "7steps"])
def test_checkpoints_change_nothing(folder: Path, tmp_path: Path, whole: Any, every: Any) -> None:
    trainer, where = make(folder), tmp_path / "run"
    check(trainer, fit(trainer, folder, epochs=5, checkpoint=where, checkpoint_every=every), whole(5))
    distance = {1: 15, "2epochs": 30, "7steps": 7}[every]
    assert steps(where) == sorted({*range(distance, 76, distance), 75})[-3:]


@pytest.mark.parametrize("stop", [4, 14, 15, 16, 52])
def test_goes_on_after_any_step(folder: Path, tmp_path: Path, whole: Any, stop: int) -> None:
    """In the middle of an epoch, at its end, after it."""
    where = tmp_path / "run"
    fit(make(folder), folder, epochs=5, checkpoint=where, checkpoint_every=f"{stop}steps", keep=100)
    for path in where.iterdir():  # what came later has not been
        if number(path) > stop:
            path.unlink()
    trainer = make(folder)
    check(trainer, fit(trainer, folder, epochs=5, checkpoint=where, resume=True), whole(5))


def test_a_training_in_parts(folder: Path, tmp_path: Path, whole: Any) -> None:
    """By new trainers or one, more epochs each time; nothing to do is done too."""
    one = make(folder)
    for epochs in (1, 2, 4, 5, 5):
        another = make(folder)
        for trainer, place in ((one, "one"), (another, "others")):
            check(trainer, fit(trainer, folder, epochs=epochs, checkpoint=tmp_path / place, resume=True), whole(epochs))


def test_after_another_training(folder: Path, tmp_path: Path) -> None:
    """A second call has other orders than the first, and goes on with them."""
    trainer = make(folder)
    fit(trainer, folder, epochs=2)
    fit(trainer, folder, epochs=3)
    expected = trainer.serialize()
    for _ in range(2):
        trainer = make(folder)
        fit(trainer, folder, epochs=2)
        fit(trainer, folder, epochs=3, checkpoint=tmp_path / "run", resume=True)
        assert trainer.serialize() == expected
        for path in (tmp_path / "run").iterdir():
            if number(path) > 15:
                path.unlink()


def test_the_command_goes_on_where_python_ended_and_back(folder: Path, tmp_path: Path) -> None:
    where = tmp_path / "run"

    def command(epochs: int, *more: str | Path) -> bytes:
        data = ["--data", folder / "digits.npz", "--valid", folder / "valid.npz", "--epochs", str(epochs)]
        nacre("train", folder / "m.onnx", *data, *COMMAND, "-o", tmp_path / "out.onnx", *more)
        return (tmp_path / "out.onnx").read_bytes()

    fit(make(folder), folder, epochs=2, checkpoint=where)
    command(4, "--checkpoint", where, "--resume")
    trainer = make(folder)
    history = fit(trainer, folder, epochs=6, checkpoint=where, resume=True)
    assert len(history["loss"]) == len(history["val_accuracy"]) == 6
    trainer.use_averages()  # as the command does
    assert trainer.serialize() == command(6)


_TRAIN = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
import test_python_checkpoints as test
folder, where, out, every = map(Path, sys.argv[3:7])
trainer = test.make(folder)
history = test.fit(trainer, folder, epochs=int(sys.argv[7]), checkpoint=where, checkpoint_every=str(every), resume=True)
trainer.save(out)
assert len(history["loss"]) == int(sys.argv[7])
"""


@pytest.mark.parametrize(("every", "epochs"), [("1epoch", 240), ("1step", 48)])
def test_killed_at_any_moment(folder: Path, tmp_path: Path, whole: Any, every: str, epochs: int) -> None:
    where, out, moments = tmp_path / "run", tmp_path / "out.onnx", random.Random(every)
    here = str(Path(__file__).parent)
    line = [sys.executable, "-c", _TRAIN, str(BUILD / "python"), here, *map(str, (folder, where, out)), every, str(epochs)]
    distance = {"1epoch": 60, "1step": 12}[every]
    for killed in range(1000):
        running = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        target = max(steps(where), default=0) + distance * moments.randint(3, 12)
        deadline = time.monotonic() + 60
        while running.poll() is None and max(steps(where), default=0) < target and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(moments.uniform(0, 0.005))
        running.kill()
        _, err = running.communicate()
        if running.returncode != -signal.SIGKILL:
            assert running.returncode == 0, err
            break
    assert killed >= 3
    assert out.read_bytes() == whole(epochs)[0]
    assert len(steps(where)) == 3


class Batches:
    """The same in each epoch, of uneven sizes; it fails in the middle of an epoch if it is to."""

    def __init__(self, folder: Path, fails: int = -1) -> None:
        self.data, self.labels = read(folder / "digits.npz")
        self.fails = fails

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.fails -= 1
        for begin, end in ((0, 100), (100, 130), (130, 300)):
            if begin == 130 and self.fails == 0:
                raise OSError("the network is down")
            yield self.data[begin:end], self.labels[begin:end]


def test_batches_one_by_one(folder: Path, tmp_path: Path) -> None:
    options = {"validation_data": read(folder / "valid.npz"), "epochs": 5, "verbose": False}
    trainer = make(folder)
    history = trainer.fit(Batches(folder), **options)
    options |= {"checkpoint": tmp_path / "run", "resume": True}
    with pytest.raises(OSError, match="the network is down"):
        make(folder).fit(Batches(folder, fails=4), **options)
    assert steps(tmp_path / "run") == [3, 6, 9]
    again = make(folder)
    assert dict(again.fit(Batches(folder), **options)) == dict(history)
    assert again.serialize() == trainer.serialize() and steps(tmp_path / "run") == [9, 12, 15]
    with pytest.raises(ValueError, match="made with data of the hash unknown"):
        make(folder).fit(*read(folder / "digits.npz"), **options)
    with pytest.raises(ValueError, match="a generator gives its batches once"):
        make(folder).fit(iter(Batches(folder)), **options)
    with pytest.raises(ValueError, match="expected checkpoints after epochs, not steps"):
        make(folder).fit(Batches(folder), **(options | {"checkpoint": tmp_path / "2", "checkpoint_every": "2steps"}))


def test_damaged_checkpoints(folder: Path, tmp_path: Path, whole: Any) -> None:
    where = tmp_path / "run"
    fit(make(folder), folder, epochs=5, checkpoint=where)
    damaged = max(where.glob("step-*"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    trainer = make(folder)
    with pytest.warns(RuntimeWarning, match="truncated.*the checkpoint before it is tried"):
        history = fit(trainer, folder, epochs=5, checkpoint=where, resume=True)
    check(trainer, history, whole(5))
    for path in where.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    before = {path.name: path.read_bytes() for path in where.iterdir()}
    with pytest.warns(RuntimeWarning), pytest.raises(module().Error, match="nor can a checkpoint before it be read"):
        fit(trainer, folder, epochs=5, checkpoint=where, resume=True)
    assert {path.name: path.read_bytes() for path in where.iterdir()} == before


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    where = tmp_path / "run"
    fit(make(folder), folder, epochs=1, checkpoint=where)

    def refused(message: str, error: type[Exception] = ValueError, trainer: Any = None, **options: Any) -> None:
        with pytest.raises(error, match=message):
            fit(trainer or make(folder), folder, **({"epochs": 2, "checkpoint": where} | options))
        assert steps(where) == [15]

    refused("has checkpoints of a training: give resume to go on with it, or another folder")
    for message, trainer, options in (
        ("it was made with optimizer adam:lr=0.01, this training has sgd", {"optimizer": "sgd"}, {}),
        ("it was made with clip_norm not given, this training has 1", {"clip_norm": 1}, {}),
        ("it was made with learning_rate not given, this training has 0.5", {}, {"learning_rate": 0.5}),
        ("it was made with seed 0, this training has 1", {}, {"seed": 1}),
        ("it was made with batch_size 48, this training has 50", {}, {"batch_size": 50}),
    ):
        refused(message, trainer=make(folder, **trainer), resume=True, **options)
    refused("checkpoint_every 'often': expected a number, and epochs or steps", checkpoint_every="often")
    refused("keep is 0, expected 1 or more", keep=0)
    refused("resume: expected checkpoint", checkpoint="", resume=True)
    (tmp_path / "file").write_text("")
    refused("file: cannot be read: Not a directory", module().WriteError, checkpoint=tmp_path / "file")

    # Two at a time; and once the first has ended, however it did, no longer.
    def meanwhile(epoch: int, values: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="another training writes its checkpoints there"):
            fit(make(folder), folder, epochs=2, checkpoint=tmp_path / "2", resume=True)
        raise KeyError

    with pytest.raises(KeyError):
        fit(make(folder), folder, epochs=2, checkpoint=tmp_path / "2", callback=meanwhile)
    fit(make(folder), folder, epochs=2, checkpoint=tmp_path / "2", resume=True)
