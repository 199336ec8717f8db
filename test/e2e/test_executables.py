"""Models that are programs: .npy files in and out, what they refuse, and trainings without a compiler."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
import small_models
from support import nacre
from test_ahead_of_time import X, reference, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    small_models.save_perceptron(folder / "digits.onnx", 64, 10)
    return folder


@pytest.mark.parametrize("options", [[], ["--input-shape", "data=3x64"]])
def test_executable(folder: Path, tmp_path: Path, options: list[str]) -> None:
    program = tmp_path / "digits"
    nacre("compile", folder / "digits.onnx", "--emit=executable", "-o", program, *options)
    shape = "f32[3, 64]" if options else "f32[N, 64]"
    assert f"input  data: {shape}" in run(program, "--help")
    expected = reference(folder / "digits.onnx", data=X)[0]
    for name, array in (("c", X), ("fortran", np.asfortranarray(X))):
        np.save(tmp_path / f"{name}.npy", array)
        out = run(program, f"--input=data={tmp_path / name}.npy", "--output-dir", tmp_path / name, "--threads", "2")
        assert "logits.npy: f32[3, 10]" in out
        result = np.load(tmp_path / name / "logits.npy")
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_executable_of_many_types(tmp_path: Path) -> None:
    text = small_models.HEAD + (
        "echo (double[2] wide, int64[2] whole, bool[2] truth, float16[1] half)"
        " => (double[2] wide_out, int64[2] whole_out, bool[2] truth_out, float16[1] half_out) {"
        " wide_out = Neg (wide) whole_out = Neg (whole) truth_out = Not (truth) half_out = Neg (half) }"
    )
    small_models.save(text, tmp_path / "echo.onnx")
    nacre("compile", tmp_path / "echo.onnx", "--emit=executable")
    inputs = {
        "wide": np.array([np.pi, -1e300]),
        "whole": np.array([2**62 + 1, -5]),
        "truth": np.array([True, False]),
        "half": np.array([0.5], np.float16),
    }
    options = []
    for name, value in inputs.items():
        np.save(tmp_path / f"{name}.npy", value)
        options += ["--input", f"{name}={tmp_path / name}.npy"]
    run(tmp_path / "echo", *options, "--output-dir", tmp_path / "out")
    for name, value in inputs.items():
        result = np.load(tmp_path / "out" / f"{name}_out.npy")
        np.testing.assert_array_equal(result, ~value if name == "truth" else -value, strict=True)


def test_executable_refuses(folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "digits"
    nacre("compile", folder / "digits.onnx", "--emit=executable", "-o", program)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "wide.npy", X.astype(np.float64))
    np.save(tmp_path / "thin.npy", X[:, :5])
    (tmp_path / "short.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-4])
    (tmp_path / "text.npy").write_text("no array")
    good = f"--input=data={tmp_path / 'x.npy'}"
    for arguments, status, message in (
        ([], 1, "input 'data' is missing"),
        (["--input", "data"], 2, "expected NAME=FILE.npy"),
        (["--input", "date=x.npy"], 1, "has no input 'date'"),
        ([good, good], 1, "given twice"),
        (["--frobnicate"], 2, "unknown argument '--frobnicate'"),
        (["--threads", "many", good], 2, "expected a number"),
        (["--input", f"data={tmp_path / 'absent.npy'}"], 1, "No such file"),
        (["--input", f"data={tmp_path}"], 1, "not a regular file"),
        (["--input", f"data={tmp_path / 'wide.npy'}"], 1, "'<f8'"),
        (["--input", f"data={tmp_path / 'thin.npy'}"], 1, "dimension 1 is 5, expected 64"),
        (["--input", f"data={tmp_path / 'short.npy'}"], 1, "truncated"),
        (["--input", f"data={tmp_path / 'text.npy'}"], 1, "not a .npy file"),
        ([good, "--output-dir", "/dev/null/x"], 1, "Not a directory"),
    ):
        done = subprocess.run([str(program), *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert message in done.stderr and done.stderr.startswith(f"{program}: error: "), done
        assert done.stderr.count("\n") == 1
    # Any byte of a file changed, or cut: a message or the array, never a crash.
    whole = (tmp_path / "x.npy").read_bytes()
    for position in range(0, 128, 2):
        for content in (whole[:position], whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :]):
            (tmp_path / "odd.npy").write_bytes(content)
            command = [str(program), f"--input=data={tmp_path / 'odd.npy'}", "--output-dir", str(tmp_path / "odd")]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode in (0, 1), (position, done)
    # A program that was altered says so before it runs.
    content = bytearray(program.read_bytes())
    content[content.index(b"logits\0")] ^= 0x20
    altered = tmp_path / "altered"
    altered.write_bytes(content)
    altered.chmod(0o755)
    done = subprocess.run([str(altered), good], capture_output=True, text=True)
    assert done.returncode == 1 and "altered" in done.stderr


def test_executable_trains(folder: Path, tmp_path: Path) -> None:
    """To the same bits as `nacre train`."""
    program = tmp_path / "digits"
    model = folder / "digits.onnx"
    nacre("compile", model, "--train", "softmax-cross-entropy", "--emit=executable", "-o", program)
    random = np.random.default_rng(3)
    x = random.normal(0, 1, (70, 64)).astype(np.float32)
    labels = x[:, :10].argmax(axis=1)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "labels.npy", labels)
    np.savez(tmp_path / "data.npz", data=x, labels=labels)
    inputs = [f"--input=data={tmp_path / 'x.npy'}", f"--input=labels={tmp_path / 'labels.npy'}"]
    settings = ["--epochs", "5", "--batch-size", "16", "--seed", "12345678901"]
    out = run(program, "train", *inputs, *settings, "--learning-rate", "0.05", "--output-dir", tmp_path / "w")
    losses = [float(line.split()[-1]) for line in out.splitlines()]
    assert len(losses) == 5 and losses[-1] < losses[0]
    nacre("train", model, "--data", tmp_path / "data.npz", "-o", tmp_path / "trained.onnx", *settings, "--optimizer", "sgd:lr=0.05")
    for initializer in onnx.load(tmp_path / "trained.onnx").graph.initializer:
        written = np.load(tmp_path / "w" / f"{initializer.name}.npy")
        np.testing.assert_array_equal(written, onnx.numpy_helper.to_array(initializer), strict=True)
    # Another optimiser, along a schedule.
    adam = tmp_path / "adam"
    nacre("compile", model, "--train", "softmax-cross-entropy:label_smoothing=0.1", "--optimizer", "adamw", "--emit=executable", "-o", adam)
    schedule = ["--schedule", "one-cycle:div_factor=5"]
    run(adam, "train", *inputs, *settings, *schedule, "--learning-rate", "0.02", "--output-dir", tmp_path / "a")
    options = ["--loss", "softmax-cross-entropy:label_smoothing=0.1", "--optimizer", "adamw:lr=0.02"]
    nacre("train", model, "--data", tmp_path / "data.npz", "-o", tmp_path / "adam.onnx", *settings, *options, *schedule)
    for initializer in onnx.load(tmp_path / "adam.onnx").graph.initializer:
        written = np.load(tmp_path / "a" / f"{initializer.name}.npy")
        np.testing.assert_array_equal(written, onnx.numpy_helper.to_array(initializer), strict=True)
        assert (tmp_path / "a" / f"{initializer.name}.exp_avg_sq.npy").exists()
    # All examples at once, however many are asked for.
    run(program, "train", *inputs, "--epochs", "1", "--batch-size", "9000000000000000000", "--output-dir", tmp_path / "all")
    # The weights go into a run.
    run(program, inputs[0], "--weights", tmp_path / "w", "--output-dir", tmp_path)
    expected = reference(tmp_path / "trained.onnx", data=x)[0]
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-5)
    plain = tmp_path / "plain"
    nacre("compile", model, "--emit=executable", "-o", plain)
    for arguments, status, message in (
        ([plain, "train", *inputs], 1, "not compiled for training"),
        ([plain, "--epochs", "3"], 2, "unknown argument '--epochs'"),
        ([program, "train", inputs[0]], 1, "input 'labels' is missing"),
        ([program, "train", *inputs, "--learning-rate", "fast"], 2, "expected a number above 0"),
        ([program, "train", *inputs, "--schedule", "cosin"], 2, "unknown schedule 'cosin', expected constant, step"),
        ([program, "train", *inputs, "--learning-rate", "1e30"], 1, "the loss became"),
        ([program, inputs[0], "--weights", tmp_path / "absent"], 1, "No such file"),
    ):
        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == status and message in done.stderr, (arguments, done)


def test_executable_validates(folder: Path, tmp_path: Path) -> None:
    """On other examples, as `nacre train --valid`; nothing is trained on them."""
    program = tmp_path / "digits"
    model = folder / "digits.onnx"
    nacre("compile", model, "--train", "softmax-cross-entropy", "--emit=executable", "-o", program)
    random = np.random.default_rng(4)
    arguments: dict[str, list[str]] = {}
    for option, count in (("input", 70), ("valid", 45)):
        x = random.normal(0, 1, (count, 64)).astype(np.float32)
        arrays = {"data": x, "labels": x[:, :10].argmax(axis=1)}
        np.savez(tmp_path / f"{option}.npz", **arrays)
        for name, array in arrays.items():
            np.save(tmp_path / f"{option}-{name}.npy", array)
        arguments[option] = [f"--{option}={name}={tmp_path / f'{option}-{name}.npy'}" for name in arrays]
    settings = ["--epochs", "4", "--batch-size", "16", "--seed", "7"]
    train = [program, "train", *arguments["input"], *settings, "--learning-rate", "0.05"]
    out = run(*train, *arguments["valid"], "--save", tmp_path / "with")
    lines = [line.partition(": ")[2] for line in out.splitlines()]
    run(*train, "--save", tmp_path / "without")
    assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()
    data = ["--data", tmp_path / "input.npz", "--valid", tmp_path / "valid.npz", "--optimizer", "sgd:lr=0.05"]
    ran = nacre("train", model, *data, *settings, "-o", tmp_path / "out.onnx", "--json")
    epochs = json.loads(ran.out)["epochs"]
    assert lines == [f"loss {epoch['loss']:.4f}, val_loss {epoch['val_loss']:.4f}" for epoch in epochs]
    assert len({epoch["val_loss"] for epoch in epochs}) == 4
    for options, status, message in (
        (arguments["valid"][:1], 1, "input 'labels' is missing: --valid labels=FILE.npy"),
        (["--valid", "data"], 2, "--valid data: expected NAME=FILE.npy"),
        ([*arguments["valid"][:1], f"--valid=labels={tmp_path / 'input-labels.npy'}"], 1,
         "--valid: input 'labels' has 70 examples, another has 45"),
    ):  # fmt: skip
        done = subprocess.run([str(a) for a in (*train, *options)], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == status and message in done.stderr, (options, done)


def test_executable_goes_on(folder: Path, tmp_path: Path) -> None:
    """From its checkpoint, however it ended, to the same bits; and with weights from elsewhere."""
    program = tmp_path / "digits"
    model = folder / "digits.onnx"
    nacre("compile", model, "--train", "softmax-cross-entropy", "--optimizer", "adam", "--emit=executable", "-o", program)
    random = np.random.default_rng(3)
    x = random.normal(0, 1, (70, 64)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "labels.npy", x[:, :10].argmax(axis=1))
    inputs = [f"--input=data={tmp_path / 'x.npy'}", f"--input=labels={tmp_path / 'labels.npy'}"]
    # The rate falls in every other epoch, whatever the loss: the schedule's state matters.
    settings = ["--batch-size=16", "--seed=5", "--learning-rate=0.01", "--schedule=plateau:patience=1,threshold=0.9"]
    command = [program, "train", *inputs, *settings]

    def train(epochs: int, checkpoint: str, *options: str | Path) -> str:
        return run(*command, "--epochs", str(epochs), "--checkpoint", tmp_path / checkpoint, *options)

    def saved(epochs: int) -> bytes:
        file = tmp_path / f"{epochs}.safetensors"
        run(*command, "--epochs", str(epochs), "--save", file)
        return file.read_bytes()

    before = set(tmp_path.iterdir())
    assert len(train(3, "run", "--resume", "--save", tmp_path / "three").splitlines()) == 3
    assert set(tmp_path.iterdir()) - before == {tmp_path / "run", tmp_path / "three"}
    out = train(7, "run", "--resume", "--save", tmp_path / "seven").splitlines()
    assert out[0] == "resumed after epoch 3" and len(out) == 5
    assert (tmp_path / "three").read_bytes() == saved(3)
    assert (tmp_path / "seven").read_bytes() == saved(7) != saved(3)
    assert train(7, "run", "--resume", "--save", tmp_path / "again").splitlines() == ["resumed after epoch 7"]
    assert (tmp_path / "again").read_bytes() == saved(7)
    # Killed in the middle.
    endless = [*command, "--epochs", "1000000", "--checkpoint", tmp_path / "killed"]
    running = subprocess.Popen(list(map(str, endless)), stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert running.stdout
    for _ in range(20):
        running.stdout.readline()
    running.kill()
    running.communicate()
    out = train(1, "killed", "--resume", "--save", tmp_path / "killed.safetensors").splitlines()
    done = int(out[0].removeprefix("resumed after epoch "))
    assert done >= 19
    assert (tmp_path / "killed.safetensors").read_bytes() == saved(done)
    # Weights alone, from another tool; and a run with those that were trained.
    theirs = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}
    safetensors.numpy.save_file(theirs, tmp_path / "theirs.safetensors")
    run(*command, "--epochs", "3", "--load", tmp_path / "theirs.safetensors", "--save", tmp_path / "same")
    assert (tmp_path / "same").read_bytes() == saved(3)
    run(program, inputs[0], "--load", tmp_path / "seven", "--output-dir", tmp_path)
    trained, changed = safetensors.numpy.load_file(tmp_path / "seven"), onnx.load(model)
    for initializer in changed.graph.initializer:
        initializer.CopyFrom(onnx.numpy_helper.from_array(trained[initializer.name], initializer.name))
    onnx.save(changed, tmp_path / "changed.onnx")
    expected = reference(tmp_path / "changed.onnx", data=x)[0]
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-5)
    np.save(tmp_path / "other.npy", x + 1)
    (tmp_path / "damaged").write_bytes((tmp_path / "run").read_bytes()[:-4])
    checkpoint = ["--resume", "--checkpoint", tmp_path / "run"]
    for arguments, status, message in (
        ([*command, "--resume"], 2, "--resume: expected --checkpoint"),
        ([program, inputs[0], "--checkpoint", "x"], 2, "unknown argument '--checkpoint'"),
        ([*command, "--seed", "6", *checkpoint], 1, "was made with --batch-size 16 --seed 5"),
        ([program, "train", f"--input=data={tmp_path / 'other.npy'}", inputs[1], *settings, *checkpoint], 1, "of the hash"),
        ([*command, "--resume", "--checkpoint", tmp_path / "seven"], 1, "is no checkpoint of this program"),
        ([*command, "--resume", "--checkpoint", tmp_path / "damaged"], 1, "damaged"),
        ([*command, "--load", tmp_path / "absent"], 1, "absent"),
        ([*command, "--epochs", "1", "--save", tmp_path / "no/such"], 1, "no/such: cannot be written: No such file"),
        ([*command, "--epochs", "1", "--save", tmp_path], 1, "is a folder, expected a file's name"),
    ):
        ran = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, cwd=tmp_path)
        assert ran.returncode == status and message in ran.stderr, (arguments, ran)
        assert "epoch" not in ran.stdout, "it has trained before it says so"
    # A training is worth more than its checkpoints.
    ran = subprocess.run([*map(str, command), "--epochs=2", f"--checkpoint={tmp_path}/no/such"], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0 and ran.stderr.count("the training goes on") == 2, ran
