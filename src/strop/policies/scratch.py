"""A small transformer from scratch, in the shape of a known model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from strop.codec import HFCodec, WordCodec, codec_of
from strop.functional.bounds import check_at_least
from strop.policies.transformer import Transformer, adapt
from strop.process import seeded
from strop.types import ComputesOn, PolicyConfig, Tokenizer, check_fields

SHAPES = ("llama", "gpt2", "qwen3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch(PolicyConfig):
    """A decoder with random weights (tied embeddings), all of which train, as transformers builds it.

    words       the vocabulary, if there is no tokenizer
    has_end     adds the token that ends a completion
    tokenizer   a `strop.Tokenizer`; `strop pretrain` sets it from the corpus
    shape       llama (rotary positions, RMS norms, gated layers), qwen3 (as llama, with norms of queries and keys), or
                gpt2 (learnt positions, layer norms, GELU)
    num_layers  decoder layers
    width       width of a layer; a multiple of num_heads
    num_heads   attention heads
    context     the most tokens that it can read
    value_head  adds the value that actor-critic algorithms and reward models read
    """

    computes_on: ClassVar[ComputesOn] = "accelerator"
    words: Sequence[str] = ()
    has_end: bool = True
    tokenizer: Tokenizer | None = None
    shape: Literal["llama", "gpt2", "qwen3"] = "llama"
    num_layers: int = 2
    width: int = 64
    num_heads: int = 4
    context: int = 64
    value_head: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.shape not in SHAPES:
            raise ValueError(f"policy.shape={self.shape!r}: it is one of {', '.join(SHAPES)}.")
        for name in ("num_layers", "width", "num_heads", "context"):
            check_at_least(f"policy.{name}", getattr(self, name), 1)
        each, rest = divmod(self.width, self.num_heads)
        if rest:
            raise ValueError(f"policy.width={self.width} must be a multiple of policy.num_heads={self.num_heads}.")
        if each % 2 and self.shape != "gpt2":
            raise ValueError(
                f"policy.width={self.width}: {self.num_heads} heads have {each} numbers each, and rotary positions "
                "turn pairs of them. Set policy.width to an even multiple of policy.num_heads."
            )

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Transformer, WordCodec | HFCodec]:
        """The model initialised from `seed`, and its codec."""
        from transformers import AutoModelForCausalLM

        codec, size = codec_of(self.words, self.has_end, self.tokenizer)
        config = self._config(size, codec.end)
        with seeded(seed):
            model = AutoModelForCausalLM.from_config(config)
        return adapt(model, None, seed, dtype, self.value_head, device), codec

    def _config(self, vocabulary: int, end: int | None) -> Any:
        """The config of transformers for this shape; without dropout, since log-probs are those of what samples."""
        from transformers import GPT2Config, LlamaConfig, Qwen3Config

        tokens = {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": end, "pad_token_id": None}
        if self.shape == "gpt2":
            return GPT2Config(
                **tokens,
                n_embd=self.width,
                n_layer=self.num_layers,
                n_head=self.num_heads,
                n_positions=self.context,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
            )
        decoder = {
            **tokens,
            "hidden_size": self.width,
            "intermediate_size": 4 * self.width,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_heads,
            "max_position_embeddings": self.context,
            "tie_word_embeddings": True,
            "use_cache": True,
        }
        if self.shape == "qwen3":
            return Qwen3Config(**decoder, head_dim=self.width // self.num_heads)
        return LlamaConfig(**decoder)
