"""nacre train: checkpoints and going on from them, early stopping, logs and curves."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
import safetensors
from safetensors.numpy import load_file

import small_models
from support import NACRE, nacre

# Everything that keeps state: optimizer, averages, accumulated gradients, a schedule that looks
# at losses, random numbers, and the best weights.
OPTIONS = ["--optimizer", "adam:lr=0.01", "--schedule", "plateau:patience=0,factor=0.7", "--average", "0.9", "--accumulate", "2"]
OPTIONS += ["--metric", "accuracy", "--metric", "top-k:k=2", "--batch-size", "48", "--patience", "500", "--monitor", "accuracy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, which drops out, digits.npz and valid.npz."""
    folder = tmp_path_factory.mktemp("train")
    small_models.save_digits(folder)
    return folder


def command(folder: Path, out: Path, *options: str | Path) -> list[str]:
    data = ["--data", folder / "digits.npz", "--valid", folder / "valid.npz"]
    cache = ["--cache-dir", folder / "cache"]
    return [str(part) for part in ("train", folder / "m.onnx", *data, *OPTIONS, *cache, "-o", out, *options)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def number(name: str) -> int:
    return int(name.split("-")[1].split(".")[0])


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The file that an uninterrupted training of so many epochs writes."""
    known: dict[str, bytes] = {}

    def get(epochs: str) -> bytes:
        if epochs not in known:
            out = tmp_path_factory.mktemp("whole") / "out.onnx"
            nacre(*command(folder, out, "--epochs", epochs))
            known[epochs] = out.read_bytes()
        return known[epochs]

    return get


@pytest.mark.parametrize("every", ["1", "2epochs", "7steps"])
def test_checkpoints_change_nothing(folder: Path, tmp_path: Path, whole: Callable[[str], bytes], every: str) -> None:
    where = tmp_path / "checkpoints"
    nacre(*command(folder, tmp_path / "out.onnx", "--epochs", "5", "--checkpoint", where, "--checkpoint-every", every))
    assert (tmp_path / "out.onnx").read_bytes() == whole("5")
    steps = [number(name) for name in names(where) if name.startswith("step-")]
    distance, last = {"1": (15, 75), "2epochs": (30, 75), "7steps": (7, 75)}[every]
    expected = [step for step in range(distance, last + 1, distance)]
    assert steps == sorted({*expected, last})[-3:]
    tensors = load_file(where / f"step-{last:012}.safetensors")
    assert {"w0", "w0.average", "w0.exp_avg", "optimizer.count"} <= tensors.keys()


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_goes_on_after_any_step(folder: Path, tmp_path: Path, whole: Callable[[str], bytes], stop: int) -> None:
    """In an epoch, at its last step, after it: the rest is as if there had been no stop."""
    where, steps = tmp_path / "checkpoints", ["4", "14", "15", "16", "52"][stop - 1]
    nacre(*command(folder, tmp_path / "out.onnx", "--epochs", "5", "--checkpoint", where, "--keep", "100",
                   "--checkpoint-every", f"{steps}steps"))  # fmt: skip
    for path in where.iterdir():  # what came later has not been
        if number(path.name) > int(steps):
            path.unlink()
    (tmp_path / "out.onnx").unlink()
    ran = nacre(*command(folder, tmp_path / "out.onnx", "--epochs", "5", "--checkpoint", where, "--resume"))
    assert f"resumed after step {steps}," in ran.out
    assert (tmp_path / "out.onnx").read_bytes() == whole("5")


def test_a_training_in_parts(folder: Path, tmp_path: Path, whole: Callable[[str], bytes]) -> None:
    """More epochs than at first, one after the other; nothing to do is done in no time."""
    where = tmp_path / "checkpoints"
    for epochs in range(1, 6):
        options = ["--epochs", str(epochs), "--checkpoint", where, "--resume", "--json"]
        summary = json.loads(nacre(*command(folder, tmp_path / "out.onnx", *options)).out)
        assert [epoch["epoch"] for epoch in summary["epochs"]] == list(range(1, epochs + 1))
    assert (tmp_path / "out.onnx").read_bytes() == whole("5")
    again = json.loads(nacre(*command(folder, tmp_path / "out.onnx", *options)).out)
    assert again["epochs"] == summary["epochs"]
    assert (tmp_path / "out.onnx").read_bytes() == whole("5")


def test_steps(folder: Path, tmp_path: Path) -> None:
    """An end within an epoch, with and without a stop; a multiple of the epoch is epochs."""
    nacre(*command(folder, tmp_path / "epochs.onnx", "--epochs", "2"))
    nacre(*command(folder, tmp_path / "steps.onnx", "--steps", "30"))
    assert (tmp_path / "steps.onnx").read_bytes() == (tmp_path / "epochs.onnx").read_bytes()
    where = ["--checkpoint", tmp_path / "checkpoints", "--checkpoint-every", "10steps"]
    summary = json.loads(nacre(*command(folder, tmp_path / "40.onnx", "--steps", "40", "--json", *where)).out)
    assert [epoch["epoch"] for epoch in summary["epochs"]] == [1, 2, 3]
    nacre(*command(folder, tmp_path / "50.onnx", "--steps", "50"))
    nacre(*command(folder, tmp_path / "again.onnx", "--steps", "50", "--resume", *where))
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "50.onnx").read_bytes()
    nacre(*command(folder, tmp_path / "again.onnx", "--steps", "50", "--resume", *where))
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "50.onnx").read_bytes()


def newest(where: Path) -> int:
    """The newest checkpoint's number; 0 without one."""
    found = [number(name) for name in names(where) if name.startswith("step-")] if where.exists() else []
    return max(found, default=0)


def kill_again_and_again(line: list[str], where: Path, distance: int, seed: str) -> int:
    """Begins the command, and kills it when it has written a few more checkpoints, or writes the next, or before it
    trains, until it comes to its end; how often it did not."""
    moments = random.Random(seed)
    for killed in range(1000):
        running = subprocess.Popen([str(NACRE), *line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        target = newest(where) + distance * moments.randint(1, 12)
        deadline = time.monotonic() + (moments.uniform(0, 1) if killed % 4 == 3 else 60)
        while running.poll() is None and newest(where) < target and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(moments.uniform(0, 0.005))
        running.kill()
        _, err = running.communicate()
        assert "warning" not in err, err
        if running.returncode != -signal.SIGKILL:
            assert running.returncode == 0, err
            return killed
    raise AssertionError("it comes to no end")


@pytest.mark.parametrize(("every", "epochs"), [("1epoch", 100), ("1step", 15), ("11steps", 60)])
def test_killed_at_any_moment(
    folder: Path, tmp_path: Path, whole: Callable[[str], bytes], every: str, epochs: int
) -> None:
    """SIGKILL, while it writes too: always a whole checkpoint, and in the end the same file."""
    where, log = tmp_path / "checkpoints", tmp_path / "log.jsonl"
    options = ["--epochs", str(epochs), "--checkpoint", where, "--checkpoint-every", every, "--resume"]
    options += ["--log", log, "--log-every", "1"]
    first = whole(str(epochs))
    distance = {"1epoch": 15, "1step": 2, "11steps": 11}[every]
    killed = kill_again_and_again(command(folder, tmp_path / "out.onnx", *options), where, distance, every)
    assert killed >= 3
    assert (tmp_path / "out.onnx").read_bytes() == first
    for path in where.iterdir():
        load_file(path)
    kinds = {name.split("-")[0] for name in names(where)}
    assert kinds == {"step", "best"} and sum(name.startswith("step") for name in names(where)) == 3
    # Nothing is told twice, and nothing is left out.
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == list(range(1, 15 * epochs + 1))
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == list(range(1, epochs + 1))


def test_damaged_checkpoints(folder: Path, tmp_path: Path, whole: Callable[[str], bytes]) -> None:
    where = tmp_path / "checkpoints"
    options = ["--epochs", "5", "--checkpoint", where]
    nacre(*command(folder, tmp_path / "out.onnx", *options))
    damaged = where / names(where)[-1]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    ran = nacre(*command(folder, tmp_path / "out.onnx", *options, "--resume"))
    assert "truncated" in ran.err and "the checkpoint before it is tried" in ran.err
    assert "resumed after step 60, in epoch 5" in ran.out
    assert (tmp_path / "out.onnx").read_bytes() == whole("5")
    for path in where.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    ran = nacre(*command(folder, tmp_path / "out.onnx", *options, "--resume"))
    assert ran.err.count("warning") == 3 and "no checkpoint to resume from" in ran.out
    assert (tmp_path / "out.onnx").read_bytes() == whole("5")


def test_one_too_many(folder: Path, tmp_path: Path) -> None:
    """As a process leaves it that is killed between writing its last checkpoint and removing the oldest."""
    where = tmp_path / "checkpoints"
    options = ["--epochs", "4", "--checkpoint", where]
    nacre(*command(folder, tmp_path / "out.onnx", *options, "--keep", "4"))
    assert sum(name.startswith("step-") for name in names(where)) == 4
    nacre(*command(folder, tmp_path / "out.onnx", *options, "--resume"))
    assert sum(name.startswith("step-") for name in names(where)) == 3


def test_another_training_is_refused(folder: Path, tmp_path: Path) -> None:
    where = ["--checkpoint", tmp_path / "checkpoints"]
    nacre(*command(folder, tmp_path / "out.onnx", "--epochs", "1", *where))
    before = names(tmp_path / "checkpoints")

    def refused(*options: str | Path, line: list[str] | None = None) -> str:
        ran = nacre(*(line or command(folder, tmp_path / "no.onnx", "--epochs", "1", *where, *options)), ok=False)
        assert ran.status == 1 and ran.err.count("\n") == 1, ran.text()
        assert names(tmp_path / "checkpoints") == before and not (tmp_path / "no.onnx").exists()
        return ran.err

    assert "has checkpoints of a training: give --resume" in refused()
    found = "it was made with --optimizer adam:lr=0.01, this training has sgd:lr=0.01"
    line = command(folder, tmp_path / "no.onnx", *where, "--resume")
    for option, value, message in (
        ("--optimizer", "sgd:lr=0.01", found),
        ("--batch-size", "50", "it was made with --batch-size 48, this training has 50"),
        ("--schedule", "constant", "it was made with --schedule plateau:patience=0,factor=0.7, this training has constant"),
        ("--average", "0.8", "it was made with --average 0.9"),
        ("--data", str(folder / "valid.npz"), "it was made with --data of the hash "),
        ("--valid", str(folder / "digits.npz"), "it was made with --valid of the hash "),
    ):
        other = list(line)
        other[other.index(option) + 1] = value
        assert message in refused(line=other)
    assert "it was made with --seed 0, this training has 1" in refused("--resume", "--seed", "1")
    assert "it was made with --loss softmax-cross-entropy, this training has nll" in refused("--resume", "--loss", "nll")
    assert "it was made with --clip-norm not given, this training has 1" in refused("--resume", "--clip-norm", "1")
    model = onnx.load(folder / "m.onnx")
    model.doc_string = "another"
    onnx.save(model, tmp_path / "other.onnx")
    line[1] = str(tmp_path / "other.onnx")
    assert "it was made with a model of the hash " in refused(line=line)


def test_full_disk(folder: Path, tmp_path: Path, whole: Callable[[str], bytes]) -> None:
    """Checkpoints that cannot be written are warnings; the older ones stay, and the model is written."""
    where = tmp_path / "checkpoints"
    options = ["--epochs", "5", "--checkpoint", where, "--checkpoint-every", "1epoch"]
    nacre(*command(folder, tmp_path / "out.onnx", *options))
    size = (tmp_path / "out.onnx").stat().st_size
    for name in names(where):  # to have something to do
        if number(name) > 45:
            (where / name).unlink()
    good = {path.name: path.read_bytes() for path in where.iterdir()}

    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))

    (tmp_path / "out.onnx").unlink()
    line = [str(NACRE), *command(folder, tmp_path / "out.onnx", *options, "--resume")]
    done = subprocess.run(line, capture_output=True, text=True, preexec_fn=apply, timeout=120)
    assert done.returncode == 0, done
    warnings = done.stderr.splitlines()
    assert 1 <= len(warnings) <= 3, warnings
    for warning in warnings:
        assert warning.startswith(f"nacre: warning: {where}") and "cannot be written: File too large" in warning, warning
    assert {path.name: path.read_bytes() for path in where.iterdir() if path.name in good} == good
    assert (tmp_path / "out.onnx").read_bytes() == whole("5")


def test_full_file_system(folder: Path, tmp_path: Path) -> None:
    """A file system of its own that fills up while checkpoints are written."""
    small = tmp_path / "small"
    small.mkdir()
    script = (
        'mount -t tmpfs -o size=150k tmpfs "$1" || exit 77; where="$1"; shift; "$@"; status=$?; '
        'cp "$where"/c/* "$where.copy" || exit 78; exit $status'
    )
    (tmp_path / "small.copy").mkdir()
    line = [str(NACRE), *command(folder, tmp_path / "out.onnx", "--epochs", "8", "--checkpoint", small / "c", "--keep", "100")]
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", str(small), *line], capture_output=True, text=True, timeout=120)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    assert done.returncode == 0, done
    assert "No space left on device; make room, or choose another place" in done.stderr
    copies = list((tmp_path / "small.copy").iterdir())
    assert any(path.name.startswith("step-") for path in copies)
    for path in copies:
        load_file(path)


def test_ends_early(folder: Path, tmp_path: Path) -> None:
    """A rate that is too large in the end: the best weights are written, not the last."""
    line = ["train", folder / "m.onnx", "--data", folder / "digits.npz", "--valid", folder / "valid.npz"]
    line += ["--optimizer", "adam:lr=0.05", "--epochs", "100", "--metric", "accuracy", "-o", tmp_path / "out.onnx"]
    for monitor, better in (("loss", min), ("accuracy", max)):
        options = ["--patience", "3", "--monitor", monitor, "--json"]
        summary = json.loads(nacre(*line, *options).out)
        values = [epoch[f"val_{monitor}"] for epoch in summary["epochs"]]
        best = values.index(better(values))
        assert len(values) == best + 4 < 100
        assert summary["best_epoch"] == best + 1 and summary["ended_early"]
        ended = (tmp_path / "out.onnx").read_bytes()
        # What a training that ends there writes.
        shorter = [str(best + 1) if part == "100" else part for part in line]
        nacre(*shorter)
        assert (tmp_path / "out.onnx").read_bytes() == ended
    # Once it has ended it has.
    where = ["--checkpoint", tmp_path / "checkpoints", "--resume"]
    first = json.loads(nacre(*line, *options, *where).out)
    again = json.loads(nacre(*line, *options, *where).out)
    assert again["epochs"] == first["epochs"]
    assert [epoch["val_loss"] for epoch in first["epochs"]] == [epoch["val_loss"] for epoch in summary["epochs"]]
    assert (tmp_path / "out.onnx").read_bytes() == ended
    with safetensors.safe_open(tmp_path / "checkpoints" / names(tmp_path / "checkpoints")[-1], "np") as file:
        assert json.loads(file.metadata()["train.options"])["--metric"] == "accuracy"


def test_log(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--epochs", "3", "--json", "--log", log, "--log-every", "5"]
    summary = json.loads(nacre(*command(folder, tmp_path / "out.onnx", *options)).out)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if line["event"] == "step"]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert [line["step"] for line in steps] == list(range(5, 46, 5))
    assert [line["epoch"] for line in steps] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [line["step"] for line in epochs] == [15, 30, 45]
    for line, epoch in zip(epochs, summary["epochs"], strict=True):
        assert epoch.items() <= line.items()
        assert {"loss", "accuracy", "top-k:k=2", "val_loss", "val_accuracy", "rate", "seconds"} <= line.keys()
    assert all(0 < line["rate"] <= 0.01 and line["loss"] > 0 for line in lines)
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds) and seconds[0] > 0
    # A new training begins a new log.
    nacre(*command(folder, tmp_path / "out.onnx", "--epochs", "1", "--log", log))
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["epoch"]


def test_plot(folder: Path, tmp_path: Path) -> None:
    plot = tmp_path / "curves.svg"
    nacre(*command(folder, tmp_path / "out.onnx", "--epochs", "4", "--plot", plot))
    root = ElementTree.parse(plot).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    lines = root.findall(f"{space}polyline")
    assert len(lines) == 6  # loss and two metrics, of training and validation
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert len(points) == 4
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        assert [x for x, _ in points] == sorted(x for x, _ in points)
    losses = [float(point.split(",")[1]) for point in lines[0].attrib["points"].split()]
    assert losses == sorted(losses)  # down is less
    texts = [text.text for text in root.findall(f"{space}text")]
    assert {"loss", "accuracy", "top-k:k=2", "training", "validation", "1", "4"} <= set(texts)
    assert "href" not in plot.read_text()


def test_interrupt(folder: Path, tmp_path: Path) -> None:
    where = tmp_path / "checkpoints"
    line = [str(NACRE), *command(folder, tmp_path / "out.onnx", "--epochs", "1000000", "--checkpoint", where)]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout
    for _ in range(3):
        running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, message = running.communicate(timeout=60)
    assert running.returncode == -signal.SIGINT
    assert "nothing was written but checkpoints; with --resume it goes on after step " in message
    assert f"after step {newest(where)}\n" in message


@pytest.mark.parametrize(
    "options",
    [
        ["--resume"],
        ["--keep", "2"],
        ["--checkpoint-every", "2"],
        ["--checkpoint-every", "2weeks", "--checkpoint", "c"],
        ["--checkpoint-every", "0", "--checkpoint", "c"],
        ["--keep", "0", "--checkpoint", "c"],
        ["--steps", "0"],
        ["--steps", "3", "--epochs", "2"],
        ["--patience", "0"],
        ["--log-every", "0"],
    ],
)
def test_usage(folder: Path, tmp_path: Path, options: list[str]) -> None:
    ran = nacre(*command(folder, tmp_path / "out.onnx", *options), ok=False) if options[0] != "--patience" else nacre(
        *[part for part in command(folder, tmp_path / "out.onnx") if part not in ("--patience", "500")], *options, ok=False
    )  # fmt: skip
    assert ran.status == 2 and options[0] in ran.err and ran.err.count("\n") == 1, ran.text()


def test_places_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for option, place in (("--checkpoint", "file"), ("--log", "no/log"), ("--plot", "no/plot"), ("--monitor", "mae")):
        where = place if option == "--monitor" else tmp_path / place
        line = command(folder, tmp_path / "out.onnx", "--epochs", "1")
        if option == "--monitor":
            line[line.index("--monitor") + 1] = "mae"
        else:
            line += [option, str(where)]
        ran = nacre(*line, ok=False)
        assert ran.status == 1 and str(where) in ran.err and ran.err.count("\n") == 1, ran.text()
    assert names(tmp_path) == ["file"]


def test_validation_is_needed(folder: Path, tmp_path: Path) -> None:
    line = ["train", folder / "m.onnx", "--data", folder / "digits.npz", "-o", tmp_path / "out.onnx", "--patience", "2"]
    ran = nacre(*line, ok=False)
    assert ran.status == 2 and "--valid" in ran.err


def test_two_trainings_in_one_folder(folder: Path, tmp_path: Path) -> None:
    """The second is refused while the first runs; however that ends, nothing is left of its lock."""
    endless = [NACRE, "train", folder / "m.onnx", "--data", folder / "digits.npz", "--epochs", "1000000"]
    endless += ["-o", tmp_path / "a.onnx", "--checkpoint", tmp_path / "run", "--resume"]
    running = subprocess.Popen(list(map(str, endless)), stdout=subprocess.PIPE, text=True)
    assert running.stdout
    for _ in range(3):
        running.stdout.readline()
    other = [*endless[1:-1], "--resume"]
    ran = nacre(*other, ok=False)
    running.kill()
    running.communicate()
    assert ran.status == 1 and "another training writes its checkpoints there" in ran.err, ran.text()
    other[other.index("1000000")] = "1"
    nacre(*other)
    assert all(file.name.startswith("step-") for file in (tmp_path / "run").iterdir())
