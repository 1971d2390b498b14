"""Tiny folders of masked language models as transformers writes them, with a WordPiece tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("the", "cat", "dog", "sat", "on", "a", "mat", "good", "bad", "film", "was", "##s", ".")
PAD, UNK, CLS, SEP, MASK = range(5)
CONTEXT = 24


def tokenizer(has_types: bool = True) -> PreTrainedTokenizerFast:
    """Lower-case words, and an `s` that continues one."""
    made = Tokenizer(WordPiece({token: i for i, token in enumerate((*SPECIAL, *WORDS))}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=names if has_types else [names[0], names[2]],
    )


def _model(kind: str) -> Any:
    sizes: dict[str, Any] = {"vocab_size": len(SPECIAL) + len(WORDS), "max_position_embeddings": CONTEXT}
    usual = sizes | {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "pad_token_id": PAD,
    }
    if kind == "bert":
        return BertForMaskedLM(BertConfig(**usual))
    if kind == "bert with two heads":
        return BertForPreTraining(BertConfig(**usual))
    if kind == "roberta":
        usual |= {"max_position_embeddings": CONTEXT + 1, "type_vocab_size": 1}  # positions begin behind the padding's
        return RobertaForMaskedLM(RobertaConfig(**usual, bos_token_id=CLS, eos_token_id=SEP))
    if kind == "distilbert":
        return DistilBertForMaskedLM(DistilBertConfig(**sizes, dim=16, n_layers=2, n_heads=2, hidden_dim=32))
    assert kind == "modernbert"
    tokens = {"bos_token_id": CLS, "eos_token_id": SEP, "cls_token_id": CLS, "sep_token_id": SEP}
    return ModernBertForMaskedLM(ModernBertConfig(**usual, **tokens))


KINDS = ("bert", "bert with two heads", "roberta", "distilbert", "modernbert")


def make(folder: Path, kind: str = "bert") -> Path:
    """Write one, its weights far from 0: a wrong mask, position or type shows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _model(kind)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer(has_types=kind.startswith("bert")).save_pretrained(folder)
    return folder
