"""Transformers in their published sizes, from the library's configurations; recurrent and dense models."""

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


class Gpt2Decode(nn.Module):
    """GPT-2 for one more token: its id, keys and values so far; logits, and keys and values with its own."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        self.model = GPT2LMHeadModel(GPT2Config())

    def forward(self, input_ids: Tensor, *cache: Tensor):
        from transformers import DynamicCache

        past = DynamicCache()
        for layer in range(12):
            past.update(cache[2 * layer], cache[2 * layer + 1], layer)
        result = self.model(input_ids, past_key_values=past, use_cache=True)
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
    return nn.Sequential(*dense(784, 64, 64, 10))


class Recommender(nn.Module):
    """A click's logit after DLRM (Naumov et al. 2019): eight tables, and all products of two of their rows."""

    def __init__(self, rows: int = 20_000, tables: int = 8, width: int = 64) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(tables))
        self.bottom = nn.Sequential(*dense(13, 512, 256, width), nn.ReLU())
        self.pairs = [i * (tables + 1) + j for i in range(tables + 1) for j in range(i)]
        self.top = nn.Sequential(*dense(width + len(self.pairs), 512, 256, 1))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        bottom = self.bottom(numbers)
        rows = [table(categories[:, i]) for i, table in enumerate(self.tables)]
        all_rows = torch.stack([bottom, *rows], 1)
        products = (all_rows @ all_rows.transpose(1, 2)).flatten(1)[:, self.pairs]
        return self.top(torch.cat([bottom, products], 1))


def dense(*widths: int) -> list[nn.Module]:
    """Layers with ReLU between them."""
    layers = [(nn.Linear(i, o), nn.ReLU()) for i, o in zip(widths, widths[1:])]
    return [module for pair in layers for module in pair][:-1]
