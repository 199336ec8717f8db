"""Tuning: the same results, what was learnt kept and used again, decisions in the provenance. No test depends on what is faster."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import NACRE, Ran, module, nacre

# A convolution that Winograd is chosen for, one without windows, a depthwise one, and a product.
TEXT = """<ir_version: 10, opset_import: ["" : 21]>
net (float[1, 32, 28, 28] x) => (float[1, 200] y) {
  a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w0)
  b = Relu (a)
  c = Conv <kernel_shape = [1, 1]> (b, w1)
  d = Relu (c)
  e = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 64> (d, w2)
  s = Add (e, d)
  f = Flatten (s)
  r = Constant <value_ints = [1, 64, 784]> ()
  g = Reshape (f, r)
  axis = Constant <value_ints = [2]> ()
  m = ReduceMean <keepdims = 0> (g, axis)
  y = MatMul (m, w3)
}"""
WEIGHTS = {"w0": (32, 32, 3, 3), "w1": (64, 32, 1, 1), "w2": (64, 1, 3, 3), "w3": (64, 200)}
OPEN = """<ir_version: 10, opset_import: ["" : 21]>
net (float[batch, 256] x) => (float[batch, 512] y) { h = MatMul (x, w0) y = Relu (h) }"""


def save(path: Path, text: str, shapes: dict[str, tuple[int, ...]]) -> Path:
    model = onnx.parser.parse_model(text)
    random = np.random.default_rng(1)
    for name, shape in shapes.items():
        value = random.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("tune") / "net.onnx", TEXT, WEIGHTS)


@pytest.fixture(scope="module")
def open_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("tune") / "open.onnx", OPEN, {"w0": (256, 512)})


def compile_net(net: Path, artifact: Path, *options: str | Path) -> dict:
    """What it says of tuning."""
    artifact.parent.mkdir(exist_ok=True)
    summary = json.loads(nacre("compile", net, "-o", artifact, "--json", *options).out)
    return summary.get("tuning", {})


def decisions_of(artifact: Path) -> dict[str, str]:
    return json.loads(nacre("info", artifact, "--json").out)["provenance"]["tuning"]["decisions"]


def entries_of(cache: Path) -> list[str]:
    kernels = json.loads(nacre("cache", "list", "--cache-dir", cache, "--json").out)["kernels"]
    return [kernel["name"] for kernel in kernels if kernel["name"].startswith("tuning of ")]


def choices_of(net: Path) -> list[tuple[str, str, list[str]]]:
    """Keys of the kernels' choices, what the models chose, and what else there is."""
    text = nacre("compile", net, "--no-cache", "--tune", "0s", "--stop-after", "tile").out
    found = re.findall(r'\{chosen = "([^"]*)", key = "([^"]*)",(?: open,)? others = \[([^\]]*)\]', text)
    return [(key, chosen, re.findall(r'"([^"]*)"', others)) for chosen, key, others in found]


def run(artifact: Path) -> np.ndarray:
    x = np.random.default_rng(2).normal(0, 1, (1, 32, 28, 28)).astype(np.float32)
    return module().load(artifact, threads=2)(x)


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(actual - expected).max() <= 2e-6 * np.ptp(expected)


@pytest.fixture(scope="module")
def tuned(net: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the model was before, what it is when it is tuned for two threads, and the cache."""
    folder = tmp_path_factory.mktemp("tuned")
    cache = folder / "cache"
    compile_net(net, folder / "before" / "m.so", "--cache-dir", cache)
    summary = compile_net(net, folder / "tuned" / "m.so", "--cache-dir", cache, "--tune", "120s", "--threads", "2")
    assert summary["choices"] == 4 and summary["known"] == 0 and summary["measured"] >= 1, summary
    assert summary["changed"] == len(decisions_of(folder / "tuned" / "m.so"))
    return folder


@pytest.fixture
def cache(tuned: Path, tmp_path: Path) -> Path:
    """A copy of what was learnt."""
    copy = tmp_path / "cache"
    shutil.copytree(tuned / "cache", copy)
    return copy


def test_tuned(net: Path, tuned: Path, cache: Path, tmp_path: Path) -> None:
    """The same results; known the next time; the same file without measuring, and from the decisions alone."""
    decisions = decisions_of(tuned / "tuned" / "m.so")
    assert_same(run(tuned / "tuned" / "m.so"), run(tuned / "before" / "m.so"))
    entries = entries_of(cache)
    assert len(entries) >= max(1, len(decisions))

    known = compile_net(net, tmp_path / "known" / "m.so", "--cache-dir", cache, "--tune", "0s", "--threads", "2")
    assert known["measured"] == 0 and known["known"] >= 1 and known["changed"] == len(decisions), known
    assert (tmp_path / "known" / "m.so").read_bytes() == (tuned / "tuned" / "m.so").read_bytes()
    # For one thread nothing was learnt.
    other = compile_net(net, tmp_path / "other" / "m.so", "--cache-dir", cache, "--tune", "0s", "--threads", "1")
    assert other["known"] == 0 and other["changed"] == 0

    info = tmp_path / "info.json"
    info.write_text(nacre("info", tuned / "tuned" / "m.so", "--json").out)
    compile_net(net, tmp_path / "again" / "m.so", "--no-cache", "--decisions", info)
    assert (tmp_path / "again" / "m.so").read_bytes() == (tuned / "tuned" / "m.so").read_bytes()
    # Without --tune nothing depends on what the cache has learnt.
    compile_net(net, tmp_path / "after" / "m.so", "--cache-dir", cache)
    assert (tmp_path / "after" / "m.so").read_bytes() == (tuned / "before" / "m.so").read_bytes()
    assert entries_of(cache) == entries and "tuning" not in nacre("info", tmp_path / "after" / "m.so").out


def test_each_decision(net: Path, tmp_path: Path) -> None:
    """Whatever is decided, of all kernels at once: the code does it, the provenance says it, the results are the same."""
    choices = choices_of(net)
    kinds = {key.split(".")[0] for key, _, others in choices if others}
    assert kinds == {"tiles", "winograd"}
    compile_net(net, tmp_path / "plain.so")
    plain = run(tmp_path / "plain.so")
    trials = 0
    for kind in ("winograd", "tiles"):  # another algorithm has other tiles
        of_kind = [(key, others) for key, _, others in choices if key.startswith(kind)]
        for trial in range(max(len(others) for _, others in of_kind)):
            given = {key: others[trial] for key, others in of_kind if trial < len(others)}
            file = tmp_path / "decisions.json"
            file.write_text(json.dumps({"tuning": {"decisions": given}}))
            compile_net(net, tmp_path / f"m{trials}.so", "--decisions", file)
            assert decisions_of(tmp_path / f"m{trials}.so") == given
            assert_same(run(tmp_path / f"m{trials}.so"), plain)
            text = nacre("compile", net, "--stop-after", "tile", "--decisions", file).out
            assert all(f'chosen = "{choice}", key = "{key}"' in text for key, choice in given.items())
            trials += 1
    assert trials >= 3


def test_exact_convolutions_stay_exact(net: Path) -> None:
    text = nacre("compile", net, "--no-cache", "--tune", "0s", "--exact-conv", "--stop-after", "tile").out
    assert "tiles." in text and "winograd" not in text


def test_no_time(net: Path, tmp_path: Path) -> None:
    """A first run is made, and a message says that there was no time for more."""
    ran = nacre("compile", net, "-o", tmp_path / "m.so", "--cache-dir", tmp_path / "cache", "--tune", "0.001s")
    assert "0 candidates measured" in ran.err and "the limit left no time to measure a candidate" in ran.err
    assert entries_of(tmp_path / "cache") == [] and decisions_of(tmp_path / "m.so") == {}


@pytest.mark.parametrize("rows", [0, 1, 2, 100])
def test_indices(rows: int, tmp_path: Path) -> None:
    """Random integers are indices that the model takes, however few there are; if there is none, that is said."""
    text = """<ir_version: 10, opset_import: ["" : 21]>
    net (int64[4, 32] ids) => (float[4, 32, 64] y) { e = Gather (table, ids) y = MatMul (e, w) }"""
    net = save(tmp_path / "net.onnx", text, {"table": (rows, 64), "w": (64, 64)})
    ran = nacre("compile", net, "-o", tmp_path / "m.so", "--no-cache", "--tune", "0.001s", ok=rows > 0)
    assert (tmp_path / "m.so").exists() == (rows > 0)
    expected = "0 candidates measured" if rows else "cannot be tuned on random inputs: node"
    assert expected in ran.err and (ran.status == 0) == (rows > 0), ran.text()


def test_no_random_values(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 21]>
    net (string[N] x, float[N, 64] z) => (string[N] y, float[N, 64] a) { y = Identity (x) a = MatMul (z, w) }"""
    net = save(tmp_path / "net.onnx", text, {"w": (64, 64)})
    ran = nacre("compile", net, "-o", tmp_path / "m.so", "--tune", "1s", ok=False)
    assert ran.status == 1 and "there are no random values for the input 'x'" in ran.err, ran.text()
    assert not (tmp_path / "m.so").exists()


def test_damaged_entries(net: Path, cache: Path, tmp_path: Path) -> None:
    kernels = json.loads(nacre("cache", "list", "--cache-dir", cache, "--json").out)["kernels"]
    for kernel in kernels:
        if kernel["name"].startswith("tuning of "):
            path = cache / kernel["file"]
            path.write_bytes(path.read_bytes()[:-2])
    summary = compile_net(net, tmp_path / "m.so", "--cache-dir", cache, "--tune", "0s", "--threads", "2")
    assert summary["known"] == 0 and decisions_of(tmp_path / "m.so") == {}


def test_open_sizes(open_net: Path, tmp_path: Path) -> None:
    """What is measured at a size holds for runs at it."""
    cache = tmp_path / "cache"
    options = ["--cache-dir", cache, "--size", "batch=48"]
    tuned = compile_net(open_net, tmp_path / "m.so", *options, "--tune", "60s")
    assert tuned["choices"] == 1 and tuned["measured"] >= 1
    assert compile_net(open_net, tmp_path / "k.so", *options, "--tune", "0s")["known"] == 1
    assert compile_net(open_net, tmp_path / "k.so", "--cache-dir", cache, "--tune", "0s")["known"] == 0
    model = module().load(tmp_path / "m.so")
    weights = onnx.numpy_helper.to_array(onnx.load(open_net).graph.initializer[0])
    for rows in (1, 7, 48, 200):
        x = np.random.default_rng(rows).normal(0, 1, (rows, 256)).astype(np.float32)
        np.testing.assert_allclose(model(x), np.maximum(x @ weights, 0), rtol=1e-4, atol=1e-4)


def test_python(net: Path, cache: Path, tmp_path: Path) -> None:
    nacre_module = module()
    x = np.random.default_rng(2).normal(0, 1, (1, 32, 28, 28)).astype(np.float32)
    plain = nacre_module.compile(net, threads=2, cache_dir=tmp_path)
    assert "tuning" not in plain.provenance
    tuned = nacre_module.compile(net, threads=2, cache_dir=cache, tune=60)
    assert_same(tuned(x), plain(x))
    decisions = tuned.provenance["tuning"]["decisions"]
    known = nacre_module.compile(net, threads=2, cache_dir=cache, tune=0)
    assert known.provenance["tuning"]["decisions"] == decisions
    again = nacre_module.compile(net, cache_dir="", decisions=decisions)
    assert again.provenance == tuned.provenance
    np.testing.assert_array_equal(again(x), tuned(x))
    nacre_module.compile_to_file(net, tmp_path / "m.so", cache_dir=cache, tune=0, tune_threads=2)
    assert decisions_of(tmp_path / "m.so") == decisions
    with pytest.raises(ValueError, match="which is not asked for"):
        nacre_module.compile(net, tune_sizes={"batch": 8})
    with pytest.raises(nacre_module.CompileError, match="no kernel of the model can be decided"):
        nacre_module.compile(net, decisions={"tiles.0": "1x1"})
    with pytest.raises(ValueError, match="less than 0"):
        nacre_module.compile(net, tune=-1)


def test_cancelled(net: Path, tmp_path: Path) -> None:
    """What ends a compilation ends tuning, too, and nothing is learnt of what was not confirmed."""

    class Enough(Exception):
        pass

    def stop(line: str) -> None:
        if "candidate" in line:
            raise Enough

    start = time.monotonic()
    with pytest.raises(Enough):
        module().compile(net, cache_dir=tmp_path / "cache", tune=1000, log=stop)
    assert time.monotonic() - start < 100
    assert entries_of(tmp_path / "cache") == []


def test_interrupted(net: Path, tmp_path: Path) -> None:
    """Ctrl-C: no file, no candidate's folder, nothing learnt; the process dies of the signal."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    command = [NACRE, "compile", net, "-o", tmp_path / "m.so", "--cache-dir", tmp_path / "cache", "--tune", "1000s", "--verbose"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder)}) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("tuning") and "candidate" in line:
                break
        process.send_signal(signal.SIGINT)
        assert "interrupted: nothing was written" in process.stderr.read()
    assert process.returncode == -signal.SIGINT
    assert not (tmp_path / "m.so").exists() and list(folder.iterdir()) == []
    assert entries_of(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tune", "soon"], "--tune soon: expected a time, 60s or 5m"),
        (["--tune", "-1s"], "--tune -1s: expected a time"),
        (["--threads", "2"], "say how --tune measures, which is not asked for"),
        (["--tune", "1s", "--size", "batch"], "--size batch: expected symbol=size"),
        (["--tune", "1s", "--size", "batch=8"], "cannot be tuned for the size 8 of 'batch': no open dimension of an input has that name"),
        (["--tune", "1s", "--train", "mse"], "a model that is trained is not tuned"),
        (["--tune", "1s", "--target-cpu", "x86-64-v3,x86-64-v4"], "what is tuned is for one CPU, not for several"),
        (["--tune", "1s", "--target-triple", "aarch64-linux-gnu", "--emit", "object"], "cannot tune for aarch64"),
        (["--decisions", "missing.json"], "--decisions missing.json: cannot be read"),
    ],
)  # fmt: skip
def test_refused(net: Path, tmp_path: Path, options: list[str], message: str) -> None:
    ran = nacre("compile", net, "-o", tmp_path / "m.so", *options, ok=False)
    assert ran.status in (1, 2) and message in ran.err, ran.text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "has no decisions"),
        ('{"provenance": {}}', "has no decisions"),
        ('{"tuning": {"decisions": {"tiles.0": 1}}}', "the decision 'tiles.0' is no text"),
        ('{"tuning": {"decisions": {"tiles.0": "1x1"}}}', "no kernel of the model can be decided 'tiles.0=1x1'"),
    ],
)
def test_files_of_decisions(net: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "d.json").write_text(text)
    ran: Ran = nacre("compile", net, "-o", tmp_path / "m.so", "--decisions", tmp_path / "d.json", ok=False)
    assert ran.status in (1, 2) and message in ran.err, ran.text()
    assert not (tmp_path / "m.so").exists()


def test_a_machine_that_this_is_not(net: Path, tmp_path: Path) -> None:
    """A CPU whose features this one lacks: all have some."""
    ran = nacre("compile", net, "-o", tmp_path / "m.so", "--tune", "1s", "--target-cpu", "diamondrapids", ok=False)
    assert ran.status == 1 and "which this machine lacks" in ran.err, ran.text()
