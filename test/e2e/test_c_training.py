"""Whole trainings in C, on arrays and on what a callback gives: the bits of `nacre train` on the same data as .npz."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import small_models
from support import BUILD, module, nacre

SOURCE = Path(__file__).parent / "Inputs/trainer.c"
ROWS, BATCH, STEPS = 700, 48, 15  # the last one of an epoch has 28 examples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, which drops out; digits.npz, valid.npz and the same as raw files; the program; m.so."""
    folder = tmp_path_factory.mktemp("train")
    small_models.save_digits(folder)
    for name, prefix in (("digits", ""), ("valid", "valid_")):
        with np.load(folder / f"{name}.npz") as file:
            file["data"].astype(np.float32).tofile(folder / ("valid.raw" if prefix else "data.raw"))
            file["labels"].astype(np.int64).tofile(folder / f"{prefix}labels.raw")
    line = ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pedantic-errors", "-g", SOURCE, "-I",
            BUILD / "include/nacre", "-L", BUILD / "lib", "-lnacre", f"-Wl,-rpath,{BUILD / 'lib'}", "-o", folder / "trainer"]
    subprocess.run(line, check=True)
    nacre("compile", folder / "m.onnx", "--train", "softmax-cross-entropy", "--optimizer", "adam:lr=0.01", "-o", folder / "m.so")
    return folder


def line_of(folder: Path, kind: str, options: dict[str, Any]) -> list[str]:
    arguments = {"source": folder / "m.onnx", "epochs": 3, "batch": BATCH, "seed": 7} | options
    model = arguments.pop("model", "m.onnx")
    return [str(folder / "trainer"), str(folder / model), kind, *(f"{k}={v}" for k, v in arguments.items() if v is not None)]


def run(folder: Path, kind: str, status: int = 0, **options: Any) -> list[str]:
    ran = subprocess.run(line_of(folder, kind, options), cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == status, ran.stdout[-3000:] + ran.stderr
    return ran.stdout.splitlines()


def losses(lines: list[str]) -> list[float]:
    return [float.fromhex(line.split()[1]) for line in lines if line.startswith("step ")]


def epochs(lines: list[str]) -> list[list[float]]:
    return [[float.fromhex(text) for text in line.split()[2:]] for line in lines if line.startswith("epoch ")]


@pytest.fixture(scope="module")
def expected(folder: Path) -> tuple[list[float], list[list[float]], bytes]:
    """What `nacre train` comes to: the losses of all steps, of all epochs with what else is measured, the file."""
    log, out = folder / "log.jsonl", folder / "expected.onnx"
    nacre(
        "train", folder / "m.onnx", "--data", folder / "digits.npz", "--valid", folder / "valid.npz", "--optimizer",
        "adam:lr=0.01", "--metric", "accuracy", "--schedule", "cosine:warmup=5", "--epochs", "3", "--batch-size",
        str(BATCH), "--log", log, "--log-every", "1", "-o", out, "--seed", "0",
    )  # fmt: skip
    events = [json.loads(line) for line in log.read_text().splitlines()]
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return (
        [event["loss"] for event in events if event["event"] == "step"],
        [[event[name] for name in names] for event in events if event["event"] == "epoch"],
        out.read_bytes(),
    )


@pytest.mark.parametrize("kind", ["columns", "numbers"])
@pytest.mark.parametrize("options", [{}, {"no_read_ahead": 1, "threads": 1}, {"model": "m.so"}], ids=["", "here", "loaded"])
def test_the_same_as_the_command(folder: Path, tmp_path: Path, expected: Any, kind: str, options: dict[str, Any]) -> None:
    """Shuffled by seed, with a last batch that is a part of one, with validation by the other kind of data."""
    other = {"columns": "numbers", "numbers": "columns"}[kind]
    lines = run(folder, kind, seed=0, schedule="cosine:warmup=5", validation=other, out=tmp_path / "out.onnx", **options)
    assert losses(lines) == expected[0] and len(expected[0]) == 3 * STEPS
    assert epochs(lines) == expected[1]
    assert [int(line.split()[3]) for line in lines if line.startswith("step ")][STEPS - 2 : STEPS] == [672, ROWS]
    assert (tmp_path / "out.onnx").read_bytes() == expected[2]
    assert [float.fromhex(text) for text in lines[-1].split()[1:]] == expected[1][-1][2:]
    assert "result 3 epochs, 45 steps, from 0, best -1, early 0" in lines


@pytest.mark.parametrize("ahead", [0, 1])
def test_streams(folder: Path, ahead: int) -> None:
    """Batches of 100 and 37 in their own order: what single steps on these come to."""
    trainer = module().Trainer(folder / "m.onnx", optimizer="adam:lr=0.01")
    with np.load(folder / "digits.npz") as file:
        x, labels = file["data"], file["labels"]
    wanted, begin = [], 0
    for step in range(11):
        end = min(begin + (37 if step % 2 else 100), ROWS)
        wanted.append(trainer.step((x[begin:end], labels[begin:end])))
        begin = 0 if end == ROWS else end
    assert begin == 0
    lines = run(folder, "stream", batch=None, epochs=1, seed=0, no_read_ahead=1 - ahead)
    assert losses(lines) == wanted
    # An epoch of so many batches, of a stream that has no end; a schedule that looks at it.
    lines = run(folder, "stream", batch=None, epochs=2, stream_steps=4, never=1, schedule="polynomial", no_read_ahead=1 - ahead)
    assert len(losses(lines)) == 8 and len(epochs(lines)) == 2
    rates = [float.fromhex(line.split()[2]) for line in lines if line.startswith("step ")]
    np.testing.assert_allclose(rates, 0.01 * (1 - np.arange(8) / 8), rtol=1e-6)
    assert "result 2 epochs, 8 steps" in "\n".join(lines)


FAULTS = {
    "error": "input/output error: the disk is gone",
    "silent": "not found: data's callback failed without a message: not found",
    "unknown": "invalid argument: data's callback failed without a message: 77, which is no nacre_status",
    "dtype": "array 'data' does not fit\nthe model takes:\n  data: f32[N, 64]",
    "rank": "array 'data': the rank is 40",
    "shape": "  data: f32[48, 63]",
    "rows": "there are 47 of them, expected 48",
    "other rows": "array 'labels' has 47 entries, 'data' has 48",
    "negative": "array 'data': dims[0] is -5",
    "huge": "array 'data': dims[0] is 4611686018427387903",
    "size": "array 'data': its size is 100 bytes, but f32[48, 64] takes 12288",
    "null": "array 'labels': data is NULL",
    "label": "labels must be from 0 to 9",
    "strides": "array 'data': its strides are not those of row-major memory",
}


@pytest.mark.parametrize("kind", ["numbers", "stream"])
@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_callback_does_wrong(folder: Path, fault: str, ahead: int, kind: str) -> None:
    """Before anything of its memory is read; the steps before it have been made."""
    options = {"model": "m.so", "fault": fault, "fails_at": 4, "no_read_ahead": 1 - ahead}
    message = FAULTS[fault]
    if kind == "stream":
        options["batch"] = None
        if fault == "rows":
            return  # a stream's batches have any number of examples
        for number, other in ((47, 99), (48, 100), (12288, 25600)):
            message = message.replace(str(number), str(other))
    lines = run(folder, kind, status=1, **options)
    assert len(losses(lines)) == 4
    said = "\n".join(lines)
    assert message in said, said
    assert "result 0 epochs, 4 steps" in said
    if fault in ("shape", "rows", "other rows", "label", "dtype"):
        place = "batch 5: " if kind == "stream" else r"examples \d+, \d+, \d+, \.\.\.: "
        assert re.search(f"train: invalid (shape|value): {place}", said), said


def test_options_that_do_not_fit(folder: Path) -> None:
    def refused(message: str, kind: str = "numbers", **options: Any) -> None:
        lines = run(folder, kind, status=1, model="m.so", **options)
        assert message in "\n".join(lines), lines

    refused("expected options.checkpoint, the folder to go on from", resume=1)
    refused("expected options.validation, which it looks at", patience=2)
    refused("expected one of them", steps=4)
    refused("options.batch_size is -1", batch=-1)
    refused("a stream decides the size of its batches", kind="stream")
    refused("expected to be told how many batches", kind="stream", batch=None, schedule="cosine")
    refused("validation is a stream", validation="stream")
    refused("unknown schedule", schedule="cosinus")
    refused("expected a number, and epochs or steps", checkpoint=folder / "none", every="2days")
    refused("steps is for a stream", stream_steps=3)
    # A caller that knows no checkpoints and callbacks yet: what stands there is not looked at.
    assert run(folder, "numbers", older=1) == ["result 3 epochs, 45 steps, from 0, best -1, early 0"]


def test_callbacks_end_it(folder: Path) -> None:
    lines = run(folder, "numbers", status=1, stop_after=20)
    assert len(losses(lines)) == 20 and lines[-1].startswith("train: cancelled: training was cancelled")
    lines = run(folder, "numbers", epochs=9, last_epoch=1)
    assert len(losses(lines)) == 30 and "result 2 epochs, 30 steps, from 0, best -1, early 0" in lines


def test_the_best_epoch(folder: Path, tmp_path: Path) -> None:
    """The command's, with averages too."""
    lines = run(
        folder, "numbers", epochs=60, patience=2, monitor="accuracy", validation="numbers", average=0.9, seed=0,
        out=tmp_path / "out.onnx",
    )  # fmt: skip
    ran = nacre(
        "train", folder / "m.onnx", "--data", folder / "digits.npz", "--valid", folder / "valid.npz", "--optimizer",
        "adam:lr=0.01", "--metric", "accuracy", "--epochs", "60", "--batch-size", str(BATCH), "--patience", "2",
        "--monitor", "accuracy", "--average", "0.9", "-o", tmp_path / "command.onnx", "--json",
    )  # fmt: skip
    summary = json.loads(ran.out)
    count = len(summary["epochs"])
    assert summary["ended_early"] and 3 <= count < 60
    assert f"result {count} epochs, {count * STEPS} steps, from 0, best {summary['best_epoch'] - 1}, early 1" in lines
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "command.onnx").read_bytes()


KEPT = {"schedule": "plateau:patience=0,factor=0.7", "average": 0.9, "validation": "columns", "patience": 500}


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[list[float], bytes]:
    """The losses and the file of an uninterrupted training of 8 epochs."""
    lines = run(folder, "columns", epochs=8, out=folder / "whole.onnx", **KEPT)
    return losses(lines), (folder / "whole.onnx").read_bytes()


@pytest.mark.parametrize("kind", ["columns", "numbers"])
@pytest.mark.parametrize(("every", "stops"), [("7steps", (1, 10, 40, 14)), ("1epoch", (16, 30, 29))])
def test_goes_on_where_it_was(
    folder: Path, tmp_path: Path, whole: Any, kind: str, every: str, stops: tuple[int, ...]
) -> None:
    """Killed, in the middle of epochs too; each time it asks for the examples that come then."""
    options = {"epochs": 8, "checkpoint": tmp_path / "run", "every": every, "resume": 1, "keep": 2} | KEPT
    distance, newest = {"7steps": 7, "1epoch": 15}[every], 0
    for stop in stops:
        lines = run(folder, kind, status=-signal.SIGKILL, kill_after=stop, **options)
        assert losses(lines) == whole[0][newest : newest + stop]
        newest = (newest + stop - 1) // distance * distance  # the last step's was not written
    lines = run(folder, kind, out=tmp_path / "out.onnx", **options)
    assert losses(lines) == whole[0][newest:]
    assert f"result 8 epochs, 120 steps, from {newest}, " in "\n".join(lines)
    assert (tmp_path / "out.onnx").read_bytes() == whole[1]
    assert len([path for path in (tmp_path / "run").iterdir() if path.name.startswith("step-")]) == 2


def test_killed_at_any_moment(folder: Path, tmp_path: Path) -> None:
    """While it writes, or waits for a batch."""
    options = {"epochs": 40, "checkpoint": tmp_path / "run", "every": "1step", "resume": 1, "out": tmp_path / "out.onnx"} | KEPT
    run(folder, "numbers", **(options | {"checkpoint": None, "resume": 0, "every": None, "out": tmp_path / "whole.onnx"}))
    moments, killed = random.Random(4), 0
    while True:
        running = subprocess.Popen(line_of(folder, "numbers", options), cwd=folder, stdout=subprocess.PIPE, text=True)
        for _ in range(moments.randint(40, 140)):
            running.stdout.readline()
        time.sleep(moments.uniform(0, 0.005))
        running.kill()
        out, _ = running.communicate()
        if running.returncode != -signal.SIGKILL:
            assert running.returncode == 0, out[-2000:]
            break
        killed += 1
        assert killed < 100
    assert killed >= 3
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()


def test_a_stream_goes_on_between_epochs(folder: Path, tmp_path: Path) -> None:
    options = {"batch": None, "epochs": 5, "checkpoint": tmp_path / "run", "resume": 1}
    wanted = losses(run(folder, "stream", batch=None, epochs=5))
    run(folder, "stream", status=-signal.SIGKILL, kill_after=30, **options)
    assert losses(run(folder, "stream", **options)) == wanted[22:]
    lines = run(folder, "stream", status=1, **(options | {"every": "3steps"}))
    assert "goes on only where an epoch begins" in "\n".join(lines)


def test_checkpoints_of_another_training(folder: Path, tmp_path: Path) -> None:
    """Messages call options as C does; of what a callback gives, the number of examples counts."""
    where = tmp_path / "run"
    run(folder, "numbers", checkpoint=where)

    def refused(message: str, kind: str = "numbers", **options: Any) -> None:
        lines = run(folder, kind, status=1, **({"checkpoint": where, "resume": 1} | options))
        assert message in "\n".join(lines), lines

    refused("give resume to go on with it, or another folder", resume=0)
    refused("it was made with seed 7, this training has 8", seed=8)
    refused("it was made with optimizer adam:lr=0.01, this training has sgd", optimizer="sgd")
    refused("of 700 examples that a function gives, this training has ", kind="columns")
    assert losses(run(folder, "numbers", checkpoint=where, resume=1)) == []


def test_what_it_writes(folder: Path, tmp_path: Path) -> None:
    run(folder, "numbers", epochs=1, out=tmp_path / "out.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "out.onnx"), full_check=True)
