"""Series of numbers in time: what comes next, what kind it is, what is unusual."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .model import Model, floats
from .parts import library

SERIES = ({"batch": 2, "length": 24}, {"batch": 1, "length": 17}, {"batch": 3, "length": 40})
BATCHES = ({"batch": 2}, {"batch": 1}, {"batch": 5})


class Beats(nn.Module):
    """N-BEATS (Oreshkin et al. 2020): each block explains a part of the past and of the future."""

    def __init__(self, past: int = 24, future: int = 6, blocks: int = 3) -> None:
        super().__init__()
        self.past = past
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(past, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, past + future)) for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        forecast = torch.zeros_like(x[:, :1])
        for block in self.blocks:
            back, ahead = block(x).tensor_split([self.past], 1)
            x, forecast = x - back, forecast + ahead
        return forecast


class Temporal(nn.Module):
    """A temporal convolutional network (Bai et al. 2018): causal, with residuals; weights are normalised."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv1d(3, width, 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, padding=2 * 2**i, dilation=2**i) for i in range(3))
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x.transpose(1, 2))
        for i, layer in enumerate(self.layers):
            y = y + layer(y)[:, :, : -2 * 2**i].relu()
        return self.head(y[:, :, -1])


class Linear(nn.Module):
    """DLinear (Zeng et al. 2023): a moving average and the rest, each continued by a linear map; a normalised window."""

    def __init__(self, past: int = 24, future: int = 6) -> None:
        super().__init__()
        self.trend, self.rest = nn.Linear(past, future), nn.Linear(past, future)

    def forward(self, x: Tensor) -> Tensor:
        mean, scale = x.mean(1, keepdim=True), x.std(1, keepdim=True) + 1e-5
        y = ((x - mean) / scale).transpose(1, 2)
        trend = nn.functional.avg_pool1d(nn.functional.pad(y, (2, 2), mode="replicate"), 5, 1)
        return (self.trend(trend) + self.rest(y - trend)).transpose(1, 2) * scale + mean


class Recoder(nn.Module):
    """How unusual a series is: an LSTM says it again from what another keeps of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.says = nn.LSTM(3, 16, batch_first=True), nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, (kept, _) = self.reads(x)
        again = self.head(self.says(kept.transpose(0, 1).expand(-1, x.shape[1], -1))[0])
        errors = (again - x).abs().mean(2)
        return errors, errors.amax(1) > errors.mean(1) + 2 * errors.std(1)


PATCHES = {"num_input_channels": 3, "context_length": 24, "patch_length": 4, "patch_stride": 4, "prediction_length": 6, "d_model": 16,
           "num_attention_heads": 4, "num_hidden_layers": 2, "ffn_dim": 32}  # fmt: skip
MIXER = PATCHES | {"num_layers": 2, "expansion_factor": 2}
PAST = {"past_values": floats("batch", 24, 3)}
OPEN = {"x": floats("batch", "length", 3)}
MODELS = [
    library("patchtst", "forecast", "dynamo", "PatchTSTConfig", "PatchTSTForPrediction", PATCHES, PAST, ["prediction_outputs"], *BATCHES),
    library("patchtsmixer", "forecast", "dynamo", "PatchTSMixerConfig", "PatchTSMixerForPrediction", MIXER, PAST,
            ["prediction_outputs"], *BATCHES),
    Model("nbeats", "forecast", "dynamo", Beats, {"x": floats("batch", 24)}, ["forecast"], BATCHES, fast=True),
    Model("temporal_convolutions", "series classification", "torchscript", Temporal, OPEN, ["logits"], SERIES),
    Model("dlinear", "forecast", "torchscript", Linear, {"x": floats("batch", 24, 3)}, ["forecast"], BATCHES),
    Model("anomalies", "anomalies", "torchscript", Recoder, OPEN, ["errors", "unusual"], SERIES),
]  # fmt: skip
