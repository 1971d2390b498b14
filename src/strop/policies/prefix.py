"""Rows that begin with the same prompt read it once: the learner's side of the sampler's shared prefill.

A group of G answers to one prompt of P tokens costs P + G * L tokens instead of G * (P + L), in the forward and in the
backward pass. The result is the same up to rounding; the gradient flows through the shared cache to every row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def hidden_at_decisions(backbone: Any, tokens_BT: Tensor, decision_BT: Tensor) -> Tensor:
    """The last hidden state [N, H] before each decision, in row order: slot t is predicted at t - 1."""
    first_B = torch.where(decision_BT.any(dim=1), decision_BT.int().argmax(dim=1), 1)
    prompts = [tuple(tokens_BT[b, :first].tolist()) for b, first in enumerate(first_B.tolist())]
    distinct = list(dict.fromkeys(prompts))
    if len(distinct) == len(prompts):
        hidden_BTH: Tensor = backbone(input_ids=tokens_BT, use_cache=False).last_hidden_state
        return hidden_BTH[:, :-1][decision_BT[:, 1:]]
    owner_B = torch.tensor([distinct.index(prompt) for prompt in prompts])
    return _shared(backbone, tokens_BT, decision_BT, first_B, distinct, owner_B)


def _shared(
    backbone: Any,
    tokens_BT: Tensor,
    decision_BT: Tensor,
    first_B: Tensor,
    distinct: list[tuple[int, ...]],
    owner_B: Tensor,
) -> Tensor:
    width = max(len(prompt) for prompt in distinct)
    prompt_DP = torch.zeros(len(distinct), width, dtype=torch.long)
    for d, prompt in enumerate(distinct):
        prompt_DP[d, : len(prompt)] = torch.tensor(prompt)
    read = backbone(input_ids=prompt_DP, use_cache=True)  # padding stands on the right, where no causal token looks
    row_N, slot_N = decision_BT.nonzero(as_tuple=True)
    since_N = slot_N - first_B[row_N]  # 0: predicted by the prompt's last token
    index_N = owner_B[row_N] * width + first_B[row_N] - 1
    hidden: Tensor = read.last_hidden_state.flatten(0, 1)
    length = int(since_N.max()) if len(since_N) else 0
    if length:
        rest_BCH = _continue(backbone, tokens_BT, first_B, read.past_key_values, owner_B, width, length)
        index_N = torch.where(since_N == 0, index_N, len(hidden) + row_N * length + since_N - 1)
        hidden = torch.cat([hidden, rest_BCH.flatten(0, 1)])
    return hidden[index_N]


def _continue(
    backbone: Any, tokens_BT: Tensor, first_B: Tensor, cache: Any, owner_B: Tensor, width: int, length: int
) -> Tensor:
    """Read `length` tokens behind each row's prompt, on its copy of the prompt's cache."""
    cache.batch_select_indices(owner_B)
    step_C = torch.arange(length)
    position_BC = (first_B.unsqueeze(1) + step_C).clamp(max=tokens_BT.shape[1] - 1)  # past a row's end: padding
    rest_BC = tokens_BT.gather(1, position_BC)
    prompt_BP = torch.arange(width) < first_B.unsqueeze(1)
    mask_BT = torch.cat([prompt_BP, torch.ones_like(rest_BC, dtype=torch.bool)], dim=1)
    out = backbone(
        input_ids=rest_BC,
        attention_mask=mask_BT.long(),
        position_ids=position_BC,
        past_key_values=cache,
        use_cache=True,
    )
    hidden_BCH: Tensor = out.last_hidden_state
    return hidden_BCH
