"""Decoding with models like Llama, in which rows that continue the same prompt share its keys and values.

transformers' forward pass takes any length. For a single token of SmolLM2-135M that costs 17 ms on top of the matrix
multiplications, a fifth of the token's time. Here transformers' modules are computed with only the operations that a
single token needs; keys and values of a prompt are read once for all its rows, and never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from strop.compute.decoder_layer import DecoderLayer, RMSNorm, RotaryEmbedding
from strop.compute.generated_kv import GeneratedKV
from strop.compute.padded_decoder import PaddedState
from strop.compute.prompt_groups import PromptGroups
from strop.compute.ragged_attention import attention_window
from strop.compute.row_order import compact_order

MODEL_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Model types that `DecoderLayer` computes; tests compare each with transformers' own forward pass."""


def can_share_prompts(model: Any) -> bool:
    """Whether this module can decode this model: a known type, in float32, without an attention window."""
    is_known = model.config.model_type in MODEL_TYPES
    return is_known and attention_window(model.config) is None and model.dtype is torch.float32


@dataclass(slots=True)
class SharedPromptState:
    """The state of decoding a batch of rows, each of which continues one of P prompts.

    layers           the model's decoder layers, followed by `norm`
    prompts          keys and values [K, P, T, D] of each layer for the distinct prompts, left-padded to T tokens
    padding_bias_PT  added to scores: -inf where a prompt is padding, else 0; None if nothing is padded
    generated        keys and values of each layer for the tokens after the prompts
    prompt_B         which prompt each row continues, and `groups` the rows of each prompt
    position_B       each row's next position
    """

    model: Any
    layers: list[DecoderLayer]
    norm: RMSNorm
    prompts: list[tuple[Tensor, Tensor]]
    padding_bias_PT: Tensor | None
    generated: list[GeneratedKV]
    prompt_B: list[int]
    groups: PromptGroups
    position_B: Tensor

    @classmethod
    def after(cls, prefilled: PaddedState, model: Any) -> SharedPromptState:
        """One row for each prefilled prompt. Keys and values become float32, whatever type they were computed in."""
        num_prompts = len(prefilled.mask_BT)
        prompts = [_heads_first(*layer.pop()) for layer in prefilled.cache.layers]
        is_padded = not bool(prefilled.mask_BT.all())
        bias_PT = (
            torch.zeros(prefilled.mask_BT.shape).masked_fill(prefilled.mask_BT == 0, -torch.inf) if is_padded else None
        )
        return cls(
            model=model,
            layers=[DecoderLayer(layer) for layer in model.base_model.layers],
            norm=RMSNorm(model.base_model.norm),
            prompts=prompts,
            padding_bias_PT=bias_PT,
            generated=[GeneratedKV() for _ in prompts],
            prompt_B=list(range(num_prompts)),
            groups=PromptGroups.of(range(num_prompts), num_prompts),
            position_B=prefilled.position_B,
        )

    def keep(self, rows: Sequence[int]) -> SharedPromptState:
        """These rows, in this order; a row may be named several times. A prompt that no row continues is dropped.

        This state must not be used afterwards.
        """
        prompt_B = [self.prompt_B[row] for row in rows]
        bias_PT, needed = self.padding_bias_PT, sorted(set(prompt_B))
        if len(needed) < self.groups.num_prompts:
            order = compact_order(needed)
            self.prompts = [(key_KPTD[:, order], value_KPTD[:, order]) for key_KPTD, value_KPTD in self.prompts]
            bias_PT = None if bias_PT is None else bias_PT[order]
            prompt_B = [order.index(prompt) for prompt in prompt_B]
        for kv in self.generated:
            kv.keep(rows)
        groups, position_B = PromptGroups.of(prompt_B, len(needed)), self.position_B[torch.tensor(rows)]
        return replace(self, padding_bias_PT=bias_PT, prompt_B=prompt_B, groups=groups, position_B=position_B)

    @torch.no_grad()
    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token for each row."""
        backbone = self.model.base_model
        hidden_BH = backbone.embed_tokens(tokens_B)
        cos_and_sin_B1D = backbone.rotary_emb(hidden_BH, self.position_B.unsqueeze(1))
        rotary = RotaryEmbedding(backbone.layers[0].self_attn, *cos_and_sin_B1D)
        for layer, prompt, kv in zip(self.layers, self.prompts, self.generated, strict=True):
            query_KBRD, new_2KBD = layer.query_and_kv(layer.input_norm(hidden_BH), rotary)
            out_KBRD = self._attend(query_KBRD, prompt, kv.write(new_2KBD))
            hidden_BH += layer.out(out_KBRD.transpose(0, 1).reshape(len(hidden_BH), -1))
            hidden_BH += layer.mlp(layer.mlp_norm(hidden_BH))
        self.position_B = self.position_B + 1
        logits_BV: Tensor = self.model.get_output_embeddings()(self.norm(hidden_BH))
        return logits_BV

    def _attend(self, query_KBRD: Tensor, prompt: tuple[Tensor, Tensor], generated: tuple[Tensor, Tensor]) -> Tensor:
        """Attention over a row's prompt and its generated tokens [K, B, R, D]; R query heads share a key head."""
        groups, heads, length = self.groups, len(query_KBRD), prompt[0].shape[2]
        score = torch.bmm(groups.group(query_KBRD), prompt[0].flatten(0, 1).mT)
        if self.padding_bias_PT is not None:
            score.view(heads, groups.num_prompts, -1, length).add_(self.padding_bias_PT.unsqueeze(1))
        score_own = torch.bmm(query_KBRD.flatten(0, 1), generated[0].flatten(0, 1).mT).view(*query_KBRD.shape[:3], -1)
        weight = torch.cat([groups.ungroup(score, heads), score_own], dim=-1).softmax(dim=-1)
        out = torch.bmm(groups.group(weight[..., :length]), prompt[1].flatten(0, 1))
        out_KBRD = groups.ungroup(out, heads)
        out_KBRD.flatten(0, 1).baddbmm_(weight[..., length:].flatten(0, 1), generated[1].flatten(0, 1))
        return out_KBRD


DecodingState: TypeAlias = PaddedState | SharedPromptState


def decoding_state(prefilled: PaddedState, model: Any) -> DecodingState:
    """The state to decode with after prefill; rows share their prompts if the model allows it."""
    return SharedPromptState.after(prefilled, model) if can_share_prompts(model) else replace(prefilled, model=model)


def _heads_first(key_PKTD: Tensor, value_PKTD: Tensor) -> tuple[Tensor, Tensor]:
    """[K, P, T, D] in float32, copied: the tensors of the prefill may be larger, and are freed."""
    key, value = (
        one.transpose(0, 1).to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        for one in (key_PKTD, value_PKTD)
    )
    return key, value
