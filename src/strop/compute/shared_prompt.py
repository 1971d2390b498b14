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
    first_B          where a row's own tokens begin in `generated`: those that joined others later begin later
    prompt_B         which prompt each row continues, and `groups` the rows of each prompt
    position_B       each row's next position
    """

    weights: TokenWeights
    prompts: list[tuple[Tensor, Tensor]]
    padding_bias_PT: Tensor | None
    generated: list[GeneratedKV]
    first_B: list[int]
    prompt_B: list[int]
    groups: PromptGroups
    position_B: Tensor

    @classmethod
    def after(cls, weights: TokenWeights, prompts: list[tuple[Tensor, Tensor]], mask_PT: Tensor) -> SharedPromptState:
        """One row for each prompt; `mask_PT` is true where it is a token, and not padding."""
        num_prompts = len(mask_PT)
        return cls(
            weights=weights,
            prompts=prompts,
            padding_bias_PT=_bias(mask_PT),
            generated=[GeneratedKV() for _ in prompts],
            first_B=[0] * num_prompts,
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
        return replace(
            self,
            padding_bias_PT=bias_PT,
            first_B=[self.first_B[row] for row in rows],
            prompt_B=prompt_B,
            groups=PromptGroups.of(prompt_B, len(needed)),
            position_B=self.position_B[torch.tensor(rows)],
        )

    @classmethod
    def join(cls, states: Sequence[SharedPromptState]) -> SharedPromptState:
        """The rows of all these states, in their order; prompts are copied once, into one block.

        The states are of the same weights, and must not be used afterwards.
        """
        length_P = torch.cat([state._prompt_lengths() for state in states])
        longest = int(length_P.max())
        prompt_B, first_B, num_prompts = list[int](), list[int](), 0
        cuts = [min(state.first_B) for state in states]
        length = max(state.generated[0].length - cut for state, cut in zip(states, cuts, strict=True))
        for state in states:
            prompt_B += [num_prompts + prompt for prompt in state.prompt_B]
            first_B += [first + length - state.generated[0].length for first in state.first_B]
            num_prompts += state.groups.num_prompts
        sizes, generated = [len(state.prompt_B) for state in states], (state.generated for state in states)
        return cls(
            weights=states[0].weights,
            prompts=[_beside(layers, longest) for layers in zip(*(state.prompts for state in states), strict=True)],
            padding_bias_PT=_bias(torch.arange(longest) < length_P.unsqueeze(1)),
            generated=[GeneratedKV.join(layers, sizes, cuts) for layers in zip(*generated, strict=True)],
            first_B=first_B,
            prompt_B=prompt_B,
            groups=PromptGroups.of(prompt_B, num_prompts),
            position_B=torch.cat([state.position_B for state in states]),
        )

    def _prompt_lengths(self) -> Tensor:
        """The tokens [P] of each prompt."""
        if self.padding_bias_PT is not None:
            return (self.padding_bias_PT == 0).sum(dim=1)
        _, num_prompts, length, _ = self.prompts[0][0].shape
        return torch.full((num_prompts,), length)

    @torch.no_grad()
    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token for each row."""
        weights, backbone = self.weights, self.weights.backbone
        hidden_BH = backbone.embed_tokens(tokens_B)
        cos_and_sin_B1D = backbone.rotary_emb(hidden_BH, self.position_B.unsqueeze(1))
        rotary, bias_B1L = RotaryEmbedding(backbone.layers[0].self_attn, *cos_and_sin_B1D), self._generated_bias()
        for layer, prompt, kv in zip(weights.layers, self.prompts, self.generated, strict=True):
            query_KBRD, new_2KBD = layer.query_and_kv(layer.input_norm(hidden_BH), rotary)
            out_KBRD = self._attend(query_KBRD, prompt, kv.write(new_2KBD), bias_B1L)
            hidden_BH += layer.out(out_KBRD.transpose(0, 1).reshape(len(hidden_BH), -1))
            hidden_BH += layer.mlp(layer.mlp_norm(hidden_BH))
        self.position_B = self.position_B + 1
        return weights.head(weights.norm(hidden_BH))

    def _generated_bias(self) -> Tensor | None:
        """Added to the scores of a row's own tokens and the one that comes: -inf [B, 1, L] before the first of them."""
        if not any(self.first_B):
            return None
        return _bias(torch.arange(self.generated[0].length + 1) >= torch.tensor(self.first_B)[:, None, None])

    def _attend(
        self,
        query_KBRD: Tensor,
        prompt: tuple[Tensor, Tensor],
        generated: tuple[Tensor, Tensor],
        bias_B1L: Tensor | None,
    ) -> Tensor:
        """Attention over a row's prompt and its generated tokens [K, B, R, D]; R query heads share a key head."""
        groups, heads, length = self.groups, len(query_KBRD), prompt[0].shape[2]
        score = torch.bmm(groups.group(query_KBRD), prompt[0].flatten(0, 1).mT)
        if self.padding_bias_PT is not None:
            score.view(heads, groups.num_prompts, -1, length).add_(self.padding_bias_PT.unsqueeze(1))
        score_own = torch.bmm(query_KBRD.flatten(0, 1), generated[0].flatten(0, 1).mT).view(*query_KBRD.shape[:3], -1)
        if bias_B1L is not None:
            score_own.add_(bias_B1L)
        weight = torch.cat([groups.ungroup(score, heads), score_own], dim=-1).softmax(dim=-1)
        out = torch.bmm(groups.group(weight[..., :length]), prompt[1].flatten(0, 1))
        out_KBRD = groups.ungroup(out, heads)
        out_KBRD.flatten(0, 1).baddbmm_(weight[..., length:].flatten(0, 1), generated[1].flatten(0, 1))
        return out_KBRD


def _bias(stands: Tensor) -> Tensor | None:
    """What is added to scores: 0 where a token stands, else -inf; None where all of them stand."""
    return None if bool(stands.all()) else torch.zeros(stands.shape).masked_fill(~stands, -torch.inf)


def _beside(prompts: Sequence[tuple[Tensor, Tensor]], length: int) -> tuple[Tensor, Tensor]:
    """Keys and values of all prompts [K, P, length, D]: padded with zeros, or without padding that none needs."""
    key, value = (_padded([pair[which] for pair in prompts], length) for which in (0, 1))
    return key, value


def _padded(states: Sequence[Tensor], length: int) -> Tensor:
    heads, _, _, width = states[0].shape
    joined, first = states[0].new_zeros(heads, sum(one.shape[1] for one in states), length, width), 0
    for one_KPTD in states:
        joined[:, first : first + one_KPTD.shape[1], : one_KPTD.shape[2]] = one_KPTD[:, :, :length]
        first += one_KPTD.shape[1]
    return joined
