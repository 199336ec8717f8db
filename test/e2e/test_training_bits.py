"""One training, whoever steps it: the same losses and weights to the bit, in one process and another, on one
thread and two, one after the other and at once, just in time, in `nacre train`, and from C with no compiler."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from support import BUILD, module, nacre
from torch import nn

STEPS, BATCH, RATE = 12, 40, 0.01
LOSS, OPTIMIZER = "softmax-cross-entropy:label_smoothing=0.1", "adam"


class Mixed(nn.Module):
    """Whatever sums in an order of its own: products, convolutions, attention, normalisations, a recurrence, sums
    of the same rows of an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
        self.embed = nn.Embedding(5, 24)
        self.block = nn.TransformerEncoderLayer(24, 3, 32, 0.0, batch_first=True)
        self.lstm = nn.LSTM(24, 16, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        rows = self.convolutions(x).transpose(1, 2).flatten(2)  # [batch, 8, 6 * 4]
        return self.head(self.lstm(self.block(rows + self.embed(words)))[0][:, -1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, m.so with its header, data.npz and the same as raw files."""
    folder = tmp_path_factory.mktemp("bits")
    torch.manual_seed(4)
    x, words = torch.randn(BATCH, 1, 16, 8), torch.randint(0, 5, (BATCH, 8))
    torch.onnx.export(
        Mixed().train(), (x[:3], words[:3]), folder / "m.onnx", dynamo=False, input_names=["x", "words"],
        output_names=["y"], dynamic_axes={n: {0: "N"} for n in ("x", "words", "y")},
        training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
    )  # fmt: skip
    data = {"x": x.numpy(), "words": words.numpy(), "labels": np.arange(BATCH) % 4}
    np.savez(folder / "data.npz", **data)
    for name, array in data.items():
        array.tofile(folder / f"{name}.raw")
    nacre("compile", folder / "m.onnx", "--train", LOSS, "--optimizer", OPTIMIZER, "-o", folder / "m.so")
    return folder


def make(folder: Path, threads: int = 2) -> Any:
    return module().Trainer(folder / "m.onnx", LOSS, OPTIMIZER, threads=threads, cache_dir=folder / "cache")


def steps(trainer: Any, folder: Path) -> tuple[list[float], dict[str, bytes]]:
    """The losses, and what becomes of all that is trained, the optimizer's state too."""
    with np.load(folder / "data.npz") as data:
        batch = dict(data)
    losses = [trainer.step(batch, RATE) for _ in range(STEPS)]
    model = trainer.model
    return losses, {name: model.read_parameter(name).tobytes() for name in model.parameters}


@pytest.fixture(scope="module")
def expected(folder: Path) -> tuple[list[float], dict[str, bytes]]:
    losses, weights = steps(make(folder), folder)
    assert losses[-1] < losses[0] and len(set(losses)) == STEPS
    return losses, weights


def test_again_in_one_process(folder: Path, expected: Any) -> None:
    for threads in (1, 2, 3):
        assert steps(make(folder, threads), folder) == expected
    # On a session that has trained already, and has buffers to reuse.
    trainer = make(folder)
    start = {name: trainer.model.read_parameter(name) for name in trainer.model.parameters}
    steps(trainer, folder)
    for name, value in start.items():
        trainer.model.write_parameter(name, value)
    assert steps(trainer, folder) == expected


def test_at_once_in_one_process(folder: Path, expected: Any) -> None:
    trainers = [make(folder, threads) for threads in (1, 2, 2)]
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda trainer: steps(trainer, folder), trainers):
            assert found == expected


_STEPS = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
import test_training_bits as test
losses, weights = test.steps(test.make(Path(sys.argv[3]), int(sys.argv[4])), Path(sys.argv[3]))
print([loss.hex() for loss in losses], sorted((name, value.hex()) for name, value in weights.items()))
"""


def test_in_other_processes(folder: Path, expected: Any) -> None:
    here = str(Path(__file__).parent)
    losses, weights = expected
    wanted = f"{[loss.hex() for loss in losses]} {sorted((name, value.hex()) for name, value in weights.items())}\n"
    for threads in ("1", "2"):
        line = [sys.executable, "-c", _STEPS, str(BUILD / "python"), here, str(folder), threads]
        assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == wanted


def test_ahead_of_time(folder: Path, expected: Any) -> None:
    with np.load(folder / "data.npz") as data:
        feeds = dict(data) | {"learning_rate": np.float32(RATE)}
    for threads in (1, 2):
        model = module().load(folder / "m.so", threads=threads)
        assert [float(model.run(feeds, function="step")[0]) for _ in range(STEPS)] == expected[0]
        assert {name: model.read_parameter(name).tobytes() for name in model.parameters} == expected[1]


_C = """
#include "m.h"
#include <stdio.h>
enum { batch = %(batch)d };
static float x[batch * 16 * 8];
static int64_t words[batch * 8], labels[batch];
static int fill(const char *name, void *data, size_t size) {
  FILE *file = fopen(name, "rb");
  int good = file && fread(data, 1, size, file) == size;
  if (file) fclose(file);
  return good;
}
int main(void) {
  const float rate = %(rate)sf;
  float loss = 0;
  m *model = m_create(%(threads)d);
  if (!model || !fill("x.raw", x, sizeof x) || !fill("words.raw", words, sizeof words) ||
      !fill("labels.raw", labels, sizeof labels))
    return puts("cannot begin"), 1;
  for (int step = 0; step < %(steps)d; ++step) {
    m_step_args args = {.N = batch, .labels_dim0 = batch, .x = x, .words = words, .labels = labels,
                        .learning_rate = &rate, .loss = &loss};
    if (m_step(model, &args) != 0)
      return puts(m_last_error()), 1;
    printf("%%a\\n", loss);
  }
  if (m_save(model, "c.safetensors") != 0)
    return puts(m_last_error()), 1;
  m_destroy(model);
  return 0;
}
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_from_c(folder: Path, tmp_path: Path, expected: Any, threads: int) -> None:
    for path in (*folder.glob("m.*"), *folder.glob("*.raw")):
        shutil.copy(path, tmp_path)
    (tmp_path / "c.c").write_text(_C % {"batch": BATCH, "rate": RATE, "threads": threads, "steps": STEPS})
    subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "c.c", "./m.so", "-o", "c"], cwd=tmp_path, check=True)
    ran = subprocess.run(["./c"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [float.fromhex(line) for line in ran.stdout.split()] == expected[0]
    # All that it has saved is what the compiler's own process came to.
    size = struct.unpack("<Q", (tmp_path / "c.safetensors").read_bytes()[:8])[0]
    content = (tmp_path / "c.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + size])
    tensors = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    saved = {name: content[8 + size + begin : 8 + size + end] for name, (begin, end) in tensors.items()}
    assert saved == {name: value for name, value in expected[1].items() if name in saved}
    assert saved.keys() >= {"head.weight", "head.weight.exp_avg"}


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_command(folder: Path, tmp_path: Path, expected: Any, threads: str) -> None:
    """Whose only batch is in another order: shuffled as it is, so is the reference."""
    options = ["--loss", LOSS, "--optimizer", f"{OPTIMIZER}:lr={RATE}", "--batch-size", str(BATCH), "--threads", threads]
    options += ["--epochs", str(STEPS), "--log", tmp_path / "log", "--log-every", "1", "--seed", "3"]
    nacre("train", folder / "m.onnx", "--data", folder / "data.npz", "-o", tmp_path / "out.onnx", *options)
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["event"] == "step"]
    trainer = make(folder)
    with np.load(folder / "data.npz") as data:
        labels = data["labels"]
        inputs = {name: data[name] for name in ("x", "words")}
    history = trainer.fit(inputs, labels, BATCH, STEPS, learning_rate=RATE, seed=3, verbose=False)
    assert history["loss"] == losses and losses[0] == pytest.approx(expected[0][0], rel=1e-6)
    for tensor in onnx.load(tmp_path / "out.onnx").graph.initializer:
        if tensor.name in trainer.model.parameters:
            value = onnx.numpy_helper.to_array(tensor)
            assert value.tobytes() == trainer.model.read_parameter(tensor.name).tobytes(), tensor.name
