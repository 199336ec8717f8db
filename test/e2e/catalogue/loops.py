"""Models that go on until they are done: loops inside the model, whose states grow.

They are scripted in PyTorch (torch.jit.script), which keeps loops, and exported by its older exporter.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .model import Input, Model, floats, tokens

WORDS, WIDTH = 40, 32  # heads: 4 of 8


def split_heads(x: Tensor) -> Tensor:
    return x.view(x.shape[0], x.shape[1], 4, 8).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Of heads, which are joined again."""
    chances = torch.softmax(torch.matmul(q, k.transpose(2, 3)) / math.sqrt(8.0), -1)
    return torch.matmul(chances, v).transpose(1, 2).flatten(2)


class Layer(nn.Module):
    """A decoder's layer, one token at a time: attention over its cache, over what the encoder said, and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.join = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.query2, self.key2, self.value2, self.join2 = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.widen, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def look(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return attend(split_heads(query), split_heads(keys), split_heads(values))

    def forward(self, x: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.norm1(x)
        k = torch.cat([k, self.key(y)], 1)
        v = torch.cat([v, self.value(y)], 1)
        x = x + self.join(self.look(self.query(y), k, v))
        y = self.norm2(x)
        x = x + self.join2(self.look(self.query2(y), self.key2(seen), self.value2(seen)))
        return x + self.narrow(torch.relu(self.widen(self.norm3(x)))), k, v


class Decoder(nn.Module):
    """The scores of the next token; keys and values of both layers grow by its."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(64, WIDTH)
        self.first, self.second = Layer(), Layer()
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, token: Tensor, place: int, seen: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor):
        x = self.words(token[:, None]) + self.places(torch.full_like(token[:, None], place))
        x, k1, v1 = self.first(x, k1, v1, seen)
        x, k2, v2 = self.second(x, k2, v2, seen)
        return torch.matmul(self.norm(x)[:, 0], self.words.weight.t()), k1, v1, k2, v2


class Greedy(nn.Module):
    """The most likely token each time, until all texts have ended or are long enough."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()

    def forward(self, seen: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
        n = seen.shape[0]
        token = torch.ones([n], dtype=torch.int64)
        done = torch.zeros([n], dtype=torch.bool)
        text = token[:, None]
        k1 = torch.zeros_like(seen[:, :0])
        v1, k2, v2 = k1, k1, k1
        scores = torch.zeros_like(seen[:, 0, :1])[:, :0]
        i = 0
        last = int(limit.item())
        going = True
        while going and i < last:
            logits, k1, v1, k2, v2 = self.decoder(token, i, seen, k1, v1, k2, v2)
            best, token = torch.log_softmax(logits, 1).max(1)
            token = torch.where(done, torch.zeros_like(token), token)
            scores = torch.cat([scores, torch.where(done, torch.zeros_like(best), best)[:, None]], 1)
            done = done | (token == 2)
            text = torch.cat([text, token[:, None]], 1)
            going = not bool(done.all())
            i += 1
        return text, scores


class Beam(nn.Module):
    """The best of several texts at a time, for one sentence; each step takes the caches of those that go on."""

    def __init__(self, beams: int = 3) -> None:
        super().__init__()
        self.decoder, self.beams = Decoder(), beams

    def forward(self, seen: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
        beams = self.beams
        seen = seen.expand([beams, seen.shape[1], seen.shape[2]])
        token = torch.ones([beams], dtype=torch.int64)
        text = token[:, None]
        scores = torch.where(torch.arange(beams) == 0, 0.0, -1e4).to(seen)
        k1 = torch.zeros_like(seen[:, :0])
        v1, k2, v2 = k1, k1, k1
        i = 0
        last = int(limit.item())
        while i < last:
            logits, k1, v1, k2, v2 = self.decoder(token, i, seen, k1, v1, k2, v2)
            totals = (scores[:, None] + torch.log_softmax(logits, 1)).flatten()
            scores, flat = totals.topk(beams)
            came = torch.div(flat, logits.shape[1], rounding_mode="floor")
            token = flat % logits.shape[1]
            k1, v1 = k1.index_select(0, came), v1.index_select(0, came)
            k2, v2 = k2.index_select(0, came), v2.index_select(0, came)
            text = torch.cat([text.index_select(0, came), token[:, None]], 1)
            i += 1
        return text, scores


class Encoder(nn.Module):
    """Two layers that look at all places, with normalisation before."""

    def __init__(self) -> None:
        super().__init__()
        self.joins = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(2))
        self.outs = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.widen = nn.ModuleList(nn.Linear(WIDTH, 64) for _ in range(2))
        self.narrow = nn.ModuleList(nn.Linear(64, WIDTH) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        n, s = x.shape[0], x.shape[1]
        for join, out, widen, narrow, norm in zip(self.joins, self.outs, self.widen, self.narrow, self.norms):
            qkv = join(norm(x)).view(n, s, 3, 4, 8).permute(2, 0, 3, 1, 4)
            x = x + out(attend(qkv[0], qkv[1], qkv[2]))
            x = x + narrow(torch.nn.functional.gelu(widen(x)))
        return x


class Recogniser(nn.Module):
    """Speech to text: convolutions and an encoder's layers over frames, then a decoder with its cache in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.ears = nn.Sequential(nn.Conv1d(20, WIDTH, 3, padding=1), nn.GELU(), nn.Conv1d(WIDTH, WIDTH, 3, 2, 1), nn.GELU())
        self.encoder, self.greedy = Encoder(), Greedy()

    def forward(self, frames: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
        return self.greedy(self.encoder(self.ears(frames).transpose(1, 2)), limit)


class Translator(nn.Module):
    """One sentence: an encoder's layers, and a search with three beams in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.encoder, self.search = Encoder(), Beam()

    def forward(self, input_ids: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
        return self.search(self.encoder(self.words(input_ids)), limit)


class Attention(nn.Module):
    """A recurrent decoder that looks at what was read (Bahdanau et al. 2015), so many steps, in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.gates, self.fresh = nn.Linear(3 * WIDTH, 2 * WIDTH), nn.Linear(3 * WIDTH, WIDTH)
        self.left, self.right, self.down = nn.Linear(WIDTH, 16), nn.Linear(WIDTH, 16), nn.Linear(16, 1)
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, seen: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        state = seen.mean(1)
        token = torch.ones([seen.shape[0]], dtype=torch.int64)
        text = torch.zeros([seen.shape[0], 0], dtype=torch.int64)
        looks = torch.zeros_like(seen[:, None, :, 0])[:, :0]
        keys = self.left(seen)
        for _ in range(int(steps.item())):
            look = self.down(torch.tanh(keys + self.right(state)[:, None]))[:, :, 0].softmax(1)
            context = (look[:, :, None] * seen).sum(1)
            seen_now = torch.cat([self.words(token), context], 1)
            reset, keep = torch.sigmoid(self.gates(torch.cat([seen_now, state], 1))).chunk(2, 1)
            state = keep * state + (1 - keep) * torch.tanh(self.fresh(torch.cat([seen_now, reset * state], 1)))
            token = self.head(state).argmax(1)
            text = torch.cat([text, token[:, None]], 1)
            looks = torch.cat([looks, look[:, None]], 1)
        return text, looks


class Seq2Seq(nn.Module):
    """The encoder's layers, and that decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.encoder, self.decoder = Encoder(), Attention()

    def forward(self, input_ids: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder(self.encoder(self.words(input_ids)), steps)


class Diffused(nn.Module):
    """Points from noise in so many steps of DDIM (Song et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(9, 32), nn.SiLU(), nn.Linear(32, 8))
        self.register_buffer("kept", torch.linspace(0.99, 0.1, 32))

    def forward(self, noise: Tensor, steps: Tensor) -> Tensor:
        x = noise
        last = int(steps.item())
        for i in range(last):
            now, then = self.kept[last - i], self.kept[last - i - 1]
            guess = self.body(torch.cat([x, now.expand(x.shape[0], 1)], 1))
            start = (x - (1 - now).sqrt() * guess) / now.sqrt()
            x = then.sqrt() * start + (1 - then).sqrt() * guess
        return x


LIMIT = Input((), lambda _, sizes: torch.tensor(sizes["limit"]))
FRAMES = ({"batch": 2, "frames": 20, "limit": 8}, {"batch": 1, "frames": 9, "limit": 12}, {"batch": 3, "frames": 31, "limit": 1})
SENTENCES = ({"sequence": 7, "limit": 6}, {"sequence": 1, "limit": 9}, {"sequence": 12, "limit": 2})
TEXTS = ({"batch": 2, "sequence": 7, "limit": 5}, {"batch": 1, "sequence": 3, "limit": 8}, {"batch": 3, "sequence": 11, "limit": 1})
NOISE = ({"batch": 2, "limit": 5}, {"batch": 1, "limit": 31}, {"batch": 4, "limit": 1})
MODELS = [
    Model("speech_recognition", "speech recognition", "torchscript", lambda: torch.jit.script(Recogniser()),
          {"frames": floats("batch", 20, "frames"), "limit": LIMIT}, ["text", "scores"], FRAMES, fast=True),
    Model("beam_search", "translation with beam search", "torchscript", lambda: torch.jit.script(Translator()),
          {"input_ids": tokens(WORDS, 1, "sequence"), "limit": LIMIT}, ["text", "scores"], SENTENCES, fast=True),
    Model("seq2seq_attention", "translation", "torchscript", lambda: torch.jit.script(Seq2Seq()),
          {"input_ids": tokens(WORDS, "batch", "sequence"), "steps": LIMIT}, ["text", "looks"], TEXTS),
    Model("ddim", "diffusion", "torchscript", lambda: torch.jit.script(Diffused()), {"noise": floats("batch", 8), "steps": LIMIT}, ["x"], NOISE, fast=True),
]  # fmt: skip
