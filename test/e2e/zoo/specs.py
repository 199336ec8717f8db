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
    measured: list[Sizes] = field(default_factory=list)  # more data sets, which only benchmarks run
    external_data: bool = False
    torchscript: bool = False  # the older exporter, which keeps recurrent layers whole


def image(sizes: Sizes) -> dict[str, Tensor]:
    return {"data": torch.rand(sizes.get("batch", 1), 3, 224, 224) * 2 - 1}


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


def decode_feeds(sizes: Sizes) -> dict[str, Tensor]:
    shape = (sizes["batch"], 12, sizes["past"], 64)
    cache = {f"past_{name}": torch.randn(shape) * 0.5 for name in CACHE}
    return {"input_ids": torch.randint(0, 50257, (sizes["batch"], 1))} | cache


def recommender_feeds(sizes: Sizes) -> dict[str, Tensor]:
    batch = sizes["batch"]
    return {"numbers": torch.rand(batch, 13), "categories": torch.randint(0, 20_000, (batch, 8))}


CACHE = [f"{kind}{layer}" for layer in range(12) for kind in ("key", "value")]
BATCH = {0: "batch"}
BATCHES = [{"batch": 1}, {"batch": 16}]
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
        measured=[{"batch": 16, "sequence": 128}],
        external_data=True,
    ),
    "gpt2": Spec(
        text.Gpt2Prefill,
        gpt2_feeds,
        ["logits", *CACHE],
        dynamic={"input_ids": BATCH_SEQUENCE},
        data_sets=[{"batch": 1, "sequence": 64}, {"batch": 2, "sequence": 11}],
        external_data=True,
    ),
    # These are for benchmarks.
    "convnet": Spec(vision.convnet, lambda _: {"data": torch.rand(1, 1, 28, 28)}, ["logits"]),
    "resnet50_batches": Spec(
        vision.resnet50, image, ["logits"], dynamic={"data": BATCH}, data_sets=BATCHES
    ),
    "mobilenet_v2_batches": Spec(
        vision.mobilenet_v2, image, ["logits"], dynamic={"data": BATCH}, data_sets=BATCHES
    ),
    "efficientnet_b0": Spec(vision.efficientnet_b0, image, ["logits"]),
    "convnext_tiny": Spec(vision.convnext_tiny, image, ["logits"]),
    "unet": Spec(vision.unet, lambda _: {"data": torch.rand(1, 3, 128, 128) * 2 - 1}, ["masks"]),
    "super_resolution": Spec(
        vision.super_resolution, lambda _: {"data": torch.rand(1, 1, 224, 224)}, ["images"]
    ),
    "gpt2_decode": Spec(
        text.Gpt2Decode,
        decode_feeds,
        ["logits", *CACHE],
        dynamic={"input_ids": BATCH} | {f"past_{name}": {0: "batch", 2: "past"} for name in CACHE},
        data_sets=[{"batch": 1, "past": 512}],
        external_data=True,
    ),
    "recommender": Spec(
        text.Recommender,
        recommender_feeds,
        ["logits"],
        dynamic={"numbers": BATCH, "categories": BATCH},
        data_sets=[{"batch": 64}],
    ),
}
