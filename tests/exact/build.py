"""Tiny models, beside the hand-made episodes that `strop.verify` shares: the inputs of the exact tests."""

from __future__ import annotations

from typing import Any

import torch

from strop.policies._shapes import Sizes, model_of
from strop.policies.adapters import LoRA, add_lora
from strop.policies.transformer import Transformer
from strop.verify.episodes import TASK, batch_of, episode, turn
from strop.verify.tree import flat

__all__ = [
    "TASK",
    "batch_of",
    "episode",
    "flat",
    "gpt2",
    "language_model",
    "llama",
    "policy_over",
    "transformer",
    "turn",
]


def llama(vocabulary: int = 7, seed: int = 0, width: int = 16, context: int = 32) -> Any:
    """A 2-layer Llama (rotary positions)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=context,
            initializer_range=0.3,  # far from uniform, so that a wrong position or mask shows
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
        )
    )


def gpt2(vocabulary: int = 7, seed: int = 0, width: int = 16, context: int = 32) -> Any:
    """A 2-layer GPT-2 (absolute positions; every operation exists in float64)."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_positions=context,
            n_embd=width,
            n_layer=2,
            n_head=2,
            initializer_range=0.3,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


USUAL: dict[str, dict[str, Any]] = {
    "gpt2": {"pad_token_id": None},
    "mistral": {"sliding_window": None},
    "smollm3": {"no_rope_layers": [0, 1]},
}
"""Options of some kinds: GPT-2 has no padding token, Mistral attends to all tokens, SmolLM3's first layer ignores
positions."""


def language_model(kind: str = "llama", heads: int = 6, inner: int = 20, key_heads: int = 2, **more: Any) -> Any:
    """A random model of two layers of any kind, with heads of width 4 and large weights, so that every path shows."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        kind,
        vocab_size=11,
        hidden_size=4 * heads,
        intermediate_size=inner,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=None,
        **{"head_dim": 4, "pad_token_id": 0} | USUAL.get(kind, {}) | more,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def pair(vocabulary: int) -> Any:
    """A T5 of two layers each."""
    torch.manual_seed(0)
    model = model_of("t5", Sizes(vocabulary, 0, num_layers=2, width=32, num_heads=2, context=64))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def policy_over(
    model: Any, lora: LoRA | None = None, dtype: str = "float32", value_head: bool = False, is_plain: bool = False
) -> Transformer:
    """A policy over a `language_model`. Its adapter and its value head are not 0, so that they show."""
    if lora is not None:
        model.requires_grad_(False)
        add_lora(model, lora, 0)
    policy = Transformer(model, lora is not None, dtype, value_head, is_plain)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in policy.state_dict()["trainable"].items():
        if "lora_" in name or "value_head" in name:
            parameter.normal_(std=0.3, generator=generator)
    return policy


def transformer(
    kind: str = "gpt2", lora: bool = False, seed: int = 0, value_head: bool = False, **shape: int
) -> Transformer:
    """A tiny policy: "gpt2" computes in float64, "llama" in float32 (its norms do)."""
    model = gpt2(seed=seed, **shape).double() if kind == "gpt2" else llama(seed=seed, **shape)
    return Transformer.of(model, LoRA(rank=2, alpha=4) if lora else None, seed, "float32", value_head)
