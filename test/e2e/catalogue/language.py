"""Encoders of text: classes, names, answers, vectors; translation and summarisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .model import Input, Model, floats, mask, tokens
from .parts import library

WORDS = 120
TEXTS = ({"batch": 2, "sequence": 12}, {"batch": 1, "sequence": 5}, {"batch": 3, "sequence": 17})
PAIRS = ({"batch": 2, "source": 11, "target": 6}, {"batch": 1, "source": 5, "target": 3}, {"batch": 3, "source": 16, "target": 9})
ENCODER = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
           "max_position_embeddings": 40, "num_labels": 4}  # fmt: skip
MASKED = {"input_ids": tokens(WORDS, "batch", "sequence"), "attention_mask": mask("batch", "sequence")}
TRANSLATED = {"input_ids": tokens(WORDS, "batch", "source"), "attention_mask": mask("batch", "source"),
              "decoder_input_ids": tokens(WORDS, "batch", "target")}  # fmt: skip
BART = {"vocab_size": WORDS, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 40}  # fmt: skip
MARIAN = BART | {"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "scale_embedding": True, "activation_function": "swish"}
T5 = {"vocab_size": WORDS, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "feed_forward_proj": "gated-gelu"}


class Sentence(nn.Module):
    """A vector of length 1 for a text: the mean of what BERT says of its words (Sentence-BERT)."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        self.model = BertModel(BertConfig(**ENCODER), add_pooling_layer=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        words = self.model(input_ids, attention_mask).last_hidden_state
        weights = attention_mask[:, :, None].to(words)
        return nn.functional.normalize((words * weights).sum(1) / weights.sum(1).clamp(min=1e-9))


class TextCNN(nn.Module):
    """Convolutions of several lengths over words, and the largest of each (Kim 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 24, padding_idx=0)
        self.views = nn.ModuleList(nn.Conv1d(24, 16, k, padding=k // 2) for k in (2, 3, 5))
        self.head = nn.Linear(48, 4)

    def forward(self, input_ids: Tensor) -> Tensor:
        x = self.words(input_ids).transpose(1, 2)
        return self.head(torch.cat([view(x).relu().amax(2) for view in self.views], 1)).log_softmax(1)


class Tagger(nn.Module):
    """Names in a text: an LSTM both ways and a chain of tags, whose best path Viterbi's algorithm finds in a loop."""

    def __init__(self, tags: int = 5) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 24)
        self.lstm = nn.LSTM(24, 16, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, tags)
        self.moves = nn.Parameter(torch.randn(tags, tags))
        self.path = torch.jit.script(best_path)

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.head(self.lstm(self.words(input_ids))[0])
        return self.path(scores, self.moves)


def best_path(scores: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    total = scores[:, 0]
    back = torch.zeros([scores.shape[0], 0, scores.shape[2]], dtype=torch.int64)
    for i in range(1, scores.shape[1]):
        best, before = (total[:, :, None] + moves[None]).max(1)
        total = best + scores[:, i]
        back = torch.cat([back, before[:, None]], 1)
    score, tag = total.max(1)
    path = tag[:, None]
    for i in range(scores.shape[1] - 1):
        step = back[:, scores.shape[1] - 2 - i]
        tag = step.gather(1, tag[:, None])[:, 0]
        path = torch.cat([tag[:, None], path], 1)
    return path, score


def encoder(name: str, task: str, exporter: str, config: str, kind: str, outputs: list[str], settings: dict | None = None,
            fast: bool = False, inputs: dict[str, Input] | None = None) -> Model:  # fmt: skip
    return library(name, task, exporter, config, kind, ENCODER | (settings or {}), inputs or MASKED, outputs, *TEXTS, fast=fast)


DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True}
MODELS = [
    encoder("bert_question_answering", "question answering", "dynamo", "BertConfig", "BertForQuestionAnswering",
            ["start_logits", "end_logits"], {"num_labels": 2}, inputs=MASKED | {"token_type_ids": tokens(2, "batch", "sequence")}, fast=True),
    encoder("distilbert", "text classification", "torchscript", "DistilBertConfig", "DistilBertForSequenceClassification", ["logits"], DISTIL),
    encoder("roberta_ner", "named entities", "dynamo", "RobertaConfig", "RobertaForTokenClassification", ["logits"], {"pad_token_id": 0}),
    encoder("albert", "masked words", "dynamo", "AlbertConfig", "AlbertForMaskedLM", ["logits"], {"embedding_size": 16}),
    encoder("electra", "replaced words", "torchscript", "ElectraConfig", "ElectraForPreTraining", ["logits"], {"embedding_size": 16}),
    encoder("deberta_v2", "text classification", "dynamo", "DebertaV2Config", "DebertaV2ForSequenceClassification", ["logits"], DEBERTA),
    Model("sentence_embedding", "sentence embedding", "dynamo", Sentence, MASKED, ["vector"], TEXTS, fast=True),
    Model("text_cnn", "text classification", "dynamo", TextCNN, {"input_ids": tokens(WORDS, "batch", "sequence")}, ["chances"], TEXTS),
    Model("tagger", "named entities", "torchscript", Tagger, {"input_ids": tokens(WORDS, "batch", "sequence")}, ["path", "score"], TEXTS,
          fast=True),
    library("t5_summarisation", "summarisation", "torchscript", "T5Config", "T5ForConditionalGeneration", T5, TRANSLATED, ["logits"], *PAIRS,
            fast=True),
    library("bart_summarisation", "summarisation", "torchscript", "BartConfig", "BartForConditionalGeneration", BART, TRANSLATED,
            ["logits", "encoder_last_hidden_state"], *PAIRS),
    library("marian_translation", "translation", "dynamo", "MarianConfig", "MarianMTModel", MARIAN, TRANSLATED, ["logits"], *PAIRS),
]  # fmt: skip
