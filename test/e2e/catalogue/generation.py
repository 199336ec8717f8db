"""Generation of text: a prompt, with what is kept for later, and one more token from a cache."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .model import Model, floats, tokens
from .parts import library

WORDS = 120
PROMPTS = ({"batch": 2, "sequence": 9}, {"batch": 1, "sequence": 4}, {"batch": 3, "sequence": 15})
STEPS = ({"batch": 2, "past": 9}, {"batch": 1, "past": 1}, {"batch": 3, "past": 14})
LAYERS = 2
CACHE = [f"{kind}{layer}" for layer in range(LAYERS) for kind in ("key", "value")]
LLAMA = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 64, "max_position_embeddings": 64, "head_dim": 8, "pad_token_id": 0, "bos_token_id": 1,
         "eos_token_id": 2}  # fmt: skip
GPT2 = {"vocab_size": WORDS, "n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": 64}


class Cached(nn.Module):
    """Logits of the tokens given, and keys and values, behind those of the tokens before."""

    def __init__(self, config: str, kind: str, settings: dict[str, Any]) -> None:
        super().__init__()
        import transformers

        self.model = getattr(transformers, kind)(getattr(transformers, config)(**settings))

    def forward(self, input_ids: Tensor, *cache: Tensor) -> tuple[Tensor, ...]:
        from transformers import DynamicCache

        past = DynamicCache()
        for layer in range(len(cache) // 2):
            past.update(cache[2 * layer], cache[2 * layer + 1], layer)
        result = self.model(input_ids, past_key_values=past, use_cache=True)
        return result.logits, *(t for layer in result.past_key_values.layers for t in (layer.keys, layer.values))


def prompt(name: str, config: str, kind: str, settings: dict[str, Any], exporter: str = "dynamo", fast: bool = False) -> Model:
    inputs = {"input_ids": tokens(WORDS, "batch", "sequence")}
    return library(name, "text generation", exporter, config, kind, settings, inputs, ["logits"], *PROMPTS, fast=fast, use_cache=False)


def with_cache(name: str, config: str, kind: str, settings: dict[str, Any], heads: int, fast: bool = False) -> Model:
    """The prompt: its logits, and the cache for what follows."""
    inputs = {"input_ids": tokens(WORDS, "batch", "sequence")}
    outputs = ["logits", *CACHE]
    return Model(name, "text generation with a cache", "dynamo", lambda: Cached(config, kind, settings), inputs, outputs, PROMPTS, fast)


def step(name: str, config: str, kind: str, settings: dict[str, Any], heads: int, fast: bool = False) -> Model:
    """One more token, from a cache of any length."""
    inputs = {"input_ids": tokens(WORDS, "batch", 1)} | {f"past_{c}": floats("batch", heads, "past", 8) for c in CACHE}
    outputs = ["logits", *CACHE]
    return Model(name, "text generation with a cache", "dynamo", lambda: Cached(config, kind, settings), inputs, outputs, STEPS, fast)


GEMMA = LLAMA | {"query_pre_attn_scalar": 8, "sliding_window": 6}
MODELS = [
    prompt("gpt_neox", "GPTNeoXConfig", "GPTNeoXForCausalLM", LLAMA),
    prompt("bloom", "BloomConfig", "BloomForCausalLM", {"vocab_size": WORDS, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    prompt("opt", "OPTConfig", "OPTForCausalLM", LLAMA | {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    prompt("falcon", "FalconConfig", "FalconForCausalLM", {k: v for k, v in LLAMA.items() if k != "head_dim"} | {"multi_query": True, "parallel_attn": True}),
    prompt("phi", "PhiConfig", "PhiForCausalLM", LLAMA),
    prompt("gemma2", "Gemma2Config", "Gemma2ForCausalLM", GEMMA),
    with_cache("gpt2_prompt", "GPT2Config", "GPT2LMHeadModel", GPT2, 4),
    step("gpt2_step", "GPT2Config", "GPT2LMHeadModel", GPT2, 4, fast=True),
    with_cache("llama_prompt", "LlamaConfig", "LlamaForCausalLM", LLAMA, 2, fast=True),
    step("llama_step", "LlamaConfig", "LlamaForCausalLM", LLAMA, 2),
    step("qwen3_step", "Qwen3Config", "Qwen3ForCausalLM", LLAMA, 2),
]  # fmt: skip
