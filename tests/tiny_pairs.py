"""Tiny sequence-to-sequence folders, as transformers writes them: T5, BART and Marian with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

WORDS = ("red", "blue", "green", "pink", "grey", "rot", "blau")
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
PAD, BEGIN, END = 0, 1, 2
SHARED: dict[str, Any] = {"pad_token_id": PAD, "bos_token_id": BEGIN, "eos_token_id": END}
LAYERS: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 40,
}
CLOSING = {"t5": "$A </s>", "bart": "<s> $A </s>", "marian": "$A </s>"}
"""What each model's tokenizer writes around a source."""


def make(folder: Path, kind: str) -> Path:
    """Write a folder of this kind, with weights far from symmetric."""
    tokenizer = _tokenizer(kind)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = _model(kind, len(tokenizer))
        for parameter in model.parameters():
            parameter.data.add_(0.4 * torch.randn(parameter.shape))
    if kind == "marian":  # its logits have a bias, and it never writes its padding
        model.final_logits_bias.copy_(torch.linspace(-1.0, 1.0, len(tokenizer))[None])
        model.generation_config.bad_words_ids = [[PAD]]
    if kind == "bart":  # its answers begin with <s>
        model.generation_config.forced_bos_token_id = BEGIN
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _model(kind: str, size: int) -> Any:
    if kind == "t5":
        config = T5Config(
            vocab_size=size,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=PAD,
            **SHARED,
        )
        return T5ForConditionalGeneration(config)
    if kind == "bart":
        return BartForConditionalGeneration(
            BartConfig(vocab_size=size, decoder_start_token_id=END, forced_eos_token_id=None, **LAYERS, **SHARED)
        )
    return MarianMTModel(
        MarianConfig(vocab_size=size, decoder_start_token_id=PAD, forced_eos_token_id=None, **LAYERS, **SHARED)
    )


def _tokenizer(kind: str) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate((*SPECIAL, *WORDS))}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single=CLOSING[kind], special_tokens=[("<s>", BEGIN), ("</s>", END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
