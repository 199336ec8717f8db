"""The models of the end-to-end tests: how each is made, exported and fed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from . import text, vision

# Values of the dynamic dimensions of one data set.
Sizes = dict[str, int]


@dataclass(frozen=True)
class Spec:
    """A model with its inputs; `feeds` makes them for given sizes."""

    build: Callable[[], nn.Module]
    feeds: Callable[[Sizes], dict[str, Tensor]]
    outputs: list[str]
    # Input -> {axis: name of the dimension}; the first data set is what is exported.
    dynamic: dict[str, dict[int, str]] = field(default_factory=dict)
    data_sets: list[Sizes] = field(default_factory=lambda: [{}])
    external_data: bool = False
    torchscript: bool = False  # the older exporter, which keeps recurrent layers whole


def image(_: Sizes) -> dict[str, Tensor]:
    return {"data": torch.rand(1, 3, 224, 224) * 2 - 1}


def bert_feeds(sizes: Sizes) -> dict[str, Tensor]:
    batch, sequence = sizes["batch"], sizes["sequence"]
    lengths = torch.randint(max(1, sequence // 2), sequence + 1, (batch, 1))
    positions = torch.arange(sequence).expand(batch, sequence)
    return {
        "input_ids": torch.randint(0, 30522, (batch, sequence)),
        "attention_mask": (positions < lengths).long(),
        "token_type_ids": (positions >= sequence // 3).long(),
    }


def gpt2_feeds(sizes: Sizes) -> dict[str, Tensor]:
    return {"input_ids": torch.randint(0, 50257, (sizes["batch"], sizes["sequence"]))}


BATCH_SEQUENCE = {0: "batch", 1: "sequence"}

SPECS: dict[str, Spec] = {
    "mlp": Spec(
        text.mlp,
        lambda sizes: {"data": torch.rand(sizes["batch"], 784)},
        ["logits"],
        dynamic={"data": {0: "batch"}},
        data_sets=[{"batch": 64}, {"batch": 1}, {"batch": 7}],
    ),
    "lstm": Spec(
        text.Lstm,
        lambda _: {"data": torch.rand(64, 1, 512) * 2 - 1},
        ["y", "h", "c"],
        torchscript=True,
    ),
    "mobilenet_v2": Spec(vision.mobilenet_v2, image, ["logits"]),
    "resnet50": Spec(vision.resnet50, image, ["logits"]),
    "vit_b16": Spec(text.Vit, image, ["logits"], external_data=True),
    "bert_base": Spec(
        text.Bert,
        bert_feeds,
        ["hidden", "pooled"],
        dynamic=dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), BATCH_SEQUENCE),
        data_sets=[
            {"batch": 1, "sequence": 128},
            {"batch": 2, "sequence": 37},
            {"batch": 3, "sequence": 5},
        ],
        external_data=True,
    ),
    "gpt2": Spec(
        text.Gpt2Prefill,
        gpt2_feeds,
        ["logits", *(f"{kind}{layer}" for layer in range(12) for kind in ("key", "value"))],
        dynamic={"input_ids": BATCH_SEQUENCE},
        data_sets=[{"batch": 1, "sequence": 64}, {"batch": 2, "sequence": 11}],
        external_data=True,
    ),
}
