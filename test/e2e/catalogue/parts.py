"""What models of several themes are made of."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .model import Input, Model, Sizes


def vary(model: nn.Module) -> nn.Module:
    """Weights with a range to compare in: libraries start some as constants, or near zero."""
    with torch.no_grad():
        for value in model.parameters():
            if value.numel() > 1 and value.max() == value.min():
                value.add_(torch.rand_like(value) * 0.2 - 0.1)
            elif value.dim() > 1 and (scale := 1 / math.sqrt(value[0].numel())) > value.std():
                value.mul_(min(scale / value.std().item(), 10))
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


class Library(nn.Module):
    """A model of transformers or diffusers: inputs by name, and some of the fields of its result."""

    def __init__(self, model: nn.Module, inputs: list[str], outputs: list[str], **options: Any) -> None:
        super().__init__()
        self.model, self.inputs, self.outputs, self.options = model, inputs, outputs, options

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        result = self.model(**dict(zip(self.inputs, values, strict=True)), **self.options)
        return tuple(getattr(result, name) for name in self.outputs)


def library(
    name: str, task: str, exporter: str, module: str, kind: str, config: dict[str, Any], inputs: dict[str, Input],
    outputs: list[str], *sizes: Sizes, fast: bool = False, **options: Any,
) -> Model:  # fmt: skip
    """A model of transformers: its class, and settings for the class of its configuration."""

    def build() -> nn.Module:
        import transformers

        made = getattr(transformers, kind)(getattr(transformers, module)(**config))
        return Library(made, list(inputs), outputs, **options)

    return Model(name, task, exporter, build, inputs, outputs, sizes or ({},), fast)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, **options: Any) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False, **options)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())
