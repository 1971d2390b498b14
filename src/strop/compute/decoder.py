"""One more token a row for models like Llama: transformers' modules, in as few operations as a single token needs.

transformers' forward pass takes any length. For a single token of SmolLM2-135M that costs 17 ms beside the products of
matrices, as much as a fifth of the token. Here rows that continue the same prompt also read its keys and values
together, once a prompt and not once a row, and nothing of a prompt is copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from strop.compute.kv_states import States
from strop.compute.packed_linear import together
from strop.compute.padded_decoder import Padded
from strop.compute.ragged_attention import window
from strop.functional.order import closed_up

KINDS = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Kinds of models whose layers are what `Rows.step` computes; tests compare each with transformers' own pass."""


def fits(model: Any) -> bool:
    """Whether a token of this model is what is computed here: in float32, and without windows to look back over."""
    return model.config.model_type in KINDS and window(model.config) is None and model.dtype is torch.float32


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which prompt each row continues, as two indices between rows [B] and places [P * G], G for each prompt.

    row       the row at each place; where fewer rows continue a prompt, any row
    place_B   each row's place
    Both are None where the rows stand in the places' order. Every prompt has as many places as the one with the most
    rows, so what is computed for prompts grows with uneven groups.
    """

    prompts: int
    size: int
    row: Tensor | None = None
    place_B: Tensor | None = None

    @classmethod
    def of(cls, owner_B: Sequence[int], prompts: int) -> Sharing:
        """Rows by their prompts."""
        rows: list[list[int]] = [[] for _ in range(prompts)]
        for row, owner in enumerate(owner_B):
            rows[owner].append(row)
        size = max(map(len, rows))
        if [row for one in rows for row in one] == list(range(prompts * size)):
            return cls(prompts, size)
        place_B = [0] * len(owner_B)
        for owner, one in enumerate(rows):
            for i, row in enumerate(one):
                place_B[row] = owner * size + i
        row_at = [row for one in rows for row in one + [0] * (size - len(one))]
        return cls(prompts, size, torch.tensor(row_at), torch.tensor(place_B))

    def to_places(self, rows_KBRX: Tensor) -> Tensor:
        """[K, B, R, X] to [K * P, G * R, X]: rows that stand as they should are not copied."""
        at = rows_KBRX if self.row is None else rows_KBRX.index_select(1, self.row)
        heads, _, repeats, width = at.shape
        return at.view(heads * self.prompts, self.size * repeats, width)

    def to_rows(self, places: Tensor, heads: int) -> Tensor:
        """[K * P, G * R, X] to [K, B, R, X]."""
        rows_KBRX = places.view(heads, self.prompts * self.size, -1, places.shape[2])
        return rows_KBRX if self.place_B is None else rows_KBRX.index_select(1, self.place_B)


class Norm:
    """Root mean square norm over the last H numbers: x w sqrt(H) / sqrt(|x|^2 + H eps), in four operations."""

    def __init__(self, norm: Any) -> None:
        size = len(norm.weight)
        self.weight_H = norm.weight.detach() * math.sqrt(size)
        self.least = torch.tensor(math.sqrt(size * norm.variance_epsilon))

    def __call__(self, x: Tensor) -> Tensor:
        length_1 = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return (x / torch.hypot(length_1, self.least)).mul_(self.weight_H)


class Layer:
    """What a token goes through in one of the model's layers."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.before, self.between = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.qkv, self.out = together(attention.q_proj, attention.k_proj, attention.v_proj), together(attention.o_proj)
        self.norms = [Norm(attention.q_norm), Norm(attention.k_norm)] if hasattr(attention, "q_norm") else None
        self.up, self.down, self.act = together(mlp.gate_proj, mlp.up_proj), together(mlp.down_proj), mlp.act_fn

    def query_and_states(self, normed_BH: Tensor, turn: Turn) -> tuple[Tensor, Tensor]:
        """The query [K, B, R, D], of which R heads share a key head, and the key and value [2, K, B, D]."""
        made_BO = self.qkv(normed_BH).float()
        made_BXD = made_BO.view(len(made_BO), -1, turn.width)
        if self.norms is not None:
            parts = torch.split(made_BXD, [turn.heads, turn.key_heads, turn.key_heads], dim=1)
            made_BXD = torch.cat([*(norm(x) for norm, x in zip(self.norms, parts, strict=False)), parts[2]], 1)
        turned_BXD = turn(made_BXD)
        query_BHD, both_BYD = turned_BXD[:, : turn.heads], turned_BXD[:, turn.heads :]
        query_KBRD = query_BHD.reshape(len(made_BO), turn.key_heads, -1, turn.width).transpose(0, 1).contiguous()
        return query_KBRD, both_BYD.view(len(made_BO), 2, turn.key_heads, turn.width).permute(1, 2, 0, 3)

    def mlp(self, normed_BH: Tensor) -> Tensor:
        """Two layers wide, the activation between them."""
        gate, up = self.up(normed_BH).chunk(2, dim=-1)
        return self.down(self.act(gate) * up)


class Turn:
    """Turns heads to their rows' positions: queries, scaled as scores are, and keys; values stay as they are."""

    def __init__(self, attention: Any, cos_B1D: Tensor, sin_B1D: Tensor) -> None:
        num, _, self.width = cos_B1D.shape
        self.heads = attention.config.num_attention_heads
        self.key_heads = self.heads // attention.num_key_value_groups
        half = self.width // 2
        across_B1D = torch.cat([-sin_B1D[..., :half], sin_B1D[..., half:]], dim=-1)
        scale_X1 = torch.ones(self.heads + self.key_heads, 1)
        scale_X1[: self.heads] = attention.scaling
        still_BKD = torch.ones(num, self.key_heads, self.width)
        self.along_BXD = torch.cat([cos_B1D * scale_X1, still_BKD], dim=1)
        self.across_BXD = torch.cat([across_B1D * scale_X1, torch.zeros_like(still_BKD)], dim=1)

    def __call__(self, states_BXD: Tensor) -> Tensor:
        halves_exchanged_BXD = states_BXD.roll(self.width // 2, dims=-1)
        return (states_BXD * self.along_BXD).addcmul_(halves_exchanged_BXD, self.across_BXD)


@dataclass(slots=True)
class Rows:
    """What decoding needs.

    layers      the model's, as a token goes through them; `norm` comes behind them
    prompts     of each layer, keys and values [K, P, T, D] of the distinct prompts, left-padded to T tokens
    hidden_PT   -inf where a prompt is padding, else 0; None where none is
    own         of each layer, the same of each row's tokens since
    owner_B     which prompt each row continues
    position_B  each row's next position
    """

    model: Any
    layers: list[Layer]
    norm: Norm
    prompts: list[tuple[Tensor, Tensor]]
    hidden_PT: Tensor | None
    own: list[States]
    owner_B: list[int]
    sharing: Sharing
    position_B: Tensor

    @classmethod
    def of(cls, read: Padded, model: Any) -> Rows:
        """A row a prompt, behind what was read. States are in float32 from here on, whatever made them."""
        prompts = [_heads_first(*layer.taken()) for layer in read.cache.layers]
        is_padded = not bool(read.mask_BT.all())
        hidden_PT = torch.zeros(read.mask_BT.shape).masked_fill(read.mask_BT == 0, -torch.inf) if is_padded else None
        owner_B = list(range(len(read.mask_BT)))
        sharing, own = Sharing.of(owner_B, len(owner_B)), [States() for _ in prompts]
        layers = [Layer(layer) for layer in model.base_model.layers]
        norm = Norm(model.base_model.norm)
        return cls(model, layers, norm, prompts, hidden_PT, own, owner_B, sharing, read.position_B)

    def keep(self, rows: Sequence[int]) -> Rows:
        """These rows, in this order; a row may be named several times. A prompt that no row continues leaves.

        This state is used up.
        """
        owner_B = [self.owner_B[row] for row in rows]
        hidden_PT, needed = self.hidden_PT, sorted(set(owner_B))
        if len(needed) < self.sharing.prompts:
            order = closed_up(needed)
            self.prompts = [(key_KPTD[:, order], value_KPTD[:, order]) for key_KPTD, value_KPTD in self.prompts]
            hidden_PT = None if hidden_PT is None else hidden_PT[order]
            owner_B = [order.index(owner) for owner in owner_B]
        for states in self.own:
            states.keep(rows)
        sharing = Sharing.of(owner_B, len(needed))
        return replace(
            self, hidden_PT=hidden_PT, owner_B=owner_B, sharing=sharing, position_B=self.position_B[torch.tensor(rows)]
        )

    @torch.no_grad()
    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] after one more token a row."""
        backbone = self.model.base_model
        hidden_BH = backbone.embed_tokens(tokens_B)
        position_B1D = backbone.rotary_emb(hidden_BH, self.position_B.unsqueeze(1))
        turn = Turn(backbone.layers[0].self_attn, *position_B1D)
        for layer, prompt, states in zip(self.layers, self.prompts, self.own, strict=True):
            query_KBRD, new_2KBD = layer.query_and_states(layer.before(hidden_BH), turn)
            seen_KBRD = _attend(self, query_KBRD, prompt, states.write(new_2KBD))
            hidden_BH += layer.out(seen_KBRD.transpose(0, 1).reshape(len(hidden_BH), -1))
            hidden_BH += layer.mlp(layer.between(hidden_BH))
        self.position_B = self.position_B + 1
        logits_BV: Tensor = self.model.get_output_embeddings()(self.norm(hidden_BH))
        return logits_BV


def continued(read: Padded, model: Any) -> Padded | Rows:
    """What `model` decodes with behind prompts that were read: as here where that fits, else as transformers does."""
    return Rows.of(read, model) if fits(model) else replace(read, model=model)


def _heads_first(key_PKTD: Tensor, value_PKTD: Tensor) -> tuple[Tensor, Tensor]:
    """[K, P, T, D] in float32, in pieces of their own: what made them may hold more, and is freed."""
    key, value = (
        one.transpose(0, 1).to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        for one in (key_PKTD, value_PKTD)
    )
    return key, value


def _attend(rows: Rows, query_KBRD: Tensor, prompt: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor]) -> Tensor:
    """What each query sees of its prompt and of its row's own tokens [K, B, R, D]; R query heads share a key head."""
    sharing, heads, length = rows.sharing, len(query_KBRD), prompt[0].shape[2]
    score = torch.bmm(sharing.to_places(query_KBRD), prompt[0].flatten(0, 1).mT)
    if rows.hidden_PT is not None:
        score.view(heads, sharing.prompts, -1, length).add_(rows.hidden_PT.unsqueeze(1))
    score_own = torch.bmm(query_KBRD.flatten(0, 1), own[0].flatten(0, 1).mT).view(*query_KBRD.shape[:3], -1)
    weight = torch.cat([sharing.to_rows(score, heads), score_own], dim=-1).softmax(dim=-1)
    seen = torch.bmm(sharing.to_places(weight[..., :length]), prompt[1].flatten(0, 1))
    seen_KBRD = sharing.to_rows(seen, heads)
    seen_KBRD.flatten(0, 1).baddbmm_(weight[..., length:].flatten(0, 1), own[1].flatten(0, 1))
    return seen_KBRD
