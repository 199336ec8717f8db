"""A training step of recurrent layers with batches large enough for threads to share, beside PyTorch's gradients."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from support import module

TIME, WIDTH, UNITS = 11, 10, 24


class Layers(nn.Module):
    """Two layers in both directions: all their outputs and last states."""

    def __init__(self, kind: type[nn.RNNBase], lengths: bool, **options: Any) -> None:
        super().__init__()
        self.layer = kind(WIDTH, UNITS, num_layers=2, bidirectional=True, **options)
        self.lengths = lengths

    def forward(self, x: Tensor) -> Tensor:
        if self.lengths:
            counts = torch.tensor([1 + (5 * i) % TIME for i in range(x.shape[1])])
            counts[0] = TIME
            packed, state = self.layer(pack_padded_sequence(x, counts, enforce_sorted=False))
            y, _ = pad_packed_sequence(packed, total_length=TIME)
        else:
            y, state = self.layer(x)
        states = state if isinstance(state, tuple) else (state,)
        return torch.cat([y.flatten(1)] + [s.transpose(0, 1).flatten(0).reshape(1, -1).expand(TIME, -1) for s in states], 1)


@pytest.mark.parametrize("batch", [5, 48])
@pytest.mark.parametrize(
    ("kind", "lengths", "options"),
    [
        (nn.RNN, False, {}),
        (nn.RNN, False, {"nonlinearity": "relu"}),
        (nn.GRU, False, {}),
        (nn.LSTM, False, {}),
        (nn.GRU, True, {}),
        (nn.LSTM, True, {}),
    ],
    ids=["rnn", "rnn_relu", "gru", "lstm", "gru_lengths", "lstm_lengths"],
)
def test_step(kind: type[nn.RNNBase], lengths: bool, options: dict[str, Any], batch: int) -> None:
    torch.manual_seed(3)
    layers = Layers(kind, lengths, **options)
    x = torch.randn(TIME, batch, WIDTH)
    exact = Layers(kind, lengths, **options).double()
    exact.load_state_dict({name: value.double() for name, value in layers.state_dict().items()})
    y = exact(x.double())
    target = torch.randn(y.shape, dtype=torch.float64)
    loss = (y - target).square().sum()
    loss.backward()

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            layers, (x,), file, dynamo=False, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
            input_names=["x"], output_names=["y"],
        )  # fmt: skip
    program = module().compile(file.getvalue(), train={"loss": "mse:reduction=sum", "optimizer": "sgd"}, threads=2)
    before = {name: np.array(program.read_parameter(name)) for name, _ in exact.named_parameters()}
    # Inference computes the layers in another way, whose rows threads share as well.
    (predicted,) = program.run({"x": x.numpy()})
    np.testing.assert_allclose(predicted, y.detach().numpy(), rtol=1e-4, atol=1e-5)
    rate = 2.0**20  # leaves nothing but the gradient, and loses no bit of it
    feeds = {"x": x.numpy(), "targets": target.float().numpy(), "learning_rate": np.float32(rate)}
    got, *_ = program.run(feeds, function="step")
    assert got == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in exact.named_parameters():
        assert parameter.grad is not None
        gradient = (before[name].astype(np.float64) - program.read_parameter(name)) / rate
        error = np.linalg.norm(gradient - parameter.grad.numpy()) / np.linalg.norm(parameter.grad.numpy())
        assert error <= 1e-5, f"{name}: the gradient is wrong by {error:.2g} of its norm"
