"""Speech and sound: recognition, spotting, separation, voices."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .model import Model, floats, tokens
from .parts import library

WAVES = ({"batch": 2, "samples": 800}, {"batch": 1, "samples": 1333}, {"batch": 3, "samples": 512})
FRAMES = ({"batch": 2, "frames": 40}, {"batch": 1, "frames": 27}, {"batch": 3, "frames": 64})


class DeepSpeech(nn.Module):
    """Deep Speech 2 (Amodei et al. 2016): convolutions over time and pitch, GRUs both ways, letters for CTC."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, (11, 5), (2, 2), (5, 2)), nn.BatchNorm2d(8), nn.Hardtanh(0, 20),
            nn.Conv2d(8, 8, (11, 5), (2, 1), (5, 2)), nn.BatchNorm2d(8), nn.Hardtanh(0, 20),
        )  # fmt: skip
        self.gru = nn.GRU(8 * 10, 24, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 12)

    def forward(self, spectrum: Tensor) -> Tensor:
        x = self.body(spectrum[:, None])  # batch, 8, pitch, time
        return self.head(self.gru(x.flatten(1, 2).transpose(1, 2))[0]).log_softmax(2)


class Spotter(nn.Module):
    """A word among few (Zhang et al. 2017): the spectrum of a sound, then convolutions depthwise and pointwise."""

    def __init__(self, bands: int = 20, window: int = 128) -> None:
        super().__init__()
        self.window = window
        self.register_buffer("shape", torch.hann_window(window))
        self.register_buffer("bands", torch.rand(window // 2 + 1, bands))
        layers: list[nn.Module] = [nn.Conv2d(1, 16, (10, 4), 2, (5, 2)), nn.BatchNorm2d(16), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16), nn.ReLU()]
            layers += [nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 6))

    def forward(self, wave: Tensor) -> Tensor:
        parts = torch.stft(wave, self.window, 32, window=self.shape, center=False, return_complex=False, onesided=True)
        power = parts.pow(2).sum(-1).transpose(1, 2) @ self.bands
        return self.body((power + 1e-6).log()[:, None])


class WaveNet(nn.Module):
    """Samples from samples before (van den Oord et al. 2016): causal convolutions of doubled distance, with gates."""

    def __init__(self, width: int = 16, layers: int = 5) -> None:
        super().__init__()
        self.first, self.width = nn.Conv1d(1, width, 1), width
        self.gates = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=2**i) for i in range(layers))
        self.joins = nn.ModuleList(nn.Conv1d(width, 2 * width, 1) for _ in range(layers))
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(width, width, 1), nn.ReLU(), nn.Conv1d(width, 32, 1))

    def forward(self, wave: Tensor) -> Tensor:
        x = self.first(wave[:, None])
        skipped = torch.zeros_like(x)
        for i, (gate, join) in enumerate(zip(self.gates, self.joins)):
            left, right = gate(nn.functional.pad(x, (2**i, 0))).chunk(2, 1)
            kept, skip = join(left.tanh() * right.sigmoid()).chunk(2, 1)
            x, skipped = x + kept, skipped + skip
        return self.last(skipped)


class TasNet(nn.Module):
    """Two voices apart (Luo and Mesgarani 2019): an encoder, masks by dilated convolutions, a decoder."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.width = width
        self.encoder = nn.Conv1d(1, width, 16, 8, bias=False)
        self.norm = nn.GroupNorm(1, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, 32, 1), nn.PReLU(), nn.GroupNorm(1, 32),
                nn.Conv1d(32, 32, 3, padding=2**i, dilation=2**i, groups=32), nn.PReLU(), nn.GroupNorm(1, 32), nn.Conv1d(32, width, 1),
            ) for i in range(3)
        )  # fmt: skip
        self.masks = nn.Conv1d(width, 2 * width, 1)
        self.decoder = nn.ConvTranspose1d(width, 1, 16, 8, bias=False)

    def forward(self, wave: Tensor) -> Tensor:
        seen = self.encoder(wave[:, None]).relu()
        x = self.norm(seen)
        for block in self.blocks:
            x = x + block(x)
        masks = self.masks(x).sigmoid().view(x.shape[0], 2, self.width, -1)
        voices = (masks * seen[:, None]).flatten(0, 1)
        return self.decoder(voices).view(x.shape[0], 2, -1)


class Vocoder(nn.Module):
    """A wave from a spectrum (HiFi-GAN, Kong et al. 2020): transposed convolutions, and what several kernels say, in the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(20, 32, 7, padding=3)
        self.ups = nn.ModuleList([nn.ConvTranspose1d(32, 16, 8, 4, 2), nn.ConvTranspose1d(16, 8, 4, 2, 1)])
        self.views = nn.ModuleList(
            nn.ModuleList(nn.Conv1d(c, c, k, padding=d * (k - 1) // 2, dilation=d) for k, d in ((3, 1), (3, 3), (7, 1))) for c in (16, 8)
        )
        self.last = nn.Conv1d(8, 1, 7, padding=3)

    def forward(self, spectrum: Tensor) -> Tensor:
        x = self.first(spectrum)
        for up, views in zip(self.ups, self.views):
            x = up(nn.functional.leaky_relu(x, 0.1))
            x = sum(x + view(nn.functional.leaky_relu(x, 0.1)) for view in views) / len(views)
        return self.last(nn.functional.leaky_relu(x)).tanh()


class Activity(nn.Module):
    """Whether somebody speaks, a piece at a time: the LSTM's state goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(1, 16, 16, 8), nn.ReLU(), nn.Conv1d(16, 24, 3, 2), nn.ReLU())
        self.lstm = nn.LSTM(24, 24)
        self.head = nn.Linear(24, 1)

    def forward(self, wave: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.lstm(self.body(wave[:, None]).permute(2, 0, 1), (h, c))
        return self.head(y.relu()).sigmoid().mean(0), h, c


EARS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "conv_dim": (16, 16, 24),
        "conv_stride": (5, 2, 2), "conv_kernel": (10, 3, 3), "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
        "vocab_size": 20, "num_feat_extract_layers": 3}  # fmt: skip
WHISPER = {"vocab_size": 60, "num_mel_bins": 20, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
           "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_source_positions": 30,
           "max_target_positions": 24, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}  # fmt: skip
AST = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "patch_size": 8,
       "frequency_stride": 6, "time_stride": 6, "max_length": 64, "num_mel_bins": 32, "num_labels": 6}  # fmt: skip
WAVE = {"input_values": floats("batch", "samples")}
STATE = {name: floats(1, "batch", 24) for name in ("h", "c")}
MODELS = [
    library("wav2vec2_ctc", "speech recognition", "dynamo", "Wav2Vec2Config", "Wav2Vec2ForCTC", EARS, WAVE, ["logits"], *WAVES, fast=True),
    library("hubert", "speech features", "torchscript", "HubertConfig", "HubertModel", EARS, WAVE, ["last_hidden_state"], *WAVES),
    library("whisper", "speech recognition", "dynamo", "WhisperConfig", "WhisperForConditionalGeneration", WHISPER,
            {"input_features": floats("batch", 20, 60), "decoder_input_ids": tokens(60, "batch", "target")}, ["logits"],
            {"batch": 2, "target": 6}, {"batch": 1, "target": 3}, {"batch": 3, "target": 11}, use_cache=False),
    library("audio_spectrogram", "sound classification", "torchscript", "ASTConfig", "ASTForAudioClassification", AST,
            {"input_values": floats("batch", 64, 32)}, ["logits"], {"batch": 2}, {"batch": 1}, {"batch": 5}),
    Model("deep_speech", "speech recognition", "torchscript", DeepSpeech, {"spectrum": floats("batch", 40, "frames")}, ["letters"], FRAMES),
    Model("keyword_spotting", "keyword spotting", "dynamo", Spotter, {"wave": floats("batch", "samples")}, ["logits"], WAVES, fast=True),
    Model("wavenet", "sound generation", "dynamo", WaveNet, {"wave": floats("batch", "samples")}, ["logits"], WAVES),
    Model("separation", "source separation", "torchscript", TasNet, {"wave": floats("batch", "samples")}, ["voices"], WAVES),
    Model("vocoder", "speech synthesis", "dynamo", Vocoder, {"spectrum": floats("batch", 20, "frames")}, ["wave"], FRAMES),
    Model("voice_activity", "voice activity", "torchscript", Activity, {"wave": floats("batch", "samples")} | STATE,
          ["speaks", "h_out", "c_out"], WAVES, fast=True),
]  # fmt: skip
