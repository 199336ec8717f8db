"""Classifiers of images, and embeddings of faces."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .model import Input, Model, floats
from .parts import conv, library

BATCHES = ({"batch": 2}, {"batch": 1}, {"batch": 5})
IMAGES = ({"batch": 2, "height": 64, "width": 64}, {"batch": 1, "height": 64, "width": 96}, {"batch": 3, "height": 45, "width": 83})


def images(side: int = 64) -> dict[str, Input]:
    return {"pixel_values": floats("batch", 3, side, side)}


OPEN = {"pixel_values": floats("batch", 3, "height", "width")}


class Dense(nn.Module):
    """DenseNet (Huang et al. 2017): each layer sees the channels of all before it."""

    def __init__(self, growth: int = 8, layers: int = 3, blocks: int = 3) -> None:
        super().__init__()
        width = 16
        self.stem = conv(3, width, 7, 2)
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        for _ in range(blocks):
            self.blocks.append(nn.ModuleList(self.layer(width + i * growth, growth) for i in range(layers)))
            width += layers * growth
            self.transitions.append(nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width // 2, 1), nn.AvgPool2d(2)))
            width //= 2
        self.head = nn.Linear(width, 10)

    @staticmethod
    def layer(inputs: int, growth: int) -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, growth, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.stem(x), 3, 2, 1, ceil_mode=True)
        for block, transition in zip(self.blocks, self.transitions):
            for layer in block:
                x = torch.cat([x, layer(x)], 1)
            x = transition(x)
        return self.head(x.mean((2, 3)))


class Shuffle(nn.Module):
    """A unit of ShuffleNet V2 (Ma et al. 2018): half the channels pass, then all are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(
            conv(half, half, 1), nn.Conv2d(half, half, 3, padding=1, groups=half), nn.BatchNorm2d(half), conv(half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, 1)
        x = torch.cat([kept, self.body(changed)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet() -> nn.Module:
    return nn.Sequential(
        conv(3, 16, 3, 2), nn.MaxPool2d(3, 2, 1), Shuffle(16), Shuffle(16), conv(16, 32, 3, 2), Shuffle(32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


class Mixer(nn.Module):
    """MLP-Mixer (Tolstikhin et al. 2021): perceptrons over patches and over channels in turn."""

    def __init__(self, side: int = 64, patch: int = 8, width: int = 32, layers: int = 3) -> None:
        super().__init__()
        count = (side // patch) ** 2
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.tokens = nn.ModuleList(nn.Sequential(nn.Linear(count, 48), nn.GELU(), nn.Linear(48, count)) for _ in range(layers))
        self.channels = nn.ModuleList(nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width)) for _ in range(layers))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for i, (over_tokens, over_channels) in enumerate(zip(self.tokens, self.channels)):
            x = x + over_tokens(self.norms[2 * i](x).transpose(1, 2)).transpose(1, 2)
            x = x + over_channels(self.norms[2 * i + 1](x))
        return self.head(x.mean(1))


class Inception(nn.Module):
    """A block of GoogLeNet (Szegedy et al. 2015): four branches side by side."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([
            conv(inputs, 8, 1),
            nn.Sequential(conv(inputs, 8, 1), conv(8, 16, 3)),
            nn.Sequential(conv(inputs, 4, 1), conv(4, 8, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inputs, 8, 1)),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def googlenet() -> nn.Module:
    return nn.Sequential(
        conv(3, 16, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5), Inception(16), Inception(40),
        nn.MaxPool2d(3, 2, ceil_mode=True), Inception(40), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(40, 10),
    )  # fmt: skip


class Face(nn.Module):
    """MobileFaceNet (Chen et al. 2018): PReLU, a depthwise convolution over all places, a vector of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.PReLU(16),
            nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.PReLU(16),
            nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.PReLU(32),
            nn.Conv2d(32, 32, 7, groups=32), nn.BatchNorm2d(32), nn.Flatten(),
            nn.Linear(32 * 10 * 10, 64), nn.BatchNorm1d(64),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.body(x))


class Pair(nn.Module):
    """Whether two faces are one's: the same network on both, and the cosine of what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.face = Face()

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        cosine = nn.functional.cosine_similarity(self.face(a), self.face(b))
        return cosine, cosine > 0.3


SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4, "num_labels": 10}
VIT = {"image_size": 64, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "num_labels": 10}


def classifier(name: str, exporter: str, config: str, kind: str, settings: dict, fast: bool = False, open: bool = False) -> Model:
    inputs, sizes = (OPEN, IMAGES) if open else (images(), BATCHES)
    settings = {"num_labels": 10} | settings
    return library(name, "image classification", exporter, config, kind, settings, inputs, ["logits"], *sizes, fast=fast)


RESNET = {"embedding_size": 16, "hidden_sizes": [16, 32, 48], "depths": [1, 2, 1]}
MODELS = [
    classifier("resnet", "torchscript", "ResNetConfig", "ResNetForImageClassification", RESNET, fast=True, open=True),
    classifier("regnet", "dynamo", "RegNetConfig", "RegNetForImageClassification",
               {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 2], "groups_width": 8}, open=True),
    classifier("mobilenet_v2_small", "dynamo", "MobileNetV2Config", "MobileNetV2ForImageClassification",
               {"depth_multiplier": 0.25, "image_size": 64}),
    classifier("convnext_v2", "dynamo", "ConvNextV2Config", "ConvNextV2ForImageClassification",
               {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 2, 1]}, open=True),
    classifier("vit", "dynamo", "ViTConfig", "ViTForImageClassification", VIT, fast=True),
    classifier("deit", "torchscript", "DeiTConfig", "DeiTForImageClassification", VIT),
    classifier("swin", "torchscript", "SwinConfig", "SwinForImageClassification", SWIN),
    classifier("beit", "torchscript", "BeitConfig", "BeitForImageClassification", VIT | {"use_relative_position_bias": True}),
    classifier("mobilevit", "torchscript", "MobileViTConfig", "MobileViTForImageClassification",
               {"hidden_sizes": [24, 32, 40], "neck_hidden_sizes": [8, 16, 24, 32, 40, 48, 64], "image_size": 64}),
    classifier("poolformer", "dynamo", "PoolFormerConfig", "PoolFormerForImageClassification",
               {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 1, 1]}, open=True),
    Model("densenet", "image classification", "dynamo", Dense, {"data": floats("batch", 3, "height", "width")}, ["logits"], IMAGES),
    Model("shufflenet", "image classification", "torchscript", shufflenet, {"data": floats("batch", 3, "height", "width")}, ["logits"], IMAGES),
    Model("googlenet", "image classification", "torchscript", googlenet, {"data": floats("batch", 3, "height", "width")}, ["logits"], IMAGES),
    Model("mlp_mixer", "image classification", "dynamo", Mixer, {"data": floats("batch", 3, 64, 64)}, ["logits"], BATCHES),
    Model("face_embedding", "face embedding", "dynamo", Face, {"data": floats("batch", 3, 64, 64)}, ["embedding"], BATCHES, fast=True),
    Model("face_verification", "face embedding", "torchscript", Pair, {"a": floats("batch", 3, 64, 64), "b": floats("batch", 3, 64, 64)},
          ["cosine", "same"], BATCHES),
]  # fmt: skip
