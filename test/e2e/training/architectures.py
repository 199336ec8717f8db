"""The architectures whose training is compared with PyTorch's: in two sizes, "small" for the tests and "full"
for benchmarks/run.

Each is a PyTorch module from its inputs to what the loss takes, with examples and the loss, both as Nacre writes
it and as PyTorch has it. Nothing in them is random in a step (no dropout), so that steps can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Arrays = dict[str, Tensor]


@dataclass(frozen=True)
class Architecture:
    build: Callable[[], nn.Module]
    # A batch of examples: the inputs in the order of the module's, and the targets.
    inputs: Callable[[int], Arrays]
    targets: Callable[[int], Arrays]
    batch: int
    loss: str  # as `nacre train --loss` takes it
    torch_loss: Callable[[Tensor, Tensor], Tensor]


# ---- Perceptrons and images --------------------------------------------------------------------


def mlp(*widths: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convnet() -> nn.Module:
    """Two convolutions of 5 x 5 with pooling between them, for images of 28 x 28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 10)),
    )


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """ResNet's block of two 3x3 convolutions, with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn(inputs, outputs, 3, stride)
        self.second = conv_bn(outputs, outputs, 3)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


def resnet18(classes: int) -> nn.Module:
    """ResNet-18 (He et al. 2015): 11.2 million parameters and the head's."""
    layers: list[nn.Module] = [conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage in range(4):
        for block in range(2):
            layers.append(BasicBlock(inputs, 64 << stage, 2 if stage and block == 0 else 1))
            inputs = 64 << stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Down by pooling, up by transposed convolutions, with what was seen on the way down beside it."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.down = nn.ModuleList(self.block(i, o) for i, o in zip((1, *widths), widths))
        pairs = list(zip(widths[1:], widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, 2) for i, o in pairs)
        self.merge = nn.ModuleList(self.block(2 * o, o) for _, o in pairs)
        self.head = nn.Conv2d(widths[0], 1, 1)

    @staticmethod
    def block(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()),
            *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            seen.append(x)
        seen.pop()
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat([seen.pop(), up(x)], 1))
        return self.head(x)


# ---- Sequences -----------------------------------------------------------------------------------


class LstmClassifier(nn.Module):
    """Token ids [N, T] to classes [N, C]: an embedding, LSTMs in both directions, a head on the last states."""

    def __init__(self, words: int, width: int, units: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, units, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * units, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (h, _) = self.lstm(self.embedding(tokens))
        return self.head(torch.cat([h[0], h[1]], 1))


class Bert(nn.Module):
    """The library's BERT with a classifier over its pooled output."""

    def __init__(self, words: int, width: int, layers: int, heads: int, classes: int, places: int) -> None:
        super().__init__()
        from transformers import BertConfig, BertForSequenceClassification

        self.model = BertForSequenceClassification(
            BertConfig(
                vocab_size=words, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=4 * width, max_position_embeddings=places, num_labels=classes,
                hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.05,
            )
        )  # fmt: skip

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.model(tokens, mask).logits


class Gpt(nn.Module):
    """The library's GPT-2 with its tied head; classes before places, as losses take them."""

    def __init__(self, words: int, width: int, layers: int, heads: int, places: int) -> None:
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=words, n_embd=width, n_layer=layers, n_head=heads, n_positions=places,
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.05,
            )
        )  # fmt: skip

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens, attention_mask=torch.ones_like(tokens), use_cache=False).logits.transpose(1, 2)


class Vit(nn.Module):
    """The library's ViT."""

    def __init__(self, size: int, patch: int, width: int, layers: int, heads: int, classes: int) -> None:
        super().__init__()
        from transformers import ViTConfig, ViTForImageClassification

        self.model = ViTForImageClassification(
            ViTConfig(
                image_size=size, patch_size=patch, hidden_size=width, num_hidden_layers=layers,
                num_attention_heads=heads, intermediate_size=4 * width, num_labels=classes,
                hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.05,
            )
        )  # fmt: skip

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model(pixels).logits


class Recommender(nn.Module):
    """Users and items to the logit of a like: the embeddings' product beside a small network."""

    def __init__(self, users: int, items: int, features: int, width: int, hidden: int) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, width), nn.Embedding(items, width)
        self.deep = nn.Sequential(nn.Linear(2 * width + features, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, user: Tensor, item: Tensor, features: Tensor) -> Tensor:
        u, i = self.users(user), self.items(item)
        return (u * i).sum(1, keepdim=True) + self.deep(torch.cat([u, i, features], 1))


# ---- All of them ---------------------------------------------------------------------------------


def classes(count: int, *sizes: int) -> Callable[[int], Arrays]:
    return lambda batch: {"labels": torch.randint(0, count, (batch, *sizes))}


def numbers(name: str, *sizes: int) -> Callable[[int], Arrays]:
    return lambda batch: {name: torch.rand(batch, *sizes)}


def likes(*sizes: int) -> Callable[[int], Arrays]:
    return lambda batch: {"targets": torch.randint(0, 2, (batch, *sizes)).float()}


def tokens(words: int, length: int) -> Callable[[int], Arrays]:
    return lambda batch: {"tokens": torch.randint(0, words, (batch, length))}


def masked_tokens(words: int, length: int) -> Callable[[int], Arrays]:
    def make(batch: int) -> Arrays:
        lengths = torch.randint(length // 2, length + 1, (batch, 1))
        mask = (torch.arange(length).expand(batch, length) < lengths).long()
        return tokens(words, length)(batch) | {"mask": mask}

    return make


def recommender_inputs(users: int, items: int, features: int) -> Callable[[int], Arrays]:
    return lambda batch: {
        "user": torch.randint(0, users, (batch,)),
        "item": torch.randint(0, items, (batch,)),
        "features": torch.randn(batch, features),
    }


def classifier(
    build: Callable[[], nn.Module], inputs: Callable[[int], Arrays], targets: Callable[[int], Arrays], batch: int
) -> Architecture:
    return Architecture(build, inputs, targets, batch, "softmax-cross-entropy", F.cross_entropy)


def judge(
    build: Callable[[], nn.Module], inputs: Callable[[int], Arrays], targets: Callable[[int], Arrays], batch: int
) -> Architecture:
    return Architecture(build, inputs, targets, batch, "bce-with-logits", F.binary_cross_entropy_with_logits)


SMALL: dict[str, Architecture] = {
    "mlp": classifier(lambda: mlp(784, 256, 128, 10), numbers("x", 784), classes(10), 64),
    "convnet": classifier(convnet, numbers("x", 1, 28, 28), classes(10), 16),
    "resnet18": classifier(lambda: resnet18(10), numbers("x", 3, 64, 64), classes(10), 4),
    "lstm": classifier(lambda: LstmClassifier(200, 32, 48, 5), tokens(200, 20), classes(5), 8),
    "bert": classifier(lambda: Bert(500, 64, 2, 4, 3, 32), masked_tokens(500, 24), classes(3), 4),
    "gpt": classifier(lambda: Gpt(300, 64, 3, 4, 24), tokens(300, 24), classes(300, 24), 4),
    "vit": classifier(lambda: Vit(32, 8, 64, 3, 4, 10), numbers("x", 3, 32, 32), classes(10), 4),
    "unet": judge(lambda: UNet((8, 16, 32)), numbers("x", 1, 32, 32), likes(1, 32, 32), 4),
    "recommender": judge(lambda: Recommender(100, 80, 4, 16, 32), recommender_inputs(100, 80, 4), likes(1), 64),
}
FULL: dict[str, Architecture] = {
    "mlp": classifier(lambda: mlp(784, 64, 64, 10), numbers("x", 784), classes(10), 64),
    "convnet": classifier(convnet, numbers("x", 1, 28, 28), classes(10), 64),
    "resnet18": classifier(lambda: resnet18(1000), numbers("x", 3, 64, 64), classes(1000), 16),
    "lstm": classifier(lambda: LstmClassifier(5000, 128, 128, 5), tokens(5000, 64), classes(5), 32),
    "bert": classifier(lambda: Bert(30522, 512, 4, 8, 3, 512), masked_tokens(30522, 64), classes(3), 8),
}


def make(architecture: Architecture, seed: int) -> tuple[nn.Module, Arrays, Arrays]:
    """The module with its first weights, and a batch of inputs and targets."""
    torch.manual_seed(seed)
    module = architecture.build().train()
    return module, architecture.inputs(architecture.batch), architecture.targets(architecture.batch)


def export(module: nn.Module, inputs: Arrays, path: Any, *, dynamo: bool, dynamic: bool) -> None:
    """Writes the module as an ONNX file for training: nothing is folded or fused away."""
    import warnings

    names = list(inputs)
    options: dict[str, Any] = {"input_names": names, "output_names": ["logits"], "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = tuple({0: torch.export.Dim("batch", min=2)} for _ in names) if dynamic else None
            torch.onnx.export(
                module, tuple(inputs.values()), str(path), dynamo=True, dynamic_shapes=shapes, optimize=False,
                external_data=False, **options,
            )  # fmt: skip
        else:
            torch.onnx.export(
                module, tuple(inputs.values()), str(path), dynamo=False, training=torch.onnx.TrainingMode.TRAINING,
                do_constant_folding=False, dynamic_axes={n: {0: "batch"} for n in names} if dynamic else None,
                **options,
            )  # fmt: skip
