"""Decoding with models like Llama, in which rows that continue the same prompt share its keys and values.

transformers' forward pass takes any length. For a single token of SmolLM2-135M that costs 17 ms on top of the matrix
multiplications, a fifth of the token's time. Here a token is computed with only the operations that it needs; keys and
values of a prompt are read once for all its rows, and never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from strop.compute.decoder_layer import DecoderLayer, RMSNorm, RotaryEmbedding
from strop.compute.generated_kv import GeneratedKV
from strop.compute.products import Product
from strop.compute.prompt_groups import PromptGroups
from strop.compute.row_order import compact_order


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """What decoding multiplies by: layers, norm and head of a model (`DecoderLayer` says which of it are copies)."""

    backbone: Any
    layers: Sequence[DecoderLayer]
    norm: RMSNorm
    head: Product


@dataclass(slots=True)
class SharedPromptState:
    """The state of decoding a batch of rows, each of which continues one of P prompts.

    prompts          keys and values [K, P, T, D] of each layer for the distinct prompts, padded to T tokens
    padding_bias_PT  added to scores: -inf where a prompt is padding, else 0; None if nothing is padded
    generated        keys and values of each layer for the tokens after the prompts
    prompt_B         which prompt each row continues, and `groups` the rows of each prompt
    position_B       each row's next position
    """

    weights: TokenWeights
    prompts: list[tuple[Tensor, Tensor]]
    padding_bias_PT: Tensor | None
    generated: list[GeneratedKV]
    prompt_B: list[int]
    groups: PromptGroups
    position_B: Tensor

    @classmethod
    def after(cls, weights: TokenWeights, prompts: list[tuple[Tensor, Tensor]], mask_PT: Tensor) -> SharedPromptState:
        """One row for each prompt; `mask_PT` is true where it is a token, and not padding."""
        num_prompts = len(mask_PT)
        bias_PT = torch.zeros(mask_PT.shape).masked_fill(~mask_PT, -torch.inf)
        return cls(
            weights=weights,
            prompts=prompts,
            padding_bias_PT=None if bool(mask_PT.all()) else bias_PT,
            generated=[GeneratedKV() for _ in prompts],
            prompt_B=list(range(num_prompts)),
            groups=PromptGroups.of(range(num_prompts), num_prompts),
            position_B=mask_PT.sum(dim=1),
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
        weights, backbone = self.weights, self.weights.backbone
        hidden_BH = backbone.embed_tokens(tokens_B)
        cos_and_sin_B1D = backbone.rotary_emb(hidden_BH, self.position_B.unsqueeze(1))
        rotary = RotaryEmbedding(backbone.layers[0].self_attn, *cos_and_sin_B1D)
        for layer, prompt, kv in zip(weights.layers, self.prompts, self.generated, strict=True):
            query_KBRD, new_2KBD = layer.query_and_kv(layer.input_norm(hidden_BH), rotary)
            out_KBRD = self._attend(query_KBRD, prompt, kv.write(new_2KBD))
            hidden_BH += layer.out(out_KBRD.transpose(0, 1).reshape(len(hidden_BH), -1))
            hidden_BH += layer.mlp(layer.mlp_norm(hidden_BH))
        self.position_B = self.position_B + 1
        return weights.head(weights.norm(hidden_BH))

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
