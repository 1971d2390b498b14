"""A small transformer from scratch, in the shape of a known model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from strop.codec import HFCodec, WordCodec, codec_of
from strop.functional.bounds import check_at_least
from strop.policies._shapes import SHAPES, Sizes, model_of
from strop.policies._texts import TextCodec, tokenizer_from_scratch
from strop.policies.encoder_decoder import EncoderDecoder
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.transformer import Transformer
from strop.process import seeded
from strop.types import ComputesOn, PolicyConfig, Tokenizer, check_fields

ROTARY = ("llama", "qwen3", "modernbert")
ENCODERS = ("bert", "modernbert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch(PolicyConfig):
    """A transformer with random weights (tied embeddings), all of which train, as transformers builds it.

    A decoder: llama (rotary positions, RMS norms, gated layers), qwen3 (as llama, with norms of queries and keys), or
    gpt2 (learnt positions, layer norms, GELU). An encoder and a decoder (`EncoderDecoder`): t5 (relative positions, RMS
    norms first), bart (learnt positions, layer norms last), or marian (as bart, with sines for positions). An encoder
    (`MaskedEncoder`): bert (learnt positions, layer norms last), or modernbert (rotary positions, layer norms first,
    gated layers), which learns sooner.

    words       the vocabulary, if there is no tokenizer
    has_end     adds the token that ends a completion
    tokenizer   a `strop.Tokenizer`; `strop pretrain` sets it from the corpus
    shape       llama, qwen3, gpt2, t5, bart, marian, bert or modernbert
    num_layers  layers of the decoder and as many of the encoder, as far as it has them
    width       width of a layer; a multiple of num_heads
    num_heads   attention heads
    context     the most tokens that it can read (t5 reads any number)
    actions     for an encoder: the words that it chooses from, as a classifier
    value_head  adds the value that actor-critic algorithms and reward models read
    """

    computes_on: ClassVar[ComputesOn] = "accelerator"
    words: Sequence[str] = ()
    has_end: bool = True
    tokenizer: Tokenizer | None = None
    shape: Literal["llama", "gpt2", "qwen3", "t5", "bart", "marian", "bert", "modernbert"] = "llama"
    num_layers: int = 2
    width: int = 64
    num_heads: int = 4
    context: int = 64
    actions: Sequence[str] = ()
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
        if self.shape in ENCODERS and not self.has_end:
            raise ValueError(
                f"policy.has_end=false: shape={self.shape} needs the token that begins a text and ends its parts."
            )
        if self.actions and self.shape not in ENCODERS:
            raise ValueError(
                f"policy.actions: shape={self.shape} writes tokens; {' and '.join(ENCODERS)} choose one of given words."
            )

    @property
    def acts(self) -> bool:
        """An encoder only with actions."""
        return self.shape not in ENCODERS or bool(self.actions)

    def build(
        self, seed: int, dtype: str, device: str = "cpu"
    ) -> tuple[Transformer | MaskedEncoder, WordCodec | HFCodec | TextCodec]:
        """The model initialised from `seed`, and its codec."""
        if self.shape in ENCODERS:
            return self._encoder(seed, dtype, device)
        codec, size = codec_of(self.words, self.has_end, self.tokenizer)
        model = self._model(seed, size, codec.end)
        policy = EncoderDecoder if model.config.is_encoder_decoder else Transformer
        return policy.of(model, None, seed, dtype, self.value_head, device), codec

    def _encoder(self, seed: int, dtype: str, device: str) -> tuple[MaskedEncoder, TextCodec]:
        codec = TextCodec(tokenizer_from_scratch(self.words, self.tokenizer), self.actions)
        model = self._model(seed, codec.marks.size, codec.marks.separator).to(device)
        return MaskedEncoder(model, codec, self.value_head, dtype=dtype), codec

    def _model(self, seed: int, size: int, end: int | None) -> Any:
        with seeded(seed):
            return model_of(self.shape, Sizes(size, end, self.num_layers, self.width, self.num_heads, self.context))
