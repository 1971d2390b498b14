"""A small transformer from scratch, in the shape of a known model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from strop.codec import HFCodec, WordCodec, codec_of
from strop.functional.bounds import check_at_least
from strop.policies._shapes import SHAPES, Sizes, model_of
from strop.policies.encoder_decoder import EncoderDecoder
from strop.policies.transformer import Transformer
from strop.process import seeded
from strop.types import ComputesOn, PolicyConfig, Tokenizer, check_fields

ROTARY = ("llama", "qwen3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch(PolicyConfig):
    """A transformer with random weights (tied embeddings), all of which train, as transformers builds it.

    A decoder: llama (rotary positions, RMS norms, gated layers), qwen3 (as llama, with norms of queries and keys), or
    gpt2 (learnt positions, layer norms, GELU). An encoder and a decoder (`EncoderDecoder`): t5 (relative positions, RMS
    norms first), bart (learnt positions, layer norms last), or marian (as bart, with sines for positions).

    words       the vocabulary, if there is no tokenizer
    has_end     adds the token that ends a completion
    tokenizer   a `strop.Tokenizer`; `strop pretrain` sets it from the corpus
    shape       llama, qwen3, gpt2, t5, bart or marian
    num_layers  decoder layers, and as many of the encoder
    width       width of a layer; a multiple of num_heads
    num_heads   attention heads
    context     the most tokens that it can read (t5 reads any number)
    value_head  adds the value that actor-critic algorithms and reward models read
    """

    computes_on: ClassVar[ComputesOn] = "accelerator"
    words: Sequence[str] = ()
    has_end: bool = True
    tokenizer: Tokenizer | None = None
    shape: Literal["llama", "gpt2", "qwen3", "t5", "bart", "marian"] = "llama"
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
        if each % 2 and self.shape in ROTARY:
            raise ValueError(
                f"policy.width={self.width}: {self.num_heads} heads have {each} numbers each, and rotary positions "
                "turn pairs of them. Set policy.width to an even multiple of policy.num_heads."
            )

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Transformer, WordCodec | HFCodec]:
        """The model initialised from `seed`, and its codec."""
        codec, size = codec_of(self.words, self.has_end, self.tokenizer)
        sizes = Sizes(size, codec.end, self.num_layers, self.width, self.num_heads, self.context)
        with seeded(seed):
            model = model_of(self.shape, sizes)
        policy = EncoderDecoder if model.config.is_encoder_decoder else Transformer
        return policy.of(model, None, seed, dtype, self.value_head, device), codec
