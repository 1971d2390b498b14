"""A small transformer from scratch over a vocabulary of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from strop.codec import WordCodec
from strop.policies.transformer import Transformer, adapt
from strop.process import seeded
from strop.types import ComputesOn, PolicyConfig, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch(PolicyConfig):
    """A Llama-shaped decoder with random weights (tied embeddings), all of which train.

    words       the vocabulary
    has_end     adds the token that ends a completion
    num_layers  decoder layers
    width       width of a layer; a multiple of num_heads
    num_heads   attention heads
    context     the most tokens that it can read
    value_head  adds the value that actor-critic algorithms and reward models read
    """

    computes_on: ClassVar[ComputesOn] = "accelerator"
    words: Sequence[str]
    has_end: bool = True
    num_layers: int = 2
    width: int = 64
    num_heads: int = 4
    context: int = 64
    value_head: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % self.num_heads:
            raise ValueError(f"policy.width={self.width} must be a multiple of policy.num_heads={self.num_heads}.")

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Transformer, WordCodec]:
        """The model initialised from `seed`, and its codec."""
        from transformers import LlamaConfig, LlamaForCausalLM

        codec = WordCodec(self.words, self.has_end)
        config = LlamaConfig(
            vocab_size=codec.size,
            hidden_size=self.width,
            intermediate_size=4 * self.width,
            num_hidden_layers=self.num_layers,
            num_attention_heads=self.num_heads,
            num_key_value_heads=self.num_heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=codec.end,
            pad_token_id=None,
            use_cache=True,
        )
        with seeded(seed):
            model = LlamaForCausalLM(config)
        return adapt(model, None, seed, dtype, self.value_head, device), codec
