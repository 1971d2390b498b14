"""The path of an encoder-decoder: transformers' own modules, on any device and for any such model.

A row of a batch is a source and what was written to it: all before the row's first decision is the encoder's input, all
from there on is the decoder's. A source is encoded once, however many rows of a batch share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import EncoderDecoderCache

from strop.compute.kv_cache import growing_cache, keep_rows
from strop.compute.parts import Parts
from strop.compute.plain_runner import base_under_adapter, drop_copies, views_of
from strop.compute.precision import autocast
from strop.compute.replaced import replaced
from strop.types import Tokens

EXACT = 1e-3
"""By how much logits that are read at the output head may differ from the model's own."""


@dataclass(frozen=True, slots=True)
class Output:
    """How the model makes logits of the output head's: hidden states are scaled first (T5), a bias is added (Marian).

    scale   of the hidden states
    bias_V  -inf for a token that the model must not write (Marian's padding)
    """

    scale: float
    bias_V: Tensor | None

    def of(self, head: Callable[[Tensor], Tensor], hidden_NH: Tensor) -> Tensor:
        """Logits [N, V] in float32."""
        logits_NV = head(hidden_NH.float() * self.scale)
        return logits_NV if self.bias_V is None else logits_NV + self.bias_V


@dataclass(frozen=True, slots=True)
class SequenceRunner:
    """Sources padded on the right, attention by transformers, and autocast for bfloat16.

    `start` is what the decoder reads before the first action. `decoding` and `training` are the model, as in
    `PlainRunner`; the output head is never rounded.
    """

    dtype: torch.dtype
    start: Tokens
    output: Output
    decoding: Any
    training: Any

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype, start: Tokens, has_products: bool) -> SequenceRunner:
        """A runner of this model. Raises ValueError for one whose logits are not read at its output head."""
        return cls(dtype, start, _output_of(model, start), *views_of(model, dtype, has_products))

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, SequenceState]:
        """Read the sources, and what the decoder starts with."""
        drop_copies(self.training)
        with torch.no_grad():
            encoded_BSH, mask = self.encode(self.decoding, prompts)
        cache = EncoderDecoderCache(growing_cache(), growing_cache())
        state = SequenceState(self, cache, encoded_BSH, mask)
        return state.forward(torch.tensor([self.start] * len(prompts))), state

    def join(self, states: Sequence[SequenceState | Parts]) -> Parts:
        """Each state for itself: a decoder counts positions by the length of its cache, one number for all rows."""
        return Parts.of(states)

    def hidden_at(self, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
        """The decoder's last hidden state [N, H] before each decision, in row order; differentiable."""
        if torch.is_grad_enabled():
            drop_copies(self.decoding)
        sources, written = zip(*map(_parted, tokens_BT.tolist(), decision_BT.tolist()), strict=True)
        distinct = list(dict.fromkeys(sources))
        row_B = torch.tensor([distinct.index(source) for source in sources], device=self.training.device)
        encoded_SSH, mask = self.encode(self.training, distinct)
        inputs_BD = _padded([(*self.start, *tokens) for tokens in written])[0].to(self.training.device)
        with autocast(self.dtype, inputs_BD.device.type):
            hidden_BDH: Tensor = self.training.get_decoder()(
                input_ids=inputs_BD,
                encoder_hidden_states=encoded_SSH[row_B],
                encoder_attention_mask=None if mask is None else mask[row_B],
                use_cache=False,
            ).last_hidden_state
        row_N, slot_N = decision_BT.nonzero(as_tuple=True)
        first_B = decision_BT.int().argmax(dim=1)
        return hidden_BDH[row_N, slot_N - first_B[row_N] + len(self.start) - 1]

    def encode(self, model: Any, sources: Sequence[Tokens]) -> tuple[Tensor, Tensor | None]:
        """The encoder's vectors [B, S, H], and what masks the sources' padding where they are of unequal lengths.

        An empty source is read as the token that the decoder starts with.
        """
        tokens_BS, mask_BS = _padded([source or self.start[:1] for source in sources])
        tokens_BS, read_B11S = tokens_BS.to(model.device), None if mask_BS.all() else _as_taken(mask_BS, model)
        with autocast(self.dtype, tokens_BS.device.type):
            encoded_BSH: Tensor = model.get_encoder()(input_ids=tokens_BS, attention_mask=read_B11S).last_hidden_state
        return encoded_BSH, read_B11S

    def head(self) -> Callable[[Tensor], Tensor]:
        """From the decoder's hidden states to logits; outside autocast it is not rounded."""
        head = self.training.get_output_embeddings()
        return lambda hidden_NH: self.output.of(head, hidden_NH)

    def without_adapter(self) -> SequenceRunner:
        """The base model, which shares the copies of frozen weights."""
        decoding, training = (replaced(model, base_under_adapter) for model in (self.decoding, self.training))
        return replace(self, decoding=decoding, training=training)


@dataclass(slots=True)
class SequenceState:
    """Rows that are being written: the encoded sources, and keys and values of both attentions of the decoder."""

    runner: SequenceRunner
    cache: Any
    encoded_BSH: Tensor
    mask: Tensor | None

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token for each row."""
        return self.forward(tokens_B.unsqueeze(1))

    def keep(self, rows: Sequence[int]) -> SequenceState:
        """These rows, in this order; a row may be named several times. This state must not be used afterwards."""
        keep_rows(self.cache.self_attention_cache, rows)
        keep_rows(self.cache.cross_attention_cache, rows)
        index = torch.tensor(rows, device=self.encoded_BSH.device)
        mask = None if self.mask is None else self.mask[index]
        return SequenceState(self.runner, self.cache, self.encoded_BSH[index], mask)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.encoded_BSH)

    @torch.no_grad()
    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits [B, V] after these tokens; only the last position's are computed."""
        tokens_BT = tokens_BT.to(self.encoded_BSH.device)
        runner, model = self.runner, self.runner.decoding
        with autocast(runner.dtype, tokens_BT.device.type):
            hidden_BTH = model.get_decoder()(
                input_ids=tokens_BT,
                encoder_hidden_states=self.encoded_BSH,
                encoder_attention_mask=self.mask,
                past_key_values=self.cache,
                use_cache=True,
            ).last_hidden_state
        return runner.output.of(model.get_output_embeddings(), hidden_BTH[:, -1])


def _parted(tokens_T: list[int], decision_T: list[bool]) -> tuple[Tokens, Tokens]:
    """A row's source, and what stands before its last decision behind it; nothing of a row without a decision."""
    if True not in decision_T:
        return (), ()
    first, last = decision_T.index(True), len(decision_T) - 1 - decision_T[::-1].index(True)
    return tuple(tokens_T[:first]), tuple(tokens_T[first:last])


def _as_taken(mask_BS: Tensor, model: Any) -> Tensor:
    """The mask as attention takes it as it is, [B, 1, 1, S]. From [B, S] transformers makes that itself, and waits at
    every token for the device to see whether it needs one; so it must for attention of another kind."""
    mask_BS = mask_BS.to(model.device)
    return mask_BS[:, None, None] if model.config._attn_implementation == "sdpa" else mask_BS


def _padded(rows: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Tokens [B, T], 0 in the padding behind each row, and a mask that is true at tokens; on the CPU."""
    tokens_BT = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    return tokens_BT, torch.arange(tokens_BT.shape[1]) < torch.tensor([[len(row)] for row in rows])


@torch.no_grad()
def _output_of(model: Any, start: Tokens) -> Output:
    """How this model makes its logits; checked on two tokens. Raises ValueError if it is neither of the known ways."""
    tokens_1T = torch.tensor([[1 % model.config.vocab_size, *start]], device=model.device)
    out = model(input_ids=tokens_1T, decoder_input_ids=tokens_1T, use_cache=False)
    encoded_1SH = out.encoder_last_hidden_state
    hidden_1TH = model.get_decoder()(
        input_ids=tokens_1T, encoder_hidden_states=encoded_1SH, use_cache=False
    ).last_hidden_state
    bias_V = dict(model.named_buffers()).get("final_logits_bias")
    for scale in (1.0, model.config.d_model**-0.5):
        output = Output(scale, None if bias_V is None or not bias_V.any() else bias_V[0])
        gap = (output.of(model.get_output_embeddings(), hidden_1TH) - out.logits).abs().max().item()
        if gap <= EXACT:
            return replace(output, bias_V=_without(_unwanted(model), output.bias_V, out.logits))
    raise ValueError(
        f"this {type(model).__name__} changes its logits after the output head (by {gap:.3g}); strop reads them there "
        "and cannot train it."
    )


def _unwanted(model: Any) -> list[int]:
    """The tokens that the generation config never lets it write."""
    words = None if model.generation_config is None else model.generation_config.bad_words_ids
    return [word[0] for word in words or () if len(word) == 1]


def _without(tokens: Sequence[int], bias_V: Tensor | None, logits: Tensor) -> Tensor | None:
    """The bias with -inf at these tokens."""
    if not tokens:
        return bias_V
    bias_V = logits.new_zeros(logits.shape[-1]) if bias_V is None else bias_V.clone()
    bias_V[list(tokens)] = -torch.inf
    return bias_V
