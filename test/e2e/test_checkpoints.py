"""Checkpoints: .safetensors files that the package of that name writes and reads too."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import small_models
import torch
from safetensors.torch import load_file, save_file

from support import module

nacre = module()

# Booleans and unsigned integers are the runtime's alone: test/unit/runtime/CheckpointTest.cpp.
TYPES = {
    "f64": (torch.float64, "f64"),
    "f32": (torch.float32, "f32"),
    "f16": (torch.float16, "f16"),
    "bf16": (torch.bfloat16, "bf16"),
    "i64": (torch.int64, "i64"),
    "i32": (torch.int32, "i32"),
    "i16": (torch.int16, "i16"),
    "i8": (torch.int8, "i8"),
}
SHAPES = {"plain": (2, 3), "scalar": (), "empty": (0, 3)}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> nacre.Model:
    """A model with a parameter of each type and shape; a run sets each to itself."""
    parameters, lines = [], []
    for kind, (_, element) in TYPES.items():
        for name, shape in SHAPES.items():
            tensor = f"tensor<{''.join(f'{size}x' for size in shape)}{element}>"
            value = "1" if element[0] == "i" else "1.0"
            parameters.append(f"nn.parameter trainable @{kind}_{name} = dense<{value}> : {tensor}")
            lines.append(f"  %{kind}_{name} = nn.get_parameter @{kind}_{name} : {tensor}")
            lines.append(f"  nn.set_parameter @{kind}_{name}, %{kind}_{name} : {tensor}")
    body = "\n".join(lines)
    text = "\n".join(parameters) + (
        '\nfunc.func @main(%x: tensor<2xf32> {nn.name = "x"}) -> (tensor<2xf32> {nn.name = "y"}) {\n'
        f"{body}\n  return %x : tensor<2xf32>\n}}\n"
    )
    path = tmp_path_factory.mktemp("everything") / "m.mlir"
    path.write_text(text)
    return nacre.compile(path)


def draw(rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Values that every type has."""
    return {
        f"{kind}_{name}": torch.from_numpy(np.asarray(rng.integers(-100, 100, shape))).to(dtype)
        for kind, (dtype, _) in TYPES.items()
        for name, shape in SHAPES.items()
    }


def test_every_type_both_ways(everything: nacre.Model, tmp_path: Path) -> None:
    theirs = draw(np.random.default_rng(0))
    metadata = {"by": 'PyTorch "2"\n', "Zürich": "😀"}
    save_file(theirs, tmp_path / "theirs.safetensors", metadata)
    # The compiler has no parameters without elements: theirs are of other names.
    assert everything.load_parameters(tmp_path / "theirs.safetensors", allow_others=True) == metadata
    theirs = {name: tensor for name, tensor in theirs.items() if tensor.numel()}
    for name, tensor in theirs.items():
        got = everything.read_parameter(name)
        assert got.shape == tuple(tensor.shape)
        if tensor.dtype == torch.bfloat16:
            assert got.dtype == ml_dtypes.bfloat16
            got, tensor = got.view(np.int16), tensor.view(torch.int16)
        assert got.dtype == tensor.numpy().dtype, name
        np.testing.assert_array_equal(got, tensor.numpy(), err_msg=name)
    everything.save_parameters(tmp_path / "ours.safetensors", metadata=metadata)
    ours = load_file(tmp_path / "ours.safetensors")
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype and ours[name].shape == tensor.shape, name
        assert torch.equal(ours[name], tensor), name
    with safetensors.safe_open(tmp_path / "ours.safetensors", "pt") as file:
        assert file.metadata() == {"nacre.format": "1", **metadata}
    assert (tmp_path / "ours.safetensors").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    return int(Path("/proc/self/status").read_text().split("Umask:")[1].split()[0], 8)


def test_without_metadata(everything: nacre.Model, tmp_path: Path) -> None:
    theirs = {name: tensor for name, tensor in draw(np.random.default_rng(1)).items() if tensor.numel()}
    save_file(theirs, tmp_path / "theirs.safetensors")
    assert everything.load_parameters(str(tmp_path / "theirs.safetensors")) == {}


OPTIONS = {"loss": "softmax-cross-entropy", "optimizer": "adam", "average": 0.9}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> nacre.Model:
    path = small_models.save_perceptron(tmp_path_factory.mktemp("mlp") / "m.onnx", 8, 3)
    return nacre.compile(path, train=OPTIONS)


def train(model: nacre.Model, steps: range) -> list[float]:
    losses = []
    for step in steps:
        rng = np.random.default_rng(step)
        feeds = {"data": rng.standard_normal((4, 8)).astype(np.float32), "labels": rng.integers(0, 3, 4)}
        losses.append(model.run(feeds | {"learning_rate": np.float32(0.01)}, function="step")[0])
    return losses


def values(model: nacre.Model) -> dict[str, bytes]:
    return {name: model.read_parameter(name).tobytes() for name in model.parameters}


def test_a_training_goes_on(model: nacre.Model, tmp_path: Path) -> None:
    """With the optimizer's state and the averages: the same bits as without a stop."""
    whole, first, second = (model.new_session() for _ in range(3))
    losses = train(whole, range(10))
    path = tmp_path / "c.safetensors"
    before = train(first, range(6))
    first.save_parameters(path)
    assert set(safetensors.numpy.load_file(path)) == {
        name for w in ("w0", "b0", "w1", "b1") for name in (w, f"{w}.average", f"{w}.exp_avg", f"{w}.exp_avg_sq")
    } | {"optimizer.count"}
    second.load_parameters(path)
    np.testing.assert_array_equal(before + train(second, range(6, 10)), losses)
    assert values(second) == values(whole)


def test_weights_alone(model: nacre.Model, tmp_path: Path) -> None:
    """Fine-tuning from what another tool saved: the state beside the weights begins anew."""
    weights = {name: model.read_parameter(name) + 1 for name in ("w0", "b0", "w1", "b1")}
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(weights, path)
    session = model.new_session()
    before = values(session)
    with pytest.raises(nacre.LoadError, match="of another model: it lacks .*'w0.exp_avg'"):
        session.load_parameters(path)
    session.load_parameters(path, allow_missing_state=True)
    for name, value in values(session).items():
        assert value == (weights[name].tobytes() if name in weights else before[name])
    safetensors.numpy.save_file(weights | {"head": np.zeros(3)}, path)
    with pytest.raises(nacre.LoadError, match="has what the model has no parameters to train for: 'head'"):
        session.load_parameters(path, allow_missing_state=True)
    session.load_parameters(path, allow_missing_state=True, allow_others=True)
    del weights["b0"]
    safetensors.numpy.save_file(weights, path)
    with pytest.raises(nacre.LoadError, match="of another model: it lacks 'b0'"):
        session.load_parameters(path, allow_missing_state=True)
    weights["b0"] = np.zeros(3, np.float64)
    safetensors.numpy.save_file(weights, path)
    with pytest.raises(nacre.LoadError, match=r"tensor 'b0' is F64\[3\], the model's parameter is F32\[\d+\]"):
        session.load_parameters(path, allow_missing_state=True)


def test_random_state(model: nacre.Model) -> None:
    session = model.new_session()
    assert session.random_state == (0, 0)
    train(session, range(3))
    assert session.random_state == (0, 3)
    session.set_seed(2**64 - 1)
    assert session.random_state == (2**64 - 1, 0)
    session.random_state = (5, 2**40)
    train(session, range(1))
    assert session.random_state == (5, 2**40 + 1)
    with pytest.raises(nacre.InputError, match="run_count is -1"):
        session.random_state = (0, -1)


def test_files_that_are_none(model: nacre.Model, tmp_path: Path) -> None:
    with pytest.raises(nacre.MissingFileError, match="No such file"):
        model.load_parameters(tmp_path / "none")
    with pytest.raises(nacre.LoadError, match="not a regular file"):
        model.load_parameters(tmp_path)
    (tmp_path / "text").write_text("hello, this is no checkpoint")
    with pytest.raises(nacre.LoadError, match="not a .safetensors file"):
        model.load_parameters(tmp_path / "text")
    with pytest.raises(nacre.WriteError, match="No such file or directory; create the folder first"):
        model.save_parameters(tmp_path / "no" / "c")
    with pytest.raises(nacre.WriteError, match="no regular file"):
        model.save_parameters(tmp_path)
    with pytest.raises(nacre.InputError, match="names that begin with 'nacre.' are the runtime's"):
        model.save_parameters(tmp_path / "c", {"nacre.x": "1"})
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_large_ones_are_not_copied(tmp_path: Path) -> None:
    """64 MiB of parameters are read and written within a tenth of that."""
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(nacre.__file__).parents[1])!r})
import nacre
model = nacre.compile({str(tmp_path / "m.mlir")!r})
Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10
before = peak()
model.save_parameters({str(tmp_path / "c")!r})
model.load_parameters({str(tmp_path / "c")!r})
assert 64 < before and peak() - before < 7, (before, peak())
"""
    (tmp_path / "m.mlir").write_text("""
nn.parameter trainable @w = dense<1.0> : tensor<16777216xf32>
func.func @main(%x: tensor<1xf32> {nn.name = "x"}) -> (tensor<1xf32> {nn.name = "y"}) {
  %w = nn.get_parameter @w : tensor<16777216xf32>
  nn.set_parameter @w, %w : tensor<16777216xf32>
  return %x : tensor<1xf32>
}""")
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert (tmp_path / "c").stat().st_size > 2**26


def test_full_disk(model: nacre.Model, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    model.save_parameters(path)
    good = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) - 1, before[1]))
        with pytest.raises(nacre.WriteError, match=f"{path}: cannot be written: File too large; raise the limit"):
            model.save_parameters(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == good and list(tmp_path.iterdir()) == [path]
