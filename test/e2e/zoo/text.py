"""Transformers in their published sizes, from the library's configurations."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bert(nn.Module):
    """BERT-base: token ids, mask and segments to hidden states and the pooled output."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        self.model = BertModel(BertConfig())

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor):
        result = self.model(input_ids, attention_mask, token_type_ids)
        return result.last_hidden_state, result.pooler_output


class Gpt2Prefill(nn.Module):
    """GPT-2 (124 million parameters) over a prompt: logits, and keys and values per layer."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        self.model = GPT2LMHeadModel(GPT2Config())

    def forward(self, input_ids: Tensor):
        result = self.model(input_ids, use_cache=True)
        cache = [t for layer in result.past_key_values.layers for t in (layer.keys, layer.values)]
        return result.logits, *cache


class Vit(nn.Module):
    """ViT-B/16 for 224x224 images and 1000 classes."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ViTConfig, ViTForImageClassification

        self.model = ViTForImageClassification(ViTConfig(num_labels=1000))
        # The library starts the classifier near zero; give it a range to compare in.
        nn.init.normal_(self.model.classifier.weight, std=0.05)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model(pixels).logits


class Lstm(nn.Module):
    """Two LSTM layers of 512, time first."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(512, 512, num_layers=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.lstm(x)
        return y, h, c


def mlp() -> nn.Module:
    """784-64-64-10 with ReLU."""
    return nn.Sequential(
        nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
