"""The distribution over a few choices: where a turn is restricted, every other token has probability 0.

A logit of -inf says so, and all that is computed of logits or action values respects it: the softmax is over what is
allowed, epsilon spreads over it, the best action is one of it, and the exact KL and the entropy sum over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from strop.types import Batch, Heads, Tokens

ANY = -1
"""The number of no set: every token is allowed."""


def restricted(heads: Heads, batch: Batch) -> Heads:
    """The heads of a chunk of the batch's decisions with only what each decision allows."""
    if not len(batch.allowed_SK):
        return heads
    chunk = slice(heads.first, heads.first + len(heads.tokens_N))
    numbers_N = batch.allowed_BT[batch.decision_BT][chunk]
    # where a value is read no action stands: one that is allowed stands in, since minus infinity times 0 is no number
    is_open_N = (numbers_N >= 0) & ~batch.action_BT[batch.decision_BT][chunk]
    tokens_N = torch.where(is_open_N, batch.allowed_SK[numbers_N, 0], heads.tokens_N.to(numbers_N.device))
    return replace(
        heads,
        tokens_N=tokens_N.to(heads.tokens_N.device),
        logits_NV=None if heads.logits_NV is None else _only(heads.logits_NV, numbers_N, batch.allowed_SK),
        q_NV=None if heads.q_NV is None else _only(heads.q_NV, numbers_N, batch.allowed_SK),
    )


def only(logits_BV: Tensor, allowed: Sequence[Tokens | None]) -> Tensor:
    """The logits with -inf at all but each row's allowed tokens; None allows all of them."""
    sets = {one: number for number, one in enumerate(dict.fromkeys(one for one in allowed if one is not None))}
    if not sets:
        return logits_BV
    numbers_B = torch.tensor([ANY if one is None else sets[one] for one in allowed])
    return _only(logits_BV, numbers_B, padded(list(sets)))


def padded(sets: Sequence[Tokens]) -> Tensor:
    """Sets of tokens [S, K], filled up with ANY, which is no token."""
    longest = max(map(len, sets), default=0)
    rows = [(*allowed, *[ANY] * (longest - len(allowed))) for allowed in sets]
    return torch.tensor(rows, dtype=torch.long).view(len(sets), longest)


def _only(logits_NV: Tensor, numbers_N: Tensor, allowed_SK: Tensor) -> Tensor:
    """The logits with -inf at all but the tokens of each row's set; -1 allows all of them."""
    vocabulary = logits_NV.shape[1]
    used_S, which_N = torch.unique(numbers_N, return_inverse=True)
    tokens_SK = allowed_SK[used_S]  # the row of -1 is any: it is filled below
    allowed_SV = torch.zeros(len(used_S), vocabulary + 1, dtype=torch.bool, device=allowed_SK.device)
    allowed_SV.scatter_(1, torch.where(tokens_SK < 0, vocabulary, tokens_SK), True)  # padding: behind the last token
    allowed_SV[used_S < 0] = True
    forbidden_NV = ~allowed_SV[which_N, :vocabulary]
    return logits_NV.masked_fill(forbidden_NV.to(logits_NV.device), -torch.inf)
