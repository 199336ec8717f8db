"""From images to images, and to text: segmentation, depth, super-resolution, style, reading."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.vision import UNet

from .model import Model, floats, tokens
from .parts import conv, library

IMAGES = ({"batch": 2, "height": 32, "width": 48}, {"batch": 1, "height": 64, "width": 32}, {"batch": 3, "height": 48, "width": 80})
ODD = (*IMAGES, {"batch": 1, "height": 37, "width": 51})
OPEN = {"data": floats("batch", 3, "height", "width")}


class DeepLab(nn.Module):
    """DeepLabV3 (Chen et al. 2017): one view by convolutions of several dilations, resized to the image."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 24, 3, 2))
        self.views = nn.ModuleList(nn.Conv2d(24, 16, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 16, 1), nn.ReLU())
        self.head = nn.Sequential(conv(64, 24, 1), nn.Conv2d(24, classes, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.stem(x)
        whole = nn.functional.interpolate(self.whole(y), y.shape[2:], mode="bilinear", align_corners=False)
        y = self.head(torch.cat([*(view(y) for view in self.views), whole], 1))
        scores = nn.functional.interpolate(y, x.shape[2:], mode="bilinear", align_corners=False)
        return scores, scores.argmax(1)


class Pyramid(nn.Module):
    """Feature pyramid (Lin et al. 2017) with pooling to grids (PSPNet, Zhao et al. 2017), for panoptic features."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(3, 16, 3, 2), conv(16, 24, 3, 2), conv(24, 32, 3, 2)])
        self.side = nn.ModuleList(nn.Conv2d(c, 16, 1) for c in (16, 24, 32))
        self.smooth = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        levels = []
        for layer in self.down:
            levels.append(x := layer(x))
        merged: list[Tensor] = []
        for side, level in zip(reversed(self.side), reversed(levels)):
            y = side(level)
            if merged:
                y = y + nn.functional.interpolate(merged[-1], y.shape[2:], mode="nearest")
            merged.append(y)
        return tuple(smooth(y) for smooth, y in zip(self.smooth, reversed(merged)))


class EDSR(nn.Module):
    """Residual blocks and moved channels, added to the image enlarged by cubic interpolation (Lim et al. 2017)."""

    def __init__(self, width: int = 16, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)) for _ in range(3)
        )
        self.last = nn.Sequential(nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        for block in self.blocks:
            y = y + 0.5 * block(y)
        return self.last(y) + nn.functional.interpolate(x, scale_factor=self.scale, mode="bicubic", align_corners=False)


class Style(nn.Module):
    """Fast style transfer (Johnson et al. 2016): reflected borders, instance normalisation, nearest enlarging."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down = nn.Sequential(*self.layer(3, width, 9, 1), *self.layer(width, 2 * width, 3, 2))
        self.middle = nn.ModuleList(nn.Sequential(*self.layer(2 * width, 2 * width, 3, 1)) for _ in range(2))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), *self.layer(2 * width, width, 3, 1))
        self.last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(width, 3, 9), nn.Sigmoid())

    @staticmethod
    def layer(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
        return [
            nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel, stride),
            nn.InstanceNorm2d(outputs, affine=True), nn.ReLU(),
        ]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(x)
        for layer in self.middle:
            y = y + layer(y)
        return self.last(self.up(y))


class Generator(nn.Module):
    """DCGAN (Radford et al. 2016): an image from noise by transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, first in ((24, 32, True), (32, 16, False), (16, 8, False)):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 1 if first else 2, 0 if first else 1, bias=False),
                       nn.BatchNorm2d(outputs), nn.ReLU()]  # fmt: skip
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())

    def forward(self, noise: Tensor) -> Tensor:
        return self.body(noise[:, :, None, None])


class Flow(nn.Module):
    """Motion between two frames, and the second warped by it onto the first (grid_sample)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(6, 16, 5), conv(16, 16, 3), nn.Conv2d(16, 2, 3, padding=1), nn.Tanh())

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        flow = 0.3 * self.body(torch.cat([a, b], 1))
        h, w = a.shape[2:]
        ys = (torch.arange(h).to(a) * 2 + 1) / h - 1
        xs = (torch.arange(w).to(a) * 2 + 1) / w - 1
        base = torch.stack([xs[None, :].expand(h, w), ys[:, None].expand(h, w)], -1)
        grid = base + flow.permute(0, 2, 3, 1)
        return nn.functional.grid_sample(b, grid, padding_mode="border", align_corners=False), flow


class CRNN(nn.Module):
    """Text of a line (Shi et al. 2015): convolutions, an LSTM both ways, and the best path of CTC.

    The path has no repeats and no blanks (0) any more: what is left stands to the left, with zeros behind it.
    """

    def __init__(self, letters: int = 12) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, 16), nn.MaxPool2d(2), conv(16, 24), nn.MaxPool2d((2, 1)), conv(24, 32), nn.MaxPool2d((2, 1)),
            nn.Conv2d(32, 32, (4, 1)), nn.ReLU(),
        )  # fmt: skip
        self.lstm = nn.LSTM(32, 24, bidirectional=True, num_layers=2)
        self.head = nn.Linear(48, letters)

    def forward(self, line: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.body(line).squeeze(2).permute(2, 0, 1)
        scores = self.head(self.lstm(x)[0]).log_softmax(2).transpose(0, 1)
        best = scores.argmax(2)
        before = torch.cat([torch.zeros_like(best[:, :1]), best[:, :-1]], 1)
        kept = (best != before) & (best != 0)
        places = torch.where(kept, kept.long().cumsum(1) - 1, best.shape[1] - 1)
        path = torch.zeros_like(best).scatter_add(1, places, torch.where(kept, best, torch.zeros_like(best)))
        return scores, path, kept.sum(1)


def unet() -> nn.Module:
    return UNet((8, 16, 24))


PAIR = {"a": floats("batch", 3, "height", "width"), "b": floats("batch", 3, "height", "width")}
LINES = ({"batch": 2, "width": 64}, {"batch": 1, "width": 101}, {"batch": 3, "width": 40})
NOISE = ({"batch": 2}, {"batch": 1}, {"batch": 5})
SEGFORMER = {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4],
             "decoder_hidden_size": 24, "num_labels": 5}  # fmt: skip
DPT = {"image_size": 64, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64,
       "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [16, 16, 24, 24], "fusion_hidden_size": 16}  # fmt: skip
SWIN2SR = {"image_size": 32, "patch_size": 1, "embed_dim": 16, "depths": [2], "num_heads": [2], "window_size": 8, "upscale": 2}
CLIP = {"text_config": {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
                        "max_position_embeddings": 32, "eos_token_id": 98},
        "vision_config": {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                          "intermediate_size": 64}, "projection_dim": 24}  # fmt: skip
MODELS = [
    Model("unet_small", "segmentation", "dynamo", unet, OPEN, ["masks"], IMAGES),
    Model("deeplab", "segmentation", "torchscript", DeepLab, OPEN, ["scores", "classes"], ODD, fast=True),
    library("segformer", "segmentation", "dynamo", "SegformerConfig", "SegformerForSemanticSegmentation", SEGFORMER,
            {"pixel_values": floats("batch", 3, 64, 64)}, ["logits"], *NOISE),
    Model("feature_pyramid", "segmentation", "torchscript", Pyramid, OPEN, ["p1", "p2", "p3"], ODD),
    library("depth", "depth estimation", "dynamo", "DPTConfig", "DPTForDepthEstimation", DPT,
            {"pixel_values": floats("batch", 3, 64, 64)}, ["predicted_depth"], *NOISE),
    Model("edsr", "super-resolution", "torchscript", EDSR, OPEN, ["images"], ODD, fast=True),
    library("swin2sr", "super-resolution", "dynamo", "Swin2SRConfig", "Swin2SRForImageSuperResolution", SWIN2SR,
            {"pixel_values": floats("batch", 3, 32, 32)}, ["reconstruction"], *NOISE),
    Model("style_transfer", "style transfer", "dynamo", Style, OPEN, ["images"], IMAGES, fast=True),
    Model("generator", "image generation", "torchscript", Generator, {"noise": floats("batch", 24)}, ["images"], NOISE),
    Model("optical_flow", "optical flow", "torchscript", Flow, PAIR, ["warped", "flow"], ODD),
    Model("crnn", "OCR", "torchscript", CRNN, {"line": floats("batch", 1, 32, "width")}, ["scores", "path", "lengths"], LINES, fast=True),
    library("clip", "image and text", "dynamo", "CLIPConfig", "CLIPModel", CLIP,
            {"input_ids": tokens(98, "texts", "sequence"), "pixel_values": floats("images", 3, 32, 32)},
            ["logits_per_image", "text_embeds", "image_embeds"],
            {"texts": 3, "sequence": 7, "images": 2}, {"texts": 1, "sequence": 12, "images": 1}, {"texts": 2, "sequence": 5, "images": 5}),
]  # fmt: skip
