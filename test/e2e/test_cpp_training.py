"""builder::Model::fit in C++, with checkpoints and early stopping: the bits of Python's Trainer and `nacre train` on
the model that it saves, and of a training that was never killed."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_models
from support import BUILD, module, nacre

SOURCE = Path(__file__).parent / "Inputs/fit.cpp"
BATCH, STEPS = 48, 15
# Everything that keeps state, besides averages, accumulated gradients and Dropout, which the program's model has.
FIT: dict[str, Any] = {"schedule": "plateau:patience=0,factor=0.7", "patience": 500, "monitor": "accuracy"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, digits.npz and valid.npz with `x`, and the same as raw files."""
    folder = tmp_path_factory.mktemp("train")
    small_models.save_digits(folder)
    for name, prefix in (("digits", ""), ("valid", "valid_")):
        with np.load(folder / f"{name}.npz") as file:
            x, labels = file["data"].astype(np.float32), file["labels"].astype(np.int64)
        np.savez(folder / f"{name}.npz", x=x, labels=labels)
        x.tofile(folder / ("valid.raw" if prefix else "data.raw"))
        labels.tofile(folder / f"{prefix}labels.raw")
    line = ["clang++-22", "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", SOURCE, "-I", BUILD / "include/nacre", "-L",
            BUILD / "lib", "-lnacre", f"-Wl,-rpath,{BUILD / 'lib'}", "-o", folder / "fit"]
    subprocess.run(line, check=True)
    return folder


def line_of(folder: Path, kind: str, options: dict[str, Any]) -> list[str]:
    arguments = {"epochs": 3, "batch": BATCH, "validation": "columns"} | options
    return [str(folder / "fit"), kind, *(f"{key}={value}" for key, value in arguments.items() if value is not None)]


def run(folder: Path, kind: str = "columns", status: int = 0, **options: Any) -> list[str]:
    line = line_of(folder, kind, options)
    ran = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == status, ran.stdout[-3000:] + ran.stderr
    return ran.stdout.splitlines()


def numbers(lines: list[str], what: str) -> list[list[float]]:
    return [[float.fromhex(text) for text in line.split()[1:]] for line in lines if line.startswith(f"{what} ")]


def names(where: Path) -> list[str]:
    return sorted(path.name for path in where.iterdir())


def history(lines: list[str]) -> tuple[list[list[float]], list[list[float]], str]:
    return numbers(lines, "epoch"), numbers(lines, "valid"), next(line for line in lines if line.startswith("best "))


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[list[list[float]], Any, bytes]:
    """Losses of all steps, the history and the file of an uninterrupted training of 8 epochs."""
    lines = run(folder, epochs=8, out=folder / "whole.onnx", first=folder / "first.onnx", **FIT)
    return numbers(lines, "step"), history(lines), (folder / "whole.onnx").read_bytes()


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as file:
        return file["x"], file["labels"]


def test_the_same_as_python(folder: Path, whole: Any) -> None:
    trainer = module().Trainer(
        folder / "first.onnx", optimizer="adam:lr=0.01", metrics=["accuracy"], accumulate=2, average=0.9
    )  # fmt: skip
    made = trainer.fit(*read(folder / "digits.npz"), BATCH, 8, validation_data=read(folder / "valid.npz"), verbose=False, **FIT)
    epochs, valid, best = whole[1]
    assert [list(pair) for pair in zip(made["loss"], made["accuracy"], strict=True)] == epochs
    assert [list(pair) for pair in zip(made["val_loss"], made["val_accuracy"], strict=True)] == valid
    assert best == f"best {made.best_epoch}"
    assert trainer.serialize() == whole[2]


@pytest.mark.parametrize("kind", ["columns", "numbers"])
def test_checkpoints_change_nothing(folder: Path, tmp_path: Path, whole: Any, kind: str) -> None:
    where = tmp_path / "run"
    lines = run(
        folder, kind, epochs=8, checkpoint=where, every="7steps", validation=kind, threads=1,
        out=tmp_path / "out.onnx", **FIT,
    )  # fmt: skip
    assert (numbers(lines, "step"), history(lines), (tmp_path / "out.onnx").read_bytes()) == whole
    assert [name for name in names(where) if name.startswith("step-")] == [
        f"step-{step:012}.safetensors" for step in (112, 119, 120)
    ]


@pytest.mark.parametrize("kind", ["columns", "numbers"])
@pytest.mark.parametrize(("every", "stops"), [("7steps", (1, 10, 40, 14)), ("1epoch", (16, 30, 29))])
def test_killed_and_resumed(folder: Path, tmp_path: Path, whole: Any, kind: str, every: str, stops: tuple[int, ...]) -> None:
    """SIGKILL after so many steps; the history has what was before."""
    where = tmp_path / "run"
    options = {"epochs": 8, "checkpoint": where, "every": every, "resume": 1, "keep": 2, "validation": kind} | FIT
    distance, newest = {"7steps": 7, "1epoch": STEPS}[every], 0
    for stop in stops:
        lines = run(folder, kind, status=-signal.SIGKILL, kill_after=stop, **options)
        assert numbers(lines, "step") == whole[0][newest : newest + stop]
        newest = (newest + stop - 1) // distance * distance
    lines = run(folder, kind, out=tmp_path / "out.onnx", **options)
    assert numbers(lines, "step") == whole[0][newest:]
    assert history(lines) == whole[1]
    assert (tmp_path / "out.onnx").read_bytes() == whole[2]
    assert len([name for name in names(where) if name.startswith("step-")]) == 2
    # There is nothing left to do, and that is the same.
    lines = run(folder, kind, out=tmp_path / "out.onnx", **options)
    assert numbers(lines, "step") == [] and history(lines) == whole[1]
    assert (tmp_path / "out.onnx").read_bytes() == whole[2]


@pytest.mark.parametrize(("every", "epochs"), [("1epoch", 160), ("1step", 40)])
def test_killed_at_any_moment(folder: Path, tmp_path: Path, every: str, epochs: int) -> None:
    options = {"epochs": epochs, "checkpoint": tmp_path / "run", "every": every, "resume": 1} | FIT
    wanted = run(folder, epochs=epochs, out=tmp_path / "whole.onnx", **FIT)
    moments, killed = random.Random(every), 0
    line = line_of(folder, "columns", options | {"out": tmp_path / "out.onnx"})
    while True:
        running = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True)
        for _ in range(moments.randint(*{"1epoch": (100, 900), "1step": (30, 200)}[every])):
            running.stdout.readline()
        time.sleep(moments.uniform(0, 0.005))
        running.kill()
        out, _ = running.communicate()
        assert "warning" not in out
        if running.returncode != -signal.SIGKILL:
            assert running.returncode == 0, out[-2000:]
            break
        killed += 1
        assert killed < 200
    assert killed >= 3
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    assert history(run(folder, **options)) == history(wanted)  # of which nothing was left to do


def test_the_command_goes_on_and_back(folder: Path, tmp_path: Path, whole: Any) -> None:
    where = tmp_path / "run"
    run(folder, epochs=2, checkpoint=where, **FIT)
    nacre(
        "train", folder / "first.onnx", "--data", folder / "digits.npz", "--valid", folder / "valid.npz", "--optimizer",
        "adam:lr=0.01", "--accumulate", "2", "--average", "0.9", "--metric", "accuracy", "--schedule", FIT["schedule"],
        "--patience", "500", "--monitor", "accuracy", "--batch-size", str(BATCH), "--epochs", "5", "--checkpoint", where,
        "--resume", "-o", tmp_path / "out.onnx",
    )  # fmt: skip
    lines = run(folder, epochs=8, checkpoint=where, resume=1, out=tmp_path / "out.onnx", **FIT)
    assert history(lines) == whole[1] and (tmp_path / "out.onnx").read_bytes() == whole[2]


def test_early_stopping(folder: Path, tmp_path: Path) -> None:
    """The parameters are those of the best epoch: a training that ends there."""
    lines = run(folder, epochs=60, patience=3, monitor="accuracy", out=tmp_path / "best.onnx")
    values = [valid[1] for valid in numbers(lines, "valid")]
    best = int(np.argmax(values))
    assert len(values) == best + 4 < 60 and f"best {best}" in lines
    run(folder, epochs=60, last_epoch=best, out=tmp_path / "ended.onnx")
    assert (tmp_path / "best.onnx").read_bytes() == (tmp_path / "ended.onnx").read_bytes()


def test_after_another_training(folder: Path, tmp_path: Path) -> None:
    """A second fit has other orders than the first, and goes on with them."""
    options = {"epochs": 3, "before": 2, "checkpoint": tmp_path / "run", "resume": 1}
    wanted = numbers(run(folder, epochs=3, before=2), "step")
    assert wanted != numbers(run(folder, epochs=3), "step")
    run(folder, status=-signal.SIGKILL, kill_after=20, **options)
    assert numbers(run(folder, **options), "step") == wanted[15:]


def test_streams(folder: Path, tmp_path: Path) -> None:
    options = {"batch": None, "epochs": 4, "checkpoint": tmp_path / "run", "resume": 1}
    wanted = run(folder, "stream", batch=None, epochs=4)
    run(folder, "stream", status=-signal.SIGKILL, kill_after=17, **options)
    lines = run(folder, "stream", **options)
    assert numbers(lines, "step") == numbers(wanted, "step")[14:] and history(lines) == history(wanted)


def test_what_does_not_fit(folder: Path, tmp_path: Path) -> None:
    where = tmp_path / "run"
    run(folder, epochs=1, checkpoint=where)

    def refused(message: str, **options: Any) -> None:
        assert message in "\n".join(run(folder, status=1, **options))

    refused("give resume to go on with it, or another folder", checkpoint=where)
    refused("it was made with seed 0, this training has 4", checkpoint=where, resume=1, seed=4)
    refused("resume: expected checkpoint, the folder to go on from", resume=1)
    refused("patience: expected a number of epochs, and a validation", patience=2, validation=None)
    refused("monitor accurcy: expected what is measured: loss, accuracy", patience=2, monitor="accurcy")
    refused("checkpointEvery '2days': expected a number, and epochs or steps", checkpoint=where, every="2days")
    refused("keep is 0, expected 1 or more", keep=0)
    refused("epochs is 0, expected 1 or more", epochs=0)
    # A checkpoint that is damaged is told of, and the one before it is taken.
    run(folder, epochs=3, checkpoint=where, resume=1)
    newest = where / f"step-{3 * STEPS:012}.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    lines = run(folder, epochs=3, checkpoint=where, resume=1)
    assert any(line.startswith(f"warning {newest}: ") and "the checkpoint before it is tried" in line for line in lines)
    assert len(numbers(lines, "step")) == STEPS
