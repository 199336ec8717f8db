"""Image models, written compactly after their papers (torchvision's layer order)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    """ResNet's block: 1x1, 3x3 (strided), 1x1, with a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            conv_bn(inputs, width, 1),
            nn.ReLU(),
            conv_bn(width, width, 3, stride),
            nn.ReLU(),
            conv_bn(width, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """ResNet-50 v1.5 (He et al. 2015): 25.6 million parameters."""
    layers: list[nn.Module] = [conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, 2 if stage and block == 0 else 1))
            inputs = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000)]
    return vary_batch_norms(nn.Sequential(*layers))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen, depthwise 3x3, narrow without activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, widening: int) -> None:
        super().__init__()
        width = inputs * widening
        layers: list[nn.Module] = []
        if widening != 1:
            layers += [conv_bn(inputs, width, 1), nn.ReLU6()]
        layers += [conv_bn(width, width, 3, stride, groups=width), nn.ReLU6()]
        layers += [conv_bn(width, outputs, 1)]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2, width 1.0 (Sandler et al. 2018): 3.5 million parameters."""
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2), nn.ReLU6()]
    inputs = 32
    # widening, channels, blocks, stride of the first
    stages = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for widening, outputs, blocks, stride in stages:
        for block in range(blocks):
            layers.append(
                InvertedResidual(inputs, outputs, stride if block == 0 else 1, widening)
            )
            inputs = outputs
    layers += [conv_bn(inputs, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(1280, 1000)]
    return vary_batch_norms(nn.Sequential(*layers))


class SqueezeExcite(nn.Module):
    """Each channel times a factor that all channels' means say."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.factors = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, squeezed, 1), nn.SiLU()),
            *(nn.Conv2d(squeezed, width, 1), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factors(x)


class MBConv(nn.Module):
    """EfficientNet's block: widen, depthwise, squeeze and excite, narrow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        width = inputs * widening
        layers: list[nn.Module] = [] if widening == 1 else [conv_bn(inputs, width, 1), nn.SiLU()]
        layers += [conv_bn(width, width, kernel, stride, groups=width), nn.SiLU()]
        layers += [SqueezeExcite(width, max(1, inputs // 4)), conv_bn(width, outputs, 1)]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def efficientnet_b0() -> nn.Module:
    """EfficientNet-B0 (Tan and Le 2019): 5.3 million parameters."""
    layers: list[nn.Module] = [conv_bn(3, 32, 3, 2), nn.SiLU()]
    inputs = 32
    # widening, channels, blocks, stride of the first, kernel
    stages = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    for widening, outputs, blocks, stride, kernel in stages:
        for block in range(blocks):
            layers.append(MBConv(inputs, outputs, kernel, stride if block == 0 else 1, widening))
            inputs = outputs
    layers += [conv_bn(inputs, 1280, 1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(1280, 1000)]
    return vary_batch_norms(nn.Sequential(*layers))


class ChannelNorm(nn.Module):
    """Layer normalisation of each place's channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, and a perceptron at each place, scaled and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(nn.functional.gelu(self.widen(y))) * self.scale
        return x + y.permute(0, 3, 1, 2)


def convnext_tiny() -> nn.Module:
    """ConvNeXt-T (Liu et al. 2022): 28.6 million parameters."""
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), ChannelNorm(96)]
    for stage, blocks in enumerate((3, 3, 9, 3)):
        width = 96 << stage
        if stage:
            layers += [ChannelNorm(width // 2), nn.Conv2d(width // 2, width, 2, 2)]
        layers += [ConvNeXtBlock(width) for _ in range(blocks)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(768), nn.Linear(768, 1000)]
    return nn.Sequential(*layers)


def convnet() -> nn.Module:
    """Two convolutions of 5x5 with pooling, for images of 28x28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 10)),
    )


class UNet(nn.Module):
    """Down by pooling, up by transposed convolutions, what was seen on the way down beside it (Ronneberger 2015)."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256)) -> None:
        super().__init__()
        self.down = nn.ModuleList(self.block(i, o) for i, o in zip((3, *widths), widths))
        pairs = list(zip(widths[1:], widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, 2) for i, o in pairs)
        self.merge = nn.ModuleList(self.block(2 * o, o) for _, o in pairs)
        self.head = nn.Conv2d(widths[0], 2, 1)

    @staticmethod
    def block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            *(conv_bn(inputs, outputs, 3), nn.ReLU()),
            *(conv_bn(outputs, outputs, 3), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for number, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if number else x)
            seen.append(x)
        seen.pop()
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat([seen.pop(), up(x)], 1))
        return self.head(x)


def unet() -> nn.Module:
    return vary_batch_norms(UNet())


def super_resolution() -> nn.Module:
    """Three times the resolution by moving channels to places (ESPCN, Shi et al. 2016)."""
    return nn.Sequential(
        *(nn.Conv2d(1, 64, 5, padding=2), nn.Tanh()),
        *(nn.Conv2d(64, 32, 3, padding=1), nn.Tanh()),
        *(nn.Conv2d(32, 9, 3, padding=1), nn.PixelShuffle(3)),
    )


def vary_batch_norms(model: nn.Module) -> nn.Module:
    """Statistics as after training: a fresh batch norm would be an identity."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model
