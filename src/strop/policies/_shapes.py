"""The transformers that are trained from scratch, each in the shape of a known model, without dropout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

GAIN = 0.5
"""How long the output of a layer of an encoder is beside its input, at the start. With BERT's weights of 0.02, which
are made for a width of 768, the layers of a small model add next to nothing, and it sees no neighbours for long."""
FIRST_LENGTH = 0.2
"""The length of a token's vector at the start, where the model's own would make the first logits large."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a model: tokens, the one that ends a text, layers (of an encoder and of a decoder), and the most it reads."""

    vocabulary: int
    end: int | None
    num_layers: int
    width: int
    num_heads: int
    context: int

    @property
    def tokens(self) -> dict[str, int | None]:
        """The vocabulary and its special tokens. A decoder that has to begin with one begins with the end token."""
        return {"vocab_size": self.vocabulary, "bos_token_id": None, "eos_token_id": self.end, "pad_token_id": None}


def model_of(shape: str, sizes: Sizes) -> Any:
    """A model of this shape with random weights from torch's generator."""
    return SHAPES[shape](sizes)


def _llama(sizes: Sizes) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**_decoder(sizes)))


def _qwen3(sizes: Sizes) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**_decoder(sizes), head_dim=sizes.width // sizes.num_heads))


def _decoder(sizes: Sizes) -> dict[str, Any]:
    return {
        **sizes.tokens,
        "hidden_size": sizes.width,
        "intermediate_size": 4 * sizes.width,
        "num_hidden_layers": sizes.num_layers,
        "num_attention_heads": sizes.num_heads,
        "num_key_value_heads": sizes.num_heads,
        "max_position_embeddings": sizes.context,
        "tie_word_embeddings": True,
        "use_cache": True,
    }


def _gpt2(sizes: Sizes) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        **sizes.tokens,
        n_embd=sizes.width,
        n_layer=sizes.num_layers,
        n_head=sizes.num_heads,
        n_positions=sizes.context,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    return GPT2LMHeadModel(config)


def _t5(sizes: Sizes) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        **sizes.tokens,
        d_model=sizes.width,
        d_kv=sizes.width // sizes.num_heads,
        d_ff=4 * sizes.width,
        num_layers=sizes.num_layers,
        num_decoder_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        dropout_rate=0.0,
        tie_word_embeddings=True,
        decoder_start_token_id=_start(sizes),
    )
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        model.shared.weight.mul_(FIRST_LENGTH)  # of length sqrt(width), the first loss would be ln V + 0.5
    return model


def _bart(sizes: Sizes) -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(BartConfig(**_encoder_decoder(sizes), forced_eos_token_id=None))


def _marian(sizes: Sizes) -> Any:
    from transformers import MarianConfig, MarianMTModel

    config = MarianConfig(
        **_encoder_decoder(sizes), scale_embedding=True, activation_function="gelu", forced_eos_token_id=None
    )
    return MarianMTModel(config)


def _encoder_decoder(sizes: Sizes) -> dict[str, Any]:
    return {
        **sizes.tokens,
        "d_model": sizes.width,
        "encoder_layers": sizes.num_layers,
        "decoder_layers": sizes.num_layers,
        "encoder_attention_heads": sizes.num_heads,
        "decoder_attention_heads": sizes.num_heads,
        "encoder_ffn_dim": 4 * sizes.width,
        "decoder_ffn_dim": 4 * sizes.width,
        "max_position_embeddings": sizes.context,
        "decoder_start_token_id": _start(sizes),
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "is_encoder_decoder": True,
    }


def _bert(sizes: Sizes) -> Any:
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        **sizes.tokens,
        hidden_size=sizes.width,
        intermediate_size=4 * sizes.width,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_heads,
        max_position_embeddings=sizes.context,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=GAIN / math.sqrt(sizes.width),
    )
    return _with_short_vectors(BertForMaskedLM(config), sizes)


def _modernbert(sizes: Sizes) -> Any:
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    config = ModernBertConfig(
        **sizes.tokens,
        cls_token_id=sizes.end,
        sep_token_id=sizes.end,
        hidden_size=sizes.width,
        intermediate_size=2 * sizes.width,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_heads,
        max_position_embeddings=sizes.context,
        layer_types=["full_attention"] * sizes.num_layers,
        initializer_range=GAIN / math.sqrt(sizes.width),
    )
    return _with_short_vectors(ModernBertForMaskedLM(config), sizes)


def _with_short_vectors(model: Any, sizes: Sizes) -> Any:
    """The model with vectors of tokens, positions and segments so long as keeps the first loss near that of a guess."""
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=FIRST_LENGTH / math.sqrt(sizes.width))
    return model


def _start(sizes: Sizes) -> int:
    """What a decoder reads before the first token: the end of the text before, or without an end any token."""
    return 0 if sizes.end is None else sizes.end


SHAPES: Mapping[str, Callable[[Sizes], Any]] = {
    "llama": _llama,
    "gpt2": _gpt2,
    "qwen3": _qwen3,
    "t5": _t5,
    "bart": _bart,
    "marian": _marian,
    "bert": _bert,
    "modernbert": _modernbert,
}
