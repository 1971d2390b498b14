"""How per-token terms become one loss: weights, computed once from the whole batch.

Every loss is `(weights_BT * term_BT).sum()`. The denominators are in the weights and not in the loss, so any split
into micro-batches adds up to the same gradient. The four means:

    sequence_mean   (1/E) sum_e (1/L_e) sum_t x     GRPO, GSPO, SAPO; favours long wrong answers (Dr. GRPO, sec. 3)
    token_mean      sum_e sum_t x / sum_e L_e       DAPO, PPO
    sequence_sum    (1/E) sum_e sum_t x             REINFORCE, RLOO: the unbiased one
    constant        sum_e sum_t x / (E * L_max)     Dr. GRPO: sequence_sum up to a constant

E is the number of scored picks (weight > 0); L_e is the number of actions of a pick over all its rows. A pick's own
weight multiplies its terms. An episode without actions counts in E and adds nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from strop.types import Batch


def num_scored(batch: Batch) -> int:
    """The number of scored picks, at least 1 (it is a denominator)."""
    return max(int((batch.weight_E > 0).sum()), 1)


def scored_actions(batch: Batch) -> Tensor:
    """bool [B, T]: the actions of picks that are scored."""
    return batch.action_BT & (batch.weight_B > 0).unsqueeze(1)


def num_actions_E(batch: Batch) -> Tensor:
    """Actions of each pick, over all its rows."""
    count_B = batch.action_BT.sum(dim=1)
    return torch.zeros_like(batch.group_E).index_add(0, batch.episode_B, count_B)


def sum_per_pick(value_BT: Tensor, batch: Batch) -> Tensor:
    """[E]: the sum of a per-token number over each pick's actions."""
    value_B = torch.where(batch.action_BT, value_BT, 0.0).sum(dim=1)
    return value_B.new_zeros(batch.group_E.shape[0]).index_add(0, batch.episode_B, value_B)


def largest_per_pick(value_BT: Tensor, batch: Batch) -> Tensor:
    """[E]: the largest of a per-token number >= 0 over each pick's actions; 0 where it has none."""
    value_B = torch.where(batch.action_BT, value_BT, 0.0).amax(dim=1)
    return value_B.new_zeros(batch.group_E.shape[0]).scatter_reduce(0, batch.episode_B, value_B, "amax")


def spread(value_E: Tensor, batch: Batch) -> Tensor:
    """[B, T]: each pick's number on all its actions, 0 elsewhere."""
    return torch.where(batch.action_BT, value_E[batch.episode_B].unsqueeze(1), 0.0)


def _weights(batch: Batch, divisor_E: Tensor) -> Tensor:
    weight_E = batch.weight_E / divisor_E.to(batch.weight_E.dtype)
    return torch.where(batch.action_BT, weight_E[batch.episode_B].unsqueeze(1), 0.0)


def sequence_mean(batch: Batch) -> Tensor:
    """Weights [B, T] of the mean over sequences of the mean over their tokens."""
    return _weights(batch, num_actions_E(batch).clamp(min=1) * num_scored(batch))


def token_mean(batch: Batch) -> Tensor:
    """Weights [B, T] of the mean over all scored tokens of the batch."""
    num_tokens = scored_actions(batch).sum().clamp(min=1)
    return _weights(batch, num_tokens.expand_as(batch.weight_E))


def sequence_sum(batch: Batch) -> Tensor:
    """Weights [B, T] of the mean over sequences of the sum over their tokens."""
    return _weights(batch, torch.full_like(batch.weight_E, num_scored(batch)))


def constant(batch: Batch, max_tokens: int) -> Tensor:
    """Weights [B, T] of the sum over tokens, divided by the number of sequences and a constant length."""
    return _weights(batch, torch.full_like(batch.weight_E, num_scored(batch) * max_tokens))
